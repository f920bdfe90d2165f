import type { EventLineFragment, EventRowFragment } from '../gen/graphql';
import { summary } from '../text/plain';
import type { Column } from './grid';
import { Moment, Ref, SealBadge, Short, Type } from './words';

type Line = EventLineFragment & Partial<EventRowFragment>;

/** The columns of events; without those that would be the same in every row. */
export function eventColumns(without: readonly string[] = []): Column<Line>[] {
  const all: Column<Line>[] = [
    { id: 'at', name: 'Occurred', width: '17.5rem', cell: (e) => <Moment at={e.occurredAt} /> },
    { id: 'type', name: 'Type', width: 'minmax(10rem, 1.2fr)', cell: (e) => <Type type={e.eventType} /> },
    { id: 'order', name: 'Order', width: 'minmax(9rem, 1fr)', cell: (e) => <Ref kind="order" id={e.orderId} /> },
    { id: 'account', name: 'Account', width: 'minmax(5.5rem, .7fr)', cell: (e) => <Ref kind="account" id={e.accountId} /> },
    { id: 'strategy', name: 'Strategy', width: 'minmax(6rem, .8fr)', cell: (e) => <Ref kind="strategy" id={e.strategyId} /> },
    { id: 'user', name: 'User', width: 'minmax(5rem, .7fr)', cell: (e) => <Ref kind="user" id={e.userId} /> },
    { id: 'instrument', name: 'Ticker', width: 'minmax(4rem, .5fr)', cell: (e) => <Ref kind="instrument" id={e.ticker} /> },
    { id: 'what', name: 'What', width: 'minmax(12rem, 3fr)', cell: (e) => <Short text={summary(e.data)} most={160} /> },
    { id: 'seal', name: 'Proof', width: '6.2rem', cell: (e) => e.seal && <SealBadge seal={e.seal} position={e.position} /> },
  ];
  return all.filter((column) => !without.includes(column.id));
}
