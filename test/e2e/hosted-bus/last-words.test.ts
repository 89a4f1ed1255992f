/** What a client sent just before it left is delivered, whether or not the owner of the name has to be started first. */
import dbus from 'dbus-next';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { writeMessage } from '../../../src/plugins/dbus/message-writer.js';
import { RawClient } from '../../support/bus/raw-client.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { OnDemandStand, TEST } from './on-demand.js';
import { FOO, TARGET } from './support.js';

const NO_REPLY = 1;

describe.runIf(isRoot() && has('dbus-daemon'))('calls of a client that leaves at once', () => {
  const at = new OnDemandStand();
  let listener: dbus.MessageBus;
  let heard: string[] = [];
  beforeAll(() => at.start());
  beforeEach(async () => {
    at.reset();
    await at.establish({});
    heard = [];
    listener = at.connect();
    listener.on('message', (message: dbus.Message) => {
      if (message.member === 'Changed') heard.push(message.body[0] as string);
    });
    await listener.call(
      new dbus.Message({
        ...{ destination: 'org.freedesktop.DBus', path: '/', interface: 'org.freedesktop.DBus' },
        ...{ member: 'AddMatch', signature: 's', body: [`member='Changed'`] },
      }),
    );
  });
  afterEach(async () => {
    listener.disconnect();
    await at.bus.reset();
  });
  afterAll(() => at.stop());

  const leave = async (texts: readonly string[]) => {
    const client = await RawClient.registered(at.client.rootDir + TARGET);
    const what = { path: '/', interface: TEST, member: 'Change', destination: FOO };
    client.send(
      ...texts.map((text, count) =>
        writeMessage({ type: 1, flags: NO_REPLY, serial: count + 2, ...what }, [text]),
      ),
    );
    client.socket.destroy();
  };

  test.each([
    ['that is there', true, 200],
    ['that is started for them', false, 60],
  ])('arrive at an owner %s', async (_, isThere, count) => {
    const texts = Array.from({ length: count }, (_, number) => `${number}`);
    if (isThere) await at.serve(FOO);
    else at.starts(500);
    await leave(texts);
    await eventually(() => expect(heard).toEqual(texts));
  });
});
