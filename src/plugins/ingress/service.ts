/** One http link, served as part of its address. */
import type { Link } from '../../graph/link.js';
import { XConnectError } from '../../kernel/errors.js';
import { limitsOf } from '../http/limits.js';
import type { Attachment, LinkHost } from '../plugin.js';
import { Certificate } from './certificates.js';
import { openEntrance } from './entrance.js';
import { IngressLink } from './ingress-link.js';

export async function serve(link: Link, host: LinkHost): Promise<Attachment> {
  const tls = link.http?.tls;
  const certificate = tls ? new Certificate(host, link.host ?? '', tls) : null;
  // Before the address is there: no client may come too early for its certificate.
  await certificate?.load();
  const make = tls ? (await import('./secure-front.js')).openSecureEntrance : openEntrance;
  const entrance = await host.share(make).catch((thrown: unknown) => {
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
