/** What the client needs of its connection to the broker: whole records, in order, with descriptors. */
import { Channel } from '../relay/channel.js';

export interface MessageChannel {
  /** A record with the descriptors that came with it, which are owned by the receiver. */
  onMessage: ((record: Buffer, fds: number[]) => void) | null;
  /** No more records will come. */
  onEnd: (() => void) | null;
  /** Takes the descriptors. */
  send(record: Buffer, fds: readonly number[]): void;
  close(): void;
}

/**
 * A channel over a SOCK_SEQPACKET descriptor, which it owns from the call on. The socket is somebody else's, too: it does
 * not end with the channel.
 */
export function openMessageChannel(fd: number): MessageChannel {
  const channel = new Channel(fd, true);
  const messages: MessageChannel = {
    onMessage: null,
    onEnd: null,
    send: (record, fds) => void channel.write(record, fds),
    close: () => channel.leave(),
  };
  channel.onData = (record, fds) => messages.onMessage?.(record, fds);
  // The descriptor did not fit into our table: only that operation fails (`lostIn`), not the channel.
  channel.onTruncated = channel.onData;
  channel.onEnd = () => messages.onEnd?.();
  return messages;
}
