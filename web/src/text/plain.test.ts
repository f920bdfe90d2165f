import { describe, expect, it } from 'vitest';
import { cut, summary, visible, visibleLines } from './plain';

describe('texts of strangers', () => {
  it('show marks that nobody sees', () => {
    expect(visible('ab\u202Ecd\u0000\u200B')).toBe('ab[U+202E]cd[U+0000][U+200B]');
    expect(visible('<script>alert(1)</script>')).toBe('<script>alert(1)</script>');
    expect(visibleLines('a\n\tb\r')).toBe('a\n\tb[U+000D]');
  });

  it('are cut between characters', () => {
    expect(cut('x'.repeat(10_000), 200)).toEqual({ text: 'x'.repeat(200), left: 9_800 });
    expect(cut('🜚🜚🜚', 2)).toEqual({ text: '🜚🜚', left: 1 });
    expect(cut('short')).toEqual({ text: 'short', left: 0 });
  });

  it('are summed up in a line', () => {
    expect(summary({ venue: 'X', price: '412.50', side: 'buy' })).toBe('side buy · price 412.50');
    expect(summary({ other: 1 })).toBe('other 1');
    expect(summary(null)).toBe('');
    expect(summary({ side: 'x'.repeat(10_000) }).length).toBe(160);
  });
});
