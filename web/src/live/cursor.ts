// Positions in the log: C:120/P:120.

const form = /^C:(\d{1,20})\/P:(\d{1,20})$/;

/** A cursor behind which the event at a position is the first one. */
export function justBefore(position: string): string | undefined {
  const found = form.exec(position);
  if (!found?.[1] || found[1] === '0') return undefined;
  const commit = (BigInt(found[1]) - 1n).toString();
  return `C:${commit}/P:${commit}`;
}

export const isPosition = (text: string): boolean => form.test(text);

/** Below 0 if a stands before b in the log. What is no position stands at its beginning. */
export function compareCursors(a: string, b: string): number {
  const [x, y] = [a, b].map((text) => form.exec(text)).map((found) => BigInt(found?.[1] ?? 0));
  return x === undefined || y === undefined || x === y ? 0 : x < y ? -1 : 1;
}
