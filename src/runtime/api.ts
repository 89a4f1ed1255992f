/**
 * The requests of pv-ctrl, as Pantavisor has them; docs/appengine.md lists those that are here.
 */
import { buildGraph } from '../graph/builder.js';
import type { HostedBus } from '../graph/link-maker.js';
import { isObject } from '../manifest/json.js';
import { show } from '../manifest/problem.js';
import type { Revision } from '../manifest/revision.js';
import { SYSTEM_BUS } from '../manifest/services.js';
import type { Group } from './container-settings.js';
import type { ContainerSupervisor } from './container-supervisor.js';
import type { DaemonSupervisor } from './daemon-supervisor.js';
import type { OnDemandContainers } from './on-demand-containers.js';
import { type ApiAnswer, type ApiRequest, answer, HttpError, Router } from './router.js';
import { joinStatus, type PostedStatus, parseStatus } from './status-report.js';

export interface ApiParts {
  readonly revision: Revision;
  readonly groups: readonly Group[];
  readonly containers: ReadonlyMap<string, ContainerSupervisor>;
  /** Of the network pools, by container. */
  readonly addresses: ReadonlyMap<string, string>;
  readonly onDemand: OnDemandContainers;
  readonly bus: {
    /** What is known of it now. Undefined: the revision has no use for it. */
    readonly hosted: HostedBus | undefined;
  };
  /** Null: none is managed. */
  readonly daemon: DaemonSupervisor | null;
  readonly version: string;
}

const ACTIONS = ['start', 'stop', 'restart'] as const;
type Action = (typeof ACTIONS)[number];

export class Api {
  readonly router: Router;
  readonly #parts: ApiParts;
  #posted: readonly PostedStatus[] = [];

  constructor(parts: ApiParts) {
    this.#parts = parts;
    this.router = new Router({
      '/xconnect-graph': { GET: () => answer(this.#graph()) },
      '/xconnect-status': {
        GET: () => answer(this.#posted),
        POST: async (request) => this.#post(await request.json()),
      },
      '/xconnect/dbus/activate': { POST: (request) => this.#activate(request) },
      '/daemons': { GET: () => answer(this.#daemons()) },
      '/daemons/:name': { PUT: (request, name) => this.#controlDaemon(request, name) },
      '/containers': { GET: () => answer([...parts.containers.values()].map(shown)) },
      '/containers/:name': { PUT: (request, name) => this.#controlContainer(request, name) },
      '/groups': { GET: () => answer(this.#groups()) },
      '/buildinfo': { GET: () => answer(`pv-appengine ${parts.version}\n`) },
    });
  }

  /** The daemon has ended, and what it posted describes nothing any more. */
  forgetStatus(): void {
    this.#posted = [];
  }

  #graph() {
    const { revision, containers, addresses, bus } = this.#parts;
    const { hosted: hostedBus } = bus;
    const pids = new Map([...containers].map(([name, { pid }]) => [name, pid]));
    const { links } = buildGraph(revision, pids, {
      addresses,
      ...(hostedBus ? { hostedBus } : {}),
    });
    return joinStatus(links, this.#posted);
  }

  #post(body: unknown): ApiAnswer {
    const parsed = parseStatus(body);
    if (!parsed.ok) throw new HttpError(400, parsed.why);
    this.#posted = parsed.value;
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
    const container = await this.#parts.onDemand.activate(bus, name);
    return answer({ bus, name, container: container.settings.name, status: container.status });
  }

  #daemons() {
    const { daemon } = this.#parts;
    return daemon ? [{ name: daemon.name, pid: daemon.pid, respawn: daemon.isUp }] : [];
  }

  async #controlDaemon(request: ApiRequest, name: string): Promise<ApiAnswer> {
    const { daemon } = this.#parts;
    if (daemon?.name !== name) throw new HttpError(404, `There is no daemon ${show(name)}.`);
    await daemon[await actionOf(request)]();
    return answer(this.#daemons()[0]);
  }

  async #controlContainer(request: ApiRequest, name: string): Promise<ApiAnswer> {
    const container = this.#parts.containers.get(name);
    if (!container) throw new HttpError(404, `There is no container ${show(name)}.`);
    const action = await actionOf(request);
    if (container.settings.restartPolicy === 'system') {
      throw new HttpError(
        403,
        `${name} has the restart policy "system": it goes with the whole system.`,
      );
    }
    const { obstacle } = container.settings;
    if (obstacle !== null) throw new HttpError(409, `${name} ${obstacle}.`);
    if (!(action === 'start' ? container.isDown : container.isUp)) {
      throw new HttpError(409, `${name} is ${container.status}: "${action}" is not possible now.`);
    }
    await container[action]();
    return answer(shown(container));
  }

  /** It runs, or waits to be called. */
  #isAsWanted({ settings, status }: ContainerSupervisor): boolean {
    const waits = this.#parts.onDemand.containers.has(settings.name);
    return status === 'STARTED' || (waits && status === 'INSTALLED');
  }

  #groups() {
    return this.#parts.groups.map(({ name, statusGoal, restartPolicy }) => {
      const members = [...this.#parts.containers.values()].filter(
        ({ settings }) => settings.group.name === name,
      );
      return {
        name,
        status_goal: statusGoal,
        restart_policy: restartPolicy,
        status: members.find((member) => !this.#isAsWanted(member))?.status ?? 'STARTED',
        containers: members.map(({ settings }) => settings.name),
      };
    });
  }
}

function shown({ settings, status }: ContainerSupervisor) {
  return {
    name: settings.name,
    group: settings.group.name,
    status,
    status_goal: settings.statusGoal,
    restart_policy: settings.restartPolicy,
    roles: settings.roles,
  };
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
