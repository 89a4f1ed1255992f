/**
 * Which plugin is for which link, and what manifests may say with these plugins. A plugin from outside replaces the
 * built-in one of the same type; one that names interfaces is beside it, for links with one of those. Two plugins from
 * outside for the same are refused.
 */
import type { Link } from '../graph/link.js';
import { Lingering } from '../http1/lingering.js';
import { XConnectError } from '../kernel/errors.js';
import { BUILT_IN, type Vocabulary, vocabularyOf } from '../manifest/entries.js';
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

type Chosen = Pick<Link, 'type' | 'interface'>;

export class Registry {
  readonly #byType = new Map<string, Plugin>();
  /** Of those that name interfaces: by type, and by interface. */
  readonly #byInterface = new Map<string, Map<string, Plugin>>();
  readonly #outside: Plugin[] = [];
  #vocabulary = BUILT_IN;

  constructor(builtIn = builtInPlugins()) {
    for (const plugin of builtIn) this.#enter(plugin);
  }

  get types(): string[] {
    return [...new Set([...this.#byType.keys(), ...this.#byInterface.keys()])].sort();
  }

  get vocabulary(): Vocabulary {
    return this.#vocabulary;
  }

  for({ type, interface: spoken }: Chosen): Plugin | undefined {
    return this.#byInterface.get(type)?.get(spoken) ?? this.#byType.get(type);
  }

  /** Throws an XConnectError where another plugin from outside is for the same, or its options can't be taken. */
  add(plugin: Plugin): void {
    for (const type of plugin.types) {
      const others = this.#outside.filter(({ types }) => types.includes(type));
      const both = others.map((other) => common(other, plugin)).find((one) => one !== undefined);
      if (both === undefined) continue;
      const which = `type ${type}${both === '' ? '' : ` with the interface ${both}`}`;
      throw new XConnectError('plugin-invalid', `Two plugins were given for ${which}.`);
    }
    this.#vocabulary = vocabularyOf([...this.#outside, plugin]);
    this.#outside.push(plugin);
    this.#enter(plugin);
  }

  #enter(plugin: Plugin): void {
    for (const type of plugin.types) {
      if (!plugin.interfaces) {
        this.#byType.set(type, plugin);
        continue;
      }
      const byInterface = this.#byInterface.get(type) ?? new Map<string, Plugin>();
      for (const one of plugin.interfaces) byInterface.set(one, plugin);
      this.#byInterface.set(type, byInterface);
    }
  }

  /** Imports a module whose default export is a plugin: a path, or a package. Rejects with an XConnectError. */
  async load(module: string): Promise<void> {
    const { importPlugin } = await import('./outside.js'); // few daemons have one
    this.add(await importPlugin(module));
  }
}

/** An interface that both are for, '' where they are for all; undefined: none. */
function common(a: Plugin, b: Plugin): string | undefined {
  if (!a.interfaces || !b.interfaces) return a.interfaces === b.interfaces ? '' : undefined;
  return a.interfaces.find((one) => b.interfaces?.includes(one));
}
