import { useEffect, useRef, useState } from 'react';
import type { EventFullFragment } from '../gen/graphql';
import { accept } from '../proof/keys';
import { judgeChain, judgeEvent, type Verdict } from '../proof/verdict';
import { bundleOf } from './report';
import { Words } from './words';

type Judge = (asked: { bundle: string; keys: string; storage: Storage | undefined }) => Promise<Verdict>;
type State = { state: 'none' | 'checking' } | { state: 'said'; verdict: Verdict } | { state: 'not'; why: string };

/** Checks in this page that an event is in the log as it is shown. */
export function CheckEvent({ event }: { event: EventFullFragment }) {
  const path = bundleOf('event', event.eventId);
  const from = path && `${path}?${new URLSearchParams({ position: event.position }).toString()}`;
  return <Check key={event.position} from={from} judge={(asked) => judgeEvent(event, asked)} />;
}

/** The same of an order's whole chain. */
export function CheckChain({ order, steps, sealed }: { order: string; steps: readonly EventFullFragment[]; sealed: (step: EventFullFragment) => boolean }) {
  // Another step makes what was said of the others out of date.
  return <Check key={`${order} ${steps.length}`} from={bundleOf('order', order)} judge={(asked) => judgeChain(order, steps, sealed, asked)} />;
}

function Check({ from, judge }: { from: string | undefined; judge: Judge }) {
  const [state, setState] = useState<State>({ state: 'none' });
  const run = useRef<AbortController>(undefined);
  useEffect(() => () => run.current?.abort(), []);
  const check = async () => {
    run.current?.abort();
    const { signal } = (run.current = new AbortController());
    setState({ state: 'checking' });
    const next = await outcome(from, judge, signal);
    if (!signal.aborted) setState(next);
  };
  return (
    <div className="check">
      <button type="button" onClick={() => void check()} disabled={state.state === 'checking'}>Verify in this browser</button>{' '}
      <span role="status">
        {state.state === 'checking' && 'Checking …'}
        {state.state === 'said' && <Said verdict={state.verdict} again={() => void check()} />}
        {state.state === 'not' && <span className="verdict warn">No proof: <Words text={state.why} most={400} /></span>}
      </span>
    </div>
  );
}

function Said({ verdict: { holds, says, but, stranger }, again }: { verdict: Verdict; again: () => void }) {
  const tone = !holds ? 'bad' : but === undefined ? 'good' : 'warn';
  return (
    <span className={`verdict ${tone}`}>
      {!holds ? 'NOT VERIFIED. ' : but === undefined ? 'Verified. ' : 'Verified but for the signature. '}
      <Words text={says} most={600} /> {but}{' '}
      {stranger && <button type="button" onClick={() => { accept(stranger, storage()); again(); }}>Take {stranger.text.slice(0, 120)} for its key from now on</button>}
    </span>
  );
}

function storage(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined; // switched off
  }
}

async function outcome(from: string | undefined, judge: Judge, signal: AbortSignal): Promise<State> {
  try {
    if (from === undefined) throw new Error('an id of dots alone is no part of a path: ask with `tradetrail prove`');
    if (!isSecureContext) throw new Error('browsers compute hashes only in pages that came over HTTPS or from this machine');
    const [bundle, keys] = await Promise.all([read(from, signal), read('/log/keys', signal)]);
    return { state: 'said', verdict: await judge({ bundle, keys, storage: storage() }) };
  } catch (cause) {
    return { state: 'not', why: cause instanceof Error ? cause.message : String(cause) };
  }
}

async function read(path: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(path, { signal, cache: 'no-store' });
  const text = await response.text();
  if (response.ok) return text;
  let detail: unknown;
  try {
    detail = (JSON.parse(text) as { detail?: unknown }).detail;
  } catch {
    // Then there is only the status.
  }
  throw new Error(typeof detail === 'string' ? detail : `the server answered ${response.status}`);
}
