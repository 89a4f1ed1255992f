/**
 * Cycles among on-demand activations: containers that are each started only when called, and each require
 * another one of the cycle, so that none of them is ever whole.
 */
import { pointerTo } from '../manifest/problem.js';
import type { ProblemList } from '../manifest/problem-list.js';
import { byName } from '../manifest/text.js';
import { type BusName, onDemand } from './bus-names.js';

/** Who requires whom, by container name. */
export type Dependencies = ReadonlyMap<string, ReadonlySet<string>>;

/** Adds one problem for each cycle, at the activation of its first container in name order. */
export function findActivationCycles(
  names: readonly BusName[],
  dependencies: Dependencies,
  problems: ProblemList,
): void {
  const services = onDemand(names);
  const waitsFor = new Map<string, string[]>();
  for (const container of services.keys()) {
    const on = [...(dependencies.get(container) ?? [])];
    waitsFor.set(
      container,
      on.filter((other) => other !== container && services.has(other)).sort(byName),
    );
  }
  for (const cycle of cyclesOf(waitsFor)) {
    const place = services.get(cycle[0] ?? '')?.place;
    if (!place) continue;
    const at = { file: place.file, pointer: pointerTo(place.pointer, 'activation') };
    const found = `the cycle ${[...cycle, cycle[0]].join(' -> ')} of on-demand activations`;
    problems.add('activation-cycle', at, found, 'an end to it');
  }
}

/** Disjoint cycles, each from its first node in name order; every graph with a cycle yields at least one. */
function cyclesOf(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const onCycle = withoutDeadEnds(edges);
  const cycles: string[][] = [];
  const seen = new Set<string>();
  for (const start of [...onCycle].sort(byName)) {
    const path: string[] = [];
    let node: string | undefined = start;
    while (node !== undefined && !seen.has(node)) {
      seen.add(node);
      path.push(node);
      node = edges.get(node)?.find((next) => onCycle.has(next));
    }
    const from = node === undefined ? -1 : path.indexOf(node);
    if (from >= 0) cycles.push(fromFirst(path.slice(from)));
  }
  return cycles;
}

/** Nodes from which one can walk for ever: what is left when dead ends are taken off again and again. */
function withoutDeadEnds(edges: ReadonlyMap<string, readonly string[]>): Set<string> {
  const left = new Set(edges.keys());
  const waysOn = new Map([...edges].map(([node, next]) => [node, next.length]));
  const cameFrom = new Map<string, string[]>();
  for (const [node, next] of edges) {
    for (const other of next) {
      const before = cameFrom.get(other) ?? [];
      before.push(node);
      cameFrom.set(other, before);
    }
  }
  const dead = [...left].filter((node) => waysOn.get(node) === 0);
  for (let node = dead.pop(); node !== undefined; node = dead.pop()) {
    left.delete(node);
    for (const before of cameFrom.get(node) ?? []) {
      const ways = (waysOn.get(before) ?? 0) - 1;
      waysOn.set(before, ways);
      if (ways === 0) dead.push(before);
    }
  }
  return left;
}

function fromFirst(cycle: readonly string[]): string[] {
  const first = cycle.indexOf([...cycle].sort(byName)[0] ?? '');
  return [...cycle.slice(first), ...cycle.slice(0, first)];
}
