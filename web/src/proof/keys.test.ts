import { describe, expect, it } from 'vitest';
import { sha256, toBase64, toHex, utf8, join } from './bytes';
import { accept, firstSeen, parseKeys, signing } from './keys';
import { headOf, parseKey, parseNote } from './note';

interface Signer {
  readonly vkey: string;
  readonly sign: (text: string) => Promise<string>;
}

async function signer(name: string): Promise<Signer> {
  const pair = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify']);
  const encoded = join(Uint8Array.of(1), new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey)));
  const hash = (await sha256(utf8(`${name}\n`), encoded)).slice(0, 4);
  return {
    vkey: `${name}+${toHex(hash)}+${toBase64(encoded)}`,
    sign: async (text) => `${text}\n— ${name} ${toBase64(join(hash, new Uint8Array(await crypto.subtle.sign('Ed25519', pair.privateKey, utf8(text)))))}\n`,
  };
}

describe('keys of a log', () => {
  it('hand over to each other', async () => {
    const [a, b, c] = [await signer('log'), await signer('log'), await signer('log')];
    const line = (key: unknown) => `${JSON.stringify(key)}\n`;
    const first = line({ vkey: a.vkey, from: 0 });
    const handOver = (to: Signer, by: Signer) => by.sign(`tradetrail/key/v1\n${to.vkey}\n`);
    const second = line({ vkey: b.vkey, from: 10, hand_over: await handOver(b, a) });
    const keys = await parseKeys(first + second);
    if (typeof keys === 'string') throw new Error(keys);
    expect(signing(keys, 9n).map((k) => k.text)).toEqual([a.vkey]);
    expect(signing(keys, 10n).map((k) => k.text)).toEqual([a.vkey, b.vkey]);
    expect(signing(keys, 11n).map((k) => k.text)).toEqual([b.vkey]);
    for (const [name, text] of Object.entries({
      'by another key': line({ vkey: b.vkey, from: 10, hand_over: await handOver(b, c) }),
      'to another key': line({ vkey: c.vkey, from: 10, hand_over: await handOver(b, a) }),
      'of nobody': line({ vkey: b.vkey, from: 10 }),
      'no key': line({ vkey: 'log+00000000+AQ==', from: 10 }),
      'half a line': '{"vkey":',
    })) expect(typeof (await parseKeys(first + text)), name).toBe('string');
    expect(typeof (await parseKeys(''))).toBe('string');
  });

  it('are remembered as they were seen first', async () => {
    const [a, b] = [await signer('log'), await signer('log')];
    const keys = async (s: Signer) => {
      const found = await parseKeys(JSON.stringify({ vkey: s.vkey, from: 0 }));
      if (typeof found === 'string') throw new Error(found);
      return found;
    };
    const kept = new Map<string, string>();
    const storage = { getItem: (name: string) => kept.get(name) ?? null, setItem: (name: string, text: string) => void kept.set(name, text) };
    expect(firstSeen(await keys(a), storage)).toBe(a.vkey);
    expect(firstSeen(await keys(b), storage)).toBe(a.vkey);
    const [other] = await keys(b);
    if (other) accept(other, storage);
    expect(firstSeen(await keys(b), storage)).toBe(b.vkey);
    expect(firstSeen(await keys(a), undefined)).toBe(a.vkey);
  });

  it('are refused with another hash', async () => {
    const { vkey } = await signer('log');
    expect((await parseKey(vkey))?.name).toBe('log');
    expect(await parseKey(vkey.replace(/\+[0-9a-f]{8}\+/, '+00000000+'))).toBeUndefined();
  });
});

it('a note has a head', () => {
  const root = toBase64(new Uint8Array(32));
  const note = parseNote(`log.example/1\n42\n${root}\n\n— log.example/1 sig\n`);
  expect(note && headOf(note)).toMatchObject({ origin: 'log.example/1', size: 42n });
  for (const text of [`log\n-1\n${root}\n\n— x\n`, `log\n042\n${root}\n\n— x\n`, `log\n1\n${root}\nmore\n\n— x\n`, `log\n1\nAAAA\n\n— x\n`, 'log', `log\n1\n${root}\n\nx\n`]) {
    const found = parseNote(text);
    expect(found && headOf(found), text).toBeUndefined();
  }
});
