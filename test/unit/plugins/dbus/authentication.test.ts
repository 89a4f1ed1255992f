/** The authentication of a connection whose channels are closed by the end of its link. */
import { closeSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { failed, ok } from '../../../../src/kernel/result.js';
import { Authentication } from '../../../../src/plugins/dbus/authentication.js';
import { Channel } from '../../../../src/relay/channel.js';
import { native, SOCKET_TYPES } from '../../../../src/relay/native.js';

const LOGIN = '\0AUTH EXTERNAL 30\r\n';
const far: number[] = [];
afterEach(() => {
  for (const fd of far.splice(0)) closeSync(fd);
});

/** A channel and, through `send`, what its far end says. */
function pair() {
  const [near, other] = native.socketPair(SOCKET_TYPES.stream);
  far.push(other);
  const send = (text: string) => native.socketWrite(other, Buffer.from(text), 0, text.length);
  return { channel: new Channel(near), send };
}

const unwanted = async () => failed({ code: 'internal', message: 'Nobody asked for a bus.' });

describe('the authentication of a connection', () => {
  it('ends where the consumer was closed before it was read', async () => {
    const consumer = pair();
    consumer.channel.close();
    expect((await new Authentication(consumer.channel, unwanted).run()).ok).toBe(false);
  });

  it('ends where the consumer is closed while it is read', async () => {
    const consumer = pair();
    const outcome = new Authentication(consumer.channel, unwanted).run();
    consumer.channel.close();
    expect((await outcome).ok).toBe(false);
  });

  it.each(['before', 'while'])('ends where the bus is closed %s it is asked', async (when) => {
    const [consumer, bus] = [pair(), pair()];
    consumer.send(LOGIN);
    const outcome = new Authentication(consumer.channel, async () => {
      if (when === 'before') bus.channel.close();
      else setImmediate(() => bus.channel.close());
      return ok({ channel: bus.channel, identity: { uid: 0, gid: 0 } });
    }).run();
    expect((await outcome).ok).toBe(false);
    expect(consumer.channel.fd).toBe(-1);
  });
});
