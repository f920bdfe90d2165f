import { useEffect, useMemo, useState } from 'react';
import { Link, Navigate, useSearchParams } from 'react-router';
import { useQuery } from 'urql';
import { anomalyType, findingOf, type Finding } from '../api/finding';
import { useServer } from '../api/server';
import { ChainDocument, ChainUpdatedDocument, type ChainAllFragment } from '../gen/graphql';
import { sealOf, useSealed } from '../api/seals';
import { CheckChain } from '../parts/check';
import { OneOf, Sheet } from '../parts/controls';
import { ClockStatus, EventDetails, useEventAddress } from '../parts/event';
import { EvidenceList } from '../parts/evidence';
import { bundleOf, Report } from '../parts/report';
import { Empty, Fact, Facts, Loading, Panel, Problem, useTitle } from '../parts/states';
import { Amount, Moment, Ref, SealBadge, Severity, Short, Span, Type, Words } from '../parts/words';
import { compareCursors } from '../live/cursor';
import { onAxis, parseDuration } from '../text/duration';
import { cut, summary, visible } from '../text/plain';
import { Fills } from './fills';
import { Lanes } from './lanes';

export type Step = ChainAllFragment['events'][number];

/** An order's whole decision history, live. */
export default function Order() {
  const [params] = useSearchParams();
  const id = params.get('id') ?? '';
  useTitle(`Order ${id}`);
  if (id === '') return <Navigate to="/" replace />;
  return <OrderOf key={id} id={id} />;
}

function OrderOf({ id }: { id: string }) {
  const [{ data, error, fetching }, again] = useQuery({ query: ChainDocument, variables: { orderId: id } });
  const [fresh, setFresh] = useState<ChainAllFragment>();
  const [refused, setRefused] = useState<string>();
  const { line } = useServer();
  const known = data !== undefined;
  const from = data?.chain?.events.reduce((newest, { event }) => (compareCursors(event.position, newest) > 0 ? event.position : newest), 'C:0/P:0');
  useEffect(() => {
    if (!known) return undefined;
    return line.follow(ChainUpdatedDocument, { orderId: id, after: from ?? 'C:0/P:0' }, {
      next: ({ chainUpdated }) => {
        setFresh(chainUpdated.chain);
        return chainUpdated.cursor;
      },
      refused: setRefused,
    });
  }, [line, id, known, from]);
  const chain = fresh ?? data?.chain;
  return (
    <>
      <div className="title">
        <h1>
          <span className="kind">order</span> <Words text={id} />
        </h1>
        {chain && <Report about={{ orderId: id }} bundle={bundleOf('order', id)} />}
      </div>
      {error && !chain && <Problem error={error} again={() => again({ requestPolicy: 'network-only' })} />}
      {refused !== undefined && <Problem error={`Not live: ${refused}`} />}
      {fetching && !chain && <Loading what="the order" />}
      {data && !chain && (
        <Empty>
          <p>No event names this order.</p>
          <p>Ids count letter by letter. If it was just sent, this page shows it as soon as it is recorded. Or look in the <Link to={`/search?${new URLSearchParams({ q: id }).toString()}`}>search</Link>.</p>
        </Empty>
      )}
      {chain && <ChainView chain={chain} />}
    </>
  );
}

// Of a chain that is longer, the rest is in the list of events, which draws what is in sight.
const mostDrawn = 1_000;
const mostPins = 50;

/** What detectors found, by the id of the event that shows it. */
function pinned(steps: readonly Step[]): Map<string, Finding[]> {
  const pins = new Map<string, Finding[]>();
  for (const { event } of steps) {
    if (event.eventType !== anomalyType) continue;
    const finding = findingOf(event);
    for (const id of finding.evidence) pins.set(id, [...(pins.get(id) ?? []), finding]);
  }
  return pins;
}

