import type { EventFullFragment } from '../gen/graphql';
import { openBundle, type Opened } from './bundle';
import { firstSeen, parseKeys, type LogKey } from './keys';
import { differs } from './shown';

/** What a check in this page came to; but is what it could not look at. */
export interface Verdict {
  readonly holds: boolean;
  readonly says: string;
  readonly but?: string;
  /** The key of another log than this browser saw under this name: to be accepted, or not. */
  readonly stranger?: LogKey;
}

const no = (says: string): Verdict => ({ holds: false, says });

interface Asked {
  readonly bundle: string; // as the server gave it
  readonly keys: string; // likewise
  readonly storage: Pick<Storage, 'getItem' | 'setItem'> | undefined;
}

async function opened({ bundle, keys: file, storage }: Asked): Promise<Opened | Verdict> {
  const keys = await parseKeys(file);
  if (typeof keys === 'string') return no(keys);
  const [first] = keys;
  if (first && firstSeen(keys, storage) !== first.text) return { ...no(`This browser knows ${first.name} by another key: this is another log of that name, or somebody pretends to be it.`), stranger: first };
  const found = await openBundle(bundle, keys);
  return typeof found === 'string' ? no(found) : found;
}

const unsigned = (found: Opened): { but?: string } =>
  found.signed === 'yes' ? {} : { but: 'Who signed the checkpoint was not looked at: this browser does not know Ed25519.' };

const of = (found: Opened): string => `the checkpoint of ${found.size} leaves that ${found.origin} signed`;

/** Whether the page shows an event as it was recorded and sealed. */
export async function judgeEvent(shown: EventFullFragment, asked: Asked): Promise<Verdict> {
  const found = await opened(asked);
  if ('holds' in found) return found;
  const [proven] = found.events;
  if (found.kind !== 'event' || !proven) return no('The proof is of another kind.');
  const other = differs(shown, proven);
  if (other !== undefined) return no(other);
  return { holds: true, says: `What this page shows is what stands in leaf ${proven.index}, which leads to the root of ${of(found)}. Computed in this page.`, ...unsigned(found) };
}

/**
 * Whether the page shows an order's chain as it was recorded and sealed: each step, and
 * the order's own from the first on. Steps that are not sealed yet are told.
 */
export async function judgeChain(order: string, steps: readonly EventFullFragment[], sealed: (step: EventFullFragment) => boolean, asked: Asked): Promise<Verdict> {
  const found = await opened(asked);
  if ('holds' in found) return found;
  if (found.kind !== 'chain' || found.subject !== order) return no('The proof is of another order.');
  const proven = new Map(found.events.map((event) => [event.leaf.position, event]));
  let waiting = 0;
  for (const [i, step] of steps.entries()) {
    const leaf = proven.get(step.position);
    proven.delete(step.position);
    if (!leaf && sealed(step)) return no(`The proof lacks step ${i + 1}, which is sealed.`);
    if (!leaf) waiting++;
    const other = leaf && differs(step, leaf);
    if (other !== undefined) return no(`Step ${i + 1}: ${other}`);
  }
  for (const { leaf } of proven.values()) {
    if (leaf.stream === `order-${order}`) return no(`The order has an event at ${leaf.position} that this page does not show. If it came just now, verify again.`);
  }
  const says = `${steps.length - waiting} of ${steps.length} steps are as they stand in the log, and lead to the root of ${of(found)}; the order's own are all from the first on. Computed in this page.`;
  return { holds: true, says: waiting > 0 ? `${says} ${waiting} are not sealed yet.` : says, ...unsigned(found) };
}
