/**
 * Every system call that the relay makes, and those that JavaScript makes for sockets that it holds, failing: nothing is
 * stuck, nothing is left, and what may go on does.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { compile } from '../../support/compile.js';
import { endOf } from '../../support/processes.js';

const FAULTS = fileURLToPath(new URL('../../support/faults/', import.meta.url));
/** Listens at PATH, and becomes the program with the listener as descriptor 3. */
const LISTEN = `
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(16)
server.setblocking(False)
os.dup2(server.fileno(), 3)
os.set_inheritable(3, True)
os.execv(sys.argv[2], [sys.argv[2], sys.argv[3], "3", sys.argv[1]])
`;

test.each([
  ['of the relay', 'relayed.mjs', 100],
  ['for a socket in JavaScript', 'held.mjs', 60],
])(
  'a system call %s that fails holds up and ends nothing that it is not about',
  async (_whose, traffic, atLeast) => {
    const library = compile('faults.so', [join(FAULTS, 'faults.c')], ['-shared', '-fPIC', '-ldl']);
    const folder = mkdtempSync(join(tmpdir(), 'pvx-faults-'));
    writeFileSync(join(folder, 'order'), Buffer.alloc(4096));
    chmodSync(folder, 0o755); // the relay is another user
    chmodSync(join(folder, 'order'), 0o666);
    const argv = [join(folder, 'door'), process.execPath, join(FAULTS, traffic)];
    const child = spawn('python3', ['-c', LISTEN, ...argv], {
      env: {
        ...process.env,
        FAULTS: join(folder, 'order'),
        // Behind the runtime of a sanitizer, which has to be first.
        LD_PRELOAD: `${process.env.LD_PRELOAD ?? ''} ${library}`.trim(),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout?.on('data', (data) => {
      said += data;
    });
    try {
      expect(await endOf(child)).toBe(0);
      const lines = said.trim().split('\n');
      const last = lines.pop();
      expect(lines).toEqual([]);
      expect(Number(/^done (\d+)$/.exec(last ?? '')?.[1])).toBeGreaterThan(atLeast);
    } finally {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    }
  },
  300_000,
);
