import { describe, expect, it } from 'vitest';
import { Exact, keepDigits, parseExact, printExact } from './exact';

describe('numbers of JSON', () => {
  it('are kept as they were written', () => {
    expect(keepDigits('', 1.1, { source: '1.10' })).toEqual(new Exact('1.10'));
    expect(keepDigits('', 12345678901234567000, { source: '12345678901234567890' })).toEqual(new Exact('12345678901234567890'));
    expect(keepDigits('', 42, { source: '42' })).toBe(42);
    expect(keepDigits('', 'text', { source: '"text"' })).toBe('text');
  });

  it('are what they are where nothing is known of the source', () => {
    expect(keepDigits('', 1.5)).toBe(1.5);
    expect(parseExact('{"a":[1,2]}')).toEqual({ a: [1, 2] });
  });

  it('are printed with all digits', () => {
    expect(printExact({ a: new Exact('1.10'), b: [], c: ['x', null] })).toBe('{\n  "a": 1.10,\n  "b": [],\n  "c": [\n    "x",\n    null\n  ]\n}');
  });
});
