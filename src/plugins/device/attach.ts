/**
 * A link to a device, as its requirement wants it: `mode: node` plants the node, `mode: fd` hands out opened
 * descriptors on a socket.
 */
import type { Link } from '../../graph/link.js';
import { XConnectError } from '../../kernel/errors.js';
import { type Attachment, countClose, type LinkHost } from '../plugin.js';
import { DescriptorServer, type OpenForClient } from './descriptor-server.js';
import type { Device, DeviceOptions } from './device.js';

/** `open`: how the device is opened for each client. Rejects with an XConnectError where the link can't be made. */
export async function attachDevice(
  link: Link,
  host: LinkHost,
  options: DeviceOptions,
  open: (device: Device) => OpenForClient,
): Promise<Attachment> {
  if (link.device !== 'fd') {
    const limit = link.lease ? 'leases connectors' : link.access === 'ro' ? 'is read-only' : null;
    if (limit === null) return host.device(options).plant();
    throw new XConnectError(
      'device-fd-only',
      `${link.name} of ${link.provider} ${limit}, so ${link.consumer} can't have a node of it.`,
    );
  }
  const device = host.device(options);
  const server = new DescriptorServer(open(device), host.log);
  server.onOutcome = (error) => {
    if (error) countClose(host.tally, 'refused');
    host.reportHealth(server.isServing ? null : error);
  };
  device.onGone = () => {
    host.reportHealth(null); // the next one may be another
    void server.endAll();
  };
  const listening = await host.listen((client) => server.serve(client));
  return {
    /** At once: there is nothing that a client could finish, and it would not be told to. */
    detach: async () => {
      await Promise.all([server.close(), listening.detach(0)]);
    },
  };
}
