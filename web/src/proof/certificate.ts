import { sha256, toHex, utf8 } from './bytes';
import type { LogKey } from './keys';
import { parseNote, signedBy, type Signed } from './note';

/** What a day's certificate of completeness says: docs/verify.md. */
export interface Certificate {
  readonly origin: string;
  readonly day: string;
  readonly first: string; // index of the day's first leaf
  readonly count: string;
  readonly size: string; // of the checkpoint that it lies under
  readonly root: string;
  readonly before: string; // SHA-256 of the certificate before, in hex, or none
}

export function parseCertificate(note: string): Certificate | undefined {
  const lines = parseNote(note)?.text.split('\n') ?? [];
  const [version, origin, day, first, count, size, root, before, end] = lines;
  if (lines.length !== 9 || version !== 'tradetrail/certificate/v1' || !origin || !day || !first || !count || !size || !root || !before || end !== '') return undefined;
  if (![first, count, size].every((n) => /^(0|[1-9]\d{0,18})$/.test(n))) return undefined;
  return { origin, day, first, count, size, root, before };
}

export interface Judged {
  readonly day: string;
  readonly certificate: Certificate | undefined;
  readonly signed: Signed;
  /** Whether it names the certificate before; undefined where that one is not at hand. */
  readonly follows: boolean | undefined;
}

/** Judges certificates, the newest first, each by its signature and by the one before. */
export async function judgeCertificates(issued: readonly { readonly day: string; readonly note: string }[], keys: readonly LogKey[]): Promise<Judged[]> {
  return Promise.all(issued.map(async ({ day, note }, i) => {
    const certificate = parseCertificate(note);
    const parsed = parseNote(note);
    let signed: Signed = 'no';
    for (const key of keys) {
      if (signed === 'no' && parsed && certificate?.day === day && certificate.origin === key.name) signed = await signedBy(parsed, key);
    }
    return { day, certificate, signed, follows: certificate && (await follows(certificate, issued[i + 1]?.note)) };
  }));
}

async function follows({ before }: Certificate, note: string | undefined): Promise<boolean | undefined> {
  if (before === 'none') return note === undefined;
  return note === undefined ? undefined : before === toHex(await sha256(utf8(note)));
}
