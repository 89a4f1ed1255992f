/**
 * What a revision says of each link that somebody requires: where, of whom, and what is wrong with it. Pure.
 */
import { buildGraph } from '../graph/builder.js';
import { unhosted } from '../graph/hosted-bus.js';
import { EXTERNAL, type Link, RUNTIME_PROVIDER } from '../graph/link.js';
import { nearest } from '../kernel/nearest.js';
import {
  type Place,
  type Problem,
  type ProblemCode,
  placeText,
  show,
} from '../manifest/problem.js';
import type { Requirement, Revision, Service } from '../manifest/revision.js';

export interface Declaration {
  readonly consumer: string;
  readonly requirement: Requirement;
  /** Undefined: no link comes of it, and `problem` says why. */
  readonly link: Link | undefined;
  /** The entry that it leads to, also one that was refused; undefined: nobody has one, or it is the runtime's. */
  readonly exporter: Exporter | undefined;
  /** The first error about the requirement, or else about the entry that it leads to; a notice where there is none. */
  readonly problem: Problem | undefined;
}

export interface Exporter {
  readonly container: string;
  readonly place: Place;
  /** Undefined: it was refused. */
  readonly service: Service | undefined;
}

export interface Declarations {
  readonly all: readonly Declaration[];
  /** Of containers, and `EXTERNAL`. */
  readonly consumers: readonly string[];
  /** Names of services that somebody exports. */
  readonly services: readonly string[];
}

export function declarationsOf(revision: Revision): Declarations {
  const graph = buildGraph(revision, new Map(), unhosted(revision));
  const problems = [...revision.problems, ...graph.problems];
  const consumers = [
    ...revision.containers.map(({ name, requirements }) => ({ name, requirements })),
    { name: EXTERNAL, requirements: revision.device.ingress },
  ];
  const all = consumers.flatMap(({ name: consumer, requirements }) => {
    const own = new Map(requirements.map((one) => [one, problemAt(problems, one.place, one.name)]));
    const linked = requirements.filter((one) => !TAKEN.includes(own.get(one)?.code));
    return requirements.map((requirement) => {
      const link = linkOf(graph.links, consumer, requirement, linked);
      const exporter = exporterOf(revision, requirement, link);
      const problem = own.get(requirement) ?? (exporter && problemAt(problems, exporter.place));
      return {
        consumer,
        requirement,
        link,
        exporter,
        problem: link && !link.error ? undefined : problem,
      };
    });
  });
  const services = revision.containers.flatMap((container) =>
    container.services.flatMap(({ name }) => name ?? []),
  );
  return { all, consumers: consumers.map(({ name }) => name), services: [...new Set(services)] };
}

/** Of two requirements that claim one target, the first has it, and this is the problem of the other. */
const TAKEN: readonly (ProblemCode | undefined)[] = ['target-duplicate', 'ingress-collision'];

/** A requirement that says no target has the link that none of its siblings has. `linked`: those that have one. */
function linkOf(
  links: readonly Link[],
  consumer: string,
  requirement: Requirement,
  linked: readonly Requirement[],
): Link | undefined {
  if (!linked.includes(requirement)) return undefined;
  const { name, target } = requirement;
  const own = links.filter((link) => link.consumer === consumer && link.name === name);
  if (target !== undefined) return own.find((link) => link.target === target);
  const taken = linked.flatMap((one) => (one.name === name ? (one.target ?? []) : []));
  return own.find((link) => !taken.includes(link.target));
}

function exporterOf(
  { containers, unreadable }: Revision,
  { name, provider }: Requirement,
  link: Link | undefined,
): Exporter | undefined {
  const meant = provider ?? link?.provider;
  if (meant === RUNTIME_PROVIDER) return undefined;
  const isMeant = (container: string) => meant === undefined || meant === '' || meant === container;
  for (const { name: container, services, refused } of containers) {
    if (!isMeant(container)) continue;
    const service = services.find((one) => one.name === name);
    if (service) return { container, place: service.place, service };
    const bad = refused.find((one) => one.name === name);
    if (bad) return { container, place: bad.place, service: undefined };
  }
  const file = meant && unreadable.get(meant);
  return file ? { container: meant, place: { file, pointer: '' }, service: undefined } : undefined;
}

/** Names in one string share a place: then the problem that has this name. */
function problemAt(problems: readonly Problem[], place: Place, name?: string): Problem | undefined {
  const found = problems.filter(
    ({ pointer, file }) =>
      file === place.file && (pointer === place.pointer || pointer.startsWith(`${place.pointer}/`)),
  );
  const errors = found.filter(({ severity }) => severity === 'error');
  const isNamed = (one: Problem) => name !== undefined && one.found.includes(show(name));
  return errors.find(isNamed) ?? errors[0] ?? found.find(isNamed) ?? found[0];
}

/** Why the consumer has no such requirement: a sentence, and one on what to do. */
export function whyNone(
  { all, consumers, services }: Declarations,
  consumer: string,
  service: string | undefined,
): { readonly found: string; readonly remedy: string } {
  const suggested = (word: string, known: Iterable<string>) => {
    const meant = nearest(word, known);
    return meant === undefined ? '' : ` (did you mean ${meant}?)`;
  };
  if (!consumers.includes(consumer)) {
    const found = `The revision has no container ${consumer}${suggested(consumer, consumers)}.`;
    return { found, remedy: `It has ${listed(consumers.filter((one) => one !== EXTERNAL))}.` };
  }
  const own = all.filter((one) => one.consumer === consumer);
  const required = [...new Set(own.map(({ requirement }) => requirement.name))];
  const requires = `${consumer} requires ${required.length === 0 ? 'nothing' : listed(required)}`;
  if (service === undefined) {
    return {
      found: `${requires}.`,
      remedy: `Requirements are in ${consumer}/run.json or args.json.`,
    };
  }
  const [first] = own;
  const file = first?.requirement.place.file ?? `${consumer}/run.json`;
  const found = `${requires}, and not ${service}${suggested(service, required)}.`;
  if (services.includes(service))
    return { found, remedy: `Add ${show(service)} to what ${file} requires.` };
  const alike = suggested(service, services);
  return {
    found,
    remedy: `No container exports ${service}${alike}; correct the name, or add one that does.`,
  };
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 8).join(', ');
  return names.length > 8 ? `${shown} and ${names.length - 8} more` : shown;
}

/** `client/run.json:/services/required/0`, or nothing. */
export function placeOf(declaration: Declaration | undefined): string | undefined {
  return declaration && placeText(declaration.requirement.place);
}
