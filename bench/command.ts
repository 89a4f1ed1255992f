/** What the commands of the benchmark share: options, the report as a file, and the end by a signal. */
import { writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { Task } from './task.js';

export interface Options {
  readonly quick?: true;
  readonly rounds?: number;
  readonly json?: string;
}

function parseRounds(text: string): number {
  const rounds = Number(text);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000)
    throw new InvalidArgumentError('A number from 1 to 1000 is expected.');
  return rounds;
}

/** `rounds`: how many without `--quick`. `quick`: what is short then. */
export function benchCommand(name: string, rounds: number, quick = 'two short rounds'): Command {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void Task.stopAll().then(() => process.exit(130));
    });
  }
  return new Command(name)
    .option('--quick', quick)
    .option('--rounds <n>', `how many rounds (${rounds})`, parseRounds)
    .option('--json <file>', 'writes everything to a file too');
}

export function roundsOf({ rounds, quick }: Options, usual: number): number {
  return rounds ?? (quick ? 2 : usual);
}

/** The subjects that can take part on this machine; the others are reported. */
export function presentOf<S extends { title: string; missing(): string | undefined }>(
  subjects: readonly S[],
): { present: readonly S[]; skipped: readonly { title: string; reason: string }[] } {
  const skipped: { title: string; reason: string }[] = [];
  const present = subjects.filter((subject) => {
    const reason = subject.missing();
    if (reason !== undefined) skipped.push({ title: subject.title, reason });
    return reason === undefined;
  });
  for (const { title, reason } of skipped) console.log(`${title}: skipped, ${reason}.`);
  return { present, skipped };
}

export function writeReport({ json }: Options, report: object): void {
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
}
