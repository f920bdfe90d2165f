import { describe, expect, it } from 'vitest';
import { nanosOf, parseMoment, showMoment } from './moment';

describe('moments', () => {
  it('keep every digit in every zone', () => {
    const text = '2026-03-02T14:30:05.123456789Z';
    expect(showMoment(text, 'UTC')).toEqual({ date: '2026-03-02', time: '14:30:05.123456789', zone: 'UTC' });
    expect(showMoment(text, 'America/New_York')).toMatchObject({ date: '2026-03-02', time: '09:30:05.123456789' });
    expect(showMoment('2026-03-02T23:30:05Z', 'Asia/Tokyo')).toMatchObject({ date: '2026-03-03', time: '08:30:05' });
  });

  it('know summer time', () => {
    expect(showMoment('2026-07-02T14:30:05Z', 'America/New_York')?.time).toBe('10:30:05');
  });

  it('count nanoseconds exactly', () => {
    const a = nanosOf('2026-03-02T14:30:05.000000001Z');
    const b = nanosOf('2026-03-02T14:30:05Z');
    expect(a !== undefined && b !== undefined && a - b).toBe(1n);
  });

  it('are nothing else', () => {
    for (const text of ['', 'now', '2026-03-02', '2026-13-02T00:00:00Z', '2026-03-02T14:30:05+01:00', '2026-03-02T14:30:05.1234567890Z']) {
      expect(parseMoment(text), text).toBeUndefined();
    }
  });
});
