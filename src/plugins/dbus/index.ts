/**
 * dbus: a bus in the provider (docs/dbus.md). The code that speaks its protocol is loaded with the first link: a daemon
 * without one has no use for it.
 */
import type { Plugin } from '../plugin.js';
import type { Observation } from './observation.js';
import type { DbusService } from './service.js';

export function dbus(observation: Observation): Plugin {
  let service: Promise<DbusService> | null = null;
  return {
    types: ['dbus'],
    async attach(link, host) {
      service ??= import('./service.js').then((module) => new module.DbusService(observation));
      return (await service).serve(link, host);
    },
  };
}
