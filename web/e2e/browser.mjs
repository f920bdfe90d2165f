// Debian's Chromium, with nothing to download and no host to ask but the server.
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const axe = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');

export const launch = () => chromium.launch({
  executablePath: process.env.TRADETRAIL_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

/**
 * A page on which any error, any breach of its policy and any request to another host
 * is remembered: troubles() must be empty.
 */
export async function open(browser, base, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 760 }, colorScheme: 'light', acceptDownloads: true, ...options });
  const page = await context.newPage();
  const troubles = [];
  page.on('pageerror', (error) => troubles.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/net::ERR_|WebSocket connection|status of (4|5)\d\d/.test(message.text())) troubles.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const { host, protocol } = new URL(request.url());
    if (host !== new URL(base).host && protocol !== 'data:') troubles.push(`request to ${request.url()}`);
  });
  page.setDefaultTimeout(30_000);
  return { context, page, troubles: () => troubles };
}

/** The violations that axe finds, serious and critical ones. */
export async function violations(page) {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { violations: found } = await globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
    return found.filter((v) => v.impact === 'serious' || v.impact === 'critical').map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.html.slice(0, 160)} ${n.any.map((c) => c.message).join(' ').slice(0, 200)}`).join(' | ')}`);
  });
}
