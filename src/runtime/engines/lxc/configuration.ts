/**
 * The `lxc.container.conf` of a container: what of it is kept, and what the one that lxc-start is given is made of. Pure.
 *
 * A revision is trusted to run programs as root in its containers. What it may not do is act on the host by its
 * configuration: run programs there, read or mount files of the host's, take its interfaces. So only keys that are known
 * here are kept, each from a list of what it may do; any other one refuses the container, with its line. Keys that the
 * runtime decides (the root, the console, the log) are left out. The file of the revision is never changed.
 */
import { MAX_MANIFEST } from '../../../manifest/limits.js';
import { printable } from '../../../manifest/text.js';
import { defaultRouteOf, type Lease } from '../../address-plan.js';
import { type MountEntry, readMountEntry } from './mount-entry.js';

export interface Setting {
  readonly key: string;
  readonly value: string;
}

export interface Configuration {
  /** In their order. Without those of `mounts`. */
  readonly kept: readonly Setting[];
  readonly mounts: readonly MountEntry[];
  /** What it may not say. Not empty: the container is not started. */
  readonly faults: readonly ConfigurationFault[];
}

export interface ConfigurationFault {
  /** Of the file, from 1. */
  readonly line: number;
  readonly found: string;
  readonly expected: string;
}

const MAX_LINES = 10_000;

/** They say nothing about the host. */
const KEPT = [
  /^lxc\.(tty|pty)\.max$/,
  /^lxc\.init\.(cmd|cwd|uid|gid|groups)$/,
  /^lxc\.environment$/,
  /^lxc\.(arch|personality|ephemeral|no_new_privs|keyring\.session)$/,
  /^lxc\.uts\.name$/,
  /^lxc\.autodev(\.tmpfs\.size)?$/,
  /^lxc\.cap\.(drop|keep)$/,
  /^lxc\.signal\.(halt|reboot|stop)$/,
  /^lxc\.prlimit\.[a-z]+$/,
  /^lxc\.proc\.(oom_score_adj|oom_adj|coredump_filter|timerslack_ns)$/,
  // Those that a namespace has for itself; any other one, such as kernel.core_pattern, is the host's.
  /^lxc\.sysctl\.(net\.[A-Za-z0-9_.-]+|fs\.mqueue\.[a-z_]+|kernel\.(hostname|domainname|sem|(shm|msg)[a-z_]+))$/,
  /^lxc\.cgroup2?\.[a-z]+\.[A-Za-z0-9_.]+$/,
  /^lxc\.net\.\d{1,2}\.(link|flags|name|hwaddr|mtu|l2proxy|ipv[46]\.(address|gateway))$/,
  /^lxc\.net\.\d{1,2}\.(veth\.(mode|pair)|macvlan\.mode|ipvlan\.(mode|isolation)|vlan\.id)$/,
];
/** They are kept where their value is one of these words, or several of them. */
const CLOSED: readonly [key: RegExp, words: RegExp, expected: string][] = [
  [
    /^lxc\.net\.\d{1,2}\.type$/,
    /^(empty|none|veth|macvlan|ipvlan|vlan)$/,
    'empty, veth, macvlan, ipvlan or vlan',
  ],
  [
    /^lxc\.namespace\.(keep|clone)$/,
    /^(user|net|ipc|uts|pid|cgroup|time)$/,
    'namespaces other than mnt',
  ],
  [
    /^lxc\.mount\.auto$/,
    /^(proc|sys|cgroup)(-full)?(:(mixed|ro|rw))?(:force)?$/,
    'proc, sys and cgroup',
  ],
];
/** The runtime decides on these, and what starts containers at boot means nothing here. */
const OURS =
  /^lxc\.(rootfs\.(path|mount|options|managed)|console\.[a-z.]+|log\.[a-z]+|apparmor\.[a-z_]+|selinux\.[a-z.]+|start\.[a-z]+|group|monitor\.(unshare|signal\.pdeath))$/;
