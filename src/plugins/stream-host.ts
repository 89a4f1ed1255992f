/**
 * What the host does beside, for protocols that are read here: HTTP. Part of LinkHost; a plugin that leaves its bytes
 * to the relay needs none of it.
 */
import type { LinkError } from '../kernel/errors.js';
import type { SocketStream } from '../relay/byte-stream.js';
import type { Channel } from '../relay/channel.js';

/** A connection in either of its forms. */
export type End = Channel | SocketStream;

export interface StreamHost {
  /** The same connection as a stream of bytes, see relay/byte-stream.ts. Takes the channel; the stream is the plugin's. */
  bytes(channel: Channel): SocketStream;
  /** Connections go to another container from now on. */
  onProviderChange(listener: () => void): void;
  /** Where connections belong to no link, its requests are counted as such by the plugin. */
  readonly requests: { active: number; total: number };
  /** The provider is there and does not do its work, or (null) does: shown as the link's state. */
  reportHealth(error: LinkError | null): void;
  /** A file of the host's folder of certificates, by its path below that; at most 64 KiB. Never rejects. */
  readCertificate(name: string): Promise<Buffer | LinkError>;
}
