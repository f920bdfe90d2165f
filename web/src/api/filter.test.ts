import { describe, expect, it } from 'vitest';
import { filterOf, isFiltered } from './filter';

describe('the filter of an address', () => {
  it('has what is there and nothing else', () => {
    const filter = filterOf(new URLSearchParams('type=order.*, order.filled&account=A,1&account=B&from=2026-03-02&q=price > 5&live=1&user='));
    expect(filter).toEqual({ types: ['order.*', 'order.filled'], accounts: ['A,1', 'B'], after: '2026-03-02T00:00:00Z', expression: 'price > 5' });
    expect(isFiltered(filterOf(new URLSearchParams('live=1')))).toBe(false);
  });

  it('takes hostile ids letter by letter', () => {
    const params = new URLSearchParams();
    params.set('order', '../"><script>&=\u202E');
    expect(filterOf(new URLSearchParams(params.toString())).orders).toEqual(['../"><script>&=\u202E']);
  });
});
