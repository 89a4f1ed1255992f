/** Serves http links: each one as a part of its address, which it may share with others. */
import type { Link } from '../../graph/link.js';
import type { Lingering } from '../../http1/index.js';
import { XConnectError } from '../../kernel/errors.js';
import { limitsOf } from '../http/link-route.js';
import type { Attachment, LinkHost } from '../plugin.js';
import { Certificate } from './certificates.js';
import { Entrance } from './entrance.js';
import { IngressLink } from './ingress-link.js';

export class IngressService {
  // Links share an address if they open it by the same function: each kind of address has one.
  readonly #open: () => Entrance;
  #openSecure: (() => Entrance) | null = null;
  readonly #lingering: Lingering;

  constructor(lingering: Lingering) {
    this.#lingering = lingering;
    this.#open = () => new Entrance(lingering);
  }

  /** Rejects with an XConnectError where the certificate can't be used, or the address is taken. */
  async serve(link: Link, host: LinkHost): Promise<Attachment> {
    const tls = link.http?.tls;
    const certificate = tls ? new Certificate(host, link.host ?? '', tls) : null;
    // Before the address is there: no client may come too early for its certificate.
    await certificate?.load();
    const open = tls ? await this.#secure() : this.#open;
    const entrance = await host.share(open).catch((thrown: unknown) => {
      certificate?.stop();
      throw thrown;
    });
    const own = new IngressLink(link, host, limitsOf(link), certificate);
    if (!entrance.add(own)) {
      own.close();
      const message = `${link.target} is another link's already, for the same host.`;
      throw new XConnectError('target-occupied', message);
    }
    return {
      async detach() {
        entrance.remove(own);
        own.close(); // requests under way keep their connections until the host ends them
      },
    };
  }

  /** TLS is loaded with the first link that needs it. */
  async #secure(): Promise<() => Entrance> {
    const { SecureFront } = await import('./secure-front.js');
    this.#openSecure ??= () =>
      new Entrance(this.#lingering, (entrance) => new SecureFront(entrance));
    return this.#openSecure;
  }
}
