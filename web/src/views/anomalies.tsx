import { useMemo, useState } from 'react';
import { useSearchParams } from 'react-router';
import { useQuery } from 'urql';
import { momentOf } from '../api/filter';
import { AnomaliesDocument, HeatDocument, type AnomalyFilter, type AnomalyRowFragment, type AnomalyStatus as Status, type HeatmapBy } from '../gen/graphql';
import { AnomalyStatus, Case } from '../parts/casework';
import { OneOf, Sheet } from '../parts/controls';
import { useFormValues } from '../parts/form';
import { Empty, Loading, Panel, Problem, useEvery, useTitle } from '../parts/states';
import { Moment, Ref, Severity, Short, Words } from '../parts/words';
import { toDuration } from '../text/duration';
import { Heat } from './heat';

const hour = 3_600_000;
const buckets = 60;

// A moment of the years that events can be of; a text that is none stays none.
const whole = (ms: number) => (Number.isNaN(ms) ? '' : new Date(Math.min(latest, Math.max(0, Math.round(ms / 1000) * 1000))).toISOString().replace('.000Z', 'Z'));
const latest = Date.UTC(2261, 0);

/** When and what detectors found, and what it was. */
export default function Anomalies() {
  useTitle('Anomalies');
  const [params, setParams] = useSearchParams();
  const [now] = useState(() => Date.now());
  const [typedFrom, typedTo] = [momentOf(params.get('from') ?? whole(now - 24 * hour)), momentOf(params.get('to') ?? whole(now + hour / 4))];
  // The map is of whole seconds: what begins within one begins with it.
  const [start, end] = [Math.floor(Date.parse(typedFrom) / 1000) * 1000, Math.ceil(Date.parse(typedTo) / 1000) * 1000];
  const [from, to] = [whole(start), whole(end)];
  const form = useFormValues({ from: typedFrom, to: typedTo });
  const valid = !Number.isNaN(start) && !Number.isNaN(end) && end > start;
  const bucket = valid ? Math.max(1, Math.ceil((end - start) / 1000 / buckets)) : 60;
  const by = axes.find((axis) => axis.id === params.get('by'))?.id ?? 'KIND';
  const [severity, status, column, row, opened] = ['severity', 'status', 'at', 'row', 'anomaly'].map((name) => params.get(name) ?? undefined);
  const at = column === undefined || Number.isNaN(Date.parse(column)) ? undefined : column;
  const judged = useMemo((): AnomalyFilter => ({ ...(severity ? { severities: [severity] } : {}), ...(isStatus(status) ? { statuses: [status] } : {}) }), [severity, status]);
  const [{ data, error, fetching }, again] = useQuery({ query: HeatDocument, variables: { from, to, bucket: toDuration(bucket), by, filter: judged }, pause: !valid });
  useEvery(5_000, again, fetching || !valid);
  const change = (changes: Record<string, string | undefined>) =>
    setParams((old) => {
      const next = new URLSearchParams(old);
      for (const [name, value] of Object.entries(changes)) {
        if (value === undefined) next.delete(name);
        else next.set(name, value);
      }
      return next;
    });
  const show = (a: number, b: number) => change({ from: whole(a), to: whole(Math.max(b, a + 1000)), at: undefined });
  const filter = useMemo((): AnomalyFilter => ({
    ...judged,
    after: at ?? from,
    before: at === undefined ? to : whole(Math.min(end, Date.parse(at) + bucket * 1000)),
    ...(row === undefined ? {} : by === 'KIND' ? { kinds: [row] } : by === 'ACCOUNT' ? { accounts: [row] } : { strategies: [row] }),
  }), [judged, at, from, to, end, bucket, row, by]);
  return (
    <>
      <h1>Anomalies</h1>
      <form ref={form} className="filters" aria-label="Which time" onSubmit={(event) => {
        event.preventDefault();
        const said = new FormData(event.currentTarget);
        const [a, b] = [said.get('from'), said.get('to')];
        if (typeof a === 'string' && typeof b === 'string') change({ from: a.trim(), to: b.trim(), at: undefined });
      }}>
        <label htmlFor="heat-from">From<input id="heat-from" name="from" /></label>
        <label htmlFor="heat-to">To<input id="heat-to" name="to" /></label>
        <button type="submit">Show</button>
        <button type="button" onClick={() => show(start - (end - start) / 2, end + (end - start) / 2)} disabled={!valid}>Zoom out</button>
        <button type="button" onClick={() => show(start + (end - start) / 4, end - (end - start) / 4)} disabled={!valid}>Zoom in</button>
        {[1, 24, 168].map((hours) => (
          <button type="button" key={hours} onClick={() => show(Date.now() - hours * hour, Date.now())}>{hours === 1 ? 'Last hour' : hours === 24 ? 'Last day' : 'Last week'}</button>
        ))}
      </form>
      {!valid && <Problem error="These are no two moments, one after the other, such as 2026-03-02T14:30:00Z." />}
      {error && <Problem error={error} again={again} />}
      <Panel title="Heat map" wide aside={
        <>
          {data && <span>{data.anomalyHeatmap.total.toLocaleString('en')} anomalies, each column {bucket < 120 ? `${bucket} s` : `${Math.round(bucket / 60)} min`}</span>}
          <OneOf label="Rows" choices={axes} value={by} onChange={(to) => change({ by: to === 'KIND' ? undefined : to, row: undefined, at: undefined })} />
        </>
      }>
        {fetching && !data && <Loading what="anomalies" />}
        {data?.anomalyHeatmap.total === 0 && <Empty>Nothing was detected in this time.</Empty>}
        {data && data.anomalyHeatmap.total > 0 && (
          <Heat
            heat={data.anomalyHeatmap} start={start} end={end} bucketMs={bucket * 1000} chosen={at === undefined ? undefined : { at: Date.parse(at), row }}
            zoom={show} choose={(atMs, value) => change({ at: whole(atMs), row: value })}
          />
        )}
      </Panel>
      <Panel title="What was found" wide aside={
        <>
          {at !== undefined && <span>one column from <Moment at={at} /></span>}
          {row !== undefined && <span>of <Short text={row} /></span>}
          <label className="inline">Severity{' '}
            <select value={severity ?? ''} onChange={(e) => change({ severity: e.target.value || undefined })}>
              {['', 'info', 'low', 'medium', 'high', 'critical'].map((s) => <option key={s} value={s}>{s === '' ? 'any' : s}</option>)}
            </select>
          </label>
          <label className="inline">State{' '}
            <select value={status ?? ''} onChange={(e) => change({ status: e.target.value || undefined })}>
              {['', ...statuses].map((s) => <option key={s} value={s}>{s === '' ? 'any' : s.toLowerCase()}</option>)}
            </select>
          </label>
          {(at !== undefined || row !== undefined) && <button type="button" onClick={() => change({ at: undefined, row: undefined })}>Show all</button>}
        </>
      }>
        {valid && <Findings key={JSON.stringify(filter)} filter={filter} open={(id) => change({ anomaly: id })} />}
      </Panel>
      {opened !== undefined && <Sheet title="Anomaly" close={() => change({ anomaly: undefined })}><Case key={opened} id={opened} /></Sheet>}
    </>
  );
}

