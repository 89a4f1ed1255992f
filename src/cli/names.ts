/**
 * `pv-xconnect names WORDS`: what a shell may complete behind these words of a command line (scripts/manual.mjs has the
 * shells' part): containers that consume something, or the services of one. It is quick, and where there is nothing to
 * say it says nothing, as its output stands in the middle of somebody's typing.
 */
import type { Command } from 'commander';
import { ControlClient } from './control-client.js';
import { linkRows } from './link-row.js';
import type { Output } from './output.js';

const PATIENCE_MS = 1_000;
/** A name with other characters would have to be quoted, by each shell in another way. */
const PLAIN = /^[\w.@:+-]+$/;

export interface Wanted {
  /** The daemon's control socket. */
  readonly control: string;
  /** Null: containers are wanted, and else the services of that one. */
  readonly consumer: string | null;
}

/** What is wanted behind `words`, those between the program's name and the cursor. Null: nothing that we know. Pure. */
export function wantedBehind(words: readonly string[], program: Command): Wanted | null {
  const options = (command: Command) => [...command.options, ...program.options];
  let command: Command | undefined;
  let control = String(program.getOptionValue('control'));
  const given: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    const [flag, value] = word.split(/=(.*)/s);
    if (word.startsWith('-')) {
      const option = options(command ?? program).find((one) =>
        [one.long, one.short].includes(flag),
      );
      const next = value ?? (option?.required ? words[++at] : undefined);
      if (next === undefined && option?.required) return null; // its value is wanted
      if (option?.long === '--control') control = next as string;
    } else if (!command) {
      command = program.commands.find((one) => one.name() === word);
      if (!command) return null;
    } else given.push(word);
  }
  const wanted = command?.registeredArguments[given.length]?.name();
  if (wanted === 'consumer') return { control, consumer: null };
  return wanted === 'service' ? { control, consumer: given[given.length - 1] as string } : null;
}

/** A line each. Never says what went wrong. */
export async function namesCommand(
  words: readonly string[],
  program: Command,
  stdout: Output,
): Promise<void> {
  const wanted = wantedBehind(words, program);
  if (!wanted) return;
  const got = await new ControlClient(wanted.control, PATIENCE_MS).get('/xconnect-graph');
  if (!got.ok || !Array.isArray(got.value)) return;
  const rows = linkRows(got.value);
  const { consumer } = wanted;
  const names = rows.flatMap((row) => {
    if (consumer === null) return [row.consumer];
    return row.consumer === consumer ? [row.service] : [];
  });
  const plain = [...new Set(names)].filter((name) => PLAIN.test(name)).sort();
  stdout.write(plain.map((name) => `${name}\n`).join(''));
}
