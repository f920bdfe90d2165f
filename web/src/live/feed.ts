import { useCallback, useEffect, useRef, useState } from 'react';
import { useClient } from 'urql';
import { useServer } from '../api/server';
import { EventsFastDocument, NewestDocument, type EventFilter, type EventLineFragment } from '../gen/graphql';
import { Rate } from './rate';
import { Ring } from './ring';

const kept = 2_000;
const seconds = 60;
const drawEvery = 100; // milliseconds: what comes faster than can be read is drawn together

export interface Drawn {
  readonly rows: readonly EventLineFragment[]; // the newest first
  readonly seen: number;
  readonly passed: number; // came and went without being drawn
  readonly waiting: number; // came since it was paused
  readonly rate: readonly number[]; // by second, oldest first
  readonly newest: string | undefined; // position
}

const empty: Drawn = { rows: [], seen: 0, passed: 0, waiting: 0, rate: new Array<number>(seconds).fill(0), newest: undefined };

/**
 * What is recorded now, as fast as it comes: a ring takes it, and a picture of the ring
 * is drawn at most ten times a second, in an animation frame. Memory is bounded by the
 * ring. The filter must not change; give the component another key.
 */
export function useFeed(filter: EventFilter, paused: boolean, now: () => number = Date.now): { drawn: Drawn; error: string | undefined; clear: () => void } {
  const client = useClient();
  const { fast } = useServer();
  const [drawn, setDrawn] = useState(empty);
  const [error, setError] = useState<string>();
  const [state] = useState(() => ({ ring: new Ring<EventLineFragment>(kept), rate: new Rate(seconds), newest: undefined as string | undefined, rows: [] as EventLineFragment[] }));
  const pausedNow = useRef(paused);
  const asked = useRef(filter);

  const draw = useCallback(() => {
    if (!pausedNow.current) state.rows = state.ring.look();
    setDrawn({ rows: state.rows, ...state.ring.counts, rate: state.rate.series(now()), newest: state.newest });
  }, [state, now]);

  useEffect(() => {
    pausedNow.current = paused;
    draw();
  }, [paused, draw]);

  useEffect(() => {
    let stop: (() => void) | undefined;
    let ended = false;
    let frame = 0;
    let drawnAt = 0;
    let dirty = false;
    const wanted = () => {
      dirty = true;
      if (frame === 0) frame = requestAnimationFrame(look);
    };
    const look = (at: number) => {
      frame = 0;
      if (at - drawnAt < drawEvery) {
        frame = requestAnimationFrame(look);
        return;
      }
      drawnAt = at;
      dirty = false;
      draw();
    };
    // The rate falls also while nothing comes.
    const timer = setInterval(() => {
      if (!dirty && !document.hidden) draw();
    }, 1_000);
    let later: ReturnType<typeof setTimeout> | undefined;
    const begin = async (attempt: number) => {
      const { data, error: failed } = await client.query(NewestDocument, {}).toPromise();
      if (ended) return;
      if (!data) {
        setError(failed?.message ?? 'there was no answer');
        later = setTimeout(() => void begin(attempt + 1), Math.min(4_000, 200 * 2 ** attempt) * (0.5 + Math.random()));
        return;
      }
      setError(undefined);
      stop = fast.follow(EventsFastDocument, { filter: asked.current, after: data.events.edges[0]?.cursor ?? 'C:0/P:0' }, {
        next: ({ events: { cursor, event } }) => {
          state.ring.push(event);
          state.rate.add(now());
          state.newest = cursor;
          wanted();
          return cursor;
        },
        refused: setError,
      });
    };
    void begin(0);
    return () => {
      ended = true;
      stop?.();
      clearInterval(timer);
      clearTimeout(later);
      cancelAnimationFrame(frame);
    };
  }, [client, fast, draw, now, state]);

  return {
    drawn, error,
    clear: useCallback(() => {
      state.ring.clear();
      state.rows = [];
      draw();
    }, [state, draw]),
  };
}
