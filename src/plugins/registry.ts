/**
 * Which plugin is for which type of link. A plugin from outside replaces the built-in one of the same type. Two plugins
 * from outside for the same type are refused.
 */
import { Lingering } from '../http1/lingering.js';
import { XConnectError } from '../kernel/errors.js';
import { dbus } from './dbus/index.js';
import { Observation } from './dbus/observation.js';
import { drm } from './drm/index.js';
import { ingress } from './ingress/index.js';
import { input } from './input/index.js';
import type { Plugin } from './plugin.js';
import { rest } from './rest/index.js';
import { tcp } from './tcp/index.js';
import { unix } from './unix/index.js';
import { wayland } from './wayland/index.js';

/**
 * Makes the built-in plugins. What several of them share is made here; what the links of one have in common, by that
 * plugin. `observation`: told what consumers do on their buses.
 */
export function builtInPlugins(observation = new Observation()): readonly Plugin[] {
  const lingering = new Lingering();
  return [unix, tcp, rest(lingering), ingress(lingering), dbus(observation), drm(), input, wayland];
}

export class Registry {
  readonly #byType = new Map<string, Plugin>();
  readonly #outside = new Set<string>();

  constructor(builtIn = builtInPlugins()) {
    for (const plugin of builtIn) {
      for (const type of plugin.types) this.#byType.set(type, plugin);
    }
  }

  get types(): string[] {
    return [...this.#byType.keys()].sort();
  }

  for(type: string): Plugin | undefined {
    return this.#byType.get(type);
  }

  /** Throws an XConnectError where another plugin from outside serves one of its types already. */
  add(plugin: Plugin): void {
    for (const type of plugin.types) {
      if (this.#outside.has(type)) {
        throw new XConnectError('plugin-invalid', `Two plugins were given for type ${type}.`);
      }
    }
    for (const type of plugin.types) {
      this.#outside.add(type);
      this.#byType.set(type, plugin);
    }
  }

  /** Imports a module whose default export is a plugin: a path, or a package. Rejects with an XConnectError. */
  async load(module: string): Promise<void> {
    const { importPlugin } = await import('./outside.js'); // few daemons have one
    this.add(await importPlugin(module));
  }
}
