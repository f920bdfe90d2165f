// Lengths of time as the service writes them: ISO 8601 with seconds to the nanosecond,
// negative when clocks disagree.

const form = /^(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,9}))?S)?)?$/;

/** Nanoseconds; undefined if the text is no duration. */
export function parseDuration(text: string): bigint | undefined {
  const found = form.exec(text);
  if (!found) return undefined;
  const [, sign, days = '0', hours = '0', minutes = '0', seconds = '0', fraction = ''] = found;
  const whole = ((BigInt(days) * 24n + BigInt(hours)) * 60n + BigInt(minutes)) * 60n + BigInt(seconds);
  const nanos = whole * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
  return sign ? -nanos : nanos;
}

const units: readonly [bigint, string][] = [[1_000_000_000n, 's'], [1_000_000n, 'ms'], [1_000n, 'µs'], [1n, 'ns']];

/** For people: all digits below a minute, such as 1.234567 ms; hours and minutes above. */
export function showDuration(nanos: bigint): string {
  if (nanos < 0n) return `-${showDuration(-nanos)}`;
  const seconds = nanos / 1_000_000_000n;
  if (seconds >= 60n) {
    const rest = nanos % 60_000_000_000n;
    const [days, hours, minutes] = [seconds / 86_400n, (seconds / 3_600n) % 24n, (seconds / 60n) % 60n];
    return [days && `${days} d`, hours && `${hours} h`, minutes && `${minutes} min`, rest && showDuration(rest)].filter(Boolean).join(' ');
  }
  for (const [unit, name] of units) {
    if (nanos >= unit) {
      const fraction = (nanos % unit).toString().padStart(unit.toString().length - 1, '0').replace(/0+$/, '');
      return `${nanos / unit}${unit > 1n && fraction ? `.${fraction}` : ''} ${name}`;
    }
  }
  return '0 ns';
}

/** A duration for a variable of a query. */
export const toDuration = (seconds: number): string => `PT${Math.max(1, Math.round(seconds))}S`;

/**
 * Where something stands between 0 and 1 on an axis that ends at whole: to scale, or
 * by logarithm from a microsecond on, where steps of microseconds and of minutes are
 * both to be seen. What is negative stands at 0.
 */
export function onAxis(nanos: bigint, whole: bigint, log: boolean): number {
  if (nanos <= 0n || whole <= 0n) return 0;
  if (!log) return Math.min(1, Number((nanos * 1_000_000n) / whole) / 1_000_000);
  return Math.min(1, Math.log1p(Number(nanos) / 1000) / Math.log1p(Number(whole) / 1000));
}
