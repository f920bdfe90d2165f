import { expect, it } from 'vitest';
import { compareCursors, isPosition, justBefore } from './cursor';

it('the cursor before a position is below it', () => {
  expect(justBefore('C:120/P:119')).toBe('C:119/P:119');
  expect(justBefore('C:18446744073709551615/P:1')).toBe('C:18446744073709551614/P:18446744073709551614');
  expect(justBefore('C:0/P:0')).toBeUndefined();
  expect(justBefore('now')).toBeUndefined();
  expect(isPosition('C:1/P:1')).toBe(true);
  expect(isPosition('C:1')).toBe(false);
});

it('cursors have an order that no number rounds', () => {
  expect(compareCursors('C:9007199254740992/P:1', 'C:9007199254740993/P:1')).toBe(-1);
  expect(compareCursors('C:10/P:1', 'C:9/P:1')).toBe(1);
  expect(compareCursors('C:10/P:1', 'C:10/P:1')).toBe(0);
});
