/**
 * The provider's end of one link: which of its kinds there are, and what a link's host asks of each.
 *
 *   container-provider.ts   a container, which may be another one at any time
 *   bus-provider.ts         a hosted bus of the runtime's
 *   host-provider.ts        the host itself: its devices and nothing else
 *
 * How it is, it says to the link's announcer: what connecting has shown, and what it looks for by itself
 * (provider-look.ts).
 */
import type { Planted } from '../broker/client.js';
import type { Link } from '../graph/link.js';
import type { Attempt, ErrnoResult, Result } from '../kernel/result.js';
import type { Identity, Seen, SocketType } from '../plugins/plugin.js';
import { closeSocket } from '../relay/closing.js';
import type { Led } from '../relay/relay-link.js';
import type { Announcer } from './announcer.js';
import type { Container } from './containers.js';

export interface ProviderParts {
  readonly announcer: Announcer;
  /** Connections go elsewhere from now on, or (no container) have to wait. */
  readonly onChange: () => void;
}

export interface Connected {
  /** The caller's. */
  readonly fd: number;
  /** Whom the provider's kernel takes the consumer for. */
  readonly identity: Identity;
}

export interface ListeningAt {
  readonly container: Container;
  readonly planted: Planted;
}

/** Where a connection of ours leads; never rejects. */
export type AskLed = (fd: number) => Promise<Led>;

/** None of its methods rejects. */
export interface ProviderEnd {
  /** Where its devices are: its container as it is now, or the host. Null: nowhere now. */
  readonly container: Container | null;
  /** Who we are to it is known without a look into its files. */
  readonly hasFixedIdentity: boolean;
  /** Same link, but its provider is now the one that these fields name. Resolves when it was looked at. */
  retarget(link: Link, stamp: number): Promise<void>;
  /** A request that the relay repeats for every connection; null: where we are to go is not known now. */
  standingRequest(type: SocketType): Buffer | null;
  /** One connection's request, with the identity as it is now. `path`: another socket than the link's. */
  request(type: SocketType, path?: string): Promise<Result<Buffer>>;
  /** One connection, tried once and for at most `timeoutMs`. `led`: says where it leads, as of RelayLink. */
  connect(type: SocketType, timeoutMs: number, led: AskLed): Promise<Attempt<Connected>>;
  /** A listening stream socket of ours in the provider, at that path. */
  listen(path: string): Promise<Result<ListeningAt>>;
  /** The relay's word on reaching it: an errno's name; null for well, or for a ring that is open again. */
  reached(errno: string | null): void;
  /** The relay's word that the link is no longer one of a ring, and leads to an end. */
  released(): void;
  /** Looks for this in place of the link's socket from now on. */
  lookWith(look: () => Promise<Seen>): void;
  /** There is reason to look now. */
  soon(): void;
  /** Nothing is looked for any more, whatever is called after this. */
  close(): void;
}

/**
 * A connection that leads back to its own link is none: it is closed before a byte is sent (EDEADLK). `reached`: told
 * how the provider was reached, null for well; nothing of a connection into a ring, which has no provider at its end.
 * The link may have ended when this resolves.
 */
export async function unlessBack(
  made: ErrnoResult<number>,
  led: AskLed,
  reached: (errno: string | null) => void,
): Promise<ErrnoResult<number>> {
  if (!made.ok) {
    reached(made.errno);
    return made;
  }
  const where = await led(made.value);
  if (where === 'on') reached(null);
  if (where !== 'back') return made;
  closeSocket(made.value);
  reached('EDEADLK');
  return { ok: false, errno: 'EDEADLK' };
}

/** For who has closed meanwhile: nobody else would close what is connected now. */
export function endedMeanwhile({ consumer }: Link, made: ErrnoResult<number>): Attempt<never> {
  if (made.ok) closeSocket(made.value);
  const message = `The link of ${consumer} has ended.`;
  return { ok: false, error: { code: 'container-gone', message }, waits: false };
}
