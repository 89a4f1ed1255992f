/**
 * The npm package: packed, installed in an empty folder with its native parts built there, a plugin compiled against
 * its types, and its daemon between two containers with that plugin.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { ContainerPair } from '../../support/container-pair.js';
import { isRoot } from '../../support/requirements.js';

const PLUGIN = `
import { type Plugin, XConnectError } from 'pv-xconnect/plugin';

const plugin: Plugin = {
  types: ['unix'],
  interfaces: ['greeting'],
  async attach(link, host) {
    if (link.role !== 'operator') {
      throw new XConnectError('not-allowed', \`The role \${link.role} was found, operator was expected.\`);
    }
    return host.listen((client) => {
      client.write(Buffer.from(\`Hello, \${link.consumer}.\\n\`));
      client.end();
    });
  },
};
export default plugin;
`;
/** What the types have to refuse. */
const WRONG = `
import type { Plugin } from 'pv-xconnect/plugin';
export const plugin: Plugin = { types: [], attach: async (link, host) => host.listn(link.name) };
`;
const SETTINGS = {
  compilerOptions: {
    ...{ module: 'NodeNext', target: 'ES2022', strict: true, types: ['node'] },
    ...{ checkJs: true, outDir: 'compiled' },
  },
};

const folder = mkdtempSync(join(tmpdir(), 'pvx-npm-'));
afterAll(() => rmSync(folder, { recursive: true }));

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const options = { cwd: folder, env: { ...process.env, ...env }, stdio: 'pipe' } as const;
  return execFileSync(program, args, { ...options, encoding: 'utf8' });
}

/** What tsc says of the sources in the folder, which it compiles into `compiled`. */
function compile(): string[] {
  const tsc = join(PACKAGE_ROOT, 'node_modules/typescript/bin/tsc');
  try {
    return lines(run(process.execPath, [tsc, '-p', '.']));
  } catch (thrown) {
    return lines((thrown as { stdout: string }).stdout);
  }
}

const lines = (text: string) => text.split('\n').filter((line) => line !== '');

/** Where Node.js was installed with its headers, node-gyp needs no network. */
function headers(): NodeJS.ProcessEnv {
  const prefix = dirname(dirname(process.execPath));
  const isThere = existsSync(join(prefix, 'include/node/common.gypi'));
  return isThere ? { npm_config_nodedir: prefix } : {};
}

beforeAll(() => {
  chmodSync(folder, 0o755); // the daemon is not root
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', private: true }));
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(SETTINGS));
  const packed = ['pack', PACKAGE_ROOT, '--ignore-scripts', '--silent'];
  const archive = run('npm', packed).trim();
  const quietly = ['--prefer-offline', '--no-audit', '--no-fund', '--silent'];
  run('npm', ['install', ...quietly, `./${archive}`, '@types/node@20'], {
    JOBS: '2',
    ...headers(),
  });
}, 120_000);

test('has the types of the contract, by which a plugin is checked', () => {
  writeFileSync(join(folder, 'wrong.ts'), WRONG);
  writeFileSync(join(folder, 'greeting.ts'), PLUGIN);
  cpSync(join(PACKAGE_ROOT, 'examples/plugin/announce.js'), join(folder, 'announce.js'));
  const wrong = "Property 'listn' does not exist on type 'LinkHost'. Did you mean 'listen'?";
  expect(compile()).toEqual([`wrong.ts(3,79): error TS2551: ${wrong}`]);
});

test('its commands run', () => {
  const version = run('node_modules/.bin/pv-xconnect', ['--version']).trim();
  expect(run('node_modules/.bin/pv-appengine', ['--version']).trim()).toBe(version);
  const revision = join(PACKAGE_ROOT, 'examples/unix');
  expect(run('node_modules/.bin/pv-xconnect', ['check', revision])).toContain('0 errors');
});

describe.runIf(isRoot())('its daemon', () => {
  const program = join(folder, 'node_modules/.bin/pv-xconnect');
  const at = new ContainerPair({
    args: ['--plugin', join(folder, 'compiled/greeting.js')],
    link: {
      name: 'hello',
      interface: 'greeting',
      role: 'operator',
      target: '/run/hello.sock',
      socket: '/run/its.sock',
    },
    daemon: { program },
  });
  beforeAll(() => at.setUp());
  afterAll(() => at.tearDown());

  test('serves a link by the plugin', async () => {
    at.run(at.provider, ['socat', 'UNIX-LISTEN:/run/its.sock,fork', 'PIPE']);
    await at.establish();
    const { stdout } = await at.consumer.exec(['socat', '-u', 'UNIX-CONNECT:/run/hello.sock', '-']);
    expect(stdout).toBe('Hello, consumer.\n');
  });

  test("takes the plugin's error for what it is, though that is of the plugin's own copy", async () => {
    at.daemon.set(at.link({ role: 'guest' }));
    const [link] = await at.daemon.until({ hello: 'failed' });
    expect(link?.last_error).toMatchObject({
      code: 'not-allowed',
      message: 'The role guest was found, operator was expected.',
    });
  });
});
