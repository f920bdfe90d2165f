import type { EventFilter } from '../gen/graphql';

// Filters stand in the address of a view, so that whoever is sent it sees the same.

export interface FilterField {
  readonly name: string; // of the parameter
  readonly label: string;
  readonly list?: 'types' | 'tickers' | 'strategies' | 'accounts' | 'users' | 'orders';
  readonly hint?: string;
}

export const filterFields: readonly FilterField[] = [
  { name: 'type', label: 'Types', list: 'types', hint: 'order.*, order.filled' },
  { name: 'order', label: 'Order', list: 'orders' },
  { name: 'account', label: 'Account', list: 'accounts' },
  { name: 'strategy', label: 'Strategy', list: 'strategies' },
  { name: 'user', label: 'User', list: 'users' },
  { name: 'ticker', label: 'Ticker', list: 'tickers' },
  { name: 'from', label: 'From', hint: '2026-03-02T14:30:00Z' },
  { name: 'to', label: 'To', hint: '2026-03-02T15:00:00Z' },
];

/**
 * The filter of an address. A parameter may be there several times, each time a value;
 * types also with commas, which no type has.
 */
export function filterOf(params: URLSearchParams): EventFilter {
  const filter: EventFilter = {};
  for (const { name, list } of filterFields) {
    const values = params.getAll(name).filter((value) => value !== '');
    if (!list || values.length === 0) continue;
    filter[list] = list === 'types' ? values.flatMap((v) => v.split(',').map((t) => t.trim()).filter(Boolean)) : values;
  }
  const [from, to, expression] = ['from', 'to', 'q'].map((name) => params.get(name)?.trim());
  if (from) filter.after = momentOf(from);
  if (to) filter.before = momentOf(to);
  if (expression) filter.expression = expression;
  return filter;
}

/** A day is its midnight in UTC. */
export const momentOf = (text: string): string => (/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);

/** Whether an address has a filter at all. */
export const isFiltered = (filter: EventFilter): boolean => Object.keys(filter).length > 0;

/** A text in an expression. */
export const quoted = (text: string): string => JSON.stringify(text);
