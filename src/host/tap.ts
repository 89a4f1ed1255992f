/**
 * What passes on a link, for somebody who is to be shown it: the relay tells of what it moves, and connections in our
 * own hands of what is read and written there.
 *
 * HTTP is shown as the provider gets it, for its clients may be those of several links, and speak TLS. What else is read
 * here is shown as its client has it, with what a policy refuses.
 */
import type { Passed, Tap, TapSink } from '../mesh/attacher.js';
import { followTaps } from '../mesh/taps.js';
import { ByteChannel } from '../relay/byte-channel.js';
import { Channel } from '../relay/channel.js';
import type { RelayLink } from '../relay/relay-link.js';
import type { ChannelSet } from './channel-set.js';
import type { RelayParts } from './relay-parts.js';

/** `clients`, `providers`: connections that are read here. */
export function tapLink(
  sink: TapSink,
  clients: ChannelSet,
  providers: ChannelSet,
  relay: RelayParts,
): Tap {
  const ends = [
    clients.tap(Channel, (number, way, bytes, fds) => {
      const to = way === 'in' ? 'provider' : 'consumer';
      show(sink, { connection: `0.${number}`, to, bytes, fds });
    }),
    providers.tap(ByteChannel, (number, way, bytes, fds) => {
      const to = way === 'in' ? 'consumer' : 'provider';
      show(sink, { connection: `p.${number}`, to, bytes, fds });
    }),
  ];
  const relayed = followTaps(relay, (relayLink) => tapRelay(sink, relayLink));
  return {
    begun: relayed.begun,
    end: () => {
      for (const end of ends) end();
      return relayed.end();
    },
  };
}

function show(sink: TapSink, passed: Omit<Passed, 'time'>): void {
  if (sink.isFull) sink.lost(passed.bytes.length);
  else sink.take({ ...passed, time: Date.now() * 1_000 });
}

/** Where the sink has no room, nothing is read of the relay, which then leaves out and counts. */
function tapRelay(sink: TapSink, relayLink: RelayLink): Tap {
  const tap = relayLink.tap(({ conn, toConsumer, dropped, ...passed }) => {
    if (dropped > 0) sink.lost(dropped);
    const connection = `${relayLink.number}.${conn}`;
    if (conn > 0) sink.take({ ...passed, connection, to: toConsumer ? 'consumer' : 'provider' });
    if (!sink.isFull) return;
    tap.pause();
    sink.whenRoom(() => tap.resume());
  });
  return {
    begun: tap.begun,
    end: async () => {
      const dropped = await tap.end();
      if (dropped > 0) sink.lost(dropped);
    },
  };
}
