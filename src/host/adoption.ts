/**
 * What an earlier daemon left standing, for the daemon that has come in its place: links of the relay, with their
 * listeners and connections, and what is planted in containers.
 *
 * The relay keeps a note of ours with each of its links, unread: whose it is, as what it was made, and what was planted
 * for it. A link of the graph takes over what stands under its identity, if it is the same link still and its consumer
 * the same process; what changed is ended by the rules of the mesh for a link that changed. Nothing is ended before
 * there is a graph that says so.
 *
 *   loaded --claim--> taken over          the link goes on, nobody notices
 *     |  |
 *     |  '---claim--> ended               the link changed, or its consumer is another process
 *     '---prune, finish--> ended          no link of the graph wants it
 *
 * What an earlier daemon had closed already, and still drains, is not loaded: it is nobody's, and ends by itself.
 */
import type { Broker } from '../broker/client.js';
import { changeSince, digestOf, type LinkDigest } from '../graph/difference.js';
import { type Link, linkId } from '../graph/link.js';
import { withDeadline } from '../kernel/deadline.js';
import type { Logger } from '../kernel/log.js';
import type { Relay, StandingLink } from '../relay/relay.js';
import type { RelayLink, RelayLinkEvents } from '../relay/relay-link.js';
import type { Container } from './containers.js';
import { removePlant } from './plants.js';

/** What was made at a link's target: the broker's number of the plant, or the network that a listener is in. */
export type Stood = { readonly plant: number } | { readonly network: bigint };

/** What a link of the relay is kept for. */
export interface Note {
  /** Identity of the link of the graph; or what else several links share. */
  readonly id: string;
  /** As which of the link's own it was made. */
  readonly part: string;
  /** As the link was attached. */
  readonly digest: LinkDigest;
  /** The broker's handle of the consumer: another one is another process. */
  readonly consumer: number;
  /** What the relay was told of it: with other limits it is another one. */
  readonly options: string;
  /** Absent: it has no listener. */
  readonly stood?: Stood;
}

/** How long what hangs in its container holds up what comes after it, in milliseconds. */
const END_MS = 2_000;

const NO_DIGEST: LinkDigest = { reattach: '', revoke: '' };

export function noteOf(
  link: Link,
  consumer: Container,
  part: string,
  options: object,
): Omit<Note, 'stood'> {
  return { ...sharedNoteOf(linkId(link), consumer, part, options), digest: digestOf(link) };
}

/** Of what belongs to no single link. */
export function sharedNoteOf(
  id: string,
  consumer: Container,
  part: string,
  options: object,
): Omit<Note, 'stood'> {
  return {
    id,
    part,
    digest: NO_DIGEST,
    consumer: consumer.handle,
    options: JSON.stringify(options),
  };
}

export function encodeNote({ stood, ...note }: Note): Buffer {
  const network = stood && 'network' in stood ? { network: String(stood.network) } : {};
  const plant = stood && 'plant' in stood ? { plant: stood.plant } : {};
  return Buffer.from(JSON.stringify({ ...note, ...network, ...plant }));
}

/** Null: it is no note of this version's. */
export function decodeNote(bytes: Buffer): Note | null {
  const { id, part, digest, consumer, options, plant, network } = fieldsOf(bytes);
  const { reattach, revoke } = Object(digest) as Record<string, unknown>;
  const texts = [id, part, options, reattach, revoke];
  if (!texts.every((text) => typeof text === 'string') || !isHandle(consumer)) return null;
  const stood = stoodOf(plant, network);
  return { id, part, digest: { reattach, revoke }, consumer, options, ...stood } as Note;
}

/** Of what is no JSON object: none. */
function fieldsOf(bytes: Buffer): Record<string, unknown> {
  try {
    return Object(JSON.parse(bytes.toString()));
  } catch {
    return {};
  }
}

function stoodOf(plant: unknown, network: unknown): { readonly stood?: Stood } {
  if (isHandle(plant)) return { stood: { plant } };
  if (typeof network === 'string' && /^\d{1,20}$/.test(network)) {
    return { stood: { network: BigInt(network) } };
  }
  return {};
}

