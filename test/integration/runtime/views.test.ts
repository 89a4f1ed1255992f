/**
 * What a container has of the runtime, tried from within: a hostile one gets at nothing but itself.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { AppEngineProcess } from './appengine-process.js';

/** Asks pv-ctrl as the words of its arguments say, and prints the status of each answer. */
const ASK = `
  const http = require('node:http');
  const ask = (method, path, body) => new Promise((resolve) => {
    const request = http.request({ socketPath: '/pantavisor/pv-ctrl', method, path, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (data) => { text += data; });
      answer.on('end', () => resolve([answer.statusCode, text]));
    });
    request.on('error', (error) => resolve([0, error.code]));
    request.end(body);
  });`;

const ATTACK = `${ASK}
  const fs = require('node:fs');
  const net = require('node:net');
  const tried = async () => {
    const found = {};
    for (const [method, path, body] of [
      ['PUT', '/daemons/pv-xconnect', '{"action":"stop"}'],
      ['PUT', '/containers/victim', '{"action":"stop"}'],
      ['POST', '/commands', '{"op":"POWEROFF_DEVICE","payload":""}'],
      ['POST', '/commands', '{"op":"LOCAL_RUN","payload":"0"}'],
      ['GET', '/steps/current'],
      ['PUT', '/steps/locals/mine', '{"#spec":"pantavisor-service-system@1"}'],
      ['PUT', '/user-meta/x', 'x'],
      ['POST', '/xconnect-status', '[]'],
      ['GET', '/signal/../containers'],
      ['GET', '//containers'],
      ['GET', '/%63ontainers'],
    ]) found[method + ' ' + path] = (await ask(method, path, body))[0];
    const read = (path) => { try { return fs.readdirSync(path).length; } catch (error) { return error.code; } };
    found.storage = read(process.argv[1]);
    found.views = read(process.argv[1] + '/views');
    found.logs = fs.readdirSync('/pantavisor/logs');
    const write = (path) => { try { fs.writeFileSync(path, 'x'); return 'written'; } catch (error) { return error.code; } };
    found.written = ['user-meta/greeting', 'logs/x', 'x', 'pv-ctrl'].map((name) => write('/pantavisor/' + name));
    found.meta = fs.readFileSync('/pantavisor/user-meta/greeting', 'utf8');
    const lines = net.connect('/pantavisor/pv-ctrl-log');
    lines.end('a line of mine\\n');
    console.log(JSON.stringify(found));
    console.log('signal', (await ask('POST', '/signal', '{"type":"ready","payload":""}'))[0]);
  };
  // Once there is something to read.
  const wait = () => (fs.existsSync('/pantavisor/user-meta/greeting') ? tried() : setTimeout(wait, 20));
  wait();
  setInterval(() => {}, 1000);`;

const MANAGE = `${ASK}
  const fs = require('node:fs');
  (async () => {
    const [status, text] = await ask('GET', '/containers');
    console.log(JSON.stringify([status, JSON.parse(text).map(({ name }) => name)]));
    console.log(fs.readdirSync('/pantavisor/logs/0').sort().join(' '));
    console.log('stopped', (await ask('PUT', '/containers/victim', '{"action":"stop"}'))[0]);
  })();
  setInterval(() => {}, 1000);`;

describe.runIf(isRoot() && has('unshare'))('what a container has of the runtime', () => {
  // Every container has /var/tmp of the host, but not what the runtime keeps there.
  const engine = new AppEngineProcess('/var/tmp');

  beforeAll(async () => {
    const groups = [
      { name: 'first', timeout: 60 },
      { name: 'last', timeout: 60 },
    ];
    const attack = ['node', '-e', ATTACK, engine.folder];
    engine.write({
      'device.json': { groups },
      'hostile/run.json': { exec: attack, group: 'first', status_goal: 'READY', roles: ['nobody'] },
      'victim/run.json': { exec: ['sh', '-c', 'echo secret; exec sleep 600'], group: 'first' },
      'manager/run.json': { exec: ['node', '-e', MANAGE], group: 'last', roles: ['mgmt'] },
    });
    await engine.start(['--no-daemon']);
  });
  afterAll(() => engine.remove());

  test('its own signal, logs and metadata; nothing of others, and nothing to command', async () => {
    await eventually(async () => {
      const { body } = await engine.get('/containers');
      expect(body[1]).toMatchObject({ name: 'manager', status: 'BLOCKED' }); // until the first group is ready
    });
    await engine.ask('PUT', '/user-meta/greeting', 'hello');
    await engine.untilSaid('hostile', 'signal 200');
    const found = JSON.parse(engine.console('hostile').split('\n')[0] as string);
    const { storage, views, logs, written, meta, ...answers } = found;
    expect(new Set(Object.values(answers))).toEqual(new Set([403]));
    expect([storage, views]).toEqual([0, 'ENOENT']);
    expect(logs).toEqual(['lxc']);
    expect(written).toEqual(['EROFS', 'EROFS', 'EROFS', 'ENXIO']); // the last is a socket
    expect(meta).toBe('"hello"');
    await eventually(() =>
      expect(readFileSync(`${engine.folder}/logs/0/hostile/messages.log`, 'utf8')).toBe(
        'a line of mine\n',
      ),
    );
  });

  test('a manager all of it', async () => {
    await engine.untilSaid('manager', 'stopped');
    const [first, second, third] = engine.console('manager').split('\n');
    expect(JSON.parse(first as string)).toEqual([200, ['hostile', 'manager', 'victim']]);
    expect(second).toBe('hostile manager pantavisor victim');
    expect(third).toBe('stopped 200');
    const { body } = await engine.get('/containers');
    expect(body).toMatchObject([
      { name: 'hostile', status: 'READY' },
      { name: 'manager', status: 'STARTED' },
      { name: 'victim', status: 'STOPPED', user_stopped: 'true' },
    ]);
  });
});
