/**
 * `npm start`: the unix example on real containers, from nothing to a byte that crosses. `--once`: one round,
 * then out. Ctrl-C, or the end of the round, leaves no process, mount, socket or folder behind.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, setUp } from './setup.mjs';

const ROUND_SECONDS = 30;
const once = process.argv.includes('--once');
const say = (text = '') => process.stdout.write(`${text}\n`);

setUp();
const storage = mkdtempSync(join(tmpdir(), 'pv-start-'));
const control = join(storage, 'control.sock');
say('Starting examples/unix: a provider and a consumer, each in namespaces of its own.');
const engine = spawn(
  join(ROOT, 'bin/pv-appengine'),
  [join(ROOT, 'examples/unix'), '--storage', storage, '--control', control],
  { stdio: ['ignore', 'inherit', 'inherit'] },
);
const ended = new Promise((resolve) => engine.once('close', resolve));

async function stop(code) {
  engine.kill('SIGTERM');
  await ended;
  rmSync(storage, { recursive: true, force: true });
  process.exit(code);
}

/** The log of a container, wherever the revision's name put it; empty while there is none. */
function logOf(container, file = 'console.log') {
  const logs = join(storage, 'logs');
  const revision = existsSync(logs) && readdirSync(logs)[0];
  const path = revision && join(logs, revision, container, file);
  return path && existsSync(path) ? readFileSync(path, 'utf8') : '';
}

async function answer() {
  for (let waited = 0; waited < ROUND_SECONDS * 10; waited++) {
    const line = logOf('client-app')
      .split('\n')
      .find((text) => text.startsWith('the server says'));
    if (line) return line;
    if (engine.exitCode !== null) return null;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return null;
}

let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    say('\nStopping; nothing is left behind.');
    void stop(0);
  });
}

const line = await answer();
if (!line && !stopping) {
  const words = logOf('pv-xconnect', 'pv-xconnect.log').split('\n').slice(-12).join('\n');
  process.stderr.write(
    `No answer came within ${ROUND_SECONDS} s. The daemon's last words:\n${words}\n`,
  );
  await stop(1);
}

if (!stopping) {
  say(`The consumer asked through its injected socket, and ${line}.\n`);
  const graph = spawnSync(join(ROOT, 'bin/pv-xconnect'), ['graph', '--control', control], {
    encoding: 'utf8',
  });
  say(`${graph.stdout.trimEnd()}\n`);
  if (graph.status !== 0) {
    process.stderr.write(`The graph could not be shown: ${graph.stderr}`);
    await stop(1);
  }
}
if (once && !stopping) {
  say('One round is done; stopping. Nothing is left behind.');
  await stop(0);
} else if (!stopping) {
  say(`Watch it:      bin/pv-xconnect graph --watch --control ${control}`);
  say(`As JSON:       curl --unix-socket ${control} http://localhost/xconnect-graph`);
  say(`Logs:          ${join(storage, 'logs')}`);
  say('The example:   examples/unix/README.md');
  say('Ctrl-C stops it and leaves nothing behind.');
}
