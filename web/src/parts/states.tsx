import { useEffect, type ReactNode } from 'react';
import type { CombinedError } from 'urql';
import { visible } from '../text/plain';

export const Loading = ({ what }: { what: string }) => (
  <p className="state" role="status">
    <span className="spinner" aria-hidden="true" /> Reading {what} …
  </p>
);

export const Empty = ({ children }: { children: ReactNode }) => <div className="state empty">{children}</div>;

/** What went wrong, in the server's words, and a way to try again. */
export function Problem({ error, again }: { error: CombinedError | Error | string; again?: () => void }) {
  const messages =
    typeof error === 'string' ? [error]
    : 'graphQLErrors' in error && error.graphQLErrors.length > 0 ? error.graphQLErrors.map((e) => e.message)
        : [error.message.replace(/^\[Network\] /, 'The server does not answer: ')];
  return (
    <div className="state problem" role="alert">
      {messages.map((message, i) => (
        <p key={i}>
          <bdi>{visible(message.slice(0, 600))}</bdi>
        </p>
      ))}
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Does something every so often while the page is to be seen, and not while it is busy. */
export function useEvery(ms: number, act: () => void, busy = false): void {
  useEffect(() => {
    if (busy) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) act();
    }, ms);
    return () => clearInterval(timer);
  }, [ms, act, busy]);
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${visible(title.slice(0, 80))} · Tradetrail`;
  }, [title]);
}

export function Panel({ title, aside, children, wide }: { title: string; aside?: ReactNode; children: ReactNode; wide?: boolean }) {
  return (
    <section className={wide ? 'panel wide' : 'panel'} aria-label={title}>
      <header>
        <h2>{title}</h2>
        {aside && <div className="aside">{aside}</div>}
      </header>
      {children}
    </section>
  );
}

export function Facts({ children }: { children: ReactNode }) {
  return <dl className="facts">{children}</dl>;
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
