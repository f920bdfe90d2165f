import { Exact, parseExact } from '../api/exact';
import type { EventFullFragment } from '../gen/graphql';
import type { Proven } from './bundle';

// Whether what a page shows of an event is what was recorded of it.

/** What of the page is about the store and the log, and no part of what was said. */
const beside = new Set(['__typename', 'stream', 'revision', 'position', 'seal', 'leafIndex', 'known']);

/** Says what differs; undefined if nothing does. */
export function differs(shown: EventFullFragment, { leaf, said: payload }: Proven): string | undefined {
  if (leaf.position !== shown.position || leaf.stream !== shown.stream || leaf.revision !== String(shown.revision)) {
    return `The proof is of another event: of ${leaf.position} in the log, not of ${shown.position}.`;
  }
  if (!payload) return 'The proof leaves out what the event said.';
  const recorded = parseExact(new TextDecoder().decode(payload.data));
  if (typeof recorded !== 'object' || recorded === null) return 'What was recorded is no event.';
  const said = Object.fromEntries(Object.entries(recorded).map(([name, value]) => [camel(name), name === 'data' ? (value as unknown) : renamed(value)]));
  if (said.eventType !== payload.type) return 'What was recorded is of another type.';
  const page = shown as unknown as Record<string, unknown>;
  for (const name of new Set([...Object.keys(said), ...Object.keys(page)])) {
    if (!beside.has(name) && written(said[name], name === 'data') !== written(page[name], name === 'data')) return `The page shows another ${name} than was recorded.`;
  }
  return undefined;
}

const camel = (name: string): string => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

function renamed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(renamed);
  if (typeof value !== 'object' || value === null || value instanceof Exact) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [camel(name), renamed(inner)]));
}

const empty = (value: unknown): boolean => value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);

// One text for what means the same: names in order, numbers with their digits. Unless it
// is what a source said, what is empty is as good as absent.
function written(value: unknown, all: boolean): string {
  if (value === undefined || value === null || (!all && empty(value))) return 'null';
  if (value instanceof Exact) return value.source;
  if (typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((inner) => written(inner, all)).join()}]`;
  const fields = Object.entries(value).filter(([name, inner]) => all || (name !== '__typename' && !empty(inner)));
  return `{${fields.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, inner]) => `${JSON.stringify(name)}:${written(inner, all)}`).join()}}`;
}
