import { parseKey, parseNote, signedBy, type Key, type Signed } from './note';

/** The keys of a log, in the order in which they signed. */
export interface LogKey extends Key {
  readonly from: bigint; // it signs checkpoints of sizes from here on
}

/**
 * Reads the log's file of keys and checks that each handed over to the next. That the
 * first one is right is for whoever calls to know. A text says what is wrong.
 */
export async function parseKeys(file: string): Promise<readonly LogKey[] | string> {
  const keys: LogKey[] = [];
  for (const line of file.split('\n').filter((text) => text !== '')) {
    let said: { vkey?: unknown; from?: unknown; hand_over?: unknown };
    try {
      said = JSON.parse(line) as typeof said;
    } catch {
      return 'The file of keys is none.';
    }
    const key = typeof said.vkey === 'string' ? await parseKey(said.vkey) : undefined;
    if (!key || !Number.isSafeInteger(said.from) || (said.from as number) < 0) return `Key ${keys.length + 1} of the log is none.`;
    const next: LogKey = { ...key, from: BigInt(said.from as number) };
    const before = keys.at(-1);
    if (before && ((await handedOver(before, next, said.hand_over)) === 'no' || next.from < before.from || next.name !== before.name)) {
      return `Key ${keys.length} of the log has not handed over to key ${keys.length + 1}.`;
    }
    keys.push(next);
  }
  return keys.length > 0 ? keys : 'The log names no key.';
}

async function handedOver(before: LogKey, next: LogKey, text: unknown): Promise<Signed> {
  const note = typeof text === 'string' ? parseNote(text) : undefined;
  return note?.text === `tradetrail/key/v1\n${next.text}\n` ? signedBy(note, before) : 'no';
}

/** The keys that may have signed a checkpoint of a size: two where one hands over. */
export const signing = (keys: readonly LogKey[], size: bigint): readonly LogKey[] =>
  keys.filter((key, i) => key.from <= size && size <= (keys[i + 1]?.from ?? size));

const memory = 'tradetrail.log ';

/**
 * The key with which a log began, as this browser saw it first: another one later means
 * another log, or somebody who pretends to be it. Without storage it is what it is now.
 */
export function firstSeen(keys: readonly LogKey[], storage: Pick<Storage, 'getItem' | 'setItem'> | undefined): string {
  const [first] = keys;
  if (!first) return '';
  try {
    const seen = storage?.getItem(memory + first.name);
    if (seen != null) return seen;
    accept(first, storage);
  } catch {
    // Storage is switched off.
  }
  return first.text;
}

/** Takes a key for that of its log from now on. */
export function accept(key: Key, storage: Pick<Storage, 'setItem'> | undefined): void {
  storage?.setItem(memory + key.name, key.text);
}