/** Why those that people try are not kept. */
const REFUSED: readonly [key: RegExp, expected: string][] = [
  [/^lxc\.hook\./, 'no hook: it would run on the host'],
  [/^lxc\.include$/, 'one file'],
  [/^lxc\.mount\.fstab$/, 'lxc.mount.entry'],
  [/^lxc\.net\.\d+\.script\./, 'no script: it would run on the host'],
  [/^lxc\.seccomp\./, 'none: it is a file of the host'],
  [
    /^lxc\.sysctl\.(?!net\.|fs\.mqueue\.|kernel\.(hostname|domainname|sem|shm|msg))/,
    "none that is the whole host's",
  ],
  [/^lxc\.idmap$/, 'none: containers are in the user namespace of the runtime'],
  [/^lxc\.cgroup\.(dir|relative)/, 'none: cgroups are where lxc puts them'],
];

/** Never throws. `text`: as it is in the revision. `allowed`: folders of the host that may be mounted. */
export function readConfiguration(text: string, allowed: readonly string[] = []): Configuration {
  const kept: Setting[] = [];
  const mounts: MountEntry[] = [];
  const faults: ConfigurationFault[] = [];
  if (text.length > MAX_MANIFEST) {
    const found = `${text.length} characters`;
    return { kept, mounts, faults: [{ line: 1, found, expected: `at most ${MAX_MANIFEST}` }] };
  }
  const lines = text.split('\n');
  if (lines.length > MAX_LINES) {
    faults.push({ line: MAX_LINES, found: 'more lines', expected: `at most ${MAX_LINES}` });
  }
  for (const [index, raw] of lines.slice(0, MAX_LINES).entries()) {
    const line = index + 1;
    const complain = (found: string, expected: string) =>
      faults.push({ line, found: shown(found), expected });
    const setting = settingOf(raw);
    if (setting === null) continue;
    if (typeof setting === 'string') {
      complain(setting, 'KEY = VALUE');
      continue;
    }
    const { key, value } = setting;
    if (key === 'lxc.mount.entry') {
      const entry = readMountEntry(value, allowed);
      if (entry.ok) mounts.push(entry.value);
      else complain(`${key} = ${value}`, entry.why);
      continue;
    }
    const expected = refusal(key, value);
    if (expected !== null) complain(`${key} = ${value}`, expected);
    else if (!OURS.test(key)) kept.push(setting);
  }
  return { kept, mounts, faults };
}

