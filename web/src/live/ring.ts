/**
 * The newest of what comes, up to a bound. What is pushed out before anybody has looked
 * counts as passed: it was never shown.
 */
export class Ring<T> {
  readonly #slots: (T | undefined)[];
  #next = 0; // where the next one goes
  #size = 0;
  #fresh = 0; // of the newest, not looked at yet
  #seen = 0;
  #passed = 0;

  constructor(capacity: number) {
    this.#slots = new Array<T | undefined>(capacity);
  }

  push(item: T): void {
    this.#slots[this.#next] = item;
    this.#next = (this.#next + 1) % this.#slots.length;
    this.#size = Math.min(this.#size + 1, this.#slots.length);
    this.#seen++;
    if (this.#fresh === this.#slots.length) this.#passed++;
    else this.#fresh++;
  }

  /** The newest first. */
  look(): T[] {
    this.#fresh = 0;
    const out: T[] = [];
    for (let i = 1; i <= this.#size; i++) {
      const item = this.#slots[(this.#next - i + this.#slots.length) % this.#slots.length];
      if (item !== undefined) out.push(item);
    }
    return out;
  }

  /** How many came in all, and how many of them were never looked at. */
  get counts(): { seen: number; passed: number; waiting: number } {
    return { seen: this.#seen, passed: this.#passed, waiting: this.#fresh };
  }

  clear(): void {
    this.#slots.fill(undefined);
    this.#next = this.#size = this.#fresh = this.#seen = this.#passed = 0;
  }
}
