import { useState } from 'react';
import { useClient, useQuery, type CombinedError } from 'urql';
import { floatOf } from '../api/exact';
import { CancelRebuildDocument, LatenciesDocument, ParkedDocument, ProjectionsDocument, StartRebuildDocument, type ProjectionsQuery } from '../gen/graphql';
import { Sheet } from '../parts/controls';
import { Checks, LogHead } from '../parts/health';
import { Certificates } from '../parts/integrity';
import { Empty, Loading, Panel, Problem, useEvery, useTitle } from '../parts/states';
import { Count, Ref, Span, Type, Words } from '../parts/words';

/** Read models, sources, the log: for whoever runs the service. */
export default function Operations() {
  useTitle('Operations');
  return (
    <>
      <h1>Operations</h1>
      <div className="panels">
        <Panel title="Service and sources"><Checks /></Panel>
        <Panel title="Transparency log"><LogHead /></Panel>
      </div>
      <Panel title="Integrity and certificates" wide><Certificates /></Panel>
      <ReadModels />
      <Latencies />
      <Parked />
    </>
  );
}

type Rebuild = ProjectionsQuery['rebuilds'][number];

const underWay = (r: Rebuild | undefined) => r !== undefined && ['QUEUED', 'BUILDING', 'COMPARING', 'CANCELLING'].includes(r.state);

function ReadModels() {
  const client = useClient();
  const [{ data, error, fetching }, again] = useQuery({ query: ProjectionsDocument });
  const [asking, setAsking] = useState<string>();
  const [failed, setFailed] = useState<CombinedError>();
  useEvery(2_000, again, fetching);
  const rebuild = async (name: string) => {
    setAsking(undefined);
    const answer = await client.mutation(StartRebuildDocument, { projections: [name] }).toPromise();
    setFailed(answer.error);
    again();
  };
  const cancel = async (name: string) => {
    const answer = await client.mutation(CancelRebuildDocument, { projection: name }).toPromise();
    setFailed(answer.error);
    again();
  };
  const rebuilds = new Map(data?.rebuilds.map((r) => [r.projection, r]));
  return (
    <Panel title="Read models" wide>
      {fetching && !data && <Loading what="the read models" />}
      {error && <Problem error={error} again={again} />}
      {failed && <Problem error={failed} />}
      {data && (
        <div className="scroll">
          <table className="plain">
            <thead><tr>{['Read model', 'Version', 'Build', 'Position', 'Events', 'Behind', 'Lag', 'Parked', 'Rebuild'].map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
            <tbody>
              {data.projections.map((p) => {
                const r = rebuilds.get(p.name);
                return (
                  <tr key={p.name}>
                    <th scope="row"><span className={p.caughtUp ? 'light good' : 'light warn'} aria-hidden="true" />{p.name}</th>
                    <td className="num">{p.version}</td>
                    <td className="num">{p.generation}</td>
                    <td className="num">{p.position}</td>
                    <td className="num"><Count n={p.events} /></td>
                    <td className="num">{p.behind >= 10_000 ? '10,000 or more' : <Count n={p.behind} />}</td>
                    <td><Span length={p.lag} /></td>
                    <td className={p.parked > 0 ? 'num bad' : 'num'}><Count n={p.parked} /></td>
                    <td>
                      <RebuildState rebuild={r} />
                      {underWay(r)
                        ? <button type="button" onClick={() => void cancel(p.name)}>Cancel</button>
                        : <button type="button" onClick={() => setAsking(p.name)} aria-label={`Rebuild ${p.name}`}>Rebuild …</button>}
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {asking !== undefined && (
        <Sheet title={`Rebuild ${asking}?`} close={() => setAsking(undefined)}>
          <p>It is made anew from the log, beside the live one, compared with it and put in its place. Readers notice nothing; the log is read from its beginning.</p>
          <button type="button" className="primary" onClick={() => void rebuild(asking)}>Rebuild {asking}</button>
        </Sheet>
      )}
    </Panel>
  );
}

function RebuildState({ rebuild: r }: { rebuild: Rebuild | undefined }) {
  if (!r) return null;
  return (
    <span className="rebuild">
      {underWay(r) && <progress max={Math.max(1, r.total)} value={r.events} aria-label={`Rebuild of ${r.projection}`} />}
      <span className={r.state === 'FAILED' || r.equal === false ? 'bad' : 'unit'}>
        {r.state.toLowerCase()}
        {r.state === 'BUILDING' && ` ${r.events.toLocaleString('en')} of ${r.total.toLocaleString('en')}, ${Math.round(floatOf(r.perSecond)).toLocaleString('en')}/s`}
        {r.state === 'DONE' && (r.equal ? ', equal' : `, ${r.differing} differ`)}
      </span>{' '}
      {r.error != null && <Words text={r.error} most={120} />}
    </span>
  );
}

function Latencies() {
  const [{ data, fetching }, again] = useQuery({ query: LatenciesDocument });
  useEvery(10_000, again, fetching);
  if (!data || data.latencies.length === 0) return null;
  return (
    <Panel title="How long the stages take" wide>
      <div className="scroll">
        <table className="plain">
          <thead><tr>{['Stage', 'Measured', 'Median', '90 %', '99 %', 'Longest', 'Negative: clocks disagree'].map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
          <tbody>
            {data.latencies.map((l) => (
              <tr key={l.stage}>
                <th scope="row">{l.stage.toLowerCase()}</th>
                <td className="num"><Count n={l.count} /></td>
                {[l.p50, l.p90, l.p99, l.max].map((d, i) => <td key={i}><Span length={d} /></td>)}
                <td className="num"><Count n={l.negative} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function Parked() {
  const [{ data, error, fetching }, again] = useQuery({ query: ParkedDocument });
  useEvery(10_000, again, fetching);
  return (
    <Panel title="Parked events" wide>
      {error && <Problem error={error} again={again} />}
      {data?.parked.length === 0 && <Empty>The read models have taken in every event.</Empty>}
      {data && data.parked.length > 0 && (
        <div className="scroll">
          <table className="plain">
            <thead><tr>{['Read model', 'Position', 'Type', 'Order', 'Reason'].map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
            <tbody>
              {data.parked.map((p) => (
                <tr key={`${p.projection} ${p.position}`}>
                  <th scope="row">{p.projection}</th>
                  <td className="num">{p.position}</td>
                  <td>{p.eventType != null && <Type type={p.eventType} />}</td>
                  <td><Ref kind="order" id={p.orderId} /></td>
                  <td className="prose"><Words text={p.reason} most={240} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}
