/**
 * The addon `pvx.node`, typed. Descriptors are plain numbers; native/addon says who owns each.
 * Only this folder, and what has to do with whole processes (src/broker, src/bus, src/runtime), use it directly.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

declare const relayBrand: unique symbol;
declare const linkBrand: unique symbol;
declare const channelBrand: unique symbol;
declare const pollerBrand: unique symbol;
declare const closingBrand: unique symbol;
export type NativeRelay = { readonly [relayBrand]: true };
export type NativeLink = { readonly [linkBrand]: true };
export type NativeChannel = { readonly [channelBrand]: true };
export type NativePoller = { readonly [pollerBrand]: true };
export type NativeClosing = { readonly [closingBrand]: true };

/** System calls of which nothing works without. */
export type ProbedCall = 'openat2' | 'pidfd_open' | 'open_tree' | 'seccomp';

export interface NativeEvent {
  readonly type:
    | 'pending'
    | 'handed'
    | 'upstream'
    | 'full'
    | 'gone'
    | 'broker'
    | 'stopped'
    | 'moved';
  readonly link: number;
  readonly conn: number;
  readonly fd: number;
  /** For `moved`, how it ended: an index of transfer.ts. */
  readonly errno: number;
  readonly bytes: number;
}

export interface NativeStats {
  readonly active: number;
  readonly total: number;
  readonly toProvider: number;
  readonly toConsumer: number;
  readonly closes: Readonly<Record<string, number>>;
}

/** What becomes of a client that a link accepts: `enum accept_mode` of native/addon/relay.h. */
export const ACCEPT_MODES = { forward: 0, ask: 1, hand: 2 } as const;
export type AcceptMode = (typeof ACCEPT_MODES)[keyof typeof ACCEPT_MODES];
/** A request to the broker, as broker/protocol.ts lays it out. */
type Request = Buffer;
export type ChannelCallback = (
  what: 'data' | 'end' | 'writable',
  data: Buffer | undefined,
  fds: number[] | undefined,
  errno: number,
) => void;

export interface Native {
  relayStart(brokerFd: number, callback: (events: NativeEvent[]) => void): NativeRelay;
  relayStop(relay: NativeRelay): void;
  linkNew(
    relay: NativeRelay,
    number: number,
    type: number,
    fds: boolean,
    patienceMs: number,
    maxConnections: number,
    consumerHandle: number,
    closing: NativeClosing | undefined,
    memory: number,
  ): NativeLink;
  /** Before `linkListen`. */
  linkRestrict(link: NativeLink, limited: boolean, rules: Buffer, proxyVersion: 0 | 1 | 2): void;
  linkListen(link: NativeLink, listener: number, mode: AcceptMode, upstream: Request | null): void;
  linkRetarget(link: NativeLink, upstream: Request | null): void;
  linkResolve(link: NativeLink, connection: number, request: Request | null): void;
  linkStopListening(link: NativeLink): void;
  linkClose(link: NativeLink, drainMs: number): void;
  linkJoin(
    link: NativeLink,
    consumerFd: number,
    providerFd: number,
    toConsumer: Buffer,
    toProvider: Buffer,
  ): void;
  /** 0, or an errno: then there is no report. */
  linkTransfer(
    link: NativeLink,
    number: number,
    source: number,
    sink: number,
    bytes: number,
    towardsProvider: boolean,
    end: boolean,
    idleMs: number,
    silenceMs: number,
  ): number;
  linkCancel(link: NativeLink, transfer: number): void;
  /** Where a connection of JavaScript's own has led to: 0 to an end, 1 into a ring, 2 back to the link itself. */
  linkLed(link: NativeLink, listener: NativeLink, fd: number): 0 | 1 | 2;
  linkStats(link: NativeLink): NativeStats;
  /** Of the other end. */
  socketAddress(fd: number): { ip: string; port: number } | undefined;
  socketState(fd: number): number;
  /** Who made the other end, or listened there; 0: somebody outside our pid namespace. -errno. */
  socketPeerPid(fd: number): number;
  /** What each of these system calls answers: 0 or an errno; see probe.c. Changes nothing. */
  probeCalls(): Readonly<Record<ProbedCall, number>>;
  pidfdOpen(pid: number): number;
  channelOpen(fd: number, callback: ChannelCallback, closing?: NativeClosing): NativeChannel;
  channelSend(channel: NativeChannel, data: Buffer, fds: readonly number[]): number;
  channelWatch(channel: NativeChannel, readable: boolean, writable: boolean, limit: number): number;
  channelUnread(channel: NativeChannel): number;
  channelRelease(channel: NativeChannel): number;
  channelShutdown(channel: NativeChannel): void;
  pollerOpen(events: Int32Array, callback: (count: number) => void): NativePoller;
  pollerAdd(poller: NativePoller, fd: number): number;
  pollerRemove(poller: NativePoller, fd: number): void;
  pollerHold(poller: NativePoller, held: 0 | 1): void;
  /** Whether a call that failed with this errno may succeed in a moment. */
  isTransient(errno: number): boolean;
  socketReserve(fd: number): number;
  socketAccept(fd: number): number;
  socketRead(fd: number, buffer: Buffer): number;
  socketWrite(fd: number, buffer: Buffer, from: number, to: number): number;
  socketShutdown(fd: number): void;
  socketClose(fd: number): void;
  descriptorsClose(fds: readonly number[]): void;
  closingNew(): NativeClosing;
  socketPair(type: number): [number, number];
  launch(
    brokerArgv: readonly string[],
    nodeArgv: readonly string[],
    env: readonly string[],
    uid: number,
    gid: number,
    keepFds: readonly number[],
    busArgv: readonly string[],
  ): never;
  seal(): void;
  descriptorsEndAtExec(): void;
  reap(pid: number): boolean;
  lock(fd: number): boolean;
}

/** Folder of the checkout or the package: build/Release is below it. */
export const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url));

export const native = createRequire(import.meta.url)(
  `${PACKAGE_ROOT}/build/Release/pvx.node`,
) as Native;

/** `SOCK_*` of Linux. */
export const SOCKET_TYPES = { stream: 1, dgram: 2, seqpacket: 5 } as const;
