import { useState, type ReactNode } from 'react';
import { useSearchParams } from 'react-router';
import { useQuery } from 'urql';
import { printExact } from '../api/exact';
import { findingOf, anomalyType } from '../api/finding';
import { EventAfterDocument, type EventFullFragment } from '../gen/graphql';
import { justBefore } from '../live/cursor';
import { nanosOf } from '../text/moment';
import { showDuration } from '../text/duration';
import { visibleLines } from '../text/plain';
import { CheckEvent } from './check';
import { Sheet } from './controls';
import { Empty, Fact, Facts, Loading, Problem } from './states';
import { Moment, Ref, SealBadge, Severity, Type, Words } from './words';

/** The position of the event that is opened: it stands in the address, to be passed on. */
export function useEventAddress(): [string | undefined, (to: string | undefined) => void] {
  const [params, setParams] = useSearchParams();
  const change = (to: string | undefined) =>
    setParams((before) => {
      const after = new URLSearchParams(before);
      if (to === undefined) after.delete('event');
      else after.set('event', to);
      return after;
    }, { preventScrollReset: true });
  return [params.get('event') ?? undefined, change];
}

/** Opens the event at a position. */
export function useEventSheet(): { open: (row: { position: string }) => void; sheet: ReactNode } {
  const [position, change] = useEventAddress();
  return {
    open: (row) => change(row.position),
    sheet: position === undefined ? null : (
      <Sheet title="Event" close={() => change(undefined)}>
        <EventAt key={position} position={position} />
      </Sheet>
    ),
  };
}

function EventAt({ position }: { position: string }) {
  const before = justBefore(position);
  const [{ data, error, fetching }, again] = useQuery({ query: EventAfterDocument, variables: { after: before ?? '' }, pause: before === undefined });
  const event = data?.events.edges[0]?.node;
  if (before === undefined) return <Empty>This is no position of an event.</Empty>;
  if (fetching && !data) return <Loading what="the event" />;
  if (error) return <Problem error={error} again={() => again({ requestPolicy: 'network-only' })} />;
  if (event?.position !== position) return <Empty>There is no event at this position of the log.</Empty>;
  return <EventDetails event={event} />;
}

const ids = [
  ['clientOrderId', 'Client order id'], ['brokerOrderId', 'Broker order id'], ['parentOrderId', 'Parent order'], ['recommendationId', 'Recommendation'],
  ['computationId', 'Computation'], ['evaluationId', 'Evaluation'], ['approvalId', 'Approval'], ['sessionId', 'Session'], ['correlationId', 'Correlation'],
  ['causationId', 'Caused by'], ['actor', 'Actor'], ['source', 'Source'], ['environment', 'Environment'], ['version', 'Version of the source'],
] as const;

export function EventDetails({ event }: { event: EventFullFragment }) {
  const finding = event.eventType === anomalyType ? findingOf(event) : undefined;
  return (
    <div className="details">
      <p className="lead">
        <Type type={event.eventType} /> <SealBadge seal={event.seal} position={event.position} /> {!event.known && <span className="note">of a type that this service gives no meaning</span>}
      </p>
      {finding && (
        <p className="finding">
          <Severity severity={finding.severity} /> <Words text={finding.explanation ?? finding.kind} most={1_000} />
        </p>
      )}
      <Facts>
        <Fact name="Occurred"><Moment at={event.occurredAt} /></Fact>
        <Fact name="Recorded"><Moment at={event.recordedAt} /></Fact>
        <Fact name="Order"><Ref kind="order" id={event.orderId} /></Fact>
        <Fact name="Account"><Ref kind="account" id={event.accountId} /></Fact>
        <Fact name="Strategy"><Ref kind="strategy" id={event.strategyId} /></Fact>
        <Fact name="User"><Ref kind="user" id={event.userId} /></Fact>
        <Fact name="Instrument"><Ref kind="instrument" id={event.ticker} /></Fact>
        <Fact name="About">{event.entityType && <><Words text={event.entityType} /> <Words text={event.entityId} /></>}</Fact>
        {ids.map(([key, name]) => event[key] && <Fact key={key} name={name}><Words text={event[key]} /></Fact>)}
        <Fact name="Clock"><ClockStatus clock={event.clock} /></Fact>
        <Fact name="Event id"><Words text={event.eventId} /></Fact>
        <Fact name="Stream"><Words text={event.stream} /> <span className="unit">revision {event.revision}</span></Fact>
        <Fact name="Position"><span className="num">{event.position}</span></Fact>
        <Fact name="Leaf">{event.leafIndex ?? <span className="none">none yet</span>}</Fact>
      </Facts>
      <Path event={event} />
      <CheckEvent event={event} />
      <h3>Raw event</h3>
      <Raw event={event} />
    </div>
  );
}

export function ClockStatus({ clock }: { clock: EventFullFragment['clock'] }) {
  if (!clock) return <span className="none">unknown</span>;
  const doubtful = clock.sync === 'BEST_EFFORT' || clock.sync === 'UNRELIABLE';
  return (
    <span className={doubtful ? 'warn' : ''}>
      <Words text={clock.sync ?? 'unknown'} most={40} />
      {clock.offsetNs != null && ` off by ${showDuration(BigInt(clock.offsetNs))}`}
      {clock.maxErrorNs != null && ` ± ${showDuration(BigInt(clock.maxErrorNs))}`} <Words text={clock.sourceId} most={40} />
    </span>
  );
}

function Path({ event }: { event: EventFullFragment }) {
  if (event.path.length === 0) return null;
  return (
    <>
      <h3>Processing path</h3>
      <ol className="path">
        {event.path.map((hop, i) => {
          const [inAt, outAt] = [hop.in ? nanosOf(hop.in) : undefined, hop.out ? nanosOf(hop.out) : undefined];
          return (
            <li key={i}>
              <Words text={hop.hop} most={60} />{' '}
              {inAt !== undefined && outAt !== undefined && <span className="num">{showDuration(outAt - inAt)}</span>}
              <span className="unit"> in </span><Moment at={hop.in} timeOnly /> <span className="unit">out</span> <Moment at={hop.out} timeOnly />
            </li>
          );
        })}
      </ol>
    </>
  );
}

const rawShown = 20_000;

function Raw({ event }: { event: EventFullFragment }) {
  const [all, setAll] = useState(false);
  const text = visibleLines(printExact(event));
  return (
    <>
      <pre tabIndex={0} aria-label="Raw event"><bdi>{all ? text : text.slice(0, rawShown)}</bdi></pre>
      {!all && text.length > rawShown && <button type="button" className="more" onClick={() => setAll(true)}>show all {text.length.toLocaleString('en')} characters</button>}
    </>
  );
}
