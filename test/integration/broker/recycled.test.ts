/** Pids that another process has by now, while the runtime goes on naming them. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bootTicks } from '../../../src/kernel/boot-clock.js';
import { valueOrThrow } from '../../../src/kernel/result.js';
import { startContainer } from '../../support/container.js';
import { unixLink } from '../../support/link.js';
import { eventually } from '../../support/wait.js';
import { useBroker } from './support.js';

/** Of whatever hierarchy there is. */
function cgroupFolder(): string {
  const mounts = readFileSync('/proc/mounts', 'utf8').matchAll(/^\S+ (\S+) (cgroup2?) (\S+)/gm);
  const usable = [...mounts].filter(([, , , options]) => !/cpuset|devices/.test(options as string));
  const best = usable.find(([, , type]) => type === 'cgroup2') ?? usable[0];
  return best?.[1] as string;
}

describe('a recycled pid', () => {
  const at = useBroker();

  /** Of a process that starts later than this, the graph may speak as of now. */
  const retain = (name: string, pid: number) =>
    at.host.containers.retain(name, pid, bootTicks() + 10);

  async function ended(name: string): Promise<number> {
    const container = await startContainer({ name });
    const held = valueOrThrow(await retain(name, container.pid));
    await container.kill();
    await eventually(() => expect(held.alive).toBe(false));
    return container.pid;
  }

  test('is not taken again for the container that was seen to end, until a graph names another', async () => {
    const { containers } = at.host;
    const pid = await ended('old');
    const stranger = await startContainer({ name: 'stranger', pid });
    expect(stranger.pid).toBe(pid);
    const refused = await retain('old', pid);
    const message = expect.stringMatching(/^Container old: pid \d+ has ended before/);
    expect(refused).toEqual({ ok: false, error: { code: 'container-gone', message } });
    containers.see({ links: [unixLink({ consumer: 'old', consumerPid: pid })] });
    expect(await retain('old', pid)).toMatchObject({ ok: false });

    const itself = valueOrThrow(await retain('stranger', pid));
    expect(itself).toMatchObject({ pid, alive: true });
    expect(await retain('old', pid)).toMatchObject({ ok: false }); // held by now, and not for it
    containers.release(itself);

    containers.see({ links: [unixLink({ provider: 'old', providerPid: 0 })] });
    const again = valueOrThrow(await retain('old', pid));
    expect(again).toMatchObject({ pid, alive: true });
    containers.release(again);
    await stranger.kill();
  });

  test('is not taken where it was gone before it was ever held', async () => {
    const first = await startContainer({ name: 'brief' });
    await first.kill();
    expect(await retain('brief', first.pid)).toMatchObject({ error: { code: 'container-gone' } });
    const stranger = await startContainer({ name: 'stranger', pid: first.pid });
    expect(await retain('brief', first.pid)).toMatchObject({ error: { code: 'container-gone' } });
    await stranger.kill();
  });

  test('is whose its cgroup says, and nobody else’s', async () => {
    const pid = await ended('pvx-web');
    const container = await startContainer({ name: 'pvx-web', pid });
    const cgroup = join(cgroupFolder(), 'lxc/pvx-web');
    const isMade = !existsSync(dirname(cgroup));
    mkdirSync(cgroup, { recursive: true });
    writeFileSync(join(cgroup, 'cgroup.procs'), String(pid));
    const refused = await retain('pvx-db', pid);
    const message = expect.stringContaining(`pid ${pid} is in the container pvx-web by its cgroup`);
    expect(refused).toEqual({ ok: false, error: { code: 'container-gone', message } });
    const taken = valueOrThrow(await retain('pvx-web', pid)); // the same number again, and certainly it
    expect(taken).toMatchObject({ pid, alive: true });
    expect(await retain('pvx-db', pid)).toMatchObject({ ok: false });
    at.host.containers.release(taken);
    await container.kill();
    await eventually(() => rmdirSync(cgroup));
    if (isMade) rmdirSync(dirname(cgroup));
  });
});
