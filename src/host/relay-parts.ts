/**
 * The links of the relay that one link of the graph has: made, or taken over from an earlier daemon; counted and ended
 * as one.
 */
import type { Link } from '../graph/link.js';
import { Following } from '../kernel/following.js';
import { parseCidr } from '../kernel/ip-address.js';
import type { Logger } from '../kernel/log.js';
import type {
  ConnectionAbout,
  LinkStats,
  OnConnectionEnd,
  OpenConnection,
} from '../mesh/attacher.js';
import { NO_STATS } from '../mesh/stats.js';
import type { End, ForwardOptions, JoinOptions } from '../plugins/plugin.js';
import type { Access } from '../relay/access.js';
import type { OpenRecord } from '../relay/protocol.js';
import type { Relay } from '../relay/relay.js';
import type { RelayLink, RelayLinkEvents, RelayLinkOptions } from '../relay/relay-link.js';
import type { TransferOptions, TransferResult } from '../relay/transfer.js';
import { mostOf } from './accepting.js';
import { type Adopted, type Claim, encodeNote, noteOf, type Stood } from './adoption.js';
import type { Container } from './containers.js';
import { Joiners } from './joiners.js';
import type { LinkHostOptions } from './link-options.js';

/** A link of the relay, made or adopted. */
export interface Part {
  readonly relayLink: RelayLink;
  /** Null: it was made. */
  readonly adopted: Adopted | null;
  /** What is kept with it, for a daemon that comes after this one. */
  readonly note: (stood?: Stood) => Buffer;
}

export interface RelayPartsOptions {
  readonly relay: Relay;
  readonly consumer: Container;
  /** What an earlier daemon left standing of the link. */
  readonly claim: Claim;
  readonly log: Logger;
}

export class RelayParts {
  readonly #parts: RelayPartsOptions;
  readonly #link: Link;
  readonly #options: LinkHostOptions;
  readonly #all = new Set<RelayLink>();
  /** What somebody wants of each of them. */
  readonly #following = new Following<RelayLink>(() => this.#all);
  readonly #ofJoiners = new WeakSet<RelayLink>();
  readonly #joiners = new Joiners((fds) => this.#joiner(fds));

  /** Connections that an earlier daemon gave to the relay count as this link's from now on, and end with it. */
  constructor(parts: RelayPartsOptions, link: Link, options: LinkHostOptions) {
    this.#parts = parts;
    this.#link = link;
    this.#options = options;
    for (const fds of [true, false]) this.#adoptJoiner(fds);
  }

