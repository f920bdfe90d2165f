// Everything that dist/ is made from, in the order in which the stamp counts it. The
// same list is in dashboard_test.go.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

const single = ['build/finish.mjs', 'build/sources.mjs', 'index.html', 'package-lock.json', 'package.json', 'vite.config.ts'];

export function stamp() {
  const below = readdirSync('src', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.test\.ts$/.test(entry.name))
    .map((entry) => `${entry.parentPath}/${entry.name}`.replaceAll('\\', '/'));
  const sum = createHash('sha256');
  for (const name of [...single, ...below].sort()) sum.update(`${name}\n`).update(readFileSync(name)).update('\n');
  return sum.digest('hex');
}
