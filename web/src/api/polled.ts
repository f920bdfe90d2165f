import { useCallback, useEffect, useRef, useState } from 'react';
import { useEvery } from '../parts/states';

/**
 * What a URL answers, asked again and again. A text says why there is no answer; isAnswer
 * tells one from a problem.
 */
export function usePolled<T extends object>(
  url: string, everyMs: number, isAnswer: (body: Partial<T>) => boolean, otherwise: string,
): T | string | undefined {
  const [answer, setAnswer] = useState<T | string>();
  const run = useRef<AbortController>(undefined);
  const look = useCallback(() => {
    if (run.current) return; // one at a time, so that no older answer comes last
    const { signal } = (run.current = new AbortController());
    void fetch(url, { cache: 'no-store', signal })
      .then(async (response) => {
        const body = (await response.json()) as Partial<T> & { detail?: string };
        if (!signal.aborted) setAnswer(isAnswer(body) ? (body as T) : (body.detail ?? otherwise));
      })
      .catch(() => {
        if (!signal.aborted) setAnswer('the server does not answer');
      })
      .finally(() => {
        if (!signal.aborted) run.current = undefined;
      });
  }, [url, isAnswer, otherwise]);
  useEffect(() => {
    look();
    return () => {
      run.current?.abort();
      run.current = undefined;
    };
  }, [look]);
  useEvery(everyMs, look);
  return answer;
}
