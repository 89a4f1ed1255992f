/**
 * `pv-xconnect web`: a page that shows the mesh as it is now, served by a process of its own (apart.ts).
 */
import { randomBytes } from 'node:crypto';
import type { Output } from '../cli/output.js';
import { type ListenAddress, PAGE_SERVER } from './address.js';
import { serveApart } from './apart.js';
import { READABLE } from './opener.js';

export interface WebOptions {
  /** The daemon's control socket. */
  readonly control: string;
  readonly listen: ListenAddress;
}

/** Exit code: 0 after a signal; 1 if the page can't be served. */
export function webCommand(
  options: WebOptions,
  output: { readonly stdout: Output; readonly stderr: Output },
): Promise<number> {
  const token = randomBytes(24).toString('base64url');
  const served = { word: PAGE_SERVER, what: 'the page', readable: READABLE, token } as const;
  const at = (authority: string) => `The page is at http://${authority}/?token=${token}`;
  const warning =
    'whoever can read along on the network sees the token and the page: it is HTTP without TLS.';
  return serveApart({ ...options, ...served, at, warning }, output);
}
