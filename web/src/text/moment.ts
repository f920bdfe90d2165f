// Moments as the service writes them, RFC 3339 in UTC with up to nine digits behind
// the second. The digits are never dropped: a Date keeps three.

export interface Moment {
  readonly seconds: number; // since 1970
  readonly fraction: string; // the digits as they were written
}

const form = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z$/;

export function parseMoment(text: string): Moment | undefined {
  const found = form.exec(text);
  if (!found) return undefined;
  const ms = Date.parse(`${text.slice(0, 19)}Z`);
  return Number.isNaN(ms) ? undefined : { seconds: ms / 1000, fraction: found[7] ?? '' };
}

/** Nanoseconds since 1970. */
export function nanosOf(text: string): bigint | undefined {
  const m = parseMoment(text);
  return m && BigInt(m.seconds) * 1_000_000_000n + BigInt(m.fraction.padEnd(9, '0'));
}

export interface Shown {
  readonly date: string;
  readonly time: string; // with all digits
  readonly zone: string;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit',
      hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short',
    });
    formats.set(zone, format);
  }
  return format;
}

/** A moment on the clocks of a time zone; undefined if the text is no moment. */
export function showMoment(text: string, zone: string): Shown | undefined {
  const m = parseMoment(text);
  if (!m) return undefined;
  const parts: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {};
  for (const { type, value } of formatOf(zone).formatToParts(m.seconds * 1000)) parts[type] = value;
  const { year = '', month = '', day = '', hour = '', minute = '', second = '', timeZoneName = '' } = parts;
  return {
    date: `${year.padStart(4, '0')}-${month}-${day}`,
    time: `${hour}:${minute}:${second}${m.fraction && `.${m.fraction}`}`,
    zone: timeZoneName,
  };
}

/** The UTC day of a Date, such as 2026-03-02. */
export const dayOf = (date: Date): string => date.toISOString().slice(0, 10);
