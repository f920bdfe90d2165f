import { expect, it } from 'vitest';
import { intentOf } from './intent';

it('the box understands what is typed', () => {
  expect(intentOf('  ')).toEqual({ kind: 'nothing' });
  expect(intentOf('C:120/P:120')).toEqual({ kind: 'position', position: 'C:120/P:120' });
  expect(intentOf('order: a b')).toEqual({ kind: 'named', what: 'order', id: 'a b' });
  expect(intentOf('ticker:AAPL')).toEqual({ kind: 'named', what: 'instrument', id: 'AAPL' });
  expect(intentOf('ord-20260302-00001')).toEqual({ kind: 'id', id: 'ord-20260302-00001' });
  expect(intentOf('acc-1001')).toEqual({ kind: 'id', id: 'acc-1001' });
  for (const text of ['price > 5', 'venue == "X"', 'approval_id == nil', 'ticker in ["A"]', 'any(legs, .price > 2)']) {
    expect(intentOf(text), text).toEqual({ kind: 'expression', expression: text });
  }
});
