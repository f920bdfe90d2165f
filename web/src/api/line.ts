import { stringifyDocument, type TypedDocumentNode } from '@urql/core';
import { createClient, type Client } from 'graphql-ws';
import { keepDigits } from './exact';

export type LineState = 'idle' | 'connecting' | 'live' | 'away';

interface Resumable {
  [name: string]: unknown;
  after?: string | null;
}

export interface Listener<T> {
  /** Returns the cursor of what came: there it goes on after a break. */
  next: (data: T) => string | undefined;
  /** The server refuses; nothing more will come. */
  refused: (message: string) => void;
}

// How long it waits before the next attempt: the first time hardly, then longer and longer
// up to some seconds, never all clients at the same moment.
const wait = (attempt: number): number => Math.min(4_000, 100 * 2 ** Math.min(attempt, 6)) * (0.5 + Math.random());

const pingEvery = 10_000;
const pongWithin = 8_000;

/**
 * A WebSocket for subscriptions. It comes back whenever it breaks, also when nobody says
 * so and pings are not answered, for as long as somebody follows something, and goes on
 * behind the last cursor: no gap, no duplicate.
 */
export class Line {
  readonly #client: Client;
  readonly #watchers = new Set<() => void>();
  #state: LineState = 'idle';
  #unanswered: ReturnType<typeof setTimeout> | undefined;

  /** exact keeps all digits of numbers, which costs time for each field that comes. */
  constructor(url: string, exact: boolean) {
    this.#client = createClient({
      url,
      lazyCloseTimeout: 2_000,
      keepAlive: pingEvery,
      retryAttempts: Number.MAX_SAFE_INTEGER,
      shouldRetry: () => true,
      retryWait: (retries) => new Promise((done) => setTimeout(done, wait(retries))),
      ...(exact ? { jsonMessageReviver: keepDigits } : {}),
      on: {
        connecting: () => this.#become(this.#state === 'away' ? 'away' : 'connecting'),
        connected: () => this.#become('live'),
        closed: (event) => {
          clearTimeout(this.#unanswered);
          this.#become((event as CloseEvent).code === 1000 ? 'idle' : 'away');
        },
        ping: (received) => {
          if (received) return;
          clearTimeout(this.#unanswered);
          this.#unanswered = setTimeout(() => this.#client.terminate(), pongWithin);
        },
        pong: (received) => {
          if (received) clearTimeout(this.#unanswered);
        },
        error: () => this.#become('away'),
      },
    });
  }

  get state(): LineState {
    return this.#state;
  }

  /** Calls back at each change of the state until the returned function is called. */
  readonly watch = (changed: () => void): (() => void) => {
    this.#watchers.add(changed);
    return () => void this.#watchers.delete(changed);
  };

  /**
   * Follows until the returned function is called. What the server can't do just now is
   * asked again, and so is what it ends without a reason; what it refuses is not.
   */
  follow<T, V extends Resumable>(document: TypedDocumentNode<T, V>, variables: V, listener: Listener<T>): () => void {
    const mine = { ...variables };
    const query = stringifyDocument(document);
    let over = false;
    let failures = 0;
    let later: ReturnType<typeof setTimeout> | undefined;
    let stop = (): void => undefined;
    const again = () => {
      if (!over) later = setTimeout(begin, wait(failures++));
    };
    const begin = () => {
      stop = this.#client.subscribe<T>(
        { query, variables: mine },
        {
          next: ({ data, errors }) => {
            if (errors?.[0]) listener.refused(errors[0].message);
            if (!data) return;
            failures = 0;
            const cursor = listener.next(data);
            if (cursor !== undefined) mine.after = cursor; // the payload is sent again as it is then
          },
          error: (cause) => {
            if (passes(cause)) return again();
            over = true;
            listener.refused(reasonOf(cause));
          },
          complete: again,
        },
      );
    };
    begin();
    return () => {
      over = true;
      clearTimeout(later);
      stop();
    };
  }

  #become(state: LineState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const changed of this.#watchers) changed();
  }
}

// Whether the server says that it will be able to, later.
const passes = (cause: unknown): boolean =>
  Array.isArray(cause) && cause.length > 0 && (cause as { extensions?: { class?: unknown } }[]).every((e) => e.extensions?.class === 'transient');

function reasonOf(cause: unknown): string {
  if (Array.isArray(cause)) return (cause as { message: string }[]).map((e) => e.message).join('; ');
  return cause instanceof Error ? cause.message : 'the connection was refused';
}
