/**
 * Rounds, interleaved: each probe goes through all subjects, one right after the other, before the next probe; the
 * first one changes every round.
 */
import type { Metric } from './probes.js';
import type { Series } from './report.js';

interface Named {
  readonly key: string;
  readonly title: string;
}

/** What is measured together: one value for each metric. */
export interface Measured {
  readonly metrics: readonly Metric[];
}

/** The values by metric and subject, each with one entry a round: null where it failed, or has no meaning. */
class Results {
  readonly #subjects: readonly Named[];
  readonly #values = new Map<string, (number | null)[]>();

  constructor(subjects: readonly Named[]) {
    this.#subjects = subjects;
  }

  add(metric: Metric, subject: Named, value: number | null): void {
    const key = `${metric.key} ${subject.key}`;
    const values = this.#values.get(key);
    if (values) values.push(value);
    else this.#values.set(key, [value]);
  }

  series(metric: Metric): Series[] {
    return this.#subjects.map(({ key, title }) => ({
      subject: key,
      title,
      values: this.#values.get(`${metric.key} ${key}`) ?? [],
    }));
  }
}

/** A measurement that fails is reported, and only its own value of that round is missing. */
export async function measureRounds<Probe extends Measured, Subject extends Named>(
  rounds: number,
  probes: readonly Probe[],
  subjects: readonly Subject[],
  measure: (probe: Probe, subject: Subject) => Promise<readonly (number | null)[]>,
): Promise<Results> {
  const results = new Results(subjects);

  for (let round = 0; round < rounds; round++) {
    const first = round % subjects.length;
    const order = [...subjects.slice(first), ...subjects.slice(0, first)];
    for (const probe of probes) {
      console.error(`round ${round + 1} of ${rounds}: ${probe.metrics[0]?.title}`);
      for (const subject of order) {
        const values = await measure(probe, subject).catch((error: Error) => {
          console.error(`  ${subject.title}: failed: ${error.message}`);
          return [];
        });
        for (const [i, metric] of probe.metrics.entries()) {
          results.add(metric, subject, values[i] ?? null);
        }
      }
    }
  }
  return results;
}
