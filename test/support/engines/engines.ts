/** The engines that people have, by name, and a container of any of them. */
import { has, isRoot } from '../requirements.js';
import type { DockerEngine } from './docker.js';
import type { EngineContainer, Image } from './image.js';
import { startLxc } from './lxc.js';

export type EngineName = 'LXC' | 'LXC with users of its own' | 'Docker';

/** Host uid of root in an LXC container with its own users. */
const SHIFTED = 200_000;

/** Whether all of them are there. */
export function engines(): boolean {
  return isRoot() && has('lxc-start') && has('dockerd') && has('docker');
}

/** Of an image that the Docker engine has imported. `args`: what its program does. */
export function startIn(
  engine: EngineName,
  name: string,
  args: string[],
  { image, docker }: { image: Image; docker: DockerEngine },
): Promise<EngineContainer> {
  if (engine === 'Docker') return docker.run(name, args);
  return startLxc({ name, args, root: engine === 'LXC' ? 0 : SHIFTED }, image);
}
