/**
 * What the runtime needs to know of a container, from its `run.json`, its `args.json` and its group. Pure; what is
 * wrong in them becomes a problem, and a default takes its place.
 *
 * Groups: those of `device.json` (or `groups.json`), and only those; where there are none, the four of Pantavisor. A
 * container that names none belongs to `platform` then, the first one by name to `root` if nobody else is in it.
 */
import { toRecovery } from '../manifest/device.js';
import {
  AUTO_RECOVERY_SCHEMA,
  FILE_SCHEMA,
  NETWORK_SCHEMA,
  STORAGE_SCHEMA,
} from '../manifest/device-schema.js';
import { noteNearMisses } from '../manifest/fields.js';
import { isObject } from '../manifest/json.js';
import { type Place, type Problem, pointerTo, show } from '../manifest/problem.js';
import { ProblemList } from '../manifest/problem-list.js';
import {
  type AutoRecovery,
  type ContainerManifest,
  type DeviceGroup,
  RESTART_POLICIES,
  type RestartPolicy,
  type Revision,
  STATUS_GOALS,
  type StatusGoal,
} from '../manifest/revision.js';
import { meets, type Schema } from '../manifest/schema.js';
import { byName, isHostname, isName } from '../manifest/text.js';

/** Names of engines. */
export const CONTAINER_TYPES = ['namespace', 'lxc'] as const;
export type ContainerType = (typeof CONTAINER_TYPES)[number];
/** How long what is written is kept: always, as long as the revision runs, until the next start. */
export type Persistence = 'permanent' | 'revision' | 'boot';

export interface Group {
  readonly name: string;
  readonly statusGoal: StatusGoal;
  readonly restartPolicy: RestartPolicy;
  /** Seconds that the next group waits for this one. */
  readonly timeout: number;
  /** Of those containers that have none of their own. */
  readonly autoRecovery?: AutoRecovery;
}

/** A value, and where it was said. */
export interface Told {
  readonly value: string;
  readonly place: Place;
}

/** An interface with an address of a pool. */
export interface WantedInterface {
  readonly name: string;
  readonly pool: Told;
  /** The address that it has to be, with or without the length of the prefix. Absent: any. */
  readonly address?: Told;
  readonly mac?: string;
}

export interface ContainerSettings {
  readonly name: string;
  /** Of its engine. */
  readonly type: ContainerType;
  /** Why it is never started, as the end of a sentence that begins with its name; null: it may be. */
  readonly obstacle: string | null;
  readonly group: Group;
  readonly statusGoal: StatusGoal;
  readonly restartPolicy: RestartPolicy;
  /** Its own, else the group's as a whole. */
  readonly autoRecovery?: AutoRecovery;
  readonly roles: readonly string[];
  /** Program and arguments, of the type `namespace`; else empty. */
  readonly exec: readonly string[];
  /** Files of its folder in the revision, of the type `lxc`: configuration, root, more volumes. */
  readonly config?: string;
  readonly root?: string;
  readonly volumes: readonly string[];
  /** By volume (`lxc-overlay`: what is written to the root) or path. */
  readonly storage: ReadonlyMap<string, Persistence>;
  /** Whether it has a network namespace of its own: with loopback alone, or with `interfaces` too. */
  readonly ownNetwork: boolean;
  readonly interfaces: readonly WantedInterface[];
  readonly hostname: string;
}

export interface RuntimeSettings {
  /** In the order in which they start. */
  readonly groups: readonly Group[];
  /** In order of their names. */
  readonly containers: readonly ContainerSettings[];
  readonly problems: readonly Problem[];
}

/** The volume that stands for what a container writes to its root. */
export const OVERLAY = 'lxc-overlay';

const DEFAULT_TIMEOUT = 30;
const GROUPS: readonly Group[] = [
  { name: 'data', statusGoal: 'MOUNTED', restartPolicy: 'system', timeout: DEFAULT_TIMEOUT },
  { name: 'root', statusGoal: 'STARTED', restartPolicy: 'system', timeout: DEFAULT_TIMEOUT },
  { name: 'platform', statusGoal: 'STARTED', restartPolicy: 'system', timeout: DEFAULT_TIMEOUT },
  { name: 'app', statusGoal: 'STARTED', restartPolicy: 'container', timeout: DEFAULT_TIMEOUT },
];
const MAX_ARGUMENTS = 256;
/** The kernel's limit for one argument is MAX_ARG_STRLEN, with the NUL. */
const MAX_ARGUMENT = 128 * 1024 - 1;
const RECOVERY_FIELDS = Object.keys(AUTO_RECOVERY_SCHEMA.properties as object);
const NETWORK_FIELDS = Object.keys(NETWORK_SCHEMA.properties as object);

