/**
 * dbus: a bus in the provider. A consumer authenticates to us, whoever it says it is; to the bus it is the role's
 * uid, by the kernel's credential and by `AUTH EXTERNAL` alike. Where the export has a policy, the consumer's
 * messages are held to it; elsewhere they pass at relay speed.
 */
import type { Plugin } from '../plugin.js';
import type { Observation } from './observation.js';

export const dbus = (observation: Observation): Plugin => ({
  types: ['dbus'],
  async attach(link, host) {
    // Loaded with the first such link: a daemon without one has no use for it.
    const [
      { Connections },
      { PolicyFilters },
      { activation, mayActivate },
      { placesAt },
      { tryLogin },
    ] = await Promise.all([
      import('./connections.js'),
      import('./policy-filters.js'),
      import('./activation.js'),
      import('./places.js'),
      import('./trial.js'),
    ]);
    const { onDemand } = host;
    const policy = new PolicyFilters(link, host, observation);
    // A call that is refused must start nobody: the policy comes first.
    const filters = () => {
      const judges = policy.forConnection();
      if (!onDemand || !mayActivate(onDemand.names())) return judges;
      return [...judges, activation(onDemand, { isAlone: judges.length === 0 })];
    };
    const places = placesAt(link.provider, link.socket);
    const onDoubt = host.verify(() => tryLogin(link, host, places));
    const connections = new Connections(host, { filters, places, onDoubt });
    try {
      const attachment = await host.listen((client) => connections.accept(client));
      return {
        detach: async (drainMs) => {
          places.leave();
          await attachment.detach(drainMs);
        },
      };
    } catch (thrown) {
      places.leave();
      throw thrown;
    }
  },
});
