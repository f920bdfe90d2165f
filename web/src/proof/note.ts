import { equal, fromBase64, join, sha256, toHex, utf8, type Bytes } from './bytes';

// Signed notes, https://c2sp.org/signed-note, with Ed25519 keys.

export interface Key {
  readonly text: string; // name+hash+key
  readonly name: string;
  readonly hash: Bytes; // 4 bytes
  readonly bytes: Bytes; // 32
}

/** Reads a public key; undefined if it is none of Ed25519, or its hash is of another one. */
export async function parseKey(text: string): Promise<Key | undefined> {
  const [name, hash, ...rest] = text.split('+');
  const encoded = fromBase64(rest.join('+'));
  if (!name || !hash || encoded?.length !== 33 || encoded[0] !== 1) return undefined;
  const own = (await sha256(utf8(`${name}\n`), encoded)).slice(0, 4);
  return toHex(own) === hash ? { text, name, hash: own, bytes: encoded.slice(1) } : undefined;
}

export interface Note {
  readonly text: string; // what is signed, with its last line feed
  readonly signatures: readonly string[];
}

export function parseNote(text: string): Note | undefined {
  const at = text.indexOf('\n\n');
  const lines = text.slice(at + 2).split('\n');
  if (at < 1 || lines.pop() !== '' || lines.length === 0 || !lines.every((line) => line.startsWith('— '))) return undefined;
  return { text: text.slice(0, at + 1), signatures: lines };
}

export type Signed = 'yes' | 'no' | 'unable'; // unable: this browser has no Ed25519

/** Whether a note is signed by a key. */
export async function signedBy(note: Note, key: Key): Promise<Signed> {
  const before = `— ${key.name} `;
  for (const line of note.signatures) {
    const signature = line.startsWith(before) ? fromBase64(line.slice(before.length)) : undefined;
    if (signature?.length !== 68 || !equal(signature.subarray(0, 4), key.hash)) continue;
    let imported: CryptoKey;
    try {
      imported = await crypto.subtle.importKey('raw', key.bytes, 'Ed25519', false, ['verify']);
    } catch (cause) {
      if (cause instanceof DOMException && (cause.name === 'NotSupportedError' || cause.name === 'SyntaxError')) return 'unable';
      return 'no';
    }
    return (await crypto.subtle.verify('Ed25519', imported, join(signature.subarray(4)), utf8(note.text))) ? 'yes' : 'no';
  }
  return 'no';
}

export interface Head {
  readonly origin: string;
  readonly size: bigint;
  readonly root: Bytes;
}

/** The head of the log that a checkpoint signs. */
export function headOf(note: Note): Head | undefined {
  const [origin, size, root, end, ...more] = note.text.split('\n');
  const hash = fromBase64(root ?? '');
  if (!origin || size === undefined || !/^(0|[1-9]\d{0,18})$/.test(size) || hash?.length !== 32 || end !== '' || more.length > 0) return undefined;
  return { origin, size: BigInt(size), root: hash };
}
