/**
 * What `pvr app add` makes of a container's `args.json`: its `run.json` and its `lxc.container.conf`. Pure.
 *
 * Arguments that are not in here mean nothing. What the folder of the container says itself, in a `run.json` or in an
 * `lxc.container.conf` of its own, counts.
 */
import { isObject, type JsonObject, known } from '../../manifest/json.js';
import { OVERLAY } from '../container-settings.js';
import { volumeName } from '../engines/lxc/volumes.js';

const RUN_SPEC = 'service-manifest-run@1';
export const CONFIG = 'lxc.container.conf';
export const ROOT = 'root.squashfs';
/** Where, in the root, the script is that `renderScript` makes. */
export const SCRIPT = 'etc/pv/exec';

export interface Source {
  readonly name: string;
  /** `run.json` and `args.json`; empty where there is none. */
  readonly run: JsonObject;
  readonly args: JsonObject;
}

/** The `run.json`, in the order in which pvr writes it. */
export function renderRun({ name, run, args }: Source): JsonObject {
  const isMounted = goalOf({ name, run, args }) === 'MOUNTED';
  const { PV_SERVICES_REQUIRED: required, PV_SERVICES_OPTIONAL: optional } = args;
  const requires = known({ required, optional });
  const { exec: _exec, ...own } = run;
  return known({
    '#spec': RUN_SPEC,
    name,
    config: isMounted ? undefined : CONFIG,
    drivers: {
      manual: args.PV_DRIVERS_MANUAL ?? [],
      required: args.PV_DRIVERS_REQUIRED ?? [],
      optional: args.PV_DRIVERS_OPTIONAL ?? [],
    },
    group: args.PV_GROUP,
    restart_policy: args.PV_RESTART_POLICY,
    status_goal: args.PV_STATUS_GOAL,
    auto_recovery: args.PV_AUTO_RECOVERY,
    network: networkOf(args),
    services: Object.keys(requires).length > 0 ? requires : undefined,
    storage: storageOf(args),
    type: 'lxc',
    roles: listOf(args.PV_ROLES).length > 0 ? listOf(args.PV_ROLES) : undefined,
    'root-volume': ROOT,
    volumes: listOf(args.PV_EXTRA_VOLUMES),
    ...own,
  });
}

/** The `lxc.container.conf`. Null: the container is only mounted. */
export function renderConfiguration(source: Source): string | null {
  const { name, run, args } = source;
  if (goalOf(source) === 'MOUNTED') return null;
  const command =
    renderScript(run) === null ? (wordsOf(run)?.join(' ') ?? '/sbin/init') : `/bin/sh /${SCRIPT}`;
  const kept =
    args.PV_LXC_NAMESPACE_KEEP ?? (args.PV_LXC_NETWORK_TYPE ? 'user ipc' : 'user net ipc');
  const lines = [
    `lxc.tty.max = ${args.LXC_TTY_MAX ?? 8}`,
    `lxc.pty.max = ${args.LXC_PTY_MAX ?? 1024}`,
    'lxc.cgroup.devices.allow = a',
    `lxc.rootfs.path = overlayfs:/volumes/${name}/${ROOT}:/volumes/${name}/${OVERLAY}/upper`,
    `lxc.init.cmd = ${command}`,
    'lxc.environment = PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...listOf(args.PV_LXC_EXTRA_ENV).map((value) => `lxc.environment = ${value}`),
    `lxc.namespace.keep = ${kept}`,
    'lxc.mount.auto = proc sys:rw cgroup',
    'lxc.mount.entry = /etc/resolv.conf etc/resolv.conf none bind,rw,create=file 0 0',
    'lxc.mount.entry = tmpfs run tmpfs rw,nodev,relatime,create=dir,mode=755 0 0',
    ...pathsOf(args).map(
      (path) =>
        `lxc.mount.entry = /volumes/${name}/${volumeName(path)} ${path.slice(1)} none bind,rw,create=dir 0 0`,
    ),
    ...listOf(args.PV_LXC_CAP_DROP).map((value) => `lxc.cap.drop = ${value.toLowerCase()}`),
    ...listOf(args.PV_LXC_CAP_KEEP).map((value) => `lxc.cap.keep = ${value.toLowerCase()}`),
    ...interfaceLines(args),
    ...(typeof args.PV_LXC_EXTRA_CONF === 'string' ? [args.PV_LXC_EXTRA_CONF] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function goalOf({ run, args }: Source): unknown {
  return run.status_goal ?? args.PV_STATUS_GOAL;
}

function networkOf(args: JsonObject): JsonObject | undefined {
  const { PV_NETWORK_POOL: pool, PV_NETWORK_HOSTNAME: hostname } = args;
  const { PV_NETWORK_IP: ip, PV_NETWORK_MAC: mac } = args;
  if (pool === undefined && hostname === undefined) return undefined;
  const isFixed = ip !== undefined || mac !== undefined;
  const own = known({ ipv4_address: ip, mac_address: mac });
  return known({
    mode: pool === undefined ? undefined : 'pool',
    pool,
    hostname,
    interfaces: isFixed ? [own] : undefined,
  });
}

function storageOf(args: JsonObject): JsonObject {
  const entries = Object.entries(persistenceOf(args)).map(([path, persistence]) => [
    volumeName(path),
    { persistence },
  ]);
  return { [OVERLAY]: { persistence: 'boot' }, ...Object.fromEntries(entries) };
}

function pathsOf(args: JsonObject): string[] {
  return Object.keys(persistenceOf(args)).filter((path) => path.startsWith('/'));
}

/** `PV_PERSISTENCE`, our own word: by path, how long what is written there is kept. */
function persistenceOf({ PV_PERSISTENCE: said }: JsonObject): JsonObject {
  return isObject(said) ? said : {};
}

function interfaceLines(args: JsonObject): string[] {
  const { PV_LXC_NETWORK_TYPE: type, PV_LXC_NETWORK_LINK: link = 'lxcbr0' } = args;
  if (type !== 'empty' && type !== 'veth') return [];
  if (type === 'empty') return ['lxc.net.0.type = empty'];
  const { PV_LXC_NETWORK_IPV4_ADDRESS: address, PV_LXC_NETWORK_IPV4_GATEWAY: gateway } = args;
  return [
    'lxc.net.0.type = veth',
    `lxc.net.0.link = ${link}`,
    'lxc.net.0.flags = up',
    ...(address === undefined ? [] : [`lxc.net.0.ipv4.address = ${address}`]),
    ...(address === undefined ? [] : [`lxc.net.0.ipv4.gateway = ${gateway ?? 'auto'}`]),
  ];
}

function listOf(value: unknown): string[] {
  const list = typeof value === 'string' ? value.split(',') : value;
  return Array.isArray(list) ? list.filter((one): one is string => typeof one === 'string') : [];
}

/**
 * The shell script that runs the `exec`, for a file laid over the root. Null: there is none, or its words can stand in
 * `lxc.init.cmd`. liblxc takes that apart at spaces and knows no quotes, but takes one pair away from around all of it.
 */
export function renderScript(run: JsonObject): string | null {
  const words = wordsOf(run);
  const isPlain = (word: string, index: number) =>
    (index === 0 ? /^[^\s"'][^\s]*$/ : /^\S+$/).test(word);
  if (!words || words.every(isPlain)) return null;
  const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  return `exec ${quoted.join(' ')}\n`;
}

function wordsOf({ exec }: JsonObject): string[] | null {
  return Array.isArray(exec) && exec.length > 0 ? exec.map(String) : null;
}
