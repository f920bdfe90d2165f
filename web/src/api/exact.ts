// JSON in which no number loses a digit. What a source wrote as 1.10 or with 30 digits
// stays as it was written; JavaScript's own numbers would round it.

/** A number that JavaScript can't hold as it was written. */
export class Exact {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
  toString(): string {
    return this.source;
  }
  // To be shown, not to be sent.
  toJSON(): string {
    return this.source;
  }
}

interface Context {
  readonly source?: string;
}

/** For JSON.parse. Browsers that do not tell the source give their own numbers. */
export function keepDigits(_key: string, value: unknown, context?: Context): unknown {
  if (typeof value !== 'number' || context?.source === undefined || String(value) === context.source) return value;
  return new Exact(context.source);
}

const parse = JSON.parse as (text: string, reviver: (key: string, value: unknown, context?: Context) => unknown) => unknown;

export const parseExact = (text: string): unknown => parse(text, keepDigits);

/** JSON for people, with the digits that were there. */
export function printExact(value: unknown, indent = ''): string {
  if (value instanceof Exact) return value.source;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const inside = `${indent}  `;
  const list = Array.isArray(value);
  const entries = list
    ? value.map((v) => inside + printExact(v, inside))
    : Object.entries(value).map(([k, v]) => `${inside}${JSON.stringify(k)}: ${printExact(v, inside)}`);
  if (entries.length === 0) return list ? '[]' : '{}';
  return `${list ? '[' : '{'}\n${entries.join(',\n')}\n${indent}${list ? ']' : '}'}`;
}

/** A number of the schema's type Float, to be shown. */
export const floatOf = (value: unknown): number => (value instanceof Exact ? Number(value.source) : Number(value));
