/**
 * An attacher whose world is a few variables: what is planted where, which pids are alive, who fails or hangs. It
 * complains about what no real one could bear: two attachments of one target at once.
 */
import type { Link } from '../../../src/graph/link.js';
import { type LinkError, XConnectError } from '../../../src/kernel/errors.js';
import type { AttachedLink, AttachedListener, Attacher } from '../../../src/mesh/attacher.js';

export interface ModelLink extends AttachedLink {
  readonly link: Link;
  readonly listener: AttachedListener;
  /** Drain times that it was asked to leave with. */
  readonly detached: number[];
  readonly retargeted: Link[];
  /** Ends its last connection. */
  finish(): void;
}

export class ModelAttacher implements Attacher {
  /** By pid; a process that died and came back has another one. */
  readonly generations = new Map<number, number>();
  /** By target: why attaching fails. */
  readonly failures = new Map<string, LinkError>();
  /** Targets whose attach does not end until `release`. */
  readonly hung = new Map<string, () => void>();
  readonly hanging = new Set<string>();
  readonly attempts: Link[] = [];
  readonly planted = new Map<string, ModelLink>();
  readonly complaints: string[] = [];
  /** Connections are open, so that a drain takes its time. */
  busy = false;
  calls = 0;

  generation(pid: number): number {
    return this.generations.get(pid) ?? 0;
  }

  async attach(link: Link, _stamp: number, listener: AttachedListener): Promise<ModelLink> {
    this.calls++;
    this.attempts.push(link);
    const where = `${link.consumer}${link.target}`;
    await Promise.resolve();
    if (this.hanging.has(where)) {
      await new Promise<void>((resolve) => this.hung.set(where, resolve));
    }
    const failure = this.failures.get(where);
    if (failure) throw new XConnectError(failure.code, failure.message);
    const generation = this.generations.get(link.consumerPid);
    if (generation === undefined) throw new XConnectError('container-gone', 'It is gone.');
    if (this.planted.has(where)) this.complaints.push(`two at ${where}`);
    const attached = this.#attached(where, link, listener, generation);
    this.planted.set(where, attached);
    return attached;
  }

  #attached(where: string, link: Link, listener: AttachedListener, generation: number): ModelLink {
    let finish: () => void = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const attached: ModelLink = {
      link,
      listener,
      consumerGeneration: generation,
      detached: [],
      retargeted: [],
      finish,
      retarget: async (to) => {
        this.calls++;
        attached.retargeted.push(to);
      },
      shown: () => ({}),
      connections: async () => [],
      watch: () => () => undefined,
      probe: async () => ({ ok: true, value: { found: where, isProven: true } }),
      fault: () => () => undefined,
      tap: () => ({ begun: Promise.resolve(), end: async () => undefined }),
      stats: () => ({ active: 0, total: 1, toProvider: 10, toConsumer: 20, closes: { eof: 1 } }),
      detach: (drainMs) => {
        this.calls++;
        if (attached.detached.length > 0) this.complaints.push(`detached twice: ${where}`);
        attached.detached.push(drainMs);
        const removed = Promise.resolve().then(() => {
          if (this.planted.get(where) === attached) this.planted.delete(where);
        });
        // Of the fake timers.
        const drained = new Promise<void>((resolve) => setTimeout(resolve, drainMs));
        const done = this.busy ? Promise.race([finished, drained]) : Promise.resolve();
        return { removed, done: Promise.all([removed, done]).then(() => undefined) };
      },
    };
    return attached;
  }

  /** A hung attach goes on. */
  release(where: string): void {
    this.hanging.delete(where);
    this.hung.get(where)?.();
    this.hung.delete(where);
  }

  /** The process behind the pid ends; with `again`, another one has the pid at once. */
  die(pid: number, again = false): void {
    const generation = this.generations.get(pid) ?? 0;
    this.generations.delete(pid);
    for (const [where, attached] of this.planted) {
      if (attached.link.consumerPid !== pid) continue;
      this.planted.delete(where); // its file system went with it
      attached.listener.onLost({ code: 'container-gone', message: 'It has ended.' });
    }
    if (again) this.generations.set(pid, generation + 1000);
  }
}
