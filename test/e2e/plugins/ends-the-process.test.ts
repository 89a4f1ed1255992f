/** A plugin from outside that ends the whole daemon: the log names it, and what the relay serves goes on. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { childNamed } from '../../support/processes.js';
import { isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { TARGET, useUnixPair } from '../unix/support.js';

const PLUGIN = `
const attach = {
  exits: () => { setImmediate(() => process.exit(3)); },
  throws: () => { setImmediate(() => { throw new TypeError('boom'); }); },
  rejects: () => { setImmediate(() => Promise.reject(new Error('no one waits for this'))); },
};
export default { types: ['odd'], attach: (link, host) => attach[link.name](link, host) };
`;

const folder = mkdtempSync(join(tmpdir(), 'pvx-ends-'));
const path = join(folder, 'odd.mjs');
chmodSync(folder, 0o755);
writeFileSync(path, PLUGIN);
afterAll(() => rmSync(folder, { recursive: true }));

describe.runIf(isRoot())('a plugin that ends the process', () => {
  const at = useUnixPair('--plugin', path);
  afterEach(() => at.clear());

  test.each([
    ['exits', `${path}:3 ends the daemon by process.exit(3)`],
    ['throws', `a bug at ${path}:4 ends the daemon`],
    ['rejects', `a bug at ${path}:5 ends the daemon`],
  ])('that %s is named, and costs no connection of the relay', async (name, words) => {
    await at.serve('serve-hold');
    at.daemon.set(at.link());
    await at.daemon.until({ raw: 'established' });
    await at.start(at.consumer, 'hold', TARGET, '2');
    await at.daemon.untilActive(2);
    const { pid } = at.daemon;
    const [relay, daemon] = [
      childNamed(at.daemon.pid, 'pvx-relay'),
      childNamed(at.daemon.pid, 'node'),
    ];
    at.daemon.set(at.link(), at.link({ name, type: 'odd', target: `/run/${name}.sock` }));
    await eventually(() => expect(at.daemon.log).toContain(words));
    at.daemon.graph = [at.link()];
    await eventually(() => expect(childNamed(at.daemon.pid, 'node')).not.toBe(daemon));
    await at.daemon.until({ raw: 'established' });
    await at.daemon.untilActive(2);
    expect(at.daemon.pid).toBe(pid);
    expect(childNamed(at.daemon.pid, 'pvx-relay')).toBe(relay);
  });
});