export function runtimeSettings(revision: Revision): RuntimeSettings {
  const groups = new GroupBook(revision);
  const problems = new ProblemList();
  const containers = revision.containers.map((manifest) =>
    new ContainerReader(manifest, groups, problems).settings(),
  );
  return { groups: groups.all, containers, problems: problems.list() };
}

/** Which group a container is in. */
class GroupBook {
  readonly #groups: ReadonlyMap<string, Group>;
  readonly #areOurs: boolean;
  /** The container that is in `root` without having said so. */
  readonly #first: string | undefined;

  constructor({ device, containers }: Revision) {
    this.#areOurs = device.groups.length === 0;
    const groups = this.#areOurs ? GROUPS : device.groups.map(toGroup);
    this.#groups = new Map(groups.map((group) => [group.name, group]));
    const isTaken = containers.some((one) => groupSaid(one)?.value === 'root');
    const free = containers.filter((one) => groupSaid(one) === undefined).map(({ name }) => name);
    this.#first = isTaken ? undefined : free.sort(byName)[0];
  }

  get all(): Group[] {
    return [...this.#groups.values()];
  }

  /** `isKnown`: it is the one that was meant. */
  of(manifest: ContainerManifest, problems: ProblemList): { group: Group; isKnown: boolean } {
    const said = groupSaid(manifest);
    const fallback = this.#groups.get('platform') ?? (this.all.at(-1) as Group);
    const names = [...this.#groups.keys()].join(', ');
    if (said === undefined) {
      if (this.#areOurs) {
        const ours = manifest.name === this.#first ? 'root' : 'platform';
        return { group: this.#groups.get(ours) as Group, isKnown: true };
      }
      const place = { file: `${manifest.name}/run.json`, pointer: '' };
      problems.add('group-missing', place, 'no group', `one of the groups ${names}`);
      return { group: fallback, isKnown: false };
    }
    const group = typeof said.value === 'string' ? this.#groups.get(said.value) : undefined;
    if (group) return { group, isKnown: true };
    problems.add('group-missing', said.place, show(said.value), `one of the groups ${names}`);
    return { group: fallback, isKnown: false };
  }
}

function groupSaid({ name, run, args }: ContainerManifest) {
  if (run.group !== undefined) {
    return { value: run.group, place: { file: `${name}/run.json`, pointer: '/group' } };
  }
  if (args.PV_GROUP === undefined) return undefined;
  return { value: args.PV_GROUP, place: { file: `${name}/args.json`, pointer: '/PV_GROUP' } };
}

function toGroup(declared: DeviceGroup): Group {
  const { name, statusGoal, restartPolicy, timeout, autoRecovery } = declared;
  const ours = GROUPS.find((group) => group.name === name);
  return {
    name,
    statusGoal: statusGoal ?? ours?.statusGoal ?? 'STARTED',
    restartPolicy: restartPolicy ?? ours?.restartPolicy ?? 'container',
    timeout: timeout ?? DEFAULT_TIMEOUT,
    ...(autoRecovery ? { autoRecovery } : {}),
  };
}

class ContainerReader {
  readonly #manifest: ContainerManifest;
  readonly #groups: GroupBook;
  readonly #problems: ProblemList;

  constructor(manifest: ContainerManifest, groups: GroupBook, problems: ProblemList) {
    this.#manifest = manifest;
    this.#groups = groups;
    this.#problems = problems;
  }

  settings(): ContainerSettings {
    const { name, run } = this.#manifest;
    const { group, isKnown } = this.#groups.of(this.#manifest, this.#problems);
    const type = this.#type();
    const statusGoal = this.#choose(
      'status_goal',
      'PV_STATUS_GOAL',
      STATUS_GOALS,
      group.statusGoal,
    );
    const network = this.#network();
    const exec = type === 'namespace' ? this.#exec(statusGoal) : [];
    const config = type === 'lxc' ? this.#file('config') : undefined;
    const root = type === 'lxc' ? this.#root() : undefined;
    const idle = statusGoal === 'MOUNTED';
    const obstacles: readonly [isThere: boolean, what: string][] = [
      [!isKnown, 'is in no group that there is: correct that first'],
      [
        type === undefined,
        `has a type that no engine runs: give it one of ${CONTAINER_TYPES.join(', ')}`,
      ],
      [
        type === 'namespace' && exec.length === 0 && !idle,
        'has nothing to run: give it "exec" in its run.json',
      ],
      [type === 'lxc' && root === undefined, 'has no root: give it "root-volume" in its run.json'],
      [
        type === 'lxc' && config === undefined && !idle,
        'has nothing to run: give it "config" in its run.json',
      ],
      [network === null, 'has a "network" that is not valid: correct that first'],
    ];
    const [, obstacle = null] = obstacles.find(([isThere]) => isThere) ?? [];
    const autoRecovery = this.#autoRecovery() ?? group.autoRecovery;
    this.#noteWhatIsNotHere();
    return {
      name,
      type: type ?? 'namespace',
      obstacle,
      group,
      statusGoal,
      restartPolicy: this.#choose(
        'restart_policy',
        'PV_RESTART_POLICY',
        RESTART_POLICIES,
        group.restartPolicy,
      ),
      ...(autoRecovery ? { autoRecovery } : {}),
      roles: rolesOf(run.roles ?? this.#manifest.args.PV_ROLES),
      exec,
      ...(config === undefined ? {} : { config }),
      ...(root === undefined ? {} : { root }),
      volumes: this.#volumes(),
      storage: this.#storage(),
      ...(network ?? { ownNetwork: true, interfaces: [], hostname: name }),
    };
  }

  /** A container of which nothing but a root is said is one of Pantavisor's that is only mounted. */
  #type(): ContainerType | undefined {
    const { run } = this.#manifest;
    const type = run.type ?? (run['root-volume'] === undefined ? 'namespace' : 'lxc');
    const known = CONTAINER_TYPES.find((one) => one === type);
    if (!known) this.#complain('type', type, `one of ${CONTAINER_TYPES.join(', ')}`);
    return known;
  }

  #exec(goal: StatusGoal): readonly string[] {
    const { exec } = this.#manifest.run;
    if (isExec(exec)) return exec;
    if (exec !== undefined || goal !== 'MOUNTED') {
      this.#complain('exec', exec, 'a program and its arguments: it is not started');
    }
    return [];
  }

