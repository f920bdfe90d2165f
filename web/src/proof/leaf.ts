// What a leaf of the log says of its event.

export interface Leaf {
  readonly position: string;
  readonly stream: string;
  readonly revision: string;
  readonly id: string; // in the event store
  readonly digest: string; // base64
}

/** Undefined if it is no leaf of version 1. */
export function parseLeaf(text: string): Leaf | undefined {
  const lines = text.split('\n');
  const [version, position, escaped, revision, id, created, digest, end] = lines;
  if (lines.length !== 8 || version !== 'tradetrail/leaf/v1' || !position || !escaped || !revision || !id || !created || !digest || end !== '') return undefined;
  try {
    return { position, stream: decodeURIComponent(escaped), revision, id, digest };
  } catch {
    return undefined;
  }
}
