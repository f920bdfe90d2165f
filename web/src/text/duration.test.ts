import { describe, expect, it } from 'vitest';
import { onAxis, parseDuration, showDuration } from './duration';

describe('durations', () => {
  it('are read to the nanosecond', () => {
    expect(parseDuration('PT1.000000001S')).toBe(1_000_000_001n);
    expect(parseDuration('-PT0.5S')).toBe(-500_000_000n);
    expect(parseDuration('PT0S')).toBe(0n);
    expect(parseDuration('P1DT2H3M4S')).toBe(93_784_000_000_000n);
    expect(parseDuration('1s')).toBeUndefined();
  });

  it('are shown with all digits', () => {
    expect(showDuration(1n)).toBe('1 ns');
    expect(showDuration(1_234_567n)).toBe('1.234567 ms');
    expect(showDuration(-1_500n)).toBe('-1.5 µs');
    expect(showDuration(0n)).toBe('0 ns');
    expect(showDuration(61_000_000_000n)).toBe('1 min 1 s');
    expect(showDuration(90_061_000_000_001n)).toBe('1 d 1 h 1 min 1.000000001 s');
  });

  it('stand on an axis to scale, or by logarithm', () => {
    expect(onAxis(25n, 100n, false)).toBe(0.25);
    expect(onAxis(-5n, 100n, false)).toBe(0);
    expect(onAxis(10n ** 9n, 10n ** 9n, true)).toBe(1);
    expect(onAxis(10n ** 6n, 10n ** 12n, true)).toBeGreaterThan(0.3);
    expect(onAxis(10n ** 6n, 10n ** 12n, false)).toBeLessThan(0.001);
  });
});
