/**
 * Containers that are started when somebody calls a name that they own on the hosted bus.
 *
 * A container is not started with the runtime if it provides nothing but such names. Before a container is started by a
 * call, the containers that it requires are started, those that wait to be called as well. In a cycle, which the graph
 * reports as a problem, each is started once.
 */
import type { Dependencies } from '../graph/activation-cycle.js';
import { type BusName, busNames } from '../graph/bus-names.js';
import { show } from '../manifest/problem.js';
import { ProblemList } from '../manifest/problem-list.js';
import type { Revision, Service } from '../manifest/revision.js';
import type { ContainerSupervisor } from './container-supervisor.js';
import { HttpError } from './router.js';

export class OnDemandContainers {
  /** Those that are not started before they are called, by name. */
  readonly containers: ReadonlySet<string>;
  readonly #busNames: readonly BusName[];
  readonly #dependencies: Dependencies;
  readonly #supervisors: ReadonlyMap<string, ContainerSupervisor>;

  constructor(
    revision: Revision,
    dependencies: Dependencies,
    supervisors: ReadonlyMap<string, ContainerSupervisor>,
  ) {
    this.#busNames = busNames(revision, new ProblemList());
    this.#dependencies = dependencies;
    this.#supervisors = supervisors;
    const passive = revision.containers.filter(
      ({ services }) => services.length > 0 && services.every(isOnDemand),
    );
    this.containers = new Set(passive.map(({ name }) => name));
  }

  /** Starts the owner of that name, and resolves with it when it runs. Rejects with an HttpError that says why not. */
  async activate(bus: string, name: string): Promise<ContainerSupervisor> {
    const owned = this.#busNames.find((one) => one.bus === bus && one.name === name);
    if (!owned) throw new HttpError(404, `No container owns ${show(name)} on ${show(bus)}.`);
    const container = this.#supervisors.get(owned.container);
    if (!container) throw new HttpError(404, `There is no container ${show(owned.container)}.`);
    const { obstacle } = container.settings;
    if (obstacle !== null) {
      throw new HttpError(409, `${owned.container}, which owns ${name}, ${obstacle}.`);
    }
    if (container.isDown && owned.service.activation !== 'on-demand') {
      const why = `${owned.container}, which owns ${name}, is stopped, and not started on demand`;
      throw new HttpError(409, `${why}: start it.`);
    }
    await this.#start(container, new Set());
    return container;
  }

  async #start(container: ContainerSupervisor, before: Set<string>): Promise<void> {
    const { name } = container.settings;
    before.add(name);
    if (container.status === 'STOPPING') {
      throw new HttpError(409, `${name} is being stopped: call again later.`);
    }
    if (!container.isDown) return;
    for (const needed of this.#dependencies.get(name) ?? []) {
      const other = this.#supervisors.get(needed);
      if (other && this.containers.has(needed) && !before.has(needed)) {
        await this.#start(other, before);
      }
    }
    if (!container.isDown) return; // another call has started it meanwhile
    let last = 'did not start.';
    const listen = (text: string) => {
      last = text;
    };
    container.on('news', listen);
    // As with systemd, a call has more to say than an earlier stop by hand.
    await container.start('user');
    container.off('news', listen);
    if (container.pid === 0) throw new HttpError(500, `${name} ${last}`);
  }
}

function isOnDemand({ activation, socket, port }: Service): boolean {
  return activation === 'on-demand' && (socket ?? port) === undefined;
}