  #choose<T extends string>(key: string, arg: string, values: readonly T[], other: T): T {
    const { run, args } = this.#manifest;
    const value = run[key] ?? args[arg] ?? other;
    if ((values as readonly unknown[]).includes(value)) return value as T;
    this.#complain(key, value, `one of ${values.join(', ')}`);
    return other;
  }

  #file(key: string): string | undefined {
    return this.#read(FILE_SCHEMA, key);
  }

  /** `dm:root.squashfs` is one whose blocks Pantavisor checks by device mapper. */
  #root(): string | undefined {
    const said = this.#file('root-volume');
    if (!said?.startsWith('dm:')) return said;
    const expected = 'one without "dm:": its hash is checked when it is read';
    this.#note('root-volume', show(said), expected);
    return said.slice('dm:'.length);
  }

  #volumes(): string[] {
    const { volumes } = this.#manifest.run;
    if (volumes === undefined) return [];
    if (!Array.isArray(volumes) || volumes.length > MAX_ARGUMENTS) {
      this.#complain('volumes', volumes, `an array of at most ${MAX_ARGUMENTS} names`);
      return [];
    }
    return volumes.filter((volume, index): volume is string => {
      const pointer = pointerTo('/volumes', index);
      return meets(FILE_SCHEMA, volume, { file: this.#runFile, pointer }, this.#problems);
    });
  }

  #storage(): Map<string, Persistence> {
    const storage = this.#read(STORAGE_SCHEMA, 'storage') ?? {};
    return new Map(
      Object.entries(storage).map(([volume, { persistence = 'boot', disk }]) => {
        if (disk !== undefined) {
          const pointer = `${pointerTo('/storage', volume)}/disk`;
          this.#noteAt(
            pointer,
            `the disk ${show(disk)}`,
            'none: volumes are in the storage folder',
          );
        }
        return [volume, persistence];
      }),
    );
  }

  #autoRecovery(): AutoRecovery | undefined {
    const { name, run, args } = this.#manifest;
    const value = run.auto_recovery ?? args.PV_AUTO_RECOVERY;
    if (value === undefined) return undefined;
    const place =
      run.auto_recovery === undefined
        ? { file: `${name}/args.json`, pointer: '/PV_AUTO_RECOVERY' }
        : { file: this.#runFile, pointer: '/auto_recovery' };
    if (isObject(value)) noteNearMisses(value, RECOVERY_FIELDS, place, this.#problems, 'notice');
    return meets(AUTO_RECOVERY_SCHEMA, value, place, this.#problems)
      ? toRecovery(value)
      : undefined;
  }

  /** Where both say something, `run.json` counts. Null: that is not valid, and may have closed something. */
  #network(): Pick<ContainerSettings, 'ownNetwork' | 'interfaces' | 'hostname'> | null {
    const { name, run, args } = this.#manifest;
    if (isObject(run.network)) {
      const place = { file: this.#runFile, pointer: '/network' };
      noteNearMisses(run.network, NETWORK_FIELDS, place, this.#problems, 'notice');
    }
    const own = run.network === undefined ? {} : this.#read(NETWORK_SCHEMA, 'network');
    if (own === undefined) return null;
    const argument = (key: string): Told | undefined => {
      const value = args[key];
      if (value === undefined) return undefined;
      const place = { file: `${name}/args.json`, pointer: pointerTo('', key) };
      if (typeof value === 'string' && value !== '') return { value, place };
      this.#problems.add('shape-wrong', place, show(value), 'text');
      return undefined;
    };
    const hostname = own.hostname ?? argument('PV_NETWORK_HOSTNAME')?.value ?? name;
    if (!isHostname(hostname) && hostname !== name) {
      this.#complain('network', hostname, 'a host name');
    }
    const said = run.network === undefined ? argument('PV_NETWORK_POOL') : undefined;
    const interfaces = said
      ? [this.#fromArguments(said, argument('PV_NETWORK_IP'), argument('PV_NETWORK_MAC'))]
      : own.mode === 'host' || own.mode === 'none'
        ? []
        : this.#interfaces(own.pool, own.interfaces);
    if (own.mode === 'pool' && interfaces.length === 0) {
      this.#complain('network', own, 'the name of a "pool", or "interfaces"');
      return null;
    }
    return {
      ownNetwork: interfaces.length > 0 || own.mode === 'none',
      interfaces,
      hostname: isHostname(hostname) ? hostname : name,
    };
  }

  #fromArguments(pool: Told, address: Told | undefined, mac: Told | undefined): WantedInterface {
    return {
      name: 'eth0',
      pool,
      ...(address ? { address } : {}),
      ...(mac ? { mac: mac.value } : {}),
    };
  }

  #interfaces(
    pool: string | undefined,
    listed: readonly {
      readonly name?: string;
      readonly pool?: string;
      readonly ipv4_address?: string;
      readonly mac_address?: string;
    }[] = [],
  ): WantedInterface[] {
    const at = (pointer: string): Place => ({ file: this.#runFile, pointer });
    if (listed.length === 0) {
      if (pool === undefined) return [];
      return [{ name: 'eth0', pool: { value: pool, place: at('/network/pool') } }];
    }
    const names = new Set<string>();
    return listed.flatMap((one, index): WantedInterface[] => {
      const pointer = pointerTo('/network/interfaces', index);
      const wanted = one.pool ?? pool;
      const name = one.name ?? `eth${index}`;
      if (wanted === undefined || names.has(name)) {
        const [found, expected] =
          wanted === undefined
            ? ['no "pool"', 'the name of one']
            : [`the interface ${show(name)} again`, 'each once'];
        this.#problems.add('shape-wrong', at(pointer), found as string, expected as string);
        return [];
      }
      names.add(name);
      const place = at(one.pool === undefined ? '/network/pool' : `${pointer}/pool`);
      const address = one.ipv4_address;
      return [
        {
          name,
          pool: { value: wanted, place },
          ...(address === undefined
            ? {}
            : { address: { value: address, place: at(`${pointer}/ipv4_address`) } }),
          ...(one.mac_address === undefined ? {} : { mac: one.mac_address }),
        },
      ];
    });
  }

  /** Drivers are of the board. */
  #noteWhatIsNotHere(): void {
    const { drivers } = this.#manifest.run;
    const required = isObject(drivers) ? drivers.required : undefined;
    if (!Array.isArray(required) || required.length === 0) return;
    this.#noteAt('/drivers/required', show(required), 'none: this runtime loads no drivers');
  }

  get #runFile(): string {
    return `${this.#manifest.name}/run.json`;
  }

  /** The value of a key, where it is there and meets its schema. */
  #read<T>(schema: Schema<T>, key: string): T | undefined {
    const value = this.#manifest.run[key];
    if (value === undefined) return undefined;
    const place = { file: this.#runFile, pointer: pointerTo('', key) };
    return meets(schema, value, place, this.#problems) ? value : undefined;
  }

  #complain(key: string, found: unknown, expected: string): void {
    const place = { file: this.#runFile, pointer: pointerTo('', key) };
    this.#problems.add('shape-wrong', place, show(found), expected);
  }

  #note(key: string, found: string, expected: string): void {
    this.#noteAt(pointerTo('', key), found, expected);
  }

  #noteAt(pointer: string, found: string, expected: string): void {
    this.#problems.add(
      'field-ignored',
      { file: this.#runFile, pointer },
      found,
      expected,
      'notice',
    );
  }
}

function isExec(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_ARGUMENTS) return false;
  const whole = value.every(
    (part) => typeof part === 'string' && part.length <= MAX_ARGUMENT && !part.includes('\0'),
  );
  return whole && value[0] !== '';
}

function rolesOf(value: unknown): string[] {
  const list = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(list)) return [];
  return list.filter((role): role is string => typeof role === 'string' && isName(role));
}
