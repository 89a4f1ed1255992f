/**
 * dbus: a bus in the provider. A consumer authenticates to us, whoever it says it is; to the bus it is the role's
 * uid, by the kernel's credential and by `AUTH EXTERNAL` alike.
 */
import type { Plugin } from '../plugin.js';

export const dbus: Plugin = {
  types: ['dbus'],
  async attach(_link, host) {
    // Loaded with the first such link: a daemon without one has no use for it.
    const [{ Connections }, { activation, mayActivate }] = await Promise.all([
      import('./connections.js'),
      import('./activation.js'),
    ]);
    const { onDemand } = host;
    const filters = () => (onDemand && mayActivate(onDemand.names()) ? [activation(onDemand)] : []);
    const connections = new Connections(host, { filters });
    return host.listen((client) => connections.accept(client));
  },
};