const axes: readonly { id: HeatmapBy; name: string }[] = [{ id: 'KIND', name: 'By kind' }, { id: 'STRATEGY', name: 'By strategy' }, { id: 'ACCOUNT', name: 'By account' }];
const statuses: readonly Status[] = ['OPEN', 'ACKNOWLEDGED', 'DISMISSED'];
const isStatus = (text: string | undefined): text is Status => statuses.some((status) => status === text);

function Findings({ filter, open }: { filter: AnomalyFilter; open: (id: string) => void }) {
  const [after, setAfter] = useState<(string | null)[]>([null]);
  return (
    <div className="scroll">
      <table className="plain">
        <thead><tr>{['Detected', 'Severity', 'Kind', 'Explanation', 'Order', 'Account', 'Strategy', 'State', 'Assigned to'].map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
        <tbody>
          {after[0] !== null && <tr><td colSpan={9}><button type="button" onClick={() => setAfter([null])}>Back to the beginning</button></td></tr>}
          {after.map((cursor, i) => <Page key={cursor} filter={filter} after={cursor} every={5_000 * after.length} open={open} more={i === after.length - 1 ? (next) => setAfter([...after, next].slice(-mostPages)) : undefined} />)}
        </tbody>
      </table>
    </div>
  );
}

// Of 100 each: those before go out of the page.
const mostPages = 10;

function Page({ filter, after, every, open, more }: { filter: AnomalyFilter; after: string | null; every: number; open: (id: string) => void; more: ((next: string) => void) | undefined }) {
  const [{ data, error, fetching }, again] = useQuery({ query: AnomaliesDocument, variables: { filter, first: 100, after } });
  useEvery(every, again, fetching);
  const page = data?.anomalies;
  const end = page?.pageInfo.endCursor;
  return (
    <>
      {page?.edges.map(({ node }) => <Row key={node.cursor} anomaly={node} open={() => open(node.id)} />)}
      {(error !== undefined || (fetching && !data)) && <tr><td colSpan={9}>{error ? <Problem error={error} again={again} /> : <Loading what="anomalies" />}</td></tr>}
      {page?.edges.length === 0 && !page.pageInfo.hasNextPage && after === null && <tr><td colSpan={9}><Empty>Nothing was found.</Empty></td></tr>}
      {page?.pageInfo.hasNextPage && end && more && <tr><td colSpan={9}><button type="button" onClick={() => more(end)}>Show more</button></td></tr>}
    </>
  );
}

function Row({ anomaly: a, open }: { anomaly: AnomalyRowFragment; open: () => void }) {
  return (
    <tr>
      <td><button type="button" className="link" onClick={open}><Moment at={a.occurredAt} /></button></td>
      <td><Severity severity={a.severity} /></td>
      <td><Short text={a.kind ?? a.rule} /></td>
      <td className="prose"><Words text={a.explanation} most={240} /></td>
      <td><Ref kind="order" id={a.orderId} /></td>
      <td><Ref kind="account" id={a.accountId} /></td>
      <td><Ref kind="strategy" id={a.strategyId} /></td>
      <td><AnomalyStatus anomaly={a} />{a.comments > 0 && <span className="unit"> · {a.comments} {a.comments === 1 ? 'comment' : 'comments'}</span>}</td>
      <td><Short text={a.assignee} /></td>
    </tr>
  );
}
