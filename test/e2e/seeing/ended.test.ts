/** A container that has ended, under pv-appengine: how, how often, and where its log is, in `graph` and `explain`. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import { commandOf } from '../../support/command.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

const raw = (name: string) => [{ name, type: 'unix', socket: `/run/${name}` }];

describe.runIf(isRoot() && has('setpriv') && has('unshare'))('a container that has ended', () => {
  const engine = new AppEngineProcess();

  beforeAll(async () => {
    engine.write({
      'once/run.json': { exec: ['sh', '-c', 'exit 3'], group: 'app' },
      'once/services.json': raw('once'),
      'shot/run.json': { exec: ['sh', '-c', 'kill -9 $$'], group: 'app', ...requires('once') },
      'again/run.json': {
        exec: ['sh', '-c', 'exit 4'],
        group: 'app',
        auto_recovery: { policy: 'always', max_retries: 2, retry_delay: 0 },
      },
      'again/services.json': raw('again'),
      'client/run.json': { exec: ['sleep', '600'], group: 'app', ...requires('once', 'again') },
    });
    await engine.start();
  }, 30_000);
  afterAll(() => engine.remove());

  /** What was found at the first step that failed. */
  const found = async (consumer: string, service: string) => {
    const { out } = await commandOf(engine.control, 'explain', consumer, service, '--json');
    const [link] = JSON.parse(out).links as { steps: { mark: string; found: string }[] }[];
    return link?.steps.find(({ mark }) => mark === 'failed')?.found;
  };
  const log = (name: string) => `${engine.folder}/logs/0/${name}/lxc/console.log.`;

  test('is told by its exit code or signal, with its log', async () => {
    await eventually(async () => {
      expect(await found('client', 'once')).toBe(
        `once is not running: it ended with exit code 3; its log is ${log('once')}`,
      );
      expect(await found('shot', 'once')).toBe(
        `shot is not running: it ended with exit code 137 (SIGKILL); its log is ${log('shot')}`,
      );
    });
  });

  test('again and again is told by how often', async () => {
    await eventually(async () => {
      expect(await found('client', 'again')).toMatch(
        /^again is not running: it has ended [2-9] times, last with exit code 4; its log is /,
      );
    });
  });

  test('is told by the runtime, too', async () => {
    const { body } = await engine.get('/containers');
    const [once] = body.filter(({ name }: { name: string }) => name === 'once');
    expect(once.last_end).toMatchObject({ how: 'exit code 3', times: 1 });
  });
});

function requires(...required: string[]) {
  return { services: { required } };
}
