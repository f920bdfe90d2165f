// The beginning of a real order flow, read here without any code of ours: what the
// dashboard shows is held against it.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export class Flow {
  rows;
  #path;
  #lines;

  /** Of a LOBSTER message file, its first so many lines. */
  constructor(path, lines) {
    this.#path = path;
    this.#lines = readFileSync(path, 'latin1').split('\n').slice(0, lines);
    this.rows = this.#lines.map((line) => {
      const [time, type, order, size, price] = line.trim().split(',');
      return { time, type, order, size: BigInt(size), price: BigInt(price) };
    });
  }

  /** Writes its first lines to a file of the same name, which says ticker and day. */
  head(folder, lines = this.#lines.length) {
    const path = join(folder, basename(this.#path));
    writeFileSync(path, `${this.#lines.slice(0, lines).join('\n')}\n`);
    return path;
  }

  of(type) {
    return this.rows.filter((row) => row.type === type);
  }

  /** Value of the executions, exactly: prices are dollars times 10,000. */
  get value() {
    const sum = this.of('4').reduce((n, row) => n + row.size * row.price, 0n).toString().padStart(5, '0');
    return `${sum.slice(0, -4)}.${sum.slice(-4)}`.replace(/\.?0+$/, '');
  }

  /** An order of this flow that was submitted and then only executed, at least twice. */
  get filled() {
    const byOrder = Map.groupBy ? Map.groupBy(this.rows, (row) => row.order) : grouped(this.rows);
    for (const [order, rows] of byOrder) {
      const [first, ...rest] = rows;
      if (order !== '0' && first.type === '1' && rest.length > 1 && rest.every((row) => row.type === '4')) return rows;
    }
    throw new Error('no order was filled in parts');
  }
}

function grouped(rows) {
  const out = new Map();
  for (const row of rows) out.set(row.order, [...(out.get(row.order) ?? []), row]);
  return out;
}

/** Seconds after midnight in New York, in summer, on the clocks of UTC. */
export function utcOf(time) {
  const [whole, fraction = ''] = time.split('.');
  const seconds = Number(whole) + 4 * 3600;
  const two = (n) => String(n).padStart(2, '0');
  const digits = fraction.replace(/0+$/, '');
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${digits && `.${digits}`}`;
}
