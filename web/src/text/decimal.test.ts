import { describe, expect, it } from 'vitest';
import { add, compare, formatDecimal, grouped, parseDecimal, share, zero } from './decimal';

const d = (text: string) => {
  const parsed = parseDecimal(text);
  if (!parsed) throw new Error(`${text} is no decimal`);
  return parsed;
};

describe('decimals', () => {
  it('are exact where numbers are not', () => {
    expect(formatDecimal(add(d('0.1'), d('0.2')))).toBe('0.3');
    expect(formatDecimal(add(d('9007199254740993'), d('0.000000000000000001')))).toBe('9007199254740993.000000000000000001');
    expect(compare(d('9007199254740992'), d('9007199254740993'))).toBe(-1);
    expect(compare(d('412.50'), d('412.5'))).toBe(0);
  });

  it('keep sign and places', () => {
    expect(formatDecimal(d('-0.05'))).toBe('-0.05');
    expect(formatDecimal(add(d('-1.5'), d('1.50')))).toBe('0.00');
  });

  it('refuse what is no decimal', () => {
    for (const text of ['', '.', '1e5', 'NaN', '0x1', '1,000', '٣', '1.2.3']) expect(parseDecimal(text), text).toBeUndefined();
  });

  it('are grouped without a change of digits', () => {
    expect(grouped('1234567.8900')).toBe('1,234,567.8900');
    expect(grouped('-999')).toBe('-999');
    expect(grouped('1e5')).toBe('1e5');
  });

  it('become shares to draw with', () => {
    expect(share(d('25'), d('100'))).toBe(0.25);
    expect(share(d('25'), zero)).toBe(0);
  });
});
