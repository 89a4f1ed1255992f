/** A plugin that brings a type of link and its options: from the manifests, through pv-appengine, to a real client. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import { isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

const PLUGIN = `
export default {
  types: ['greeter'],
  options: {
    service: { greeting: { type: 'string', maxLength: 20, description: 'at most 20 characters' } },
    requirement: { times: { type: 'integer', minimum: 1, maximum: 9, description: 'a number from 1 to 9' } },
  },
  attach: (link, host) =>
    host.listen((client) => {
      const { greeting = 'Hi', times = 1 } = link.extra ?? {};
      client.write(Buffer.from((greeting + ' ' + link.consumer + '. ').repeat(times)));
      client.end();
    }),
};
`;
/** Tries every 50 ms until its socket is there. */
const CLIENT = `
const look = () => require('node:net').connect('/run/pv/services/hello.sock')
  .on('data', (data) => { console.log(String(data)); process.exit(0); })
  .on('error', () => setTimeout(look, 50)); // it is planted soon
look();
`;
const PROGRAM = fileURLToPath(new URL('../../../bin/pv-xconnect', import.meta.url));

describe.runIf(isRoot())('a plugin with a type of its own', () => {
  const engine = new AppEngineProcess();
  const plugin = join(engine.folder, 'greeter.mjs');
  const service = { name: 'hello', type: 'greeter', socket: '/run/none.sock', greeting: 'Ahoy' };

  beforeAll(async () => {
    engine.write({
      '../greeter.mjs': PLUGIN,
      'greeter-app/run.json': { exec: ['sleep', '600'] },
      'greeter-app/services.json': { '#spec': 'service-manifest-xconnect@1', services: [service] },
      'client-app/run.json': {
        exec: ['node', 'client.cjs'],
        services: { required: [{ name: 'hello', times: 2 }] },
      },
      'client-app/root/client.cjs': CLIENT,
    });
    await engine.start(['--plugin', plugin]);
  });
  afterAll(() => engine.remove());

  function ask(...args: string[]) {
    const { status, stdout } = spawnSync(PROGRAM, args, { encoding: 'utf8' });
    return { status, stdout };
  }

  test('has its links made with the options of either side', async () => {
    await engine.untilSaid('client-app', 'Ahoy client-app. Ahoy client-app. ');
    await eventually(async () => {
      const { body } = await engine.get('/xconnect-graph');
      expect(body).toMatchObject([{ type: 'greeter', greeting: 'Ahoy', times: 2 }]);
    });
  });

  test('is known to check and graph where they are told of it', () => {
    expect(ask('check', engine.revision, '--plugin', plugin)).toEqual({
      status: 0,
      stdout: '0 errors, 0 notices; 2 containers, 1 link.\n',
    });
    const without = ask('check', engine.revision);
    expect(without.status).toBe(1);
    expect(without.stdout).toContain('found "greeter", expected one of unix, rest,');
    const { stdout } = ask('graph', '--json', '--from', engine.revision, '--plugin', plugin);
    expect(JSON.parse(stdout)).toMatchObject([{ type: 'greeter', greeting: 'Ahoy', times: 2 }]);
  });

  test('has its options checked, with the place and what was expected', () => {
    engine.write({
      'greeter-app/services.json': {
        '#spec': 'service-manifest-xconnect@1',
        services: [
          { ...service, greeting: 7 },
          { ...service, name: 'other', greting: 'Hi', times: 1 },
        ],
      },
    });
    const { status, stdout } = ask('check', engine.revision, '--plugin', plugin);
    expect(status).toBe(1);
    expect(stdout).toContain(
      'greeter-app/services.json:/services/0/greeting: found 7, expected at most 20 characters',
    );
    expect(stdout).toContain('found the unknown field "greting", expected "greeting"');
    expect(stdout).toContain('expected it in a requirement of the service');
  });

  test('is refused at start where there is none', () => {
    const { status, stderr } = spawnSync(
      PROGRAM.replace('xconnect', 'appengine'),
      [engine.revision, '--plugin', '/none.mjs'],
      { encoding: 'utf8' },
    );
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: 'pv-appengine: Plugin /none.mjs: there is nothing at /none.mjs.\n',
    });
  });
});
