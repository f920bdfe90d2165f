import { usePolled } from './polled';

/** What the auditor of the service says: GET /audit/integrity. */
export interface Integrity {
  readonly verdict: 'intact' | 'doubted' | 'unknown';
  readonly verified?: { readonly size: number; readonly root: string; readonly at: string };
  readonly again: number;
  readonly doubts?: readonly string[];
  readonly failed?: string;
  readonly certificates: readonly { readonly day: string; readonly note: string }[];
  readonly more: boolean;
}

const isIntegrity = (body: Partial<Integrity>) => Boolean(body.certificates);

/** A text says why there is none. Certificates are those of days before a day, if one is given. */
export function useIntegrity(everyMs: number, certificates: number, before?: string): Integrity | string | undefined {
  const asked = new URLSearchParams({ limit: String(certificates), ...(before === undefined ? {} : { before }) });
  return usePolled(`/audit/integrity?${asked.toString()}`, everyMs, isIntegrity, 'nothing is known of it');
}
