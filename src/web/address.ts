/** `--listen`: an IP address and a port. Pure. */
import { isIP } from 'node:net';

/** The words by which commands start the servers of theirs; no commands for people. */
export const PAGE_SERVER = 'web-server';
export const METRICS_SERVER = 'metrics-server';
export type ServerWord = typeof PAGE_SERVER | typeof METRICS_SERVER;

export interface ListenAddress {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

/** Undefined: it is none. A port alone is one of 127.0.0.1. */
export function listenAddress(text: string): ListenAddress | undefined {
  const [, host = '127.0.0.1', digits = ''] =
    /^(?:(\[[^\]]*\]|[^:[\]]*):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  const isAddress = host.startsWith('[') ? isIP(bare) === 6 : isIP(bare) === 4;
  return digits !== '' && port <= 65_535 && isAddress ? { host: bare, port } : undefined;
}

/** As it stands in a URL. What listens on all interfaces is reached by loopback too. */
export function authorityOf({ host, port }: ListenAddress): string {
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `${isIP(reached) === 6 ? `[${reached}]` : reached}:${port}`;
}

export function isLoopback({ host }: ListenAddress): boolean {
  return host === '::1' || host.startsWith('127.');
}
