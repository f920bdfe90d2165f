import { expect, it } from 'vitest';
import { sha256, toBase64, toHex, utf8, join } from './bytes';
import { judgeCertificates } from './certificate';
import { parseKeys } from './keys';

it('certificates are judged by their signature and by the one before', async () => {
  const pair = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify']);
  const encoded = join(Uint8Array.of(1), new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey)));
  const hash = (await sha256(utf8('log\n'), encoded)).slice(0, 4);
  const keys = await parseKeys(JSON.stringify({ vkey: `log+${toHex(hash)}+${toBase64(encoded)}`, from: 0 }));
  if (typeof keys === 'string') throw new Error(keys);
  const issue = async (day: string, count: number, before: string) => {
    const text = `tradetrail/certificate/v1\nlog\n${day}\n0\n${count}\n9\n${toBase64(new Uint8Array(32))}\n${before}\n`;
    return { day, note: `${text}\n— log ${toBase64(join(hash, new Uint8Array(await crypto.subtle.sign('Ed25519', pair.privateKey, utf8(text)))))}\n` };
  };
  const first = await issue('2026-03-02', 3, 'none');
  const second = await issue('2026-03-03', 5, toHex(await sha256(utf8(first.note))));
  expect(await judgeCertificates([second, first], keys)).toMatchObject([{ signed: 'yes', follows: true, certificate: { count: '5' } }, { signed: 'yes', follows: true }]);
  expect(await judgeCertificates([second], keys)).toMatchObject([{ signed: 'yes', follows: undefined }]);
  const changed = { ...first, note: first.note.replace('\n3\n9', '\n2\n9') };
  expect(await judgeCertificates([second, changed], keys)).toMatchObject([{ follows: false }, { signed: 'no' }]);
  expect(await judgeCertificates([{ ...first, day: '2026-03-04' }], keys), 'in the place of another day').toMatchObject([{ signed: 'no' }]);
  expect(await judgeCertificates([{ day: 'x', note: 'none' }], keys)).toMatchObject([{ certificate: undefined, signed: 'no' }]);
});
