import { useEffect, useState } from 'react';
import { Navigate, useSearchParams } from 'react-router';
import { useClient, useQuery } from 'urql';
import { quoted } from '../api/filter';
import { intentOf } from '../api/intent';
import { EventsBackDocument, FindDocument } from '../gen/graphql';
import { Empty, Loading, Problem, useTitle } from '../parts/states';
import { hrefOf, Ref, Words, type Kind } from '../parts/words';

/** What was typed into the box: it goes where that leads, or shows what it may mean. */
export default function Search() {
  const [params] = useSearchParams();
  const typed = params.get('q') ?? '';
  useTitle(`Search ${typed}`);
  const intent = intentOf(typed);
  switch (intent.kind) {
    case 'nothing':
      return <Help />;
    case 'position':
      return <Navigate replace to={`/events?${new URLSearchParams({ event: intent.position }).toString()}`} />;
    case 'expression':
      return <Navigate replace to={`/events?${new URLSearchParams({ q: intent.expression }).toString()}`} />;
    case 'named':
      return intent.what === 'event' ? <EventById key={intent.id} id={intent.id} /> : <Navigate replace to={hrefOf(intent.what, intent.id)} />;
    case 'id':
      return <Found key={intent.id} id={intent.id} />;
  }
}

const kinds: readonly Kind[] = ['order', 'account', 'strategy', 'user', 'instrument'];

function Found({ id }: { id: string }) {
  const [{ data, error, fetching }, again] = useQuery({ query: FindDocument, variables: { id } });
  const [byEvent, setByEvent] = useState(false);
  if (error) return <Problem error={error} again={() => again({ requestPolicy: 'network-only' })} />;
  if (fetching || !data) return <Loading what="what has this id" />;
  const found = kinds.filter((kind) => data[kind] != null);
  if (found.length === 1 && found[0]) return <Navigate replace to={hrefOf(found[0], id)} />;
  if (found.length > 1) {
    return (
      <>
        <h1>Several things have the id <Words text={id} /></h1>
        <ul className="found">
          {found.map((kind) => {
            const events = kind === 'order' ? data.order?.events : data[kind]?.stats.events;
            return <li key={kind}>{kind} <Ref kind={kind} id={id} /> <span className="unit">{events?.toLocaleString('en')} events</span></li>;
          })}
        </ul>
      </>
    );
  }
  if (byEvent) return <EventById id={id} />;
  return (
    <Empty>
      <h1>Nothing has the id <Words text={id} /></h1>
      <p>No order, account, strategy, user or instrument is called so, letter by letter.</p>
      <p><button type="button" onClick={() => setByEvent(true)}>Look for an event of this id</button></p>
      <Help />
    </Empty>
  );
}

const mostLooks = 50; // each of 10,000 events

function EventById({ id }: { id: string }) {
  const client = useClient();
  const [looked, setLooked] = useState(0);
  const [outcome, setOutcome] = useState<{ position?: string; error?: string }>();
  useEffect(() => {
    let gone = false;
    const look = async () => {
      let before: string | null = null;
      let n = 0;
      for (let i = 0; i < mostLooks; i++) {
        const { data, error }: { data?: { events: { edges: { cursor: string }[]; examined?: number | null; pageInfo: { hasPreviousPage: boolean; startCursor?: string | null } } } | undefined; error?: Error | undefined } =
          await client.query(EventsBackDocument, { filter: { expression: `event_id == ${quoted(id)}` }, last: 1, before }).toPromise();
        if (gone) return;
        if (!data) return setOutcome({ error: error?.message ?? 'there was no answer' });
        const hit = data.events.edges[0];
        if (hit) return setOutcome({ position: hit.cursor });
        n += data.events.examined ?? 0;
        setLooked(n);
        before = data.events.pageInfo.startCursor ?? null;
        if (!data.events.pageInfo.hasPreviousPage || before === null) break;
      }
      setOutcome({});
    };
    void look();
    return () => {
      gone = true;
    };
  }, [client, id]);
  if (outcome?.position !== undefined) return <Navigate replace to={`/events?${new URLSearchParams({ event: outcome.position }).toString()}`} />;
  if (outcome?.error !== undefined) return <Problem error={outcome.error} />;
  if (outcome) return <Empty><h1>No event has the id <Words text={id} /></h1><p>{looked.toLocaleString('en')} events, the newest ones, were looked at.</p></Empty>;
  return <Loading what={`events: ${looked.toLocaleString('en')} so far`} />;
}

function Help() {
  return (
    <div className="help">
      <h2>What the box understands</h2>
      <ul>
        <li>an id of an order, an account, a strategy, a user, an instrument: <code>acc-1001</code></li>
        <li>the same with its kind: <code>order: 42</code>, <code>event: 0197b0a4-…</code></li>
        <li>a position in the log: <code>C:120/P:120</code></li>
        <li>an expression over events: <code>{'slippage_bps > 5 && venue == "NASDAQ"'}</code></li>
      </ul>
    </div>
  );
}
