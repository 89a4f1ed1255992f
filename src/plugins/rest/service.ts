/** One rest link, served. */
import type { Link } from '../../graph/link.js';
import { type Route, Server } from '../../http1/index.js';
import { drainThenClose } from '../../kernel/drain.js';
import { identityLines } from '../http/identity.js';
import { limitsOf } from '../http/limits.js';
import { LinkRoute } from '../http/link-route.js';
import type { Attachment, LinkHost } from '../plugin.js';

export async function serve(link: Link, host: LinkHost): Promise<Attachment> {
  const limits = limitsOf(link);
  const identity = Buffer.from(identityLines(link), 'latin1');
  const linkRoute = new LinkRoute(link, host, limits, {
    forwarded: false,
    authority: 'localhost',
  });
  const route: Route = { ...linkRoute.route, addLines: (writer) => writer.bytes(identity) };
  const server = new Server<null>({
    limits,
    route: (request) => linkRoute.refusal(request, request.target()) ?? route,
  });
  const listener = await host.listen((client) => server.accept(host.bytes(client), null));
  return {
    async detach(drainMs) {
      const stopped = listener.detach(drainMs);
      await drainThenClose(
        drainMs,
        () => server.leave(),
        () => server.close(),
      );
      linkRoute.close();
      await stopped;
    },
  };
}
