import { useCallback, useEffect, useRef, useState } from 'react';
import { useClient, type CombinedError } from 'urql';
import { useServer } from '../api/server';
import { EventsBackDocument, EventsLiveDocument, type EventFilter, type EventRowFragment } from '../gen/graphql';

const pageSize = 100;
/** What a view holds at most: whoever scrolls further goes on from there. */
export const mostRows = 20_000;
const mostLooks = 10; // searches without a hit before it asks whether to go on

export interface History {
  readonly rows: readonly EventRowFragment[]; // the newest first
  readonly total: number | undefined;
  readonly loading: boolean;
  readonly error: CombinedError | string | undefined;
  readonly state: 'more' | 'end' | 'paused' | 'full'; // behind the last row
  readonly cursor: string | undefined; // of the last row
  readonly waiting: number; // that came while paused
  readonly failed: number;
  readonly failure: string | undefined;
  readonly more: () => void;
  readonly again: () => void;
}

const nothing = { rows: [] as EventRowFragment[], total: undefined as number | undefined, cursor: undefined as string | undefined, state: 'more' as History['state'], failed: 0, failure: undefined as string | undefined };

/** As many rows as a view holds: from the last of them it goes on. */
function newestOf(rows: readonly EventRowFragment[], before: Pick<History, 'state' | 'cursor'>): { rows: EventRowFragment[]; state: History['state']; cursor: string | undefined } {
  if (rows.length <= mostRows) return { rows: [...rows], state: before.state, cursor: before.cursor };
  const kept = rows.slice(0, mostRows);
  return { rows: kept, state: 'full', cursor: kept.at(-1)?.position };
}

/**
 * The events that a filter finds, from the newest back, and on request those that come,
 * behind the newest that was read: no gap between the two. The filter and before must
 * not change; give the component another key.
 */
export function useHistory(filter: EventFilter, before: string | undefined, live: boolean, paused: boolean): History {
  const client = useClient();
  const { line } = useServer();
  const [found, setFound] = useState(nothing);
  const [loading, setLoading] = useState(false);
  const [error, setError] = useState<CombinedError | string>();
  const [head, setHead] = useState<string>(); // where live mode begins
  const [waiting, setWaiting] = useState(0);
  const busy = useRef(false);
  const held = useRef<EventRowFragment[]>([]); // the newest of those that came, oldest first
  const arrived = useRef(0); // since the rows were drawn
  const mounted = useRef(true);
  const latest = useRef(found);
  latest.current = found;
  const asked = useRef(filter);

  const read = useCallback(async () => {
    if (busy.current) return;
    busy.current = true;
    setLoading(true);
    setError(undefined);
    let { cursor } = latest.current;
    let behind = cursor;
    for (let look = 0; ; look++) {
      const { data, error: failed } = await client.query(EventsBackDocument, { filter: asked.current, last: pageSize, before: cursor ?? before ?? null }).toPromise();
      if (!mounted.current) return;
      if (failed ?? !data) {
        setError(failed ?? 'there was no answer');
        break;
      }
      const { edges, pageInfo, totalCount, failed: left, failure } = data.events;
      const first = cursor === undefined;
      cursor = pageInfo.startCursor ?? cursor;
      if (first) setHead((h) => h ?? pageInfo.endCursor ?? 'C:0/P:0');
      const rows = edges.map((edge) => edge.node).reverse();
      const enough = rows.length > 0 || !pageInfo.hasPreviousPage || look === mostLooks - 1;
      const at = cursor;
      const began = behind;
      behind = at;
      setFound((f) => {
        // What live events have pushed out since lies between: there must be no gap.
        if (f.cursor !== began) return f;
        const all = [...f.rows, ...rows];
        const state = !pageInfo.hasPreviousPage ? 'end' : all.length >= mostRows ? 'full' : rows.length === 0 && enough ? 'paused' : 'more';
        return { rows: all, total: totalCount ?? f.total, cursor: at, state, failed: f.failed + (left ?? 0), failure: f.failure ?? failure ?? undefined };
      });
      if (enough) break;
    }
    busy.current = false;
    setLoading(false);
  }, [client, before]);

  useEffect(() => {
    mounted.current = true;
    void read();
    return () => {
      mounted.current = false;
      busy.current = false;
    };
  }, [read]);

  const pausedNow = useRef(paused);
  const flush = useCallback(() => {
    if (pausedNow.current) return setWaiting(arrived.current);
    const come = held.current.splice(0).reverse();
    const n = arrived.current;
    arrived.current = 0;
    setWaiting(0);
    if (come.length > 0) setFound((f) => ({ ...f, ...newestOf([...come, ...f.rows], f), total: f.total === undefined ? undefined : f.total + n }));
  }, []);
  useEffect(() => {
    pausedNow.current = paused;
    flush();
  }, [paused, flush]);

  const resumeAt = useRef<string>(undefined);
  useEffect(() => {
    if (!live || before !== undefined || head === undefined) return undefined;
    let frame = 0;
    const stop = line.follow(EventsLiveDocument, { filter: asked.current, after: resumeAt.current ?? head }, {
      next: ({ events: { cursor, event } }) => {
        resumeAt.current = cursor;
        held.current.push(event);
        arrived.current++;
        if (held.current.length > mostRows) held.current.splice(0, held.current.length - mostRows);
        if (frame === 0) {
          frame = requestAnimationFrame(() => {
            frame = 0;
            flush();
          });
        }
        return cursor;
      },
      refused: setError,
    });
    return () => {
      stop();
      cancelAnimationFrame(frame);
      flush();
    };
  }, [live, before, head, line, flush]);

  return {
    ...found, loading, error, waiting,
    more: useCallback(() => {
      if (latest.current.state === 'more') void read();
    }, [read]),
    again: useCallback(() => void read(), [read]),
  };
}
