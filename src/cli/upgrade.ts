/**
 * `pv-xconnect upgrade`: has the running daemon replaced by the version that is installed now (docs/upgrade.md), and
 * waits for what comes of it.
 */
import { setTimeout } from 'node:timers/promises';
import { printable } from '../manifest/text.js';
import { ControlClient, type Got } from './control-client.js';
import type { Output } from './output.js';

export interface UpgradeOptions {
  readonly control: string;
}

interface Version {
  readonly version: string;
  readonly incarnation: number;
  readonly upgrade: unknown;
}

/** More than the new version is given to serve, and the old one to finish its steps. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 50;

/**
 * `installed`: the version that this command is of. Exit code: 0: it serves, 1: it does not; a sentence says so.
 */
export async function upgradeCommand(
  { control, installed }: UpgradeOptions & { readonly installed: string },
  { stdout, stderr }: { readonly stdout: Output; readonly stderr: Output },
): Promise<number> {
  const upgraded = await upgrade(new ControlClient(control), installed);
  if (upgraded.ok) stdout.write(`${printable(upgraded.value)}\n`);
  else stderr.write(`pv-xconnect: ${printable(upgraded.error)}\n`);
  return upgraded.ok ? 0 : 1;
}

async function upgrade(client: ControlClient, installed: string): Promise<Got<string>> {
  const before = await versionOf(client);
  if (!before.ok) return before;
  const asked = await client.post('/upgrade');
  if (!asked.ok) return asked;
  const from = before.value;
  const deadline = performance.now() + PATIENCE_MS;
  let last: Got<Version> = before;
  while (performance.now() < deadline) {
    await setTimeout(LOOK_MS);
    last = await versionOf(client); // one that leaves may not answer any more: the next one does
    if (!last.ok) continue;
    const { version, incarnation, upgrade: state } = last.value;
    if (incarnation !== from.incarnation) return judge(from.version, version, installed);
    const error = errorIn(state);
    if (error !== null) return failed(`${from.version} goes on: ${error}`);
  }
  if (!last.ok) return last;
  return failed(
    `It is not known what became of the upgrade of ${from.version} after ${PATIENCE_MS / 1_000} s: look at its log.`,
  );
}

function judge(before: string, after: string, installed: string): Got<string> {
  if (after === installed) return { ok: true, value: `upgraded from ${before} to ${after}` };
  return failed(
    `The daemon was started anew as ${after}, ${installed} was expected: look at its log.`,
  );
}

async function versionOf(client: ControlClient): Promise<Got<Version>> {
  const got = await client.get('/version');
  if (!got.ok) return got;
  const { version, incarnation, upgrade } = Object(got.value) as Partial<Version>;
  if (typeof version === 'string' && typeof incarnation === 'number') {
    return { ok: true, value: { version, incarnation, upgrade } };
  }
  return failed('The daemon does not say its version: it is too old to be upgraded so.');
}

function errorIn(state: unknown): string | null {
  const { error } = Object(state) as Record<string, unknown>;
  return typeof error === 'string' ? error : null;
}

function failed(error: string): { ok: false; error: string } {
  return { ok: false, error };
}
