// A server under test: the real program, in a process of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const binary = process.env.TRADETRAIL_BINARY;

export class Server {
  #process;
  url;

  /** Starts it on a data directory; with an address, where it was before. */
  static async start(dataDir, { demo = false, address = '127.0.0.1:0' } = {}) {
    const server = new Server();
    const child = spawn(binary, ['serve', '--data-dir', dataDir, '--listen', address, ...(demo ? ['--demo'] : [])], { stdio: ['ignore', 'pipe', 'pipe'] });
    server.#process = child;
    const said = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line);
        const found = /"?url"?[:=]"?(http:\/\/127\.0\.0\.1:\d+)/.exec(line);
        if (found) server.url ??= found[1];
      });
    }
    for (;;) {
      if (child.exitCode !== null) throw new Error(`the server ended:\n${said.join('\n')}`);
      if (server.url && (await ready(server.url))) return server;
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  get address() {
    return new URL(this.url).host;
  }

  async stop(signal = 'SIGTERM') {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill(signal);
    await ended;
  }

  async record(events) {
    const response = await fetch(`${this.url}/v1/events`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(events) });
    const answer = await response.json();
    if (!response.ok || answer.rejected > 0) throw new Error(`recording: ${JSON.stringify(answer).slice(0, 500)}`);
    return answer;
  }

  /** Imports a LOBSTER file and waits until it is recorded. */
  async import(path) {
    const child = spawn(binary, ['import', '--format', 'lobster', '--account', 'ACC-1', '--strategy', 'mm-1', '--server', this.url, path], { stdio: ['ignore', 'pipe', 'pipe'] });
    const said = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => said.push(String(text)));
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`the import ended with ${code}: ${said.join('')}`);
  }

  /** The sums of a day's audit report. */
  async daily(day) {
    const ask = async (query, variables) => {
      const response = await fetch(`${this.url}/graphql`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ query, variables }) });
      const { data, errors } = await response.json();
      if (errors) throw new Error(JSON.stringify(errors));
      return data.report;
    };
    let job = await ask('mutation($day: String!) { report(input: {daily: $day, format: JSON}) { id state url error } }', { day });
    while (job.state !== 'DONE') {
      if (job.state === 'FAILED') throw new Error(job.error);
      await new Promise((done) => setTimeout(done, 50));
      job = await ask('query($id: ID!) { report(id: $id) { id state url error } }', { id: job.id });
    }
    const { contents } = await (await fetch(new URL(job.url, this.url))).json();
    return Object.assign({}, ...contents.filter((part) => part.part === 'facts').map((part) => part.values));
  }

  async find(query) {
    const response = await fetch(`${this.url}/audit/events?${query}`);
    return (await response.json()).items;
  }
}

async function ready(url) {
  try {
    return (await fetch(`${url}/readyz`)).ok;
  } catch {
    return false;
  }
}
