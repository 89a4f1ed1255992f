/** Names whose owner is started when somebody calls them: the real daemon and bus, a runtime of the test's own. */
import dbus from 'dbus-next';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PYTHON } from '../../support/bus/bus.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { echo, message, OnDemandStand, OTHER, TEST } from './on-demand.js';
import { DENIED, DRIVER, FOO, TARGET } from './support.js';

const NONE = 'org.example.None';
const SPAWN_FAILED = 'org.freedesktop.DBus.Error.Spawn.Failed';
const NOBODY = 'org.freedesktop.DBus.Error.NameHasNoOwner';
const UNKNOWN = 'org.freedesktop.DBus.Error.ServiceUnknown';

const ready = () => isRoot() && ['dbus-daemon', 'dbus-send', 'busctl', 'gdbus'].every(has);

describe.runIf(ready())('a call to a name that is started on demand', () => {
  const at = new OnDemandStand();
  beforeAll(() => at.start());
  beforeEach(async () => {
    at.reset();
    await at.establish({});
  });
  afterEach(() => at.bus.reset());
  afterAll(() => at.stop());

  const connect = () => at.connect();

  async function run(argv: readonly string[]): Promise<string> {
    const { stdout, stderr } = await at.client.exec(argv, { timeout: 30_000 });
    return `${stdout}${stderr}`;
  }

  const SEND = [
    'dbus-send',
    `--bus=unix:path=${TARGET}`,
    '--print-reply=literal',
    `--dest=${FOO}`,
    '/',
  ];

  test.each<[string, string[]]>([
    ['dbus-send', [...SEND, `${TEST}.Echo`, 'string:hi']],
    [
      'busctl',
      ['busctl', `--address=unix:path=${TARGET}`, 'call', FOO, '/', TEST, 'Echo', 's', 'hi'],
    ],
    [
      'gdbus',
      [
        'gdbus',
        'call',
        '-a',
        `unix:path=${TARGET}`,
        '-d',
        FOO,
        '-o',
        '/',
        '-m',
        `${TEST}.Echo`,
        'hi',
      ],
    ],
    [
      'python',
      [
        PYTHON,
        '-c',
        `import dbus, dbus.bus; print(dbus.bus.BusConnection("unix:path=${TARGET}").get_object("${FOO}", "/").Echo("hi", dbus_interface="${TEST}"))`,
      ],
    ],
  ])('of %s is answered once the owner is there', async (_, argv) => {
    at.starts();
    expect(await run(argv)).toContain('hi');
    expect(at.asked).toEqual([{ bus: 'system-bus', name: FOO }]);
  });

  test('can be expected to work: the name is listed, and nobody is started for that', async () => {
    const list = ['busctl', `--address=unix:path=${TARGET}`, 'list', '--activatable', '--no-pager'];
    expect(await run(list)).toMatch(new RegExp(`^${FOO} .*\\(activatable\\)`, 'm'));
    expect(at.asked).toEqual([]);
  });

  test('is one of many, and the runtime is asked once; all are answered in their order', async () => {
    at.starts(500);
    const buses = Array.from({ length: 20 }, connect);
    const order: string[] = [];
    const calls = buses.flatMap((one, at) =>
      ['a', 'b', 'c'].map(async (text) => {
        const answer = await one.call(echo(`${at}${text}`));
        if (at === 0) order.push(text);
        return answer?.body[0];
      }),
    );
    const answers = await Promise.all(calls);
    expect(answers).toEqual(
      buses.flatMap((__, at) => ['a', 'b', 'c'].map((text) => `${at}${text}`)),
    );
    expect(order).toEqual(['a', 'b', 'c']);
    expect(at.asked).toHaveLength(1);
    for (const one of buses) one.disconnect();
  });

  test('holds up nothing else on its connection', async () => {
    at.starts(1_000);
    await at.serve(OTHER);
    const one = connect();
    let isAnswered = false;
    const held = one.call(echo('late')).then((answer) => {
      isAnswered = true;
      return answer?.body[0];
    });
    for (let n = 0; n < 50; n++) {
      const other = await one.call(echo(`${n}`, { destination: OTHER }));
      expect(other?.body[0]).toBe(`${n}`);
    }
    expect(isAnswered).toBe(false);
    expect(await held).toBe('late');
    one.disconnect();
  });

  test('with NO_AUTO_START starts nothing', async () => {
    const one = connect();
    const { flags } = { flags: dbus.MessageFlag.NO_AUTO_START };
    await expect(one.call(message('Echo', { flags }))).rejects.toMatchObject({ type: NOBODY });
    expect(at.asked).toEqual([]);
    one.disconnect();
  });

  test('is answered with what the runtime says where it refuses', async () => {
    for (const status of [409, 500]) {
      at.daemon.onActivate = async () => status;
      expect(await run([...SEND, `${TEST}.Echo`, 'string:hi'])).toContain(
        `Error ${SPAWN_FAILED}: The test says no.`,
      );
    }
  });

  test('is answered by the bus where the runtime knows no such name', async () => {
    await at.establish({ activates: [NONE] });
    at.daemon.onActivate = async () => 404;
    const argv = SEND.map((word) => word.replace(FOO, NONE));
    expect(await run([...argv, `${TEST}.Echo`, 'string:hi'])).toContain(UNKNOWN);
  });

  test('is answered after 20 s where nobody comes, and the next one asks anew', async () => {
    const one = connect();
    const began = Date.now();
    const calls = [one.call(echo('a')), one.call(message('Echo'))];
    for (const call of calls) {
      await expect(call).rejects.toMatchObject({
        type: 'org.freedesktop.DBus.Error.TimedOut',
        message: expect.stringContaining(FOO),
      });
    }
    expect(Date.now() - began).toBeGreaterThanOrEqual(20_000);
    at.starts();
    expect((await one.call(echo('again')))?.body[0]).toBe('again');
    expect(at.asked).toHaveLength(2);
    one.disconnect();
  }, 40_000);

  test('has the owner started again after that has left', async () => {
    at.starts();
    const one = connect();
    expect((await one.call(echo('a')))?.body[0]).toBe('a');
    await one.call(message('Quit'));
    await eventually(async () => {
      const has = message('NameHasOwner', {
        destination: DRIVER,
        interface: DRIVER,
        signature: 's',
        body: [FOO],
      });
      expect((await one.call(has))?.body[0]).toBe(false);
    });
    expect((await one.call(echo('b')))?.body[0]).toBe('b');
    expect(at.asked).toHaveLength(2);
    one.disconnect();
  });

  test('of a client that leaves meanwhile still waits, and those of others with it', async () => {
    const one = connect();
    one.on('error', () => undefined);
    one.call(echo('a')).catch(() => undefined);
    await eventually(() => expect(at.asked).toHaveLength(1));
    one.disconnect();
    const two = connect();
    const answered = two.call(echo('b'));
    await at.daemon.untilActive(2);
    await at.serve(FOO);
    expect((await answered)?.body[0]).toBe('b');
    await at.daemon.untilActive(1);
    expect(at.asked).toHaveLength(1);
    two.disconnect();
  });

  test('starts nothing where the role may not call it', async () => {
    const target = '/run/dbus/stranger';
    await at.establish({ role: 'stranger', uid: at.uids.get('stranger'), activates: [], target });
    const argv = SEND.map((word) => word.replace(TARGET, target));
    expect(await run([...argv, `${TEST}.Echo`, 'string:hi'])).toContain(UNKNOWN);
    await at.serve(FOO);
    expect(await run([...argv, `${TEST}.Echo`, 'string:hi'])).toContain(DENIED);
    expect(at.asked).toEqual([]);
  });

  test('of a foreign runtime that has not said which names those are asks about each that nobody owns', async () => {
    await at.establish({ activates: undefined });
    at.starts();
    expect(await run([...SEND, `${TEST}.Echo`, 'string:hi'])).toContain('hi');
    expect(at.asked).toEqual([{ bus: 'system-bus', name: FOO }]);
    expect(await run([...SEND, `${TEST}.Echo`, 'string:hi'])).toContain('hi');
    expect(at.asked).toHaveLength(1);
  });

  test('StartServiceByName starts it', async () => {
    at.starts();
    const argv = SEND.map((word) => word.replace(FOO, DRIVER));
    const said = await run([...argv, `${DRIVER}.StartServiceByName`, `string:${FOO}`, 'uint32:0']);
    expect(said).toContain('uint32 1'); // started
    expect(at.asked).toHaveLength(1);
    const again = await run([...argv, `${DRIVER}.StartServiceByName`, `string:${FOO}`, 'uint32:0']);
    expect(again).toContain('uint32 2'); // runs already
  });
});
