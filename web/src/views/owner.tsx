import { useMemo } from 'react';
import { Link, Navigate, useNavigate, useSearchParams } from 'react-router';
import { useQuery } from 'urql';
import { filterOf } from '../api/filter';
import { AccountDocument, InstrumentDocument, StrategyDocument, UserDocument, type EventFilter, type OrderRowsFragment, type ReportInput, type StatsFragment } from '../gen/graphql';
import { OneOf } from '../parts/controls';
import { Filters } from '../parts/filters';
import { Grid, type Column } from '../parts/grid';
import { EventHistory } from '../parts/history';
import { Report } from '../parts/report';
import { Empty, Fact, Facts, Loading, Problem, useEvery, useTitle } from '../parts/states';
import { Amount, Count, hrefOf, Moment, Ref, Short, Type, Words } from '../parts/words';

type OwnerKind = 'account' | 'strategy' | 'user' | 'instrument';

const kinds = {
  account: { document: AccountDocument, list: 'accounts', parameter: 'account', report: (id: string) => ({ accountId: id }) },
  strategy: { document: StrategyDocument, list: 'strategies', parameter: 'strategy', report: (id: string) => ({ strategyId: id }) },
  user: { document: UserDocument, list: 'users', parameter: 'user', report: (id: string) => ({ userId: id }) },
  instrument: { document: InstrumentDocument, list: 'tickers', parameter: 'ticker', report: undefined },
} as const;

/** Everything about an account, a strategy, a user or an instrument. */
export default function Owner({ kind }: { kind: OwnerKind }) {
  const [params, setParams] = useSearchParams();
  const id = params.get('id') ?? '';
  useTitle(`${kind} ${id}`);
  const { document, list, parameter, report } = kinds[kind];
  const [{ data, error, fetching }, again] = useQuery({ query: document, variables: { id }, pause: id === '' });
  useEvery(5_000, again, fetching || id === '');
  const tab = params.get('tab') ?? 'events';
  const filter = useMemo(() => {
    const all: EventFilter = filterOf(params);
    all[list] = [id];
    return all;
  }, [params, list, id]);
  if (id === '') return <Navigate to="/" replace />;
  const about: Omit<ReportInput, 'format'> | undefined = report && { ...report(id), ...(filter.after ? { after: filter.after } : {}), ...(filter.before ? { before: filter.before } : {}) };
  return (
    <>
      <div className="title">
        <h1>
          <span className="kind">{kind}</span> <Words text={id} />
        </h1>
        {data?.owner && about && <Report about={about} />}
      </div>
      {error && <Problem error={error} again={() => again({ requestPolicy: 'network-only' })} />}
      {fetching && !data && <Loading what={`the ${kind}`} />}
      {data && !data.owner && (
        <Empty>
          <p>Nothing is recorded about this {kind}.</p>
          <p>Ids count letter by letter. Look in the <Link to={`/search?${new URLSearchParams({ q: id }).toString()}`}>search</Link>, or at <Link to="/events">all events</Link>.</p>
        </Empty>
      )}
      {data?.owner && (
        <>
          <Numbers stats={data.owner.stats} />
          <OneOf
            label="What to show" value={tab}
            choices={[{ id: 'events', name: 'Events' }, { id: 'orders', name: `Orders (${data.owner.orders.totalCount.toLocaleString('en')})` }, { id: 'types', name: 'By type' }]}
            onChange={(to) => setParams((old) => {
              const next = new URLSearchParams(old);
              next.set('tab', to);
              return next;
            })}
          />
          {tab === 'events' && (
            <>
              <Filters without={[parameter]} />
              <EventHistory label={`Events of ${kind} ${id}`} filter={filter} without={[kind]} />
            </>
          )}
          {tab === 'orders' && <Orders orders={data.owner.orders} />}
          {tab === 'types' && <Types stats={data.owner.stats} />}
        </>
      )}
    </>
  );
}

function Numbers({ stats }: { stats: StatsFragment }) {
  return (
    <Facts>
      <Fact name="Events"><Count n={stats.events} /></Fact>
      <Fact name="Orders"><Count n={stats.orders} /></Fact>
      <Fact name="Fills"><Count n={stats.fills} /></Fact>
      <Fact name="Value"><Amount value={stats.value} /></Fact>
      <Fact name="Commission"><Amount value={stats.commission} /></Fact>
      <Fact name="First"><Moment at={stats.firstAt} /></Fact>
      <Fact name="Last"><Moment at={stats.lastAt} /></Fact>
    </Facts>
  );
}

type OrderRow = OrderRowsFragment['edges'][number]['node'];

const orderColumns: Column<OrderRow>[] = [
  { id: 'id', name: 'Order', width: 'minmax(11rem, 1.4fr)', cell: (o) => <Ref kind="order" id={o.orderId} /> },
  { id: 'at', name: 'First', width: '17.5rem', cell: (o) => <Moment at={o.firstAt} /> },
  { id: 'status', name: 'Status', width: 'minmax(8rem, .8fr)', cell: (o) => <span className={`status status-${o.status.toLowerCase()}`}>{o.status.toLowerCase().replaceAll('_', ' ')}</span> },
  { id: 'side', name: 'Side', width: '4rem', cell: (o) => <Short text={o.side} most={12} /> },
  { id: 'ticker', name: 'Ticker', width: 'minmax(4rem, .5fr)', cell: (o) => <Ref kind="instrument" id={o.ticker} /> },
  { id: 'quantity', name: 'Quantity', width: 'minmax(5rem, .6fr)', cell: (o) => <Amount value={o.quantity} /> },
  { id: 'filled', name: 'Filled', width: 'minmax(5rem, .6fr)', cell: (o) => <Amount value={o.cumQuantity} /> },
  { id: 'price', name: 'Average price', width: 'minmax(6rem, .7fr)', cell: (o) => <Amount value={o.avgPrice} /> },
  { id: 'odd', name: 'Odd', width: 'minmax(6rem, 1fr)', cell: (o) => <span className="warn">{o.odd.join(', ').replaceAll('_', ' ')}</span> },
];

function Orders({ orders }: { orders: OrderRowsFragment }) {
  const navigate = useNavigate();
  const rows = useMemo(() => orders.edges.map((edge) => edge.node).reverse(), [orders]);
  if (rows.length === 0) return <Empty>There are no orders.</Empty>;
  return (
    <>
      {orders.totalCount > rows.length && <p className="note">The newest {rows.length} of {orders.totalCount.toLocaleString('en')}. The events have all.</p>}
      <Grid label="Orders" columns={orderColumns} rows={rows} keyOf={(o) => o.orderId} open={(o) => void navigate(hrefOf('order', o.orderId))} />
    </>
  );
}

function Types({ stats }: { stats: StatsFragment }) {
  const rows = stats.byType.toSorted((a, b) => b.count - a.count);
  const most = rows[0]?.count ?? 1;
  return (
    <table className="plain">
      <thead><tr><th scope="col">Type</th><th scope="col">Events</th><th scope="col"><span className="sr">Share</span></th></tr></thead>
      <tbody>
        {rows.map(({ eventType, count }) => (
          <tr key={eventType}>
            <td><Type type={eventType} /></td>
            <td className="num">{count.toLocaleString('en')}</td>
            <td className="meter-cell"><meter min={0} max={most} value={count} aria-label={`${count} events`} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
