/**
 * Properties: what must hold for any input. `npm test` tries each with the same inputs every time; what a random seed
 * once found is given as an example and stays. `npm run fuzz` (scripts/fuzz.mjs) tries each with random seeds, one
 * batch of inputs after the other, until its share of the time is over; a batch is repeated by its seed.
 *
 * No test takes random numbers or fast-check's runner from elsewhere, so that none differs from run to run.
 */
import { randomInt } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';

export { fc };

/** What scripts/fuzz.mjs wants: JSON in PVX_FUZZ. */
interface Fuzzing {
  /** Of the first batch; those after it count up. Random where it is null. */
  readonly seed: number | null;
  /** How long each property is tried at least, in milliseconds: 0 is one batch. */
  readonly shareMs: number;
  /** No batch begins after this time, in milliseconds since 1970. */
  readonly until: number;
  /** Only what contains one of them in `FILE > NAME`; everything where there are none. */
  readonly names: readonly string[];
  /** File that each batch is written to as it begins: a crash can be repeated too. */
  readonly batches: string;
}

interface Options<T> {
  /** Inputs of a batch: 100 unless told. */
  readonly runs?: number;
  /** Inputs that are tried first, always. */
  readonly examples?: T[];
  /** Fails with the first input that was found: nobody looks for a smaller one. */
  readonly endOnFailure?: boolean;
}

/** Tries the property, and throws what it failed with. */
export type Holds = <T>(
  property: fc.IProperty<T> | fc.IAsyncProperty<T>,
  options?: Options<T>,
) => Promise<void>;

const SEED = 1;
const FUZZING: Fuzzing | null = JSON.parse(process.env.PVX_FUZZ ?? 'null');
const ROOT = new URL('../..', import.meta.url).pathname;
/** Tests may set a clock of their own. */
const [now, today] = [performance.now.bind(performance), Date.now];

/** A test of one property: `holds` is called once, with whatever belongs around it. */
export function property(name: string, body: (holds: Holds) => Promise<void>): void {
  if (!FUZZING) {
    test(name, { timeout: 120_000 }, () => body(tryOnce));
    return;
  }
  const fuzzing = FUZZING;
  // Of a file that has properties, nothing else is run.
  test(name, { timeout: fuzzing.shareMs + 600_000 }, async ({ skip }) => {
    const { testPath = '', currentTestName = '' } = expect.getState();
    const whole = `${relative(ROOT, testPath)} > ${currentTestName}`;
    const isMeant = fuzzing.names.length === 0 || fuzzing.names.some((one) => whole.includes(one));
    if (!isMeant || today() >= fuzzing.until) skip();
    await body((one, options) => tryLong(fuzzing, whole, one, options));
  });
}

const tryOnce: Holds = (one, options = {}) => tryBatch(one, SEED, options);

async function tryBatch<T>(
  one: fc.IProperty<T> | fc.IAsyncProperty<T>,
  seed: number,
  { runs = 100, examples = [], endOnFailure = false }: Options<T>,
): Promise<void> {
  await fc.assert(one as fc.IAsyncProperty<T>, {
    ...{ seed, numRuns: runs, examples, endOnFailure },
    includeErrorInReport: FUZZING !== null, // vitest shows the cause itself, the JSON that fuzz.mjs reads does not
  });
}

async function tryLong<T>(
  { seed, shareMs, until, batches }: Fuzzing,
  name: string,
  one: fc.IProperty<T> | fc.IAsyncProperty<T>,
  options: Options<T> = {},
): Promise<void> {
  const begun = now();
  let next = seed;
  do {
    const chosen = next ?? randomInt(2 ** 31);
    const inputs = options.runs ?? 100;
    appendFileSync(batches, `${JSON.stringify({ name, seed: chosen, inputs })}\n`);
    await tryBatch(one, chosen, options);
    if (next !== null) next++;
  } while (now() - begun < shareMs && today() < until);
}
