/**
 * Serves dbus links. A consumer authenticates to us, and may claim any identity. To the bus it is the uid of the link's
 * role, by the socket's credentials and by `AUTH EXTERNAL` alike. Where the link has a policy, each message is judged
 * by it; where it has none, the relay moves the bytes.
 */
import type { Link } from '../../graph/link.js';
import { ok } from '../../kernel/result.js';
import type { Attachment, LinkHost } from '../plugin.js';
import { activation, mayActivate } from './activation.js';
import { Buses, Connections } from './connections.js';
import type { Observation } from './observation.js';
import { PolicyFilters } from './policy-filters.js';
import { tryLogin } from './trial.js';

export class DbusService {
  readonly #observation: Observation;
  readonly #buses = new Buses();

  constructor(observation: Observation) {
    this.#observation = observation;
  }

  /** Rejects with an XConnectError where the target is taken. */
  async serve(link: Link, host: LinkHost): Promise<Attachment> {
    const { onDemand } = host;
    const policy = new PolicyFilters(link, host, this.#observation);
    // The policy comes first: a call that it refuses must start nobody.
    const filters = () => {
      const policies = policy.forConnection();
      if (!onDemand || !mayActivate(onDemand.names())) return policies;
      return [...policies, activation(onDemand, { isAlone: policies.length === 0 })];
    };
    const slots = this.#buses.enter(link.provider, link.socket);
    const onDoubt = host.verify(async () => {
      const tried = await tryLogin(link, host, slots);
      return tried.ok ? null : tried.error;
    });
    host.probeWith(async () => {
      const tried = await tryLogin(link, host, slots);
      if (!tried.ok) return tried;
      const { uid, name } = tried.value;
      const as = name === undefined ? '' : `, as ${name}`;
      return ok({ found: `the bus let uid ${uid} in and answered Hello${as}`, isProven: true });
    });
    const connections = new Connections(host, { filters, slots, onDoubt });
    try {
      const attachment = await host.listen((client) => connections.accept(client));
      return {
        detach: async (drainMs) => {
          slots.leave();
          await attachment.detach(drainMs);
        },
      };
    } catch (thrown) {
      slots.leave();
      throw thrown;
    }
  }
}
