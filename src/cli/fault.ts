/** `pv-xconnect fault CONSUMER SERVICE`: a link has a bad provider for a while, as long as this command runs. */
import { printable } from '../manifest/text.js';
import { ControlClient } from './control-client.js';
import { holdLease } from './lease.js';
import type { Output } from './output.js';

export interface FaultOptions {
  readonly consumer: string;
  readonly service: string;
  /** The daemon's control socket. */
  readonly control: string;
  /** How long, in milliseconds; so is `delay`. */
  readonly for: number;
  readonly delay?: number;
  /** Bytes a second. */
  readonly rate?: number;
  /** Percent. */
  readonly reset?: number;
  readonly refuse: boolean;
  readonly seed?: number;
  readonly json: boolean;
}

/** What the daemon says of it when it has begun. */
interface Begun {
  readonly text: string;
}

/** Exit code: 0; 1 if it can't be, or the daemon ends. SIGINT ends it early. */
export async function faultCommand(
  options: FaultOptions,
  { stdout, stderr }: { readonly stdout: Output; readonly stderr: Output },
): Promise<number> {
  const { consumer, service, json } = options;
  const say = (sentence: string) => stderr.write(`pv-xconnect: ${printable(sentence)}\n`);
  const asked = new URLSearchParams({ consumer, name: service });
  asked.set('for', String(options.for / 1_000));
  for (const name of ['delay', 'rate', 'reset', 'seed'] as const) {
    const value = options[name];
    if (value !== undefined) asked.set(name, String(value));
  }
  if (options.refuse) asked.set('refuse', '1');
  const client = new ControlClient(options.control);
  const ended = await holdLease(client, `/fault?${asked}`, {
    stdout,
    onBegin: (begun) => {
      if (json) stdout.write(`${JSON.stringify({ begin: begun })}\n`);
      const until = `for ${options.for / 1_000} s, or until Ctrl-C`;
      say(`${consumer} → ${service} is made faulty ${until}${(begun as Begun).text}.`);
    },
    onData: () => undefined,
  });
  if (!ended.ok) {
    say(ended.error);
    return 1;
  }
  if (json) stdout.write(`${JSON.stringify({ end: ended.value })}\n`);
  say(`${ended.value}.`);
  return 0;
}
