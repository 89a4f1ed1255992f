/**
 * `pv-xconnect metrics`: the daemon's metrics once, or served at an address by a process of its own (apart.ts), as
 * Prometheus can't read from a unix socket.
 */
import { ControlClient } from '../cli/control-client.js';
import type { Output } from '../cli/output.js';
import { printable } from '../manifest/text.js';
import { type ListenAddress, METRICS_SERVER } from './address.js';
import { serveApart } from './apart.js';
import { METRICS } from './opener.js';

export interface MetricsCommandOptions {
  /** The daemon's control socket. */
  readonly control: string;
  /** Absent: they are printed once. */
  readonly listen?: ListenAddress;
}

/** Exit code: 0; 1 if there is no daemon, or nothing can be served. */
export async function metricsCommand(
  { control, listen }: MetricsCommandOptions,
  { stdout, stderr }: { readonly stdout: Output; readonly stderr: Output },
): Promise<number> {
  if (!listen) {
    const got = await new ControlClient(control).text('/metrics');
    if (got.ok) stdout.write(got.value);
    else stderr.write(`pv-xconnect: ${printable(got.error)}\n`);
    return got.ok ? 0 : 1;
  }
  const served = {
    word: METRICS_SERVER,
    what: 'the metrics',
    readable: METRICS,
    token: null,
    at: (authority: string) => `The metrics are at http://${authority}/metrics`,
    warning: 'whoever reaches this address sees the names of all containers and services.',
  } as const;
  return serveApart({ control, listen, ...served }, { stdout, stderr });
}
