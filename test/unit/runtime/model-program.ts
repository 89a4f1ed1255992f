/** Stands in for what a supervisor keeps: each launch takes a turn of the event loop, and the next pid. */
import { ok } from '../../../src/kernel/result.js';
import type { Launched } from '../../../src/runtime/supervisor.js';

/** The part of an engine that a container without a root of its own has no use for. */
export const NO_MOUNTS = {
  mount: async () => ok(undefined),
  unmount: async () => undefined,
};

export class ModelProgram {
  launches = 0;
  alive = 0;
  /** How many launches fail from now on. */
  failures = 0;
  /** It goes on when it is asked to end. */
  isStubborn = false;
  /** Ends it. */
  end: (how: string) => void = () => undefined;

  async launch(): Promise<Launched> {
    this.launches++;
    const pid = 100 + this.launches;
    await new Promise((resolve) => setImmediate(resolve));
    if (this.failures > 0) {
      this.failures--;
      return { ok: false, why: 'no luck' };
    }
    this.alive++;
    const exited = new Promise<string>((resolve) => {
      this.end = (how) => {
        this.end = () => undefined;
        this.alive--;
        resolve(how);
      };
    });
    return ok({
      pid,
      exited,
      ask: () => {
        if (!this.isStubborn) this.end('signal SIGTERM');
      },
      kill: () => this.end('signal SIGKILL'),
    });
  }
}
