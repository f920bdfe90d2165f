// What somebody means who types into the one box.

export type Intent =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'position'; readonly position: string }
  | { readonly kind: 'expression'; readonly expression: string }
  | { readonly kind: 'named'; readonly what: 'order' | 'account' | 'strategy' | 'user' | 'instrument' | 'event'; readonly id: string }
  | { readonly kind: 'id'; readonly id: string };

const named = /^(order|account|strategy|user|instrument|ticker|event):\s*(.+)$/i;
// What an id hardly has and every expression does.
const operators = /(==|!=|<=|>=|&&|\|\||\s[<>]\s|\s(?:and|or|in|contains|startsWith|endsWith|matches)\s|^not\s|^\w+\(.*\))/;

export function intentOf(text: string): Intent {
  const typed = text.trim();
  if (typed === '') return { kind: 'nothing' };
  if (/^C:\d{1,20}\/P:\d{1,20}$/.test(typed)) return { kind: 'position', position: typed };
  const found = named.exec(typed);
  if (found?.[1] && found[2]) {
    const what = found[1].toLowerCase();
    return { kind: 'named', what: what === 'ticker' ? 'instrument' : (what as 'order'), id: found[2] };
  }
  if (operators.test(typed)) return { kind: 'expression', expression: typed };
  return { kind: 'id', id: typed };
}
