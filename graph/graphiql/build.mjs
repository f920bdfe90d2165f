// Bundles the page at /graphiql into dist/, which is committed and embedded in the
// binary: `make graphiql` after a change here. The same sources and lock file give
// the same bytes. dist/stamp is a sum over what it was made from; a Go test compares
// it, so that what is stale shows without Node.
import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, readdirSync, rmSync, mkdirSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

rmSync('dist', { recursive: true, force: true });
mkdirSync('dist');

// GraphiQL brings two fonts along, as much as all of its own code: the system's do.
const withoutFonts = {
  name: 'without fonts',
  setup(b) {
    b.onLoad({ filter: /graphiql\.css$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(/@font-face\s*\{[^}]*\}/g, ''),
      loader: 'css',
    }));
  },
};

const { metafile } = await build({
  entryPoints: { graphiql: 'src/main.jsx' },
  metafile: true,
  outdir: 'dist',
  bundle: true,
  format: 'iife',
  target: 'es2022',
  jsx: 'automatic',
  minify: true,
  legalComments: 'none', // THIRD_PARTY has the licences
  define: { 'process.env.NODE_ENV': '"production"' },
  plugins: [withoutFonts],
  logLevel: 'info',
});
await build({
  entryPoints: { styles: 'src/styles.css' },
  outfile: 'dist/graphiql.css',
  bundle: true,
  minify: true,
  target: 'es2022',
  plugins: [withoutFonts],
  logLevel: 'info',
});
copyFileSync('src/index.html', 'dist/index.html');
copyLicences(Object.keys(metafile.inputs));

const stamp = createHash('sha256');
for (const name of ['build.mjs', 'package.json', 'package-lock.json', ...readdirSync('src').sort().map((n) => `src/${n}`)]) {
  stamp.update(`${name}\n`).update(readFileSync(name)).update('\n');
}
writeFileSync('dist/stamp', `${stamp.digest('hex')}\n`);

// copyLicences collects the licences of the packages that files were bundled from.
function copyLicences(files) {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  let text = 'What is bundled into graphiql.js and graphiql.css, and under which licences.\n';
  for (const [path, { version, license }] of Object.entries(packages)) {
    if (path === '' || !files.some((f) => f.startsWith(`${path}/`) && !f.slice(path.length).includes('/node_modules/'))) continue;
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const file = readdirSync(path).find((f) => /^licen[cs]e(\.|-|$)/i.test(f));
    const { author, repository } = JSON.parse(readFileSync(`${path}/package.json`, 'utf8'));
    text += `\n${'='.repeat(78)}\n${name} ${version} (${license})\n\n`;
    text += file
      ? `${readFileSync(`${path}/${file}`, 'utf8').trim()}\n`
      : `Without a licence file of its own. Author: ${author?.name ?? author ?? 'see'} ${repository?.url ?? repository ?? ''}\n`;
  }
  writeFileSync('dist/THIRD_PARTY', text.replace(/\r\n/g, '\n'));
}
