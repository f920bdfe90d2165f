import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openBundle } from './bundle';
import { parseKeys, type LogKey } from './keys';

// The bundles that the service's own verifier is held to.
const golden = (name: string): string => readFileSync(new URL(`../../../tlog/verify/testdata/${name}.json`, import.meta.url), 'utf8');
const vkey = 'log.example/trading+4bc01378+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c';

async function keysOf(text = vkey): Promise<readonly LogKey[]> {
  const keys = await parseKeys(`${JSON.stringify({ vkey: text, from: 0 })}\n`);
  if (typeof keys === 'string') throw new Error(keys);
  return keys;
}

const chainOf = (change: (bundle: { older?: unknown; runs: { entries: unknown[] }[] }) => void): string => {
  const bundle = JSON.parse(golden('chain')) as { older?: unknown; runs: { entries: unknown[] }[] };
  delete bundle.older;
  change(bundle);
  return JSON.stringify(bundle);
};

describe('a bundle', () => {
  it('of an event is verified as others verify it', async () => {
    const found = await openBundle(golden('event'), await keysOf());
    if (typeof found === 'string') throw new Error(found);
    expect(found).toMatchObject({ kind: 'event', subject: '94167980-f909-527e-a4af-bc3155f586d3', origin: 'log.example/trading', size: 23n, signed: 'yes' });
    expect(found.events[0]).toMatchObject({ index: 7n, said: { type: 'order.filled' }, leaf: { position: 'C:800/P:800', stream: 'recommendation-r1', revision: '1' } });
    expect(new TextDecoder().decode(found.events[0]?.said?.data)).toBe('{"n":7,"text":"ä<&>"}');
  });

  it('of a chain is verified with all its runs, and not with one less', async () => {
    expect(await openBundle(chainOf(() => undefined), await keysOf())).toMatchObject({ kind: 'chain', subject: 'A' });
    expect(await openBundle(chainOf(({ runs }) => runs.shift()), await keysOf())).toMatch(/stands where 0 must/);
    expect(await openBundle(chainOf(({ runs }) => runs.reverse()), await keysOf())).toMatch(/not in order/);
    expect(await openBundle(chainOf(({ runs }) => (runs[0] = { ...runs[0], entries: [] })), await keysOf())).toMatch(/root/);
  });

  it('may show an older checkpoint and a timestamp, and nothing of another form', async () => {
    expect(await openBundle(golden('chain'), await keysOf())).toMatchObject({ kind: 'chain', subject: 'A' });
    const stamped = golden('event').replace(/,\s*"runs":/, ',"timestamp":{"checkpoint":"","hashes":[],"token":""},"runs":');
    expect(await openBundle(stamped, await keysOf())).toMatchObject({ kind: 'event' });
    for (const wrong of ['null', '{}', '{"checkpoint":"","hashes":[]}']) {
      const changed = golden('event').replace(/,\s*"runs":/, `,"timestamp":${wrong},"runs":`);
      expect(typeof (await openBundle(changed, await keysOf())), wrong).toBe('string');
    }
  });

  it('turns red when any byte is another', async () => {
    const keys = await keysOf();
    const text = golden('event').trim();
    const blanks = new Set(['\n']);
    for (let at = 0; at < text.length; at++) {
      const was = text.charAt(at);
      if (blanks.has(was)) continue;
      const changed = text.slice(0, at) + (was === 'A' ? 'B' : 'A') + text.slice(at + 1);
      expect(typeof (await openBundle(changed, keys)), `${at}: ${text.slice(Math.max(0, at - 20), at)}>${was}`).toBe('string');
    }
  }, 60_000);

  it('is refused when it is cut off, doubled or of another log', async () => {
    const text = golden('event').trim();
    for (const wrong of ['', '{}', 'null', '[]', text.slice(0, -1), `${text}{}`, text.replace('"kind"', '"kind":"event","kind"'), text.replace('"kind":"event"', '"kind":"window"')]) {
      expect(typeof (await openBundle(wrong, await keysOf())), wrong.slice(0, 60)).toBe('string');
    }
    const other = await keysOf('log.example/trading+57f9c14a+AQ==').catch((cause: unknown) => String(cause));
    expect(other).toMatch(/none/);
  });
});