/** Null: there is nothing to read in it. A text: it is none. */
function settingOf(raw: string): Setting | string | null {
  const text = raw.replace(/\r$/, '').trim();
  if (text === '' || text.startsWith('#')) return null;
  const match = /^([A-Za-z0-9_.-]+)\s*=\s*(.*)$/.exec(text);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  if (!match || /[\x00-\x08\x0a-\x1f\x7f]/.test(text)) return text;
  const [, key = '', said = ''] = match;
  // lxc takes one pair of quotes away from around a value.
  return { key, value: /^(["'])(.*)\1$/.exec(said)?.[2]?.trim() ?? said };
}

/** What was expected in its place; null: it is fine. */
function refusal(key: string, value: string): string | null {
  const named = REFUSED.find(([one]) => one.test(key));
  if (named) return named[1];
  if (OURS.test(key) || KEPT.some((one) => one.test(key))) return null;
  const closed = CLOSED.find(([one]) => one.test(key));
  if (!closed) return 'a key that is known here';
  const [, words, expected] = closed;
  return value === '' || value.split(/\s+/).every((word) => words.test(word)) ? null : expected;
}

function shown(text: string): string {
  const line = printable(text);
  return line.length > 120 ? `${line.slice(0, 116)}...` : line;
}

/** Interfaces and addresses that stand in it. */
export function bakedIn({ kept }: Configuration) {
  const network = kept.filter(({ key }) => key.startsWith('lxc.net.'));
  return {
    hasInterfaces: network.some(({ key, value }) => key.endsWith('.type') && value !== 'none'),
    addresses: network
      .filter(({ key }) => /\.ipv[46]\.address$/.test(key))
      .map(({ value }) => value.split(/\s/)[0] as string),
  };
}

/** What the runtime adds. */
export interface Additions {
  readonly rootfs: string;
  /** Where the configuration says none. */
  readonly hostname: string;
  readonly leases: readonly Lease[];
  /** Whether it is in a network of its own, whatever the configuration says. */
  readonly ownNetwork: boolean;
  /** Values of lxc.mount.entry, in their order. */
  readonly mounts: readonly string[];
  /** The host has cgroups of version 2 alone. */
  readonly unified: boolean;
}

/** The text that lxc-start is given. */
export function writeConfiguration({ kept }: Configuration, additions: Additions): string {
  const { hostname, leases, mounts, ownNetwork, rootfs, unified } = additions;
  const isBaked = kept.some(({ key }) => key.startsWith('lxc.net.'));
  const lines = kept.flatMap(({ key, value }): string[] => {
    if (key === 'lxc.namespace.keep') {
      const words = value.split(/\s+/).filter((word) => word !== '');
      const left = ownNetwork ? words.filter((word) => word !== 'net') : words;
      return left.length > 0 ? [`${key} = ${left.join(' ')}`] : [];
    }
    if (unified && /^lxc\.cgroup\.devices\./.test(key)) return [];
    return [`${key} = ${value}`];
  });
  if (unified && kept.some(({ key }) => /^lxc\.cgroup\.devices\./.test(key))) {
    lines.push('lxc.cgroup2.devices.allow = a');
  }
  if (!kept.some(({ key }) => key === 'lxc.uts.name')) lines.push(`lxc.uts.name = ${hostname}`);
  lines.push(
    `lxc.rootfs.path = dir:${rootfs}`,
    'lxc.console.path = none', // what it writes comes to us
    'lxc.apparmor.profile = unconfined',
  );
  if (ownNetwork && leases.length === 0 && !isBaked) {
    lines.push('lxc.net.0.type = empty', 'lxc.net.0.flags = up'); // "up" is about loopback
  }
  for (const [index, lease] of leases.entries())
    lines.push(...interfaceLines(lease, index, leases));
  for (const entry of mounts) lines.push(`lxc.mount.entry = ${entry}`);
  const head =
    '# Written by pv-appengine before each start, from the configuration in the revision.';
  return `${[head, ...lines].join('\n')}\n`;
}

function interfaceLines(lease: Lease, index: number, all: readonly Lease[]): string[] {
  const { ip, mac, name, pool } = lease;
  const family = pool.width === 32 ? 'ipv4' : 'ipv6';
  const route = defaultRouteOf(lease, all);
  const settings = {
    type: 'veth',
    link: pool.bridge,
    flags: 'up',
    name,
    hwaddr: mac,
    [`${family}.address`]: `${ip}/${pool.bits}`,
    ...(route === undefined ? {} : { [`${family}.gateway`]: route }),
  };
  return Object.entries(settings).map(([key, value]) => `lxc.net.${index}.${key} = ${value}`);
}

/**
 * Which signal asks it to end: a number. lxc itself sends `halt` then, and kills by `stop`; Pantavisor asks by `stop`, and
 * kills where that did not help.
 */
export function stopSignal(
  { kept }: Configuration,
  signals: Readonly<Record<string, number>>,
): number {
  const said = (key: string) => kept.findLast((one) => one.key === `lxc.signal.${key}`)?.value;
  const text = said('stop') ?? said('halt') ?? 'SIGTERM';
  const [, base = '', sign = '', offset = '0'] =
    /^(?:SIG)?([A-Z0-9]+?)(?:([+-])(\d{1,2}))?$/.exec(text.toUpperCase()) ?? [];
  const shift = Number(offset) * (sign === '-' ? -1 : 1);
  const named = { RTMIN: 34, RTMAX: 64 }[base];
  const number = named === undefined ? (signals[`SIG${base}`] ?? Number(base)) : named + shift;
  return Number.isInteger(number) && number > 0 && number <= 64
    ? number
    : (signals.SIGTERM as number);
}
