/**
 * The addon `pvx.node`, typed. Descriptors are plain numbers; native/addon says who owns each.
 * Only this folder, and what has to do with whole processes (src/broker, src/bus, src/runtime), use it directly.
 */
import { createRequire } from 'node:module';
import { PACKAGE_ROOT } from '../kernel/package-root.js';

declare const countersBrand: unique symbol;
declare const channelBrand: unique symbol;
declare const pollerBrand: unique symbol;
declare const closingBrand: unique symbol;
export type NativeCounters = { readonly [countersBrand]: true };
export type NativeChannel = { readonly [channelBrand]: true };
export type NativePoller = { readonly [pollerBrand]: true };
export type NativeClosing = { readonly [closingBrand]: true };

/** System calls of which nothing works without. */
export type ProbedCall = 'openat2' | 'pidfd_open' | 'open_tree' | 'seccomp';

export type ChannelCallback = (
  what: 'data' | 'end' | 'writable',
  data: Buffer | undefined,
  fds: number[] | undefined,
  errno: number,
) => void;

export interface Native {
  /** Takes the memory of pvx-relay's counters. Null: it can't be mapped. */
  countersMap(fd: number): NativeCounters | null;
  /** Those of one link, as COUNTERS of protocol.ts has them. */
  countersRead(counters: NativeCounters, link: number, values: Float64Array): void;
  timesRead(counters: NativeCounters, link: number, values: Float64Array): void;
  /** Of the other end. */
  socketAddress(fd: number): { ip: string; port: number } | undefined;
  socketState(fd: number): number;
  /** Who made the other end, or listened there; pid 0: somebody outside our pid namespace. Undefined: no unix socket. */
  socketPeer(fd: number): { pid: number; uid: number; gid: number } | undefined;
  /** What each of these system calls answers: 0 or an errno; see probe.c. Changes nothing. */
  probeCalls(): Readonly<Record<ProbedCall, number>>;
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
  /** The same of one that another process has, too, where it goes on. */
  socketLeave(fd: number): void;
  descriptorsClose(fds: readonly number[]): void;
  /** One more, or -errno. */
  descriptorDuplicate(fd: number): number;
  closingNew(): NativeClosing;
  socketPair(type: number): [number, number];
  seal(): void;
  noNewPrivileges(): void;
  descriptorsEndAtExec(): void;
}

export { PACKAGE_ROOT };

export const native = createRequire(import.meta.url)(
  `${PACKAGE_ROOT}/build/Release/pvx.node`,
) as Native;

/** `SOCK_*` of Linux. */
export const SOCKET_TYPES = { stream: 1, dgram: 2, seqpacket: 5 } as const;
