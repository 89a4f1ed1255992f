/**
 * The requests of pv-ctrl, as Pantavisor has them; docs/appengine.md lists those that are here. What concerns the
 * storage is in storage/storage-routes.ts.
 */
import { buildGraph } from '../graph/builder.js';
import type { HostedBus } from '../graph/link-maker.js';
import type { WireLink } from '../graph/wire.js';
import { withDeadline } from '../kernel/deadline.js';
import { isObject } from '../manifest/json.js';
import { show } from '../manifest/problem.js';
import { SYSTEM_BUS } from '../manifest/services.js';
import type { ConfigEntry } from './config.js';
import type { ContainerSupervisor } from './container-supervisor.js';
import type { DaemonSupervisor } from './daemon-supervisor.js';
import { groupStatus } from './lifecycle/group-sequence.js';
import { recoveryOf } from './lifecycle/recovery.js';
import type { RevisionRunner } from './revision-runner.js';
import { type ApiAnswer, type ApiRequest, answer, HttpError, Router } from './router.js';
import { joinStatus, type PostedStatus, parseStatus } from './status-report.js';
import { type StorageParts, storageRoutes } from './storage/storage-routes.js';

export interface ApiParts {
  readonly runner: RevisionRunner;
  readonly storage: StorageParts;
  readonly commands: Commands;
  readonly bus: {
    /** What is known of it now. Undefined: the revision has no use for it. */
    readonly hosted: HostedBus | undefined;
  };
  /** Null: none is managed. */
  readonly daemon: DaemonSupervisor | null;
  readonly config: readonly ConfigEntry[];
  readonly version: string;
  /** Called when the daemon has posted. */
  readonly onPost: () => void;
}

/** What `POST /commands` may ask for, by its `op`. Each begins it, and refuses with an HttpError. */
export type Commands = Readonly<Record<string, (payload: string) => Promise<void> | void>>;

const ACTIONS = ['start', 'stop', 'restart'] as const;
type Action = (typeof ACTIONS)[number];

/**
 * How long the answer to an action waits for its end, in milliseconds: Pantavisor's clients give up after 5 s of
 * silence, and a container may take as long to stop.
 */
const PATIENCE_MS = 3_000;

export class Api {
  readonly router: Router;
  readonly #parts: ApiParts;
  #posted: readonly PostedStatus[] = [];

