/**
 * Links between containers of one pvrexport, as a device has them: packed, run by pv-appengine on lxc, joined by the
 * daemon that it launches. A unix socket with the identity of a role, and a port in the network of each.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pack } from '../../../src/runtime/pack/pack.js';
import { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import { busyboxRoot } from '../../support/busybox-root.js';
import { Image } from '../../support/engines/image.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

const SERVED = '/run/example/raw.sock';
const TARGET = '/run/pv/services/raw.sock';
const PORT = '8080';
const PROVIDER = `
mkdir -p /run/example
/peer listen 80 &
exec /peer serve ${SERVED}`;
const CONSUMER = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
const ofApp = { group: 'app', exec: ['/init'], network: { mode: 'none' } };

const hasAll = ['lxc-start', 'mksquashfs', 'busybox', 'setpriv', 'cc'].every((tool) => has(tool));

describe.runIf(isRoot() && hasAll)('links between the containers of a pvrexport on lxc', () => {
  const engine = new AppEngineProcess();
  const file = join(engine.folder, 'all.pvrexport.tar');
  beforeAll(async () => {
    const image = new Image();
    for (const [name, init] of Object.entries({ provider: PROVIDER, consumer: CONSUMER })) {
      const root = join(engine.revision, name, 'root');
      busyboxRoot(root, init);
      copyFileSync(join(image.folder, 'peer'), join(root, 'peer'));
    }
    image.remove();
    engine.write({
      'provider/run.json': ofApp,
      'provider/services.json': [
        { name: 'raw', type: 'unix', socket: SERVED },
        { name: 'web', type: 'tcp', port: 80 },
      ],
      'consumer/run.json': {
        ...ofApp,
        services: {
          required: [
            { name: 'raw', target: TARGET, role: '1234' },
            { name: 'web', target: `127.0.0.1:${PORT}` },
          ],
        },
      },
    });
    const made = await pack(engine.revision, {
      output: file,
      gzip: false,
      squash: ['-noI', '-noD'],
    });
    if (!made.ok) throw new Error(made.why);
    await engine.startWith([file]);
    await engine.connected();
  });
  afterAll(() => engine.remove());

  const inConsumer = (...argv: string[]) => {
    const lxc = ['-P', join(engine.folder, 'lxc'), '-n', 'consumer', '--'];
    return spawnSync('lxc-attach', [...lxc, ...argv], { encoding: 'utf8' }).stdout.trim();
  };

  test('carry the role of the consumer, and its bytes', () => {
    expect(inConsumer('/peer', 'ask', TARGET, 'hello')).toBe('1234 1234 hello');
    expect(inConsumer('/peer', 'call', PORT, 'hello')).toBe('hello');
  });

  test('are made again after each end was restarted', async () => {
    for (const name of ['consumer', 'provider']) {
      expect((await engine.ask('PUT', `/containers/${name}`, { action: 'restart' })).status).toBe(
        200,
      );
      await engine.connected();
      await eventually(() =>
        expect(inConsumer('/peer', 'ask', TARGET, 'again')).toBe('1234 1234 again'),
      );
    }
  });
});
