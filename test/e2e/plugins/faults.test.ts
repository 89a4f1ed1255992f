/** The real daemon with a plugin from outside that breaks its promises: each costs its own link, and says whose fault it is. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { isRoot } from '../../support/requirements.js';
import { useUnixPair } from '../unix/support.js';

const PLUGIN = `
const attach = {
  nothing: async () => undefined,
  throws: () => { throw new TypeError('boom'); },
  rejects: async () => { throw 'boom'; },
  stubborn: async () => ({ detach() { throw new Error('never'); } }),
  endless: async () => ({ detach: () => new Promise(() => {}) }),
};
export default { types: ['odd'], attach: (link, host) => attach[link.name](link, host) };
`;

const folder = mkdtempSync(join(tmpdir(), 'pvx-faults-'));
const path = join(folder, 'odd.mjs');
chmodSync(folder, 0o755);
writeFileSync(path, PLUGIN);
afterAll(() => rmSync(folder, { recursive: true }));

describe.runIf(isRoot())('a plugin that breaks its promises', () => {
  const at = useUnixPair('--plugin', path, '--drain', '0');

  test('costs its own links, and no other one, nor the daemon', async () => {
    await at.serve('serve-echo');
    const { pid } = at.daemon;
    const odd = ['nothing', 'throws', 'rejects', 'stubborn', 'endless'].map((name) =>
      at.link({ name, type: 'odd', target: `/run/${name}.sock` }),
    );
    at.daemon.set(at.link(), ...odd);
    const shown = await at.daemon.until({
      ...{ raw: 'established', stubborn: 'established', endless: 'established' },
      ...{ nothing: 'failed', throws: 'failed', rejects: 'failed' },
    });
    const errors = Object.fromEntries(shown.map((one) => [one.name, one.last_error?.message]));
    expect(errors).toMatchObject({
      raw: undefined,
      nothing: `Plugin ${path} attached nothing: {detach(drainMs)} was expected.`,
      throws: `Plugin ${path} failed: boom at ${path}:4.`,
      rejects: `Plugin ${path} failed: boom.`,
    });
    at.daemon.set(at.link());
    await at.daemon.until({ raw: 'established' });
    expect(at.daemon.pid).toBe(pid);
    expect(at.daemon.process?.exitCode).toBeNull();
  });
});
