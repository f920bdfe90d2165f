// Measures the live feed under load, and how long the first view takes:
//   TRADETRAIL_BINARY=bin/tradetrail node web/e2e/load.mjs [events per second] [seconds]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch, open } from './browser.mjs';
import { Server } from './server.mjs';

const [rate, seconds] = [Number(process.argv[2] ?? 5_000), Number(process.argv[3] ?? 60)];
const folder = mkdtempSync(join(tmpdir(), 'load-'));
const server = await Server.start(join(folder, 'data'), { demo: true });
const browser = await launch();
try {
  for (let i = 0; i < 5; i++) {
    const { context, page } = await open(browser, server.url);
    const begun = performance.now();
    await page.goto(`${server.url}/`, { waitUntil: 'commit' });
    await page.getByText('Orders submitted').waitFor();
    console.log(`first view, nothing cached: ${(performance.now() - begun).toFixed(0)} ms until the day's counts stand there`);
    await context.close();
  }
  const { page } = await open(browser, server.url);
  await page.goto(`${server.url}/live`);
  await page.locator('.line-live').waitFor();
  await page.evaluate(() => {
    globalThis.longTasks = [];
    new PerformanceObserver((list) => globalThis.longTasks.push(...list.getEntries().map((e) => e.duration))).observe({ type: 'longtask' });
  });
  const session = await page.context().newCDPSession(page);
  const heap = async () => {
    await session.send('HeapProfiler.collectGarbage');
    return (await session.send('Runtime.getHeapUsage')).usedSize / 1e6;
  };
  const before = await heap();
  let sent = 0;
  let answers = [];
  const begun = performance.now();
  while (performance.now() - begun < seconds * 1000) {
    const due = Math.floor(((performance.now() - begun) / 1000) * rate);
    const n = Math.min(2_000, due - sent);
    if (n > 0) {
      const now = new Date().toISOString();
      const events = Array.from({ length: n }, (_, i) => ({ event_type: 'order.submitted', occurred_at: now, order_id: `l-${(sent + i) % 5_000}`, account_id: `a-${(sent + i) % 50}`, ticker: 'ABC', data: { n: sent + i } }));
      sent += n;
      answers.push(server.record(events));
      if (answers.length > 4) await answers.shift();
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  await Promise.all(answers);
  const took = (performance.now() - begun) / 1000;
  const counts = async () => Object.fromEntries(await Promise.all(['seen', 'passed'].map(async (id) => [id, (await page.getByTestId(id).innerText()).replaceAll(',', '')])));
  const atEnd = await counts();
  await page.waitForTimeout(3_000);
  const later = await counts();
  const tasks = await page.evaluate(() => globalThis.longTasks);
  console.log(`recorded ${sent} in ${took.toFixed(1)} s (${(sent / took).toFixed(0)}/s); seen ${atEnd.seen} at the end, ${later.seen} three seconds later, ${later.passed} of them not drawn`);
  console.log(`long tasks: ${tasks.length}, ${tasks.reduce((a, b) => a + b, 0).toFixed(0)} ms in all, the longest ${Math.max(0, ...tasks).toFixed(0)} ms`);
  console.log(`heap after collection: ${before.toFixed(1)} MB before, ${(await heap()).toFixed(1)} MB after`);
} finally {
  await browser.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
