/** The engines that people have, by name, and containers of any of them that hold one program. */
import { afterAll, beforeAll } from 'vitest';
import { has, isRoot } from '../requirements.js';
import { DockerEngine } from './docker.js';
import { type EngineContainer, Image } from './image.js';
import { startLxc } from './lxc.js';

export type EngineName = 'LXC' | 'LXC with users of its own' | 'Docker';

/** Host uid of root in an LXC container with its own users. */
const SHIFTED = 200_000;

/** Whether all of them are there. */
export function engines(): boolean {
  return isRoot() && has('lxc-start') && has('dockerd') && has('docker');
}

export class Engines {
  #image!: Image;
  #docker!: DockerEngine;
  readonly #containers: EngineContainer[] = [];

  async setUp(): Promise<void> {
    this.#image = new Image();
    this.#docker = new DockerEngine();
    await this.#docker.start();
    this.#docker.import(this.#image);
  }

  /** A container that lives until `clear`, at the longest. `args`: what its program does. */
  async run(engine: EngineName, name: string, args: string[]): Promise<EngineContainer> {
    const root = engine === 'LXC' ? 0 : SHIFTED;
    const container = await (engine === 'Docker'
      ? this.#docker.run(name, args)
      : startLxc({ name, args, root }, this.#image));
    this.#containers.push(container);
    return container;
  }

  async clear(): Promise<void> {
    for (const container of this.#containers.splice(0)) await container.kill();
  }

  async tearDown(): Promise<void> {
    await this.clear();
    await this.#docker?.stop();
    this.#image?.remove();
  }
}

/** Call it within `describe`: they are there before the first test, and gone after the last. */
export function useEngines(): Engines {
  const all = new Engines();
  beforeAll(() => all.setUp(), 60_000);
  afterAll(() => all.tearDown(), 60_000);
  return all;
}
