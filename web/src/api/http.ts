import { Client, makeErrorResult, makeResult, stringifyDocument, type Exchange, type ExecutionResult, type Operation, type OperationResult } from '@urql/core';
import { filter, make, mergeMap, pipe, takeUntil } from 'wonka';
import { parseExact } from './exact';

/** The one place through which queries and mutations go. Numbers keep their digits. */
export const newClient = (): Client => new Client({ url: '/graphql', requestPolicy: 'network-only', exchanges: [overHttp], preferGetMethod: false });

const overHttp: Exchange = () => (operations$) =>
  pipe(
    operations$,
    filter((operation) => operation.kind === 'query' || operation.kind === 'mutation'),
    mergeMap((operation) =>
      pipe(
        make<OperationResult>((observer) => {
          const giveUp = new AbortController();
          void ask(operation, giveUp.signal).then((result) => {
            if (giveUp.signal.aborted) return;
            observer.next(result);
            observer.complete();
          });
          return () => giveUp.abort();
        }),
        // Asked anew, only the newer answer counts: an older one must not come last.
        takeUntil(pipe(operations$, filter((other) => other !== operation && other.key === operation.key))),
      ),
    ),
  );

async function ask(operation: Operation, signal: AbortSignal): Promise<OperationResult> {
  try {
    // Who only looks whether there is an answer already is gone by then.
    await Promise.resolve();
    signal.throwIfAborted();
    const response = await fetch(operation.context.url, {
      method: 'POST',
      signal,
      headers: { 'Content-Type': 'application/json', Accept: 'application/graphql-response+json, application/json' },
      body: JSON.stringify({ query: stringifyDocument(operation.query), variables: operation.variables as unknown }),
    });
    const body = parseExact(await response.text());
    if (typeof body === 'object' && body !== null && ('data' in body || 'errors' in body)) return makeResult(operation, body as ExecutionResult, response);
    throw new Error(problemOf(body) ?? `the server answered ${response.status}`);
  } catch (cause) {
    return makeErrorResult(operation, cause instanceof Error ? cause : new Error(String(cause)));
  }
}

// What a problem document says: while the service starts, nobody answers GraphQL.
function problemOf(body: unknown): string | undefined {
  return typeof body === 'object' && body !== null && 'detail' in body && typeof body.detail === 'string' ? body.detail : undefined;
}
