import { useRef, useState, type SubmitEvent } from 'react';
import { useClient, useQuery, type OperationResult } from 'urql';
import { AcknowledgeDocument, AnomalyDocument, AssignDocument, CommentDocument, DismissDocument, type AnomalyRowFragment, type EventRowFragment } from '../gen/graphql';
import { cut, visible } from '../text/plain';
import { EventDetails } from './event';
import { EvidenceList } from './evidence';
import { Empty, Fact, Facts, Loading, Problem, useEvery } from './states';
import { Moment, Ref, Severity, Short, Words } from './words';

export function AnomalyStatus({ anomaly: a }: { anomaly: AnomalyRowFragment }) {
  return <span className={`case case-${a.status.toLowerCase()}`}>{a.status.toLowerCase()}</span>;
}

/** An anomaly, what became of it, and what can be done about it. */
export function Case({ id }: { id: string }) {
  const [{ data, error, fetching }, again] = useQuery({ query: AnomalyDocument, variables: { id } });
  useEvery(3_000, again, fetching);
  if (error) return <Problem error={error} again={again} />;
  if (!data) return fetching ? <Loading what="the anomaly" /> : null;
  const a = data.anomaly;
  if (!a) return <Empty>Nobody has detected such an anomaly.</Empty>;
  const acts = data.entity?.events.edges.map((edge) => edge.node).filter((event) => event.eventType !== a.event.eventType) ?? [];
  return (
    <div className="details">
      <p className="finding"><Severity severity={a.severity} /> <Words text={a.explanation ?? a.kind ?? a.rule} most={2_000} /></p>
      <Facts>
        <Fact name="State"><AnomalyStatus anomaly={a} /></Fact>
        <Fact name="Assigned to"><Words text={a.assignee} /></Fact>
        <Fact name="Detected"><Moment at={a.occurredAt} /></Fact>
        <Fact name="Kind, rule"><Short text={a.kind} /> <Short text={a.rule} /></Fact>
        <Fact name="Order"><Ref kind="order" id={a.orderId} /></Fact>
        <Fact name="Account"><Ref kind="account" id={a.accountId} /></Fact>
        <Fact name="Strategy"><Ref kind="strategy" id={a.strategyId} /></Fact>
        {a.acknowledgedAt != null && <Fact name="Acknowledged"><Words text={a.acknowledgedBy} /> <Moment at={a.acknowledgedAt} /></Fact>}
        {a.dismissedAt != null && <Fact name="Dismissed"><Words text={a.dismissedBy} /> <Moment at={a.dismissedAt} /> <Words text={a.reason} most={1_000} /></Fact>}
      </Facts>
      {a.evidence.length > 0 && <h3>Evidence</h3>}
      <EvidenceList ids={a.evidence} detected={a.event} />
      <Acts anomaly={a} done={again} />
      {acts.length > 0 && <h3>What was done</h3>}
      <ol className="acts">{acts.map((event) => <Act key={event.position} event={event} />)}</ol>
      <h3>The event</h3>
      <EventDetails event={a.event} />
    </div>
  );
}

function Act({ event }: { event: EventRowFragment }) {
  const data = typeof event.data === 'object' && event.data !== null ? (event.data as Record<string, unknown>) : {};
  const said = ['comment', 'reason', 'assignee'].map((name) => data[name]).find((value) => typeof value === 'string');
  return (
    <li>
      <Moment at={event.occurredAt} /> <Words text={event.userId ?? event.actor} most={60} /> <b><Short text={event.eventType.replace('anomaly.', '')} /></b>{' '}
      {said !== undefined && <Words text={said} most={2_000} />}
    </li>
  );
}

const texts = [
  { name: 'assign', label: 'Assign to', button: 'Assign', document: AssignDocument },
  { name: 'comment', label: 'Comment', button: 'Comment', document: CommentDocument },
  { name: 'dismiss', label: 'Nothing more to do, because', button: 'Dismiss', document: DismissDocument },
] as const;

function Acts({ anomaly: a, done }: { anomaly: AnomalyRowFragment; done: () => void }) {
  const client = useClient();
  const [failed, setFailed] = useState<string>();
  const [busy, setBusy] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  // One id for one act: sent twice it is recorded once.
  const act = async (send: (eventId: string) => Promise<OperationResult>) => {
    setBusy(true);
    box.current?.focus(); // what was pressed may go away, and must not take the focus along
    const { error } = await send(crypto.randomUUID());
    setBusy(false);
    setFailed(error && (error.graphQLErrors[0]?.message ?? error.message));
    done();
    return error === undefined;
  };
  const submit = (document: (typeof texts)[number]['document']) => (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const text = new FormData(form).get('text');
    if (typeof text === 'string' && text.trim() !== '') void act((eventId) => client.mutation(document, { id: a.id, text, eventId }).toPromise()).then((ok) => ok && form.reset());
  };
  const over = a.status === 'DISMISSED';
  return (
    <div className="casework" ref={box} tabIndex={-1}>
      {failed !== undefined && <Problem error={visible(cut(failed, 400).text)} />}
      {a.status === 'OPEN' && <button type="button" className="primary" disabled={busy} onClick={() => void act((eventId) => client.mutation(AcknowledgeDocument, { id: a.id, eventId }).toPromise())}>Acknowledge</button>}
      {texts.filter(({ name }) => !over || name === 'comment').map(({ name, label, button, document }) => (
        <form key={name} onSubmit={submit(document)} aria-label={button}>
          <label>{label} <input name="text" required maxLength={name === 'assign' ? 200 : 4_000} dir="auto" autoComplete="off" /></label>
          <button type="submit" disabled={busy}>{button}</button>
        </form>
      ))}
    </div>
  );
}
