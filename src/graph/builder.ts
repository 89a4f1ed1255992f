/**
 * The graph of a revision: every requirement joined to its export, or unmet, and a problem that says why.
 *
 * Pure and total: the same revision, pids and options give the same links in the same order, and no
 * revision makes it throw. Pids only fill in the two pid fields: who runs decides nothing else.
 */

import type { Problem } from '../manifest/problem.js';
import { placeText, show } from '../manifest/problem.js';
import { ProblemList } from '../manifest/problem-list.js';
import type { Requirement, Revision } from '../manifest/revision.js';
import { SYSTEM_BUS } from '../manifest/services.js';
import { type Dependencies, findActivationCycles } from './activation-cycle.js';
import { busNames, noteUnknownBuses } from './bus-names.js';
import { exportsOf } from './exports.js';
import { EXTERNAL, type Link, linkId, RUNTIME_PROVIDER } from './link.js';
import { type GraphOptions, LinkMaker } from './link-maker.js';
import { Targets } from './targets.js';
import { noteUnknownRoles } from './unknown-roles.js';

export type { GraphOptions, HostedBus } from './link-maker.js';

export interface Graph {
  readonly links: readonly Link[];
  /** Requirements that nothing can meet, as links that are never attached, so that they are seen. */
  readonly unmet: readonly Link[];
  /** Those of the graph only; the revision has its own. */
  readonly problems: readonly Problem[];
  /** Which containers each container can't do without: those that provide what it requires. */
  readonly dependencies: Dependencies;
}

export function buildGraph(
  revision: Revision,
  pids: ReadonlyMap<string, number>,
  options: GraphOptions = {},
): Graph {
  const problems = new ProblemList();
  const exports = exportsOf(revision, options.hostedBus !== undefined, problems);
  const names = busNames(revision, problems);
  const maker = new LinkMaker(exports, names, pids, options, problems);
  const ownerOf = new Map(names.map(({ bus, name, container }) => [`${bus}/${name}`, container]));
  const dependencies = new Map<string, Set<string>>();
  const links: Link[] = [];
  const unmet: Link[] = [];
  for (const [consumer, requirements] of consumersOf(revision)) {
    const targets = new Targets();
    const providers = new Set<string>();
    const own: Link[] = [];
    const refused: Link[] = [];
    const lacking: Link[] = [];
    for (const requirement of requirements) {
      const link = maker.make(consumer, requirement);
      if (!link) {
        lacking.push(maker.unmet(consumer, requirement));
        continue;
      }
      const needed = [link.interface, ...(requirement.names ?? [])];
      const owners = needed.flatMap((name) => ownerOf.get(`${SYSTEM_BUS}/${name}`) ?? []);
      const all = link.provider === RUNTIME_PROVIDER ? owners : [link.provider];
      if (!requirement.optional) for (const one of all) if (one !== '') providers.add(one);
      if (link.error?.code === 'manifest-invalid') {
        refused.push(link);
        continue;
      }
      const taken = targets.claim(link, requirement.place);
      if (!taken) {
        own.push(link);
        continue;
      }
      const code = consumer === EXTERNAL ? 'ingress-collision' : 'target-duplicate';
      const found = `the target ${show(link.target)}, taken by ${placeText(taken)}`;
      problems.add(code, requirement.place, found, 'one that is free');
      lacking.push(maker.unmet(consumer, requirement));
    }
    // They hold no target, and are not shown where another link is known by the same three.
    const ids = new Set(own.map(linkId));
    const add = (to: Link[]) => (link: Link) => {
      if (!ids.has(linkId(link))) to.push(link);
      ids.add(linkId(link));
    };
    refused.forEach(add(own));
    lacking.forEach(add(unmet));
    links.push(...own);
    dependencies.set(consumer, providers);
  }
  noteUnknownRoles(revision, problems);
  noteUnknownBuses(names, problems);
  findActivationCycles(names, dependencies, problems);
  return { links, unmet, problems: problems.list(), dependencies };
}

function consumersOf(revision: Revision): [string, readonly Requirement[]][] {
  const containers = revision.containers.map(
    ({ name, requirements }): [string, readonly Requirement[]] => [name, requirements],
  );
  return [...containers, [EXTERNAL, revision.device.ingress]];
}