function ChainView({ chain }: { chain: ChainAllFragment }) {
  const [params, setParams] = useSearchParams();
  const log = params.get('scale') !== 'linear';
  const [chosen, setChosen] = useEventAddress();
  const sealed = useSealed();
  const pins = useMemo(() => pinned(chain.events), [chain]);
  const shown = chain.events.find(({ event }) => event.position === chosen)?.event;
  const { order } = chain;
  const drawn = chain.events.length > mostDrawn ? chain.events.slice(0, mostDrawn) : chain.events;
  // The chain is as far as the last of its events in the log.
  const last = chain.events.reduce<Step['event'] | undefined>((newest, { event }) => (newest === undefined || compareCursors(event.position, newest.position) > 0 ? event : newest), undefined);
  const own = useMemo(() => new Set(chain.events.map(({ event }) => event.eventId)), [chain]);
  const findings = chain.events.filter(({ event }) => event.eventType === anomalyType);
  return (
    <>
      <Facts>
        <Fact name="Status"><span className={`status status-${chain.status.toLowerCase()}`}>{chain.status.toLowerCase().replaceAll('_', ' ')}</span></Fact>
        <Fact name="Proof">{last && <SealBadge seal={last.seal} position={last.position} />}</Fact>
        <Fact name="Order"><Short text={order.side} /> <Amount value={order.quantity} /> <Ref kind="instrument" id={order.ticker} /> <Short text={order.orderType} /> {order.limitPrice != null && <>at <Amount value={order.limitPrice} /></>}</Fact>
        <Fact name="Filled"><Amount value={order.cumQuantity} /> {order.avgPrice != null && <>at <Amount value={order.avgPrice} /></>}</Fact>
        <Fact name="Commission"><Amount value={order.commission} /></Fact>
        <Fact name="Account"><Ref kind="account" id={order.accountId} /></Fact>
        <Fact name="Strategy"><Ref kind="strategy" id={order.strategyId} /></Fact>
        <Fact name="User"><Ref kind="user" id={order.userId} /></Fact>
        <Fact name="First to last"><Span length={chain.latencyTotal} /></Fact>
        <Fact name="To accept"><Span length={order.latencies.accept} /></Fact>
        <Fact name="To fill"><Span length={order.latencies.fill} /></Fact>
        {order.odd.length > 0 && <Fact name="Odd"><span className="warn">{order.odd.join(', ').replaceAll('_', ' ')}</span></Fact>}
      </Facts>
      {findings.length > 0 && (
        <Panel title="Anomalies" wide>
          <ul className="findings">
            {findings.map(({ event }) => {
              const finding = findingOf(event);
              return (
                <li key={event.eventId}>
                  <Severity severity={finding.severity} /> <Words text={finding.explanation ?? finding.kind ?? finding.rule} most={400} />{' '}
                  {finding.evidence.slice(0, mostPins).map((id) => {
                    const at = chain.events.findIndex((step) => step.event.eventId === id);
                    const step = chain.events[at];
                    return step && <button type="button" key={id} className="pin" onClick={() => setChosen(step.event.position)}>step {at + 1}</button>;
                  })}
                  <EvidenceList ids={finding.evidence.filter((id) => !own.has(id))} detected={event} />
                </li>
              );
            })}
          </ul>
        </Panel>
      )}
      <Panel
        title="Timeline" wide
        aside={<OneOf label="Scale of time" value={log ? 'log' : 'linear'} choices={[{ id: 'linear', name: 'To scale' }, { id: 'log', name: 'Logarithmic' }]} onChange={(to) => setParams((old) => {
          const next = new URLSearchParams(old);
          if (to === 'linear') next.set('scale', 'linear');
          else next.delete('scale');
          return next;
        }, { replace: true })} />}
      >
        <Lanes steps={drawn} log={log} pins={pins} open={setChosen} />
        {drawn.length < chain.events.length && <p className="note">The first {drawn.length.toLocaleString('en')} of {chain.events.length.toLocaleString('en')} steps. <Link to={`/events?${new URLSearchParams({ order: chain.orderId }).toString()}`}>All events of the order</Link></p>}
      </Panel>
      <Fills steps={chain.events} ordered={order.quantity ?? null} />
      <Panel title="Steps" wide aside={<CheckChain order={chain.orderId} steps={chain.events.map(({ event }) => event)} sealed={(event) => sealOf(event.seal, event.position, sealed) !== 'RECORDED'} />}>
        <Steps steps={drawn} log={log} pins={pins} open={setChosen} />
      </Panel>
      {shown && (
        <Sheet title={`Event of order ${visible(cut(chain.orderId, 60).text)}`} close={() => setChosen(undefined)}>
          <EventDetails event={shown} />
        </Sheet>
      )}
    </>
  );
}

interface StepsProps {
  readonly steps: readonly Step[];
  readonly log: boolean;
  readonly pins: ReadonlyMap<string, readonly Finding[]>;
  readonly open: (position: string) => void;
}

function Steps({ steps, log, pins, open }: StepsProps) {
  const longest = steps.reduce((most, step) => {
    const n = parseDuration(step.latencyFromPrevious) ?? 0n;
    return n > most ? n : most;
  }, 1n);
  return (
    <div className="scroll">
      <table className="plain steps">
        <thead>
          <tr>
            {['#', 'Stage', 'Event', 'Occurred', 'After the step before'].map((name) => <th key={name} scope="col">{name}</th>)}
            <th scope="col"><span className="sr">To scale</span></th>
            {['What', 'Path', 'Clock', 'Proof'].map((name) => <th key={name} scope="col">{name}</th>)}
          </tr>
        </thead>
        <tbody>
          {steps.map(({ event, stage, latencyFromPrevious }, i) => {
            const nanos = parseDuration(latencyFromPrevious) ?? 0n;
            return (
              <tr key={event.position} className={pins.has(event.eventId) ? 'tone-anomaly' : ''}>
                <td className="num">{i + 1}</td>
                <td>{stage.toLowerCase()}</td>
                <td>
                  <button type="button" className="link" onClick={() => open(event.position)}><Type type={event.eventType} /></button>
                  {pins.get(event.eventId)?.map((finding, k) => <span key={k} className="flag" title={finding.explanation?.slice(0, 300)}>⚑ <Short text={finding.kind} most={24} /></span>)}
                </td>
                <td><Moment at={event.occurredAt} timeOnly /></td>
                <td className="right"><Span length={latencyFromPrevious} /></td>
                <td className="bar-cell"><svg className="bar-of" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect width={Math.max(0.4, onAxis(nanos, longest, log) * 100)} height="8" className={pins.has(event.eventId) ? 'bad' : ''} /></svg></td>
                <td className="what"><Short text={summary(event.data)} most={110} /></td>
                <td>{event.path.length > 0 ? <Short text={event.path.map((hop) => hop.hop).join(' → ')} most={60} /> : <span className="none">–</span>}</td>
                <td>{event.clock ? <ClockStatus clock={event.clock} /> : <span className="none">–</span>}</td>
                <td><SealBadge seal={event.seal} position={event.position} /></td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
