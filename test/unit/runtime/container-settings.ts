/** Settings of a container that say nothing, but for what a test is about. */
import type { ContainerSettings } from '../../../src/runtime/container-settings.js';

export function settingsOf(parts: Partial<ContainerSettings> = {}): ContainerSettings {
  return {
    name: 'web',
    type: 'namespace',
    obstacle: null,
    group: { name: 'app', statusGoal: 'STARTED', restartPolicy: 'container', timeout: 30 },
    statusGoal: 'STARTED',
    restartPolicy: 'container',
    roles: [],
    exec: ['web'],
    volumes: [],
    storage: new Map(),
    ownNetwork: false,
    interfaces: [],
    hostname: 'web',
    ...parts,
  };
}
