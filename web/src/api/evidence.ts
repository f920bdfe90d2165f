import { useEffect, useState } from 'react';
import { useClient } from 'urql';
import { EventsBackDocument, type EventFilter, type EventRowFragment } from '../gen/graphql';
import { quoted } from './filter';

const mostNames = 3_000; // bytes of ids in one expression, below what a filter takes
const mostLooks = 5; // each of 10,000 events

export interface Evidence {
  readonly found: ReadonlyMap<string, EventRowFragment>;
  readonly looking: boolean;
}

const none: Evidence = { found: new Map(), looking: false };

/**
 * The events that an anomaly names, of whichever order: looked for backwards from where it
 * was detected, first among those of its account. What is further away is not found.
 */
export function useEvidence(ids: readonly string[], detected: { readonly position: string; readonly accountId?: string | null }): Evidence {
  const client = useClient();
  const [evidence, setEvidence] = useState(none);
  const wanted = JSON.stringify(ids);
  const { position, accountId } = detected;
  useEffect(() => {
    let gone = false;
    const found = new Map<string, EventRowFragment>();
    const missing = new Set(asManyAsFit(JSON.parse(wanted) as string[]));
    const look = async (filter: EventFilter, looks: number) => {
      let before: string | null = position;
      for (let i = 0; i < looks && before !== null && missing.size > 0; i++) {
        const expression = `event_id in [${[...missing].map(quoted).join(', ')}]`;
        const { data }: { data?: { events: { edges: { node: EventRowFragment }[]; pageInfo: { hasPreviousPage: boolean; startCursor?: string | null } } } | undefined } =
          await client.query(EventsBackDocument, { filter: { ...filter, expression }, last: 100, before }).toPromise();
        if (gone || !data) return;
        for (const { node } of data.events.edges) {
          found.set(node.eventId, node);
          missing.delete(node.eventId);
        }
        before = data.events.pageInfo.hasPreviousPage ? (data.events.pageInfo.startCursor ?? null) : null;
      }
    };
    const run = async () => {
      if (missing.size === 0) return setEvidence(none);
      setEvidence({ found, looking: true });
      if (accountId) await look({ accounts: [accountId] }, 2);
      if (!gone) await look({}, mostLooks);
      if (!gone) setEvidence({ found: new Map(found), looking: false });
    };
    void run();
    return () => {
      gone = true;
    };
  }, [client, wanted, position, accountId]);
  return evidence;
}

function asManyAsFit(ids: readonly string[]): string[] {
  let bytes = 0;
  return ids.filter((id) => (bytes += new TextEncoder().encode(quoted(id)).length + 2) <= mostNames);
}
