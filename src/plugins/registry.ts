/**
 * Which plugin makes which type of link. One from outside takes the place of a built-in of the same type;
 * two from outside for one type are a mistake that is refused.
 */
import { isAbsolute, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { XConnectError } from '../kernel/errors.js';
import { dbus } from './dbus/index.js';
import { drm } from './drm/index.js';
import { ingress } from './ingress/index.js';
import { input } from './input/index.js';
import type { Plugin } from './plugin.js';
import { rest } from './rest/index.js';
import { tcp } from './tcp/index.js';
import { unix } from './unix/index.js';
import { wayland } from './wayland/index.js';

const BUILT_IN: readonly Plugin[] = [unix, tcp, rest, ingress, dbus, drm, input, wayland];

export class Registry {
  readonly #byType = new Map<string, Plugin>();
  readonly #outside = new Set<string>();

  constructor(builtIn = BUILT_IN) {
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

  /**
   * Imports a module whose default export is a plugin: a path (with a `/` or `.js`, from the working
   * directory) or a package's name. Rejects with an XConnectError.
   */
  async load(module: string): Promise<void> {
    const isPath = isAbsolute(module) || module.startsWith('.') || /\.[cm]?js$/.test(module);
    const specifier = isPath ? pathToFileURL(resolve(module)).href : module;
    let exported: { default?: unknown };
    try {
      exported = (await import(specifier)) as { default?: unknown };
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
      throw new XConnectError('plugin-invalid', `Plugin ${module} can't be loaded: ${reason}.`, {
        cause,
      });
    }
    if (!isPlugin(exported.default)) {
      throw new XConnectError(
        'plugin-invalid',
        `The default export of ${module} is no plugin: {types: string[], attach(link, host)} was expected.`,
      );
    }
    this.add(exported.default);
  }
}

function isPlugin(value: unknown): value is Plugin {
  if (typeof value !== 'object' || value === null) return false;
  const { types, attach } = value as Partial<Record<keyof Plugin, unknown>>;
  return (
    Array.isArray(types) &&
    types.length > 0 &&
    types.every((type) => typeof type === 'string' && type !== '') &&
    typeof attach === 'function'
  );
}
