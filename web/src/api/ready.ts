import { usePolled } from './polled';

export interface Readiness {
  readonly status: string;
  readonly checks: readonly { readonly name: string; readonly status: string; readonly reason?: string }[];
}

const isReadiness = (body: Partial<Readiness>) => Boolean(body.checks);

/** What /readyz says: stores, read models, and sources. */
export function useReady(everyMs: number): Readiness | string | undefined {
  return usePolled('/readyz', everyMs, isReadiness, 'the service is not ready');
}
