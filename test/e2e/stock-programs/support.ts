/**
 * Stock programs: a server as Debian has it in the provider, and its own clients beside it and in the consumer. The
 * service is found at the same place in both, so that the same command runs with and without the mesh.
 */
import type { ChildProcess } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContainer } from '../../support/container.js';
import { ContainerPair, usePair } from '../../support/container-pair.js';
import type { WireLink } from '../../support/link.js';
import type { Peer } from '../../support/peer-process.js';

/** An ordinary user, in both containers. */
export const USER = { name: 'tester', uid: 1234 };
const AS_USER = ['setpriv', `--reuid=${USER.uid}`, `--regid=${USER.uid}`, '--clear-groups'];

/** What a program did: the end of it, and all that it said. */
export interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

export class StockPair extends ContainerPair {
  constructor(link: Partial<WireLink>) {
    super({
      args: ['--patience', '3'],
      link: { role: USER.name, ...link },
      containers: { net: true },
    });
  }

  override async setUp(): Promise<void> {
    await super.setUp();
    for (const { rootDir } of [this.consumer, this.provider]) {
      const { name, uid } = USER;
      appendFileSync(join(rootDir, 'etc/passwd'), `${name}:x:${uid}:${uid}::/tmp:/bin/sh\n`);
      appendFileSync(join(rootDir, 'etc/group'), `${name}:x:${uid}:\n`);
      const shm = join(rootDir, 'dev/shm');
      mkdirSync(shm);
      chmodSync(shm, 0o1777);
      writeFileSync(join(rootDir, 'etc/machine-id'), `${'0123456789abcdef'.repeat(2)}\n`);
    }
  }

  /** Starts a server in the provider, as the ordinary user; what it says is thrown away. */
  serve(script: string): ChildProcess {
    const child = this.run(this.provider, [...AS_USER, 'sh', '-c', script]);
    child.stdout?.resume();
    child.stderr?.resume();
    return child;
  }

  /** Starts a client as the ordinary user, to talk with. The script ends with `exec`: who is killed is the client. */
  session(container: TestContainer, script: string): Peer {
    return this.talk(container, [...AS_USER, 'env', 'HOME=/tmp', 'sh', '-c', script]);
  }

  /** Runs a script as the ordinary user. */
  async sh(container: TestContainer, script: string, input?: Buffer): Promise<Outcome> {
    const argv = [...AS_USER, 'env', 'HOME=/tmp', 'sh', '-c', script];
    const options = { timeout: 30_000, ...(input ? { input } : {}) };
    const { code, stdout, stderr } = await container.exec(argv, options);
    return { code, output: `${stdout}${stderr}` };
  }

  /** The script without the mesh, and then through it. */
  async both(script: string, input?: Buffer): Promise<{ direct: Outcome; through: Outcome }> {
    const direct = await this.sh(this.provider, script, input);
    return { direct, through: await this.sh(this.consumer, script, input) };
  }
}

/** Call it within `describe`. */
export function useStockPair(link: Partial<WireLink>): StockPair {
  return usePair(new StockPair(link));
}
