/** What the unix e2e tests share: a pair of containers, and the program that plays both sides of a link in them. */
import { readFileSync } from 'node:fs';
import type { TestContainer } from '../../support/container.js';
import { ContainerPair, type PairOptions, usePair } from '../../support/container-pair.js';
import type { Peer } from '../../support/peer-process.js';

const PEER = readFileSync(new URL('./peer.py', import.meta.url), 'utf8');
export const TARGET = '/run/pv/services/raw.sock';
export const SOCKET = '/run/example/raw.sock';

export class UnixPair extends ContainerPair {
  constructor(args: readonly string[], options: PairOptions = {}) {
    super({ args, ...options });
  }

  /** Runs a mode of peer.py to its end. Rejects where it fails. */
  async ask(mode: string, ...args: string[]): Promise<string> {
    const argv = ['python3', '-c', PEER, mode, ...args];
    const { code, stdout, stderr } = await this.consumer.exec(argv, { timeout: 60_000 });
    if (code !== 0) throw new Error(`${mode} failed: ${stderr}`);
    return stdout.trim();
  }

  /** Starts a mode of peer.py and waits for its first line. */
  async start(container: TestContainer, mode: string, ...args: string[]): Promise<Peer> {
    const peer = this.talk(container, ['python3', '-c', PEER, mode, ...args]);
    await peer.line();
    return peer;
  }

  serve(mode: string, ...args: string[]): Promise<Peer> {
    return this.start(this.provider, mode, SOCKET, ...args);
  }
}

/** Call it within `describe`. `args`: of the daemon. */
export function useUnixPair(...args: string[]): UnixPair {
  return usePair(new UnixPair(args));
}
