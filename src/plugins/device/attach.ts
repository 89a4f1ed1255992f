/**
 * Attaches a link to a device, by the `mode` of its requirement: `node` plants the node in the consumer, `fd` hands out
 * descriptors of the opened device on a socket.
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
    host.reportHealth(null); // the next device may be another one
    void server.endAll();
  };
  const listening = await host.listen((client) => server.serve(client));
  return {
    /** At once, whatever the drain: clients have nothing to finish, and are not told that they should. */
    detach: async () => {
      await Promise.all([server.close(), listening.detach(0)]);
    },
  };
}