  /** One that a daemon after this one can go on with. `name`: another one for each of a link's. */
  part(name: string, options: ForwardOptions, events: RelayLinkEvents): Part {
    const { claim, consumer } = this.#parts;
    const settings = this.#settings(options);
    const adopted = claim.take(name, settings, this.#told(events));
    const relayLink = adopted?.relayLink ?? this.#parts.relay.link(settings, this.#told(events));
    if (isJoinerName(name)) this.#ofJoiners.add(relayLink);
    this.#add(relayLink);
    const note = noteOf(this.#link, consumer, name, settings);
    return { relayLink, adopted, note: (stood) => encodeNote(stood ? { ...note, stood } : note) };
  }

  /** One that has nothing that a daemon after this one could want. */
  unkept(options: ForwardOptions, events: RelayLinkEvents): RelayLink {
    const relayLink = this.#parts.relay.link(this.#settings(options), this.#told(events));
    this.#add(relayLink);
    return relayLink;
  }

  /** One that nobody listens at, and that is none of these. */
  unlisted(): RelayLink {
    return this.#parts.relay.link(this.#settings({ type: 'stream' }));
  }

  /** Whether it has connections that were the plugin's before. */
  isJoiner(relayLink: RelayLink): boolean {
    return this.#ofJoiners.has(relayLink);
  }

  /** Takes both; one that was closed meanwhile ends the other. */
  join(client: End, provider: End, options: JoinOptions): void {
    this.#joiners.join(client, provider, options);
  }

  /** Both stay the caller's. */
  transfer(source: End, sink: End, options: TransferOptions): Promise<TransferResult> {
    return this.#joiners.transfer(source, sink, options);
  }

  /** A connection that was the plugin's and then joined is one connection. */
  stats(): LinkStats[] {
    return [...this.#all].map((relayLink) => {
      const stats = { ...NO_STATS, ...relayLink.stats() };
      return this.#joiners.has(relayLink) ? { ...stats, total: 0 } : stats;
    });
  }

  async connections(): Promise<OpenConnection[]> {
    const all = [...this.#all].map(async (relayLink) =>
      (await relayLink.connections()).map((record) => openOf(relayLink, record)),
    );
    return (await Promise.all(all)).flat();
  }

  /** Of those that there are by now, and of those to come. */
  watch(onEnd: OnConnectionEnd): () => void {
    return this.follow((relayLink) => {
      const tell = (record: OpenRecord, reason: string) => onEnd(openOf(relayLink, record), reason);
      return relayLink.watch(tell);
    });
  }

  /** Begins something with each of them, and those to come; as of Following. */
  follow<R>(begin: (relayLink: RelayLink) => () => R): () => R[] {
    return this.#following.follow(begin);
  }

  #add(relayLink: RelayLink): void {
    if (this.#all.has(relayLink)) return;
    this.#all.add(relayLink);
    this.#following.joined(relayLink);
  }

  async close(drainMs: number): Promise<void> {
    await Promise.all([...this.#all].map((relayLink) => relayLink.close(drainMs)));
  }

  #joiner(fds: boolean): RelayLink {
    const { relayLink, note } = this.part(joinerName(fds), { type: 'stream', fds }, {});
    relayLink.note(note());
    return relayLink;
  }

  #adoptJoiner(fds: boolean): void {
    const settings = this.#settings({ type: 'stream', fds });
    const adopted = this.#parts.claim.take(joinerName(fds), settings, this.#told({}));
    if (!adopted) return;
    this.#ofJoiners.add(adopted.relayLink);
    this.#add(adopted.relayLink);
    this.#joiners.adopt(fds, adopted.relayLink);
  }

  #settings({ type, fds = true }: ForwardOptions): RelayLinkOptions {
    const { patienceMs, linkMemory: memory } = this.#options;
    const bounds = { patienceMs, memory, maxConnections: mostOf(this.#link, this.#options) };
    const consumerHandle = this.#parts.consumer.handle;
    return { type, fds, ...bounds, consumerHandle, ...accessOf(this.#link) };
  }

  #told(events: RelayLinkEvents): RelayLinkEvents {
    return { onFull: () => sayFull(this.#parts.log, this.#options.linkMemory), ...events };
  }
}

/** `memory`: what the link's connections may hold, in bytes. */
export function sayFull(log: Logger, memory: number): void {
  const most = memory / 2 ** 20;
  log.warn(
    { code: 'link-full' },
    `the connections of this link hold ${most} MiB for receivers that do not read: new ones wait (--link-memory)`,
  );
}

function isJoinerName(name: string): boolean {
  return [true, false].some((fds) => name === joinerName(fds));
}

function joinerName(fds: boolean): string {
  return fds ? 'joined' : 'joined bytes';
}

/** Who may connect, and how the provider is told of them, for the relay; empty where the link says nothing. */
function accessOf({ allowFrom, proxyProtocol }: Link): { readonly access?: Access } {
  if (allowFrom === undefined && proxyProtocol === undefined) return {};
  const networks = allowFrom?.flatMap((text) => parseCidr(text) ?? []);
  return {
    access: {
      ...(networks === undefined ? {} : { allowFrom: networks }),
      ...(proxyProtocol === undefined ? {} : { proxyProtocol }),
    },
  };
}

function openOf({ number }: RelayLink, record: OpenRecord): OpenConnection {
  const { conn, joined, pid, uid, gid, remote, toProvider, toConsumer, label } = record;
  const age = Number(process.hrtime.bigint() / 1_000_000n) - record.since; // which is CLOCK_MONOTONIC, too
  return {
    place: [number, conn],
    since: Date.now() - age,
    joined,
    peer: remote ?? (pid > 0 ? { pid, uid, gid } : null),
    ...{ toProvider, toConsumer },
    about: aboutOf(label),
  };
}

/** As `Joiners` wrote it, perhaps of an earlier version. */
function aboutOf(label: string): ConnectionAbout {
  try {
    return label === '' ? {} : Object(JSON.parse(label));
  } catch {
    return {};
  }
}
