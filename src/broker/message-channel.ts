/** What the client needs of its connection to the broker: whole records, in order, with descriptors. */
import { Channel } from '../relay/channel.js';

export interface MessageChannel {
  /** A record with the descriptors that came with it, the receiver's. */
  onMessage: ((record: Buffer, fds: number[]) => void) | null;
  /** No more will come. */
  onEnd: (() => void) | null;
  /** Takes the descriptors. */
  send(record: Buffer, fds: readonly number[]): void;
  close(): void;
}

/** Over a SOCK_SEQPACKET descriptor, which is the channel's from the call on. */
export function openMessageChannel(fd: number): MessageChannel {
  const channel = new Channel(fd, true);
  const messages: MessageChannel = {
    onMessage: null,
    onEnd: null,
    send: (record, fds) => void channel.write(record, fds),
    close: () => channel.close(),
  };
  channel.onData = (record, fds) => messages.onMessage?.(record, fds);
  // The answer without its descriptor: one operation failed for want of room, not the conversation.
  channel.onTruncated = channel.onData;
  channel.onEnd = () => messages.onEnd?.();
  return messages;
}
