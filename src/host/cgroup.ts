/**
 * Which container a process is in, as runtimes name it in its cgroups: the text of /proc/PID/cgroup (cgroups(7)),
 * versions 1 and 2. Pure.
 *
 * LXC makes `lxc/NAME`, `lxc.payload.NAME` or `lxc.payload/NAME`; Docker, Podman and containerd make `docker/ID`,
 * `docker-ID.scope`, `libpod-ID.scope` and the like, with an id of 64 hexadecimal digits. Where containers are in
 * containers, the outermost is the one that the runtime of this machine made: a container may have made any below it.
 * A pod of Podman, `libpod_parent/ID`, is no container.
 */
const LXC = /^lxc(?:\.payload)?$/;
const LXC_NAME = /^lxc\.payload\.(.+)$/;
const ID = /^(?:[a-z-]+-)?([0-9a-f]{64})(?:\.scope)?$/;
const PODS = 'libpod_parent';
const POD = /^[0-9a-f]{64}$/;
/** As much of an id as people write. */
const SHORT_ID = /^[0-9a-f]{12,64}$/;

/** Containers that the process is in, the outermost first. */
function containersOf(path: string): string[] {
  const found: string[] = [];
  const parts = path.split('/');
  parts.forEach((part, i) => {
    const before = parts[i - 1] ?? '';
    if (before === PODS && POD.test(part)) return;
    const name = LXC.test(before) ? part : (LXC_NAME.exec(part) ?? ID.exec(part))?.[1];
    if (name) found.push(name);
  });
  return found;
}

const pathsOf = (cgroup: string) =>
  cgroup.split('\n').map((line) => line.split(':').slice(2).join(':'));

/**
 * The container as its cgroups name it; null: they name none. `own`: the same text of this process, which may be in
 * a container itself, together with the other.
 */
export function containerOf(cgroup: string, own: string): string | null {
  const around = pathsOf(own).map(containersOf);
  for (const path of pathsOf(cgroup)) {
    const containers = containersOf(path);
    const shared = around.map((ours) => commonLength(ours, containers));
    const name = containers[Math.max(0, ...shared)];
    if (name !== undefined) return name;
  }
  return null;
}

function commonLength(a: readonly string[], b: readonly string[]): number {
  const end = a.findIndex((name, i) => name !== b[i]);
  return end < 0 ? a.length : end;
}

/**
 * Whether the container that the graph calls `name` is the one that the cgroups call `found`. Null: can't be told, as
 * names and ids say nothing of each other. LXC adds `-1` and so on to a name that is taken.
 */
export function isSameContainer(name: string, found: string): boolean | null {
  const isId = ID.test(found);
  if (isId) return SHORT_ID.test(name) ? found.startsWith(name) : null;
  return (
    found === name ||
    (found.startsWith(`${name}-`) && /^\d{1,3}$/.test(found.slice(name.length + 1)))
  );
}
