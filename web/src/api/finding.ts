import type { EventRowFragment } from '../gen/graphql';

/** What a detector recorded in the data of an anomaly; what it does not say is missing. */
export interface Finding {
  readonly kind?: string;
  readonly rule?: string;
  readonly severity?: string;
  readonly explanation?: string;
  readonly evidence: readonly string[];
}

export const anomalyType = 'anomaly.detected';

export function findingOf(event: Pick<EventRowFragment, 'data'>): Finding {
  const data = typeof event.data === 'object' && event.data !== null ? (event.data as Record<string, unknown>) : {};
  const texts = Object.fromEntries(['kind', 'rule', 'severity', 'explanation'].flatMap((name) => (typeof data[name] === 'string' ? [[name, data[name]]] : [])));
  const evidence = Array.isArray(data.evidence) ? data.evidence.filter((id): id is string => typeof id === 'string') : [];
  return { ...texts, evidence };
}
