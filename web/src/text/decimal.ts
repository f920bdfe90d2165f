// Exact decimals. Money and quantities are texts; no JavaScript number is ever made
// of them, but for where a pixel goes.

export interface Decimal {
  readonly units: bigint; // the number times 10^scale
  readonly scale: number;
}

const form = /^([+-]?)(\d{1,200})(?:\.(\d{0,100}))?$/;

export function parseDecimal(text: string): Decimal | undefined {
  const found = form.exec(text.trim());
  if (!found) return undefined;
  const [, sign, whole = '', fraction = ''] = found;
  const units = BigInt(whole + fraction);
  return { units: sign === '-' ? -units : units, scale: fraction.length };
}

export const zero: Decimal = { units: 0n, scale: 0 };

function aligned(a: Decimal, b: Decimal): [bigint, bigint, number] {
  const scale = Math.max(a.scale, b.scale);
  return [a.units * 10n ** BigInt(scale - a.scale), b.units * 10n ** BigInt(scale - b.scale), scale];
}

export function add(a: Decimal, b: Decimal): Decimal {
  const [x, y, scale] = aligned(a, b);
  return { units: x + y, scale };
}

export const negative = (d: Decimal): Decimal => ({ units: -d.units, scale: d.scale });

export function compare(a: Decimal, b: Decimal): number {
  const [x, y] = aligned(a, b);
  return x < y ? -1 : x > y ? 1 : 0;
}

/** The quotient as a number from 0 to about 1, to draw with, and for nothing else. */
export function share(part: Decimal, whole: Decimal): number {
  const [x, y] = aligned(part, whole);
  return y === 0n ? 0 : Number((x * 1_000_000n) / y) / 1_000_000;
}

export function formatDecimal(d: Decimal): string {
  const digits = (d.units < 0n ? -d.units : d.units).toString().padStart(d.scale + 1, '0');
  const sign = d.units < 0n ? '-' : '';
  return d.scale === 0 ? sign + digits : `${sign}${digits.slice(0, -d.scale)}.${digits.slice(-d.scale)}`;
}

/** Sets thin groups of three in the whole part. What is no decimal stays as it is. */
export function grouped(text: string): string {
  const found = form.exec(text.trim());
  if (!found) return text;
  const [, sign = '', whole = '', fraction] = found;
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return sign + spaced + (fraction === undefined ? '' : `.${fraction}`);
}
