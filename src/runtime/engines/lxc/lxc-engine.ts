/** Runs containers with liblxc's own commands. Not there yet: it says so. */
import type { WhyResult } from '../../../kernel/result.js';
import type { Engine } from '../engine.js';

const ABSENT = { ok: false, why: 'the lxc engine is not there yet' } as const;

export class LxcEngine implements Engine {
  async mount(): Promise<WhyResult<undefined>> {
    return ABSENT;
  }

  async start() {
    return ABSENT;
  }

  async unmount(): Promise<void> {}
}
