/**
 * `node dist/code-cache.js`: has the daemon's code compiled ahead of its starts (main.ts), by the Node.js that is
 * installed and with the flags that the supervisor gives it. For that pv-xconnect is started under as much of a runtime as
 * has a graph for it, and ended; what V8 compiled of the bundle until then is written beside it.
 *
 * A part of the build, and of the installation of a package. It takes root, as pv-xconnect does, and a second. Without
 * root nothing is done, and the daemon does without. The daemon has a user of its own here as well, so it writes into a
 * folder that nobody else finds.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../build/Release/pv-xconnect', import.meta.url));
const CACHE = fileURLToPath(new URL('bundle/daemon.cjs.cache', import.meta.url));
const PATIENCE_MS = 20_000;
/** For it to end when it is told to: the supervisor gives its own children about as long. */
const GRACE_MS = 15_000;

/** Nobody's pids: the daemon has a link, and finds that neither of its ends runs. */
const GRAPH = [
  {
    ...{ consumer: 'consumer', consumer_pid: 0, provider: 'provider', provider_pid: 0 },
    ...{ name: 'service', type: 'unix', role: 'any', interface: 'unix' },
    ...{ target: '/run/service.sock', socket: '/run/service.sock' },
  },
];

/** What V8 has compiled when the daemon knows its graph. Rejects where it does not come to that. */
async function record(folder: string): Promise<Buffer> {
  const [runtime, control] = [join(folder, 'pv-ctrl'), join(folder, 'control')];
  const unfound = join(folder, randomUUID());
  mkdirSync(unfound);
  chmodSync(unfound, 0o777);
  chmodSync(folder, 0o711);
  const code = join(unfound, 'code');
  const server = createServer(({ method }, answer) => {
    answer.end(method === 'GET' ? JSON.stringify(GRAPH) : '{}');
    if (method === 'POST') end(); // it says how its links are
  });
  await once(server.listen(runtime), 'listening');
  const argv = ['--pv-ctrl', runtime, '--control', control, '--log-level', 'warn'];
  const child = spawn(PROGRAM, argv, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, PVX_CODE_CACHE: code },
  });
  let grace: NodeJS.Timeout | undefined;
  function end() {
    child.kill('SIGTERM');
    grace ??= setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  }
  const patience = setTimeout(end, PATIENCE_MS);
  try {
    await once(child, 'exit'); // or its error, where it could not be started
  } finally {
    clearTimeout(patience);
    clearTimeout(grace);
    server.closeAllConnections();
    server.close();
  }
  return readFileSync(code);
}

if (process.geteuid?.() === 0) {
  const folder = mkdtempSync(join(tmpdir(), 'pvx-code-'));
  try {
    const code = await record(folder);
    writeFileSync(`${CACHE}.new`, code);
    renameSync(`${CACHE}.new`, CACHE);
  } catch (thrown) {
    process.stderr.write(
      `No code cache was made, and the daemon starts without: ${(thrown as Error).message}.\n`,
    );
    process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