function isHandle(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
}

interface Left {
  readonly standing: StandingLink;
  readonly note: Note;
}

/** A link of the relay that goes on. */
export interface Adopted {
  readonly relayLink: RelayLink;
  /** Its listener; undefined: it has none, or what was planted is no more. */
  readonly stood: Stood | undefined;
  /** Why its provider could not be reached last; 0: it could. */
  readonly errno: number;
}

export interface AdoptionParts {
  readonly broker: Pick<Broker, 'keep' | 'remove' | 'sweep'>;
  readonly relay: Pick<Relay, 'adopt' | 'forget'>;
  readonly log: Logger;
  /** How long the connections of a link that left may go on, in milliseconds. */
  readonly drainMs: number;
}

export class Adoption {
  readonly #parts: AdoptionParts;
  readonly #left = new Map<string, Left[]>();
  /** What is being ended, by the identity of its link and by its consumer: its target may still be taken. */
  readonly #ending = new Map<string, Promise<void>>();

  /** Resolves when every link of the first graph is attached, as far as it could be. */
  readonly settled: Promise<void>;
  #settle!: () => void;
  /** What takes over without a claim: device nodes, by their paths. Null: it is too late for that. */
  #awaited: Promise<void>[] | null = [];

  constructor(parts: AdoptionParts) {
    this.#parts = parts;
    this.settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /**
   * What the relay has, before any link is attached. What nobody could know by its note is ended at once; what drains is
   * left to its end.
   */
  load(standing: readonly StandingLink[]): void {
    for (const one of standing) {
      if (one.drains) {
        this.#parts.relay.adopt(one);
        continue;
      }
      const note = decodeNote(one.note);
      if (!note) {
        void this.#parts.relay.forget(one, this.#parts.drainMs);
        continue;
      }
      this.#leave({ standing: one, note });
    }
  }

  /**
   * What of this link stands and may go on. Resolves when what may not has left its target. The claim has to be
   * finished by `rest`.
   */
  async claim(link: Link, consumer: Container): Promise<Claim> {
    const id = linkId(link);
    const same: Left[] = [];
    for (const one of this.#take(id)) {
      const change = changeSince(one.note.digest, link);
      const isSameConsumer = one.note.consumer === consumer.handle;
      if (isSameConsumer && change === 'nothing') same.push(one);
      else this.#endAll([one], isSameConsumer ? this.#drainOf(change) : 0);
    }
    await this.#freed(id, consumer);
    return this.#claimOf(same);
  }

  /** What several links of one consumer share, under an identity of their own; as `claim`. */
  async claimShared(id: string, consumer: Container): Promise<Claim> {
    const left = this.#take(id);
    const same = left.filter(({ note }) => note.consumer === consumer.handle);
    this.#endAll(
      left.filter((one) => !same.includes(one)),
      0,
    );
    await this.#freed(id, consumer);
    return this.#claimOf(same);
  }

