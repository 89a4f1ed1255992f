/**
 * `pv-xconnect connections [CONSUMER [SERVICE]]`: the open connections of the running daemon; with `--follow` each one
 * that ends after that, too, and why.
 */
import { printable, printableJson } from '../manifest/text.js';
import type { ConnectionPage, ConnectionView } from '../status/connections.js';
import { ControlClient, type Got } from './control-client.js';
import { lineWidth, type Output } from './output.js';
import { table } from './table.js';

export interface ConnectionsOptions {
  readonly consumer?: string | undefined;
  readonly service?: string | undefined;
  /** The daemon's control socket. */
  readonly control: string;
  readonly json: boolean;
  readonly follow: boolean;
}

/** One that has ended. */
type Ended = ConnectionView & { readonly reason: string; readonly ended: string };

const HEAD = ['since', 'consumer', 'service', 'client', 'uid', 'sent', 'received', 'about'];
const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'];

/** Exit code: 0; 1 if the daemon can't be asked, or ends. With `follow`, SIGINT ends it. */
export async function connectionsCommand(
  options: ConnectionsOptions,
  { stdout, stderr }: { readonly stdout: Output; readonly stderr: Output },
): Promise<number> {
  const fail = (sentence: string) => {
    stderr.write(`pv-xconnect: ${printable(sentence)}\n`);
    return 1;
  };
  const asked = new URLSearchParams();
  if (options.consumer !== undefined) asked.set('consumer', options.consumer);
  if (options.service !== undefined) asked.set('name', options.service);
  const client = new ControlClient(options.control);
  if (!options.follow) {
    const got = await allOf(client, asked);
    if (!got.ok) return fail(got.error);
    stdout.write(
      options.json
        ? `${printableJson(got.value)}\n`
        : connectionTable(got.value, lineWidth(stdout)),
    );
    return 0;
  }
  const followed = await follow(client, asked, options.json, stdout);
  return followed.ok ? 0 : fail(followed.error);
}

/** All pages. */
async function allOf(
  client: ControlClient,
  asked: URLSearchParams,
): Promise<Got<ConnectionView[]>> {
  const all: ConnectionView[] = [];
  const question = new URLSearchParams(asked);
  question.set('limit', '1000');
  for (;;) {
    const got = await client.get(`/connections?${question}`);
    if (!got.ok) return got;
    const { connections, next } = got.value as ConnectionPage;
    all.push(...connections);
    if (next === null) return { ok: true, value: all };
    question.set('after', next);
  }
}

async function follow(
  client: ControlClient,
  asked: URLSearchParams,
  json: boolean,
  stdout: Output,
): Promise<Got<null>> {
  let end!: (result: Got<null>) => void;
  const over = new Promise<Got<null>>((resolve) => {
    end = resolve;
  });
  const done = () => end({ ok: true, value: null });
  const early: string[] = [];
  let write = (text: string) => void early.push(text);
  const onData = (value: unknown) => {
    const text = 'lost' in Object(value) ? lostText(value as { lost: number }) : null;
    if (json) write(`${JSON.stringify(value)}\n`);
    else write(text ?? endText(value as Ended));
  };
  const opened = await client.data(`/connections/ends?${asked}`, onData, () =>
    end({ ok: false, error: 'The daemon has ended.' }),
  );
  if (!opened.ok) return opened;
  process.once('SIGINT', done);
  stdout.on('error', done);
  const got = await allOf(client, asked);
  if (got.ok) {
    const lines = got.value.map((one) => `${JSON.stringify(one)}\n`).join('');
    stdout.write(json ? lines : connectionTable(got.value, lineWidth(stdout)));
    write = (text) => void stdout.write(text);
    for (const text of early) write(text);
  } else end(got);
  const result = await over;
  process.off('SIGINT', done);
  opened.value();
  return result;
}

/** `most`: see table. */
export function connectionTable(all: readonly ConnectionView[], most?: number): string {
  if (all.length === 0) return 'No connection is open.\n';
  return table(
    HEAD,
    all.map((one) => [
      one.since.slice(0, 19).concat('Z'),
      one.consumer,
      one.name,
      clientOf(one),
      String(one.process?.uid ?? ''),
      bytesText(one.bytes.to_provider),
      bytesText(one.bytes.to_consumer),
      aboutOf(one),
    ]),
    most,
  );
}

export function endText(one: Ended): string {
  const { bytes, reason, consumer, name } = one;
  const seconds = Math.max(0, Date.parse(one.ended) - Date.parse(one.since)) / 1_000;
  const about = aboutOf(one);
  const text = [
    `${one.ended.slice(0, 19)}Z ended (${reason}): ${consumer} → ${name}, ${clientOf(one) || 'somebody'}`,
    ...(about === '' ? [] : [about]),
    `after ${seconds.toFixed(1)} s`,
    `${bytesText(bytes.to_provider)} sent, ${bytesText(bytes.to_consumer)} received`,
  ].join(', ');
  return `${printable(text)}\n`;
}

function lostText({ lost }: { readonly lost: number }): string {
  return `${lost} more have ended: this was read too slowly to be told of each.\n`;
}

/** Who has it, in words; empty: nobody knows. */
export function clientOf({ process, address }: ConnectionView): string {
  if (address !== null) return address;
  if (!process) return '';
  if (process.pid === null) return `pid ${process.host_pid} of the host, which has ended`;
  return `${process.pid} ${process.command ?? ''}`.trimEnd();
}

/** What it is about: a name on the bus, or the last request. */
export function aboutOf({ unique_name: name, request, state }: ConnectionView): string {
  if (state === 'waiting') return 'waits for its provider';
  return name ?? request ?? '';
}

/** Three digits are enough to tell much from little. */
export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value >= 100 ? Math.round(value) : value.toPrecision(3)} ${UNITS[unit]}`;
}
