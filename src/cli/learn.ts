/**
 * `pv-xconnect learn CONSUMER SERVICE`: watches what a consumer does on its bus for a while, and prints the smallest
 * policy that covers it, for the service's entry in services.json.
 *
 * What the present policy refuses is told, and is only in it if somebody says so; the rest of what was seen is.
 */
import type { Use } from '../graph/use.js';
import { printable, printableJson } from '../manifest/text.js';
import { ControlClient } from './control-client.js';
import type { Output } from './output.js';
import { smallestPolicy } from './smallest-policy.js';

export interface LearnOptions {
  readonly consumer: string;
  readonly service: string;
  /** The daemon's control socket. */
  readonly control: string;
  /** How long, in milliseconds. */
  readonly for: number;
  /** Allow what is refused at present, too, without asking. */
  readonly refused: boolean;
}

/** Resolves with whether the answer is yes. */
type Ask = (question: string) => Promise<boolean>;

interface LearnTerminal {
  readonly stdout: Output;
  readonly stderr: Output;
  /** Absent: nobody is there. */
  readonly ask?: Ask | undefined;
}

interface Seen {
  readonly type: string;
  readonly role: string;
  readonly policy?: unknown;
  readonly connections: { readonly active: number };
}

/** Exit code: 0, or 1 if nothing was seen. SIGINT ends it early, and prints what was seen. */
export async function learnCommand(
  { consumer, service, control, for: time, refused: all }: LearnOptions,
  { stdout, stderr, ask }: LearnTerminal,
): Promise<number> {
  const say = (sentence: string) => stderr.write(`pv-xconnect: ${printable(sentence)}\n`);
  const fail = (sentence: string) => {
    say(sentence);
    return 1;
  };
  const client = new ControlClient(control);
  const graph = await client.get('/xconnect-graph');
  if (!graph.ok) return fail(graph.error);
  const links = (graph.value as readonly (Seen & { consumer: string; name: string })[]).filter(
    (link) => link.consumer === consumer && link.name === service,
  );
  const [link] = links;
  if (!link) {
    return fail(
      `${consumer} has no link to ${service}: see pv-xconnect graph for those there are.`,
    );
  }
  if (link.type !== 'dbus') {
    return fail(
      `The link of ${consumer} to ${service} is of type ${link.type}: only dbus has a policy.`,
    );
  }
  const uses: Use[] = [];
  const ended = await watch(client, { consumer, name: service }, time, {
    onUse: (use) => uses.push(use),
    onStart: () => {
      say(`watching ${consumer} on ${service} for ${time / 1000} s: use it now, all of it.`);
      const unseen = links.some(({ policy, connections }) => !policy && connections.active > 0);
      if (unseen) say('connections that are open already are not seen: restart what has them.');
    },
  });
  if (ended !== null) return fail(ended);
  const wanted = await settled(uses, all, ask, say);
  const { policy, uncovered } = smallestPolicy(wanted);
  if (uses.length === 0) return fail(`${consumer} did nothing on ${service} that needs a policy.`);
  for (const what of uncovered) say(`no rule allows it to ${what}.`);
  stdout.write(`${printableJson({ policy: { [link.role]: policy } })}\n`);
  return 0;
}

/** What is to be allowed: of what is refused at present that which somebody wants to be. */
async function settled(
  uses: readonly Use[],
  all: boolean,
  ask: Ask | undefined,
  say: (sentence: string) => void,
): Promise<Use[]> {
  const refused = new Map(uses.filter((use) => use.refused).map((use) => [keyOf(use), use]));
  const wanted = new Set<string>();
  for (const [key, { what }] of refused) {
    const isWanted =
      all || (await ask?.(`The present policy refuses to ${what}. Allow it? [y/N] `));
    if (isWanted) wanted.add(key);
    say(`refused at present${isWanted ? ', and allowed below' : ''}: ${what}.`);
  }
  if (wanted.size < refused.size && !ask) say('give --refused to allow what is refused, too.');
  return uses.filter((use) => !refused.has(keyOf(use)) || wanted.has(keyOf(use)));
}

function keyOf({ what, rule = '' }: Use): string {
  return `${what}\0${rule}`;
}

/** Asks whoever is at the terminal; undefined: nobody is. */
export function askAtTerminal(): Ask | undefined {
  if (!process.stdin.isTTY) return undefined;
  return async (question) => {
    const { createInterface } = await import('node:readline/promises');
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    const answer = await lines.question(printable(question));
    lines.close();
    return /^y(es)?$/i.test(answer.trim());
  };
}

/** Null once the time is over, or a sentence. */
async function watch(
  client: ControlClient,
  asked: { readonly consumer: string; readonly name: string },
  time: number,
  { onUse, onStart }: { onUse: (use: Use) => void; onStart: () => void },
): Promise<string | null> {
  let end!: (fault: string | null) => void;
  const over = new Promise<string | null>((resolve) => {
    end = resolve;
  });
  const onData = (value: unknown) => {
    const { use } = value as { use?: Use };
    if (use) onUse(use);
    else end(null);
  };
  const opened = await client.data(`/uses?${new URLSearchParams(asked)}`, onData, () =>
    end('The daemon has ended.'),
  );
  if (!opened.ok) return opened.error;
  onStart();
  const done = () => end(null);
  process.once('SIGINT', done);
  const timer = setTimeout(done, time);
  const fault = await over;
  // What was seen before this is answered was sent before, so it has come by then.
  if (fault === null) await client.get('/health');
  clearTimeout(timer);
  process.off('SIGINT', done);
  opened.value();
  return fault;
}
