import { fromBase64, sha256, toBase64, utf8, type Bytes } from './bytes';
import { signing, type LogKey } from './keys';
import { parseLeaf, type Leaf } from './leaf';
import { includes } from './merkle';
import { headOf, parseNote, signedBy, type Signed } from './note';
import { namesOnce } from './strict';

// Proof bundles, as docs/formats.md describes them: of one event, and of an order's
// chain. There is no half: all of it holds, or the text says what does not.

export interface Proven {
  readonly leaf: Leaf;
  readonly index: bigint;
  readonly said: { readonly type: string; readonly data: Bytes } | undefined; // left out, if the bundle is redacted
}

export interface Opened {
  readonly kind: 'event' | 'chain';
  readonly subject: string;
  readonly origin: string;
  readonly size: bigint;
  readonly key: string;
  readonly signed: Exclude<Signed, 'no'>;
  readonly events: readonly Proven[];
}

interface Entry {
  readonly leaf: string;
  readonly said: { readonly salt: Bytes; readonly type: string; readonly data: Bytes; readonly metadata: Bytes } | undefined;
}

class Wrong extends Error {}

function must<T>(value: T | undefined | false, says: string): T {
  if (value === undefined || value === false) throw new Wrong(says);
  return value;
}

/** Verifies a bundle against the keys of the log: what it proves, or what is wrong. */
export async function openBundle(text: string, keys: readonly LogKey[]): Promise<Opened | string> {
  try {
    return await open(text, keys);
  } catch (cause) {
    if (cause instanceof Wrong || cause instanceof SyntaxError) return cause instanceof Wrong ? cause.message : 'The proof is no JSON.';
    throw cause;
  }
}

async function open(text: string, keys: readonly LogKey[]): Promise<Opened> {
  const said: unknown = JSON.parse(text);
  must(namesOnce(text), 'A name stands twice in the proof.');
  const bundle = record(said, ['format', 'kind', 'subject', 'origin', 'key', 'checkpoint', ...besides(said), 'runs'], 'The proof');
  must(bundle.format === 'tradetrail/proof/v1', 'The proof is of another format.');
  if ('older' in bundle) record(bundle.older, ['checkpoint', 'hashes'], 'The older checkpoint');
  if ('timestamp' in bundle) record(bundle.timestamp, ['checkpoint', 'hashes', 'token'], 'The timestamp');
  const kind = must(bundle.kind === 'event' || bundle.kind === 'chain' ? bundle.kind : undefined, 'The proof is of another kind.');
  const subject = string(record(bundle.subject, [kind === 'event' ? 'event' : 'order'], 'The subject')[kind === 'event' ? 'event' : 'order'], 'The subject');
  const note = must(parseNote(string(bundle.checkpoint, 'The checkpoint')), 'The checkpoint is none.');
  const head = must(headOf(note), 'The checkpoint is none.');
  must(head.origin === bundle.origin, 'The proof and its checkpoint are of different logs.');
  must(keys.some((key) => key.text === bundle.key), 'The proof names a key that is not one of the log.');
  const candidates = signing(keys, head.size).filter((key) => key.name === head.origin);
  let signed: Signed = 'no';
  let signer = '';
  for (const key of candidates) {
    signed = await signedBy(note, key);
    signer = key.text;
    if (signed !== 'no') break;
  }
  if (signed === 'no') throw new Wrong('The checkpoint is not signed by the key of the log.');
  const events: Proven[] = [];
  let next = 0n;
  for (const value of list(bundle.runs, Number.MAX_SAFE_INTEGER, 'The runs')) {
    const run = record(value, ['begin', 'beside', 'entries'], 'A run');
    const begin = must(typeof run.begin === 'number' && Number.isSafeInteger(run.begin) && run.begin >= 0 ? BigInt(run.begin) : undefined, 'A run begins nowhere.');
    must(begin >= next, 'The runs are not in order.');
    const beside = list(run.beside, 128, 'The hashes').map((hash) => bytes(hash, 'A hash', 32));
    const entries = list(run.entries, 256, 'The entries').map(entryOf);
    next = begin + BigInt(entries.length);
    must(await includes({ begin, beside, leaves: entries.map((e) => utf8(e.leaf)) }, head.size, head.root), 'The proof does not lead to the root of the checkpoint: the leaf, the proof or the log was changed.');
    for (const [i, entry] of entries.entries()) events.push(await proven(entry, begin + BigInt(i)));
  }
  if (kind === 'event') must(events.length === 1 && events[0]?.leaf.id === subject, 'The proof is of another event.');
  else mustBeWhole(events, `order-${subject}`);
  return { kind, subject, origin: head.origin, size: head.size, key: signer, signed, events };
}

// What a bundle may have besides, in this order. It is for tradetrail-verify: nothing that
// is said here rests on it.
function besides(said: unknown): readonly string[] {
  return typeof said === 'object' && said !== null ? ['older', 'timestamp'].filter((name) => name in said) : [];
}

async function proven({ leaf: text, said }: Entry, index: bigint): Promise<Proven> {
  const leaf = must(parseLeaf(text), `Leaf ${index} is none.`);
  if (!said) return { leaf, index, said };
  const parts = [utf8(said.type), said.data, said.metadata].flatMap((part) => [lengthOf(part), part]);
  const digest = await sha256(utf8('tradetrail/event/v1\n'), said.salt, ...parts);
  must(toBase64(digest) === leaf.digest, `What is said to stand in leaf ${index} is not what was recorded.`);
  return { leaf, index, said };
}

function lengthOf(part: Uint8Array): Bytes {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(part.length));
  return out;
}

// The order's own stream from its first event on, without a gap.
function mustBeWhole(events: readonly Proven[], stream: string): void {
  const own = events.filter(({ leaf }) => leaf.stream === stream);
  must(own.length > 0, 'The proof has no event of the order.');
  for (const [i, { leaf }] of own.entries()) must(leaf.revision === String(i), `Revision ${leaf.revision} of the order stands where ${i} must.`);
}

function entryOf(value: unknown): Entry {
  const redacted = typeof value === 'object' && value !== null && !('said' in value);
  const entry = record(value, redacted ? ['leaf'] : ['leaf', 'said'], 'An entry');
  const leaf = string(entry.leaf, 'A leaf');
  if (redacted) return { leaf, said: undefined };
  const said = record(entry.said, ['salt', 'type', 'data', 'metadata'], 'What an event said');
  return {
    leaf,
    said: { salt: bytes(said.salt, 'A salt', 32), type: string(said.type, 'A type'), data: bytes(said.data, 'What an event said'), metadata: bytes(said.metadata, 'What an event said') },
  };
}

// Exactly these names, in this order.
function record(value: unknown, names: readonly string[], what: string): Record<string, unknown> {
  must(typeof value === 'object' && value !== null && Object.keys(value).join() === names.join(), `${what} does not have the form of one.`);
  return value as Record<string, unknown>;
}

const string = (value: unknown, what: string): string => must(typeof value === 'string' ? value : undefined, `${what} is no text.`);

function bytes(value: unknown, what: string, length?: number): Bytes {
  const found = must(fromBase64(string(value, what)), `${what} is no base64.`);
  must(length === undefined || found.length === length, `${what} is of another length.`);
  return found;
}

function list(value: unknown, most: number, what: string): readonly unknown[] {
  must(Array.isArray(value) && value.length <= most, `${what} are no list, or too long a one.`);
  return value as unknown[];
}
