/**
 * `pv-xconnect check PATH`: reads a revision and says what is wrong with it and with its graph.
 */
import { buildGraph } from '../graph/builder.js';
import { unhosted } from '../graph/hosted-bus.js';
import { DEVICE_FILE } from '../manifest/device.js';
import type { Vocabulary } from '../manifest/entries.js';
import { HashCheck, takeObjects } from '../manifest/objects.js';
import { type Problem, problemText } from '../manifest/problem.js';
import { readRevision } from '../manifest/reader.js';
import type { Revision } from '../manifest/revision.js';
import { printableJson } from '../manifest/text.js';
import { planAddresses } from '../runtime/address-plan.js';
import { runtimeSettings } from '../runtime/container-settings.js';
import { revisionFiles } from '../runtime/revision-files.js';

export interface CheckOptions {
  readonly json: boolean;
  /** What the manifests may say. Absent: what the built-in plugins take. */
  readonly vocabulary?: Vocabulary | undefined;
}

/** Exit code 1 where there are errors, else 0; notices alone are 0. */
export async function checkCommand(
  path: string,
  options: CheckOptions,
  out: { write(text: string): unknown },
): Promise<number> {
  const revision = await readRevision(path, options.vocabulary);
  const graph = buildGraph(revision, new Map(), unhosted(revision));
  const all = [...revision.problems, ...graph.problems, ...(await runtimeProblems(path, revision))];
  const errors = all.filter(({ severity }) => severity === 'error');
  const notices = all.filter(({ severity }) => severity === 'notice');
  const counts = {
    errors: errors.length,
    notices: notices.length,
    containers: revision.containers.length,
    links: graph.links.length,
  };
  const problems = [...errors, ...notices];
  if (options.json) out.write(`${printableJson({ ...counts, problems })}\n`);
  else for (const text of [...problems.map(problemText), summary(counts)]) out.write(`${text}\n`);
  return errors.length > 0 ? 1 : 0;
}

/**
 * What a runtime would report: objects that are damaged or missing, configurations that it refuses, groups and network
 * pools. A revision with neither a device.json nor anything to run says nothing of that: it is one of manifests alone.
 */
async function runtimeProblems(path: string, revision: Revision): Promise<readonly Problem[]> {
  const check = new HashCheck();
  const taken = await takeObjects([path], revision.state, check);
  const whole = { ...revision, state: { ...revision.state, ...taken.state } };
  const { containers, problems } = runtimeSettings(whole);
  const hasObjects = taken.taken.size > 0;
  const files = revisionFiles(
    whole,
    containers,
    {
      // A state alone has no objects: that they are missing is no news.
      pathOf: (sha256) => (!hasObjects || taken.taken.has(sha256) ? sha256 : undefined),
      textOf: (sha256) => check.short.get(sha256),
    },
    [],
  );
  const { baked } = files;
  const plan = planAddresses(revision.device.pools, containers, { rootless: false, baked });
  const isDeclared = revision.containers.some(({ run }) => run.type !== undefined || run.exec);
  const isWhole = isDeclared || revision.state[DEVICE_FILE] !== undefined;
  return [
    ...taken.problems,
    ...(isDeclared ? problems : []),
    ...files.problems,
    ...(isWhole ? plan.problems : []),
  ];
}

function summary(counts: { errors: number; notices: number; containers: number; links: number }) {
  const { errors, notices, containers, links } = counts;
  const found = `${amount(errors, 'error')}, ${amount(notices, 'notice')}`;
  return `${found}; ${amount(containers, 'container')}, ${amount(links, 'link')}.`;
}

function amount(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
