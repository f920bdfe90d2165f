import { Exact } from '../api/exact';

// Texts of strangers. React shows them as text; what is left are marks that nobody
// sees and that turn what stands around them, and lengths that push everything away.

export const shownCharacters = 200;

// Control characters, marks of direction and width: shown as their code point.
const unseen = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\u2028\u2029]/gu;

const code = (character: string): string => `[U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`;

/** The text with what can't be seen as code points. */
export const visible = (text: string): string => text.replace(unseen, code);

/** In several lines: line ends and tabs stay. */
export const visibleLines = (text: string): string => text.replace(unseen, (c) => (c === '\n' || c === '\t' ? c : code(c)));

export interface Cut {
  readonly text: string;
  readonly left: number; // how many characters are not in it
}

/** The first characters of a text; never half of one. */
export function cut(text: string, most = shownCharacters): Cut {
  if (text.length <= most) return { text, left: 0 };
  const characters = Array.from(text);
  return { text: characters.slice(0, most).join(''), left: Math.max(0, characters.length - most) };
}

const telling = [
  'side', 'action', 'quantity', 'limit_price', 'fill_quantity', 'fill_price', 'price', 'reason', 'rejection_reasons', 'decision',
  'kind', 'severity', 'mode', 'new_mode', 'slippage_bps', 'status', 'explanation',
];

/** What an event's data say, in a line: the fields that tell most, else the first ones. */
export function summary(data: unknown): string {
  if (data === null || data === undefined) return '';
  if (typeof data !== 'object' || Array.isArray(data)) return cut(JSON.stringify(data), 160).text;
  const fields = Object.entries(data as Record<string, unknown>);
  const chosen = telling.flatMap((name) => fields.filter(([key]) => key === name));
  const said = (chosen.length > 0 ? chosen : fields).slice(0, 5).map(([key, value]) => `${key} ${typeof value === 'string' ? value : value instanceof Exact ? value.source : JSON.stringify(value)}`);
  return cut(visible(said.join(' · ')), 160).text;
}
