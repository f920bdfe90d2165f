import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const server = process.env.TRADETRAIL_SERVER ?? 'http://127.0.0.1:8080';
const ours = Object.fromEntries(['/graphql', '/audit', '/log', '/readyz', '/assets/version.json'].map((path) => [path, { target: server, ws: true }]));

export default defineConfig({
  plugins: [react()],
  // The server puts the files of each build below a path of its own.
  base: './',
  build: {
    target: 'es2022',
    // Nothing is inlined: the policy lets pages take from their own server only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        entryFileNames: 'assets/[name].js',
        chunkFileNames: 'assets/[name].js',
        assetFileNames: 'assets/[name][extname]',
      },
    },
  },
  server: { proxy: ours },
});
