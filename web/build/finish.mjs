// After vite: the licences of what was bundled, and the stamp by which a Go test sees
// that dist/ is of the sources as they are.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stamp } from './sources.mjs';

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
let text = 'What is bundled into the dashboard, and under which licences.\n';
for (const [path, { version, license, dev, optional }] of Object.entries(packages)) {
  if (path === '' || dev || optional) continue;
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
  let files;
  try {
    files = readdirSync(path);
  } catch {
    continue; // a peer that is not installed
  }
  const file = files.find((f) => /^licen[cs]e(\.|-|$)/i.test(f));
  const { author, repository } = JSON.parse(readFileSync(`${path}/package.json`, 'utf8'));
  text += `\n${'='.repeat(78)}\n${name} ${version} (${license})\n\n`;
  text += file
    ? `${readFileSync(`${path}/${file}`, 'utf8').trim()}\n`
    : `Without a licence file of its own. Author: ${author?.name ?? author ?? 'see'} ${repository?.url ?? repository ?? ''}\n`;
}
writeFileSync('dist/THIRD_PARTY', text.replace(/\r\n/g, '\n'));
writeFileSync('dist/stamp', `${stamp()}\n`);
