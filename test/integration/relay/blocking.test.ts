/** Descriptors that can't be closed, sent by a consumer and left unread by its provider. */
import { expect, test } from 'vitest';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import { startRelay } from '../../support/relay.js';
import { join, linkOptions, Peers } from './support.js';

test('what is left unread when the provider takes no more keeps nobody waiting for its end', async () => {
  const { relay, stop } = await startRelay();
  const peers = new Peers();
  const neighbours = new Peers();
  try {
    const [consumer, near] = native.socketPair(SOCKET_TYPES.stream);
    const [provider, far] = native.socketPair(SOCKET_TYPES.stream);
    await peers.do({ do: 'say_to_the_deaf' }, consumer, provider);
    relay.link(linkOptions()).join(near, far);
    await peers.do({ do: 'end' });
    const other = join(relay);
    void neighbours.do({ do: 'answer' }, other.provider);
    expect(await neighbours.do({ do: 'ask', rounds: 10 }, other.consumer)).toBe(10);
  } finally {
    await peers.stop(); // from here on it can be closed
    await neighbours.stop();
    await stop();
  }
}, 15_000);