  constructor(parts: ApiParts) {
    this.#parts = parts;
    const { config, runner, version } = parts;
    const noDrivers = { PUT: () => answer({}) };
    this.router = new Router(
      {
        '/xconnect-graph': { GET: () => answer(this.graph()) },
        '/xconnect-status': {
          GET: () => answer(this.#posted),
          POST: async (request) => this.#post(await request.json()),
        },
        '/xconnect/dbus/activate': { POST: (request) => this.#activate(request) },
        '/daemons': { GET: () => answer(this.#daemons()) },
        '/daemons/:name': { PUT: (request, name) => this.#controlDaemon(request, name) },
        '/containers': { GET: () => answer([...runner.containers.values()].map(shown)) },
        '/containers/:name': {
          GET: (_request, name) => answer(withProcess(this.#container(name))),
          PUT: (request, name) => this.#controlContainer(request, name),
        },
        '/groups': { GET: () => answer(this.#groups()) },
        '/signal': { POST: (request) => this.#signal(request) },
        '/commands': { POST: (request) => this.#command(request) },
        '/buildinfo': { GET: () => answer(`pv-appengine ${version}\n`) },
        '/config': {
          GET: () => answer(Object.fromEntries(config.map((one) => [one.alias, one.value]))),
        },
        '/config2': {
          GET: () => answer(config.map(({ key, value, modified }) => ({ key, value, modified }))),
        },
        '/drivers': { GET: () => answer([]) },
        '/drivers/load': noDrivers,
        '/drivers/unload': noDrivers,
        ...storageRoutes(parts.storage),
      },
      ['/signal'],
    );
  }

  /** The daemon has ended, and what it posted describes nothing any more. */
  forgetStatus(): void {
    this.#posted = [];
  }

  /** The graph, each link with the state that the daemon last gave it. */
  graph(): WireLink[] {
    const { bus, runner } = this.#parts;
    const { addresses, revision } = runner.plan;
    const { hosted: hostedBus } = bus;
    const pids = new Map([...runner.containers].map(([name, { pid }]) => [name, pid]));
    const ends = new Map(
      [...runner.containers].flatMap(([name, { end }]) => (end ? [[name, end]] : [])),
    );
    const { links, unmet } = buildGraph(revision, pids, {
      ...{ addresses, ends },
      ...(hostedBus ? { hostedBus } : {}),
    });
    return joinStatus([...links, ...unmet], this.#posted);
  }

  #post(body: unknown): ApiAnswer {
    const parsed = parseStatus(body);
    if (!parsed.ok) throw new HttpError(400, parsed.why);
    this.#posted = parsed.value;
    this.#parts.onPost();
    return answer({});
  }

  async #activate(request: ApiRequest): Promise<ApiAnswer> {
    const body = await request.json();
    const { bus = SYSTEM_BUS, name } = isObject(body) ? body : {};
    if (typeof name !== 'string' || typeof bus !== 'string') {
      throw new HttpError(
        400,
        `Found ${show(body)}, expected {"bus": "${SYSTEM_BUS}", "name": ...}.`,
      );
    }
    const container = await this.#parts.runner.onDemand.activate(bus, name);
    return answer({ bus, name, container: container.settings.name, status: container.status });
  }

  #daemons() {
    const { daemon } = this.#parts;
    return daemon ? [{ name: daemon.name, pid: daemon.pid, respawn: daemon.isUp }] : [];
  }

  async #controlDaemon(request: ApiRequest, name: string): Promise<ApiAnswer> {
    const { daemon } = this.#parts;
    if (daemon?.name !== name) throw new HttpError(404, `There is no daemon ${show(name)}.`);
    const action = await actionOf(request);
    await withDeadline(daemon[action](), PATIENCE_MS, undefined);
    return answer(this.#daemons()[0]);
  }

  #container(name: string): ContainerSupervisor {
    const container = this.#parts.runner.containers.get(name);
    if (!container) throw new HttpError(404, `There is no container ${show(name)}.`);
    return container;
  }

  async #controlContainer(request: ApiRequest, name: string): Promise<ApiAnswer> {
    const container = this.#container(name);
    const action = await actionOf(request);
    const { obstacle, restartPolicy } = container.settings;
    if (restartPolicy === 'system') {
      throw new HttpError(
        403,
        `${name} has the restart policy "system": it goes with the whole system.`,
      );
    }
    if (obstacle !== null) throw new HttpError(409, `${name} ${obstacle}.`);
    if (!isPossible(action, container)) {
      throw new HttpError(409, `${name} is ${container.status}: "${action}" is not possible now.`);
    }
    const done = action === 'restart' ? container.restart() : container[action]('user');
    await withDeadline(done, PATIENCE_MS, undefined);
    return answer(shown(container));
  }

  #groups() {
    const { runner } = this.#parts;
    return runner.plan.groups.map(({ name, statusGoal, restartPolicy, autoRecovery }) => {
      const members = runner.membersOf(name);
      const { backOffText, maxRetries, stableMs } = recoveryOf(autoRecovery);
      const recovery = {
        max_retries: maxRetries,
        stable_timeout: stableMs / 1000,
        backoff_policy: backOffText,
      };
      return {
        name,
        status_goal: statusGoal,
        restart_policy: restartPolicy,
        status: groupStatus(members),
        ...(autoRecovery ? { auto_recovery: recovery } : {}),
        containers: members.map((member) => member.name),
      };
    });
  }

  /** A container says something of itself. */
  async #signal(request: ApiRequest): Promise<ApiAnswer> {
    const body = await request.json();
    const type = isObject(body) ? body.type : undefined;
    if (type !== 'ready' && type !== 'alive') {
      throw new HttpError(400, `Found the signal ${show(type)}, expected "ready" or "alive".`);
    }
    const { caller } = request;
    const container = caller ? this.#parts.runner.containers.get(caller.container) : undefined;
    if (!container) {
      const where = 'send it through /pantavisor/pv-ctrl of that container';
      throw new HttpError(400, `A signal is about the container that sends it: ${where}.`);
    }
    if (type === 'ready') container.ready();
    return answer({});
  }

  async #command(request: ApiRequest): Promise<ApiAnswer> {
    const body = await request.json();
    const { op, payload = '' } = isObject(body) ? body : {};
    if (typeof op !== 'string' || typeof payload !== 'string') {
      throw new HttpError(400, `Found ${show(body)}, expected {"op": "...", "payload": "..."}.`);
    }
    const { commands } = this.#parts;
    if (!Object.hasOwn(commands, op)) {
      throw new HttpError(501, `There is no command ${show(op)} here.`);
    }
    await commands[op]?.(payload);
    return answer({});
  }
}

function isPossible(action: Action, { isDown, status }: ContainerSupervisor): boolean {
  if (action === 'start') return isDown || status === 'RECOVERING';
  if (action === 'stop') return !isDown && status !== 'STOPPING';
  return true;
}

/** As Pantavisor shows it: what is true or false is a string. */
function shown({ settings, status, lifecycle, recovery, end }: ContainerSupervisor) {
  const { maxRetries, policy, stableMs, backOffText } = recovery;
  const autoRecovery = {
    policy,
    max_retries: maxRetries,
    current_retries: lifecycle.retries,
    stable_timeout: stableMs / 1000,
    is_stable: String(lifecycle.isStable),
    backoff_policy: backOffText,
  };
  return {
    name: settings.name,
    group: settings.group.name,
    status,
    status_goal: settings.statusGoal,
    restart_policy: settings.restartPolicy,
    roles: settings.roles,
    ...(policy === 'no' ? {} : { auto_recovery: autoRecovery }),
    ...(settings.restartPolicy === 'container'
      ? { user_stopped: String(lifecycle.userStopped) }
      : {}),
    ...(end ? { last_end: end } : {}),
  };
}

/** Our own addition, for whoever enters it. */
function withProcess(container: ContainerSupervisor) {
  const { pid, startTicks: start_time } = container;
  return { ...shown(container), type: container.settings.type, pid, start_time };
}

async function actionOf(request: ApiRequest): Promise<Action> {
  const body = await request.json();
  const action = isObject(body) ? body.action : body;
  const known = ACTIONS.find((one) => one === action);
  if (known) return known;
  throw new HttpError(
    400,
    `Found the action ${show(action)}, expected one of ${ACTIONS.join(', ')}.`,
  );
}
