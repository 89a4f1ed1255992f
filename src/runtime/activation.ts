/**
 * Containers that are started when somebody calls a name that they own on the hosted bus, and what they need first.
 *
 * A container is left alone at the start where all that it provides is such names. One that is activated has the
 * containers that it requires started before it, where those wait to be called as well; of a cycle, which the graph
 * has complained about, each is started once.
 */
import type { Dependencies } from '../graph/activation-cycle.js';
import { type BusName, busNames } from '../graph/bus-names.js';
import { show } from '../manifest/problem.js';
import { ProblemList } from '../manifest/problem-list.js';
import type { Revision, Service } from '../manifest/revision.js';
import { Refusal } from './answer.js';
import type { ContainerSupervisor } from './container-supervisor.js';

export class Activation {
  /** Containers that are not started before they are called. */
  readonly onDemand: ReadonlySet<string>;
  readonly #names: readonly BusName[];
  readonly #dependencies: Dependencies;
  readonly #containers: ReadonlyMap<string, ContainerSupervisor>;

  constructor(
    revision: Revision,
    dependencies: Dependencies,
    containers: ReadonlyMap<string, ContainerSupervisor>,
  ) {
    this.#names = busNames(revision, new ProblemList());
    this.#dependencies = dependencies;
    this.#containers = containers;
    const passive = revision.containers.filter(
      ({ services }) => services.length > 0 && services.every(isOnDemand),
    );
    this.onDemand = new Set(passive.map(({ name }) => name));
  }

  /** Starts the owner of that name, and resolves with it when it runs. Rejects with a Refusal that says why not. */
  async activate(bus: string, name: string): Promise<ContainerSupervisor> {
    const owned = this.#names.find((one) => one.bus === bus && one.name === name);
    if (!owned) throw new Refusal(404, `No container owns ${show(name)} on ${show(bus)}.`);
    const container = this.#containers.get(owned.container);
    if (!container || container.settings.exec.length === 0) {
      throw new Refusal(409, `${owned.container}, which owns ${name}, has nothing to run.`);
    }
    if (container.isDown && owned.service.activation !== 'on-demand') {
      const why = `${owned.container}, which owns ${name}, is stopped, and not started on demand`;
      throw new Refusal(409, `${why}: start it.`);
    }
    await this.#start(container, new Set());
    return container;
  }

  async #start(container: ContainerSupervisor, before: Set<string>): Promise<void> {
    const { name } = container.settings;
    before.add(name);
    if (container.status === 'STOPPING') {
      throw new Refusal(409, `${name} is being stopped: call again later.`);
    }
    if (!container.isDown) return;
    for (const needed of this.#dependencies.get(name) ?? []) {
      const other = this.#containers.get(needed);
      if (other && this.onDemand.has(needed) && !before.has(needed)) {
        await this.#start(other, before);
      }
    }
    if (!container.isDown) return; // somebody else was quicker
    let last = 'did not start.';
    const listen = (text: string) => {
      last = text;
    };
    container.on('news', listen);
    await container.start();
    container.off('news', listen);
    if (container.status !== 'STARTED') throw new Refusal(500, `${name} ${last}`);
  }
}

function isOnDemand({ activation, socket, port }: Service): boolean {
  return activation === 'on-demand' && (socket ?? port) === undefined;
}
