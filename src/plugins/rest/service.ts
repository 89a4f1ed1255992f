/** Serves one rest link. */
import type { Link } from '../../graph/link.js';
import { type Lingering, type Route, refused, Server } from '../../http1/index.js';
import { drainThenClose } from '../../kernel/drain.js';
import { ok } from '../../kernel/result.js';
import { asked, ended, identityLines, LinkRoute, limitsOf } from '../http/link-route.js';
import type { Attachment, LinkHost } from '../plugin.js';

/** Rejects with an XConnectError where the target is taken. */
export async function serve(link: Link, host: LinkHost, lingering: Lingering): Promise<Attachment> {
  const limits = limitsOf(link);
  const identity = Buffer.from(identityLines(link), 'latin1');
  const linkRoute = new LinkRoute(link, host, limits, {
    forwarded: false,
    authority: 'localhost',
  });
  const route: Route = { ...linkRoute.route, addLines: (writer) => writer.bytes(identity) };
  const routed = ok(route);
  const server = new Server<null>({
    limits,
    lingering,
    route: (request) => {
      const refusal = linkRoute.refusal(request, request.target());
      return refusal ? refused(refusal) : routed;
    },
  });
  const listener = await host.listen((client) => {
    const stream = host.bytes(client);
    const connection = server.accept(stream, null);
    if (connection) {
      host.describe(stream, () => ({ ...asked(connection.lastRequest), ...ended(connection.cut) }));
    }
  });
  return {
    async detach(drainMs) {
      const stopped = listener.detach(drainMs);
      await drainThenClose(
        drainMs,
        () => server.leave(drainMs),
        () => server.close(),
      );
      linkRoute.close();
      await stopped;
    },
  };
}