  /**
   * Ends what is of no link of this graph that can be attached, or of one that changed: its target may be another
   * link's now. Those that share are left for `finish`.
   */
  prune(links: readonly Link[]): void {
    const wanted = new Map(links.map((link) => [linkId(link), link]));
    for (const [id, [first]] of [...this.#left]) {
      if (first?.note.digest.reattach === NO_DIGEST.reattach) continue;
      const link = wanted.get(id);
      for (const one of this.#take(id)) {
        const change = link && !link.error ? changeSince(one.note.digest, link) : 'reattach';
        const isDenied = link?.error?.code === 'not-allowed';
        if (change === 'nothing') this.#leave(one);
        else this.#endAll([one], isDenied ? 0 : this.#drainOf(change));
      }
    }
  }

  /** What was planted is not removed before this, or a while. */
  waitFor(taken: Promise<void>): void {
    this.#awaited?.push(taken);
  }

  /** Every link of the first graph has been attached, as far as it could be: what is left is nobody's. */
  async finish(): Promise<void> {
    this.#settle();
    for (const id of [...this.#left.keys()]) this.#endAll(this.#take(id), this.#parts.drainMs);
    const awaited = [...this.#ending.values(), ...(this.#awaited ?? [])];
    this.#awaited = null;
    await withDeadline(Promise.all(awaited), END_MS, undefined); // one of them may hang
    const swept = await this.#parts.broker.sweep();
    if (swept.ok) return;
    this.#parts.log.warn(
      { errno: swept.errno },
      'what an earlier daemon planted could not be removed',
    );
  }

  #leave(one: Left): void {
    const { id } = one.note;
    this.#left.set(id, [...(this.#left.get(id) ?? []), one]);
  }

  #take(id: string): readonly Left[] {
    const left = this.#left.get(id) ?? [];
    this.#left.delete(id);
    return left;
  }

  #drainOf(change: ReturnType<typeof changeSince>): number {
    return change === 'revoke' ? 0 : this.#parts.drainMs;
  }

  #claimOf(left: readonly Left[]): Claim {
    return new Claim(left, this.#parts, (one) => this.#end(one, this.#parts.drainMs));
  }

  #endAll(left: readonly Left[], drainMs: number): void {
    for (const one of left) {
      const ended = this.#end(one, drainMs);
      for (const whose of [one.note.id, ofConsumer(one.note.consumer)]) {
        const ending = Promise.all([this.#ending.get(whose), ended]).then(() => {
          if (this.#ending.get(whose) === ending) this.#ending.delete(whose);
        });
        this.#ending.set(whose, ending);
      }
    }
  }

  /** What is being ended of this link, or of others of its consumer, whose target it may have now, has left it. */
  async #freed(id: string, { handle }: Container): Promise<void> {
    const ending = [this.#ending.get(id), this.#ending.get(ofConsumer(handle))];
    await withDeadline(Promise.all(ending), END_MS, undefined);
  }

  /** Resolves when its target is free. */
  async #end({ standing, note }: Left, drainMs: number): Promise<void> {
    const { broker, relay, log } = this.#parts;
    const relayLink: RelayLink = relay.adopt(standing, {
      onPending: (connection) => relayLink.resolve(connection, null),
    });
    const stopped = relayLink.stop();
    void relayLink.close(drainMs); // however long its container's file systems take
    if (note.stood && 'plant' in note.stood) {
      await removePlant(broker, note.stood.plant, note.id, log);
    }
    await stopped;
  }
}

function ofConsumer(handle: number): string {
  return `of container ${handle}`;
}

/** What stands of one link. */
export class Claim {
  readonly #left: Set<Left>;
  readonly #parts: Pick<AdoptionParts, 'broker' | 'relay'>;
  readonly #end: (left: Left) => Promise<void>;

  constructor(
    left: readonly Left[],
    parts: Pick<AdoptionParts, 'broker' | 'relay'>,
    end: (left: Left) => Promise<void>,
  ) {
    this.#left = new Set(left);
    this.#parts = parts;
    this.#end = end;
  }

  /** The link of the relay that was made as this part with these options; null: there is none. */
  take(part: string, options: object, events: RelayLinkEvents): Adopted | null {
    const wanted = JSON.stringify(options);
    for (const left of this.#left) {
      const { standing, note } = left;
      if (note.part !== part || note.options !== wanted) continue;
      this.#left.delete(left);
      const relayLink = this.#parts.relay.adopt(standing, events);
      return { relayLink, stood: standing.listens ? note.stood : undefined, errno: standing.errno };
    }
    return null;
  }

  /** Whether what was planted is still known to the broker, which keeps it from now on. */
  async keeps(plant: number): Promise<boolean> {
    return (await this.#parts.broker.keep(plant)).ok;
  }

  /** Ends what was not taken. Resolves when no target is taken by it. */
  async rest(): Promise<void> {
    await Promise.all([...this.#left].map((left) => this.#end(left)));
    this.#left.clear();
  }
}
