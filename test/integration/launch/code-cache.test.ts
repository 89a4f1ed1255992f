/** The code that V8 made of the daemon's bundle when it was built (dist/code-cache.js), and a daemon that is started. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { Builds } from '../../support/builds.js';
import { isRoot } from '../../support/requirements.js';

/** Says whether V8 refused what it was given; nothing where it was given nothing. */
const SPY = `
const vm = require('node:vm');
vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    if (options.cachedData) process.stderr.write(\`refused: \${this.cachedDataRejected}\\n\`);
  }
};
`;
const NOWHERE = '/nowhere.mjs';

describe.runIf(isRoot())('the code cache of the daemon', () => {
  const builds = new Builds();
  const folder = mkdtempSync(join(tmpdir(), 'pvx-code-cache-'));
  const spy = join(folder, 'spy.cjs');
  beforeAll(() => {
    chmodSync(folder, 0o755);
    writeFileSync(spy, SPY);
  });
  afterAll(() => {
    builds.remove();
    rmSync(folder, { recursive: true });
  });

  /** What a daemon says that can't start, because of its plugin. */
  function said(version: string, env: NodeJS.ProcessEnv = {}): string {
    builds.install(version);
    const argv = ['--control', join(folder, 'control'), '--plugin', NOWHERE];
    const { stderr } = spawnSync(builds.program, argv, {
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: `--require ${spy}`, ...env },
    });
    return stderr;
  }

  test('is no reason to wait where the program that would make it is not there', () => {
    const alone = join(folder, 'dist/code-cache.mjs');
    mkdirSync(join(folder, 'dist'));
    copyFileSync(join(PACKAGE_ROOT, 'dist/code-cache.js'), alone);
    const made = spawnSync(process.execPath, [alone], { encoding: 'utf8', timeout: 15_000 });
    expect(made.stderr).toMatch(/^No code cache was made, and the daemon starts without: .*ENOENT/);
    expect(made.status).toBe(1);
  });

  test('is taken by the Node.js, and with the flags, that the supervisor starts it with', () => {
    builds.add('0.1.0');
    expect(said('0.1.0')).toMatch(/^refused: false\npv-xconnect: Plugin .* there is nothing at /);
  });

  test('of another source is not looked at, though that is as long', () => {
    builds.add('0.1.1', (at) => {
      const bundle = join(at, 'dist/bundle/daemon.cjs');
      const source = readFileSync(bundle, 'latin1');
      writeFileSync(bundle, source.replace('there is nothing at', 'there is NOTHING at'));
    });
    expect(said('0.1.1')).toMatch(/^pv-xconnect: Plugin .* there is NOTHING at /);
  });

  test('is refused where the flags are others, and the daemon starts all the same', () => {
    const node = join(folder, 'node');
    writeFileSync(node, `#!/bin/sh\nexec ${process.execPath} --no-lazy "$@"\n`, { mode: 0o755 });
    expect(said('0.1.0', { PV_XCONNECT_NODE: node })).toMatch(
      /^refused: true\npv-xconnect: Plugin .* there is nothing at /,
    );
  });

  test('is made again by dist/code-cache.js', () => {
    builds.add('0.1.2', (at) => rmSync(join(at, 'dist/bundle/daemon.cjs.cache')));
    expect(said('0.1.2')).toMatch(/^pv-xconnect: Plugin /);
    const made = spawnSync(process.execPath, [join(builds.program, '../../dist/code-cache.js')]);
    expect([made.status, String(made.stderr)]).toEqual([0, '']);
    expect(said('0.1.2')).toMatch(/^refused: false\n/);
  });
});
