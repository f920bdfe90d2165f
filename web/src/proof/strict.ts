/** Whether no object of a well-formed JSON text has a name twice: JSON.parse keeps the last. */
export function namesOnce(text: string): boolean {
  const open: (Set<string> | undefined)[] = []; // undefined: a list
  let last = '';
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') {
      const name = JSON.parse(last) as string;
      const names = open.at(-1);
      if (names?.has(name)) return false;
      names?.add(name);
    } else last = token;
  }
  return true;
}
