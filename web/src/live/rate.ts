/** Counts by second, of the last so many seconds. */
export class Rate {
  readonly #counts: number[];
  #second = 0;

  constructor(seconds: number) {
    this.#counts = new Array<number>(seconds).fill(0);
  }

  add(nowMs: number, n = 1): void {
    this.#turn(nowMs);
    const at = this.#second % this.#counts.length;
    this.#counts[at] = (this.#counts[at] ?? 0) + n;
  }

  /** Oldest first; the last one is the second that is under way. */
  series(nowMs: number): number[] {
    this.#turn(nowMs);
    const n = this.#counts.length;
    return this.#counts.map((_, i) => this.#counts[(this.#second + 1 + i) % n] ?? 0);
  }

  #turn(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    const n = this.#counts.length;
    if (second - this.#second >= n) this.#counts.fill(0);
    else for (let s = this.#second + 1; s <= second; s++) this.#counts[s % n] = 0;
    if (second > this.#second) this.#second = second;
  }
}
