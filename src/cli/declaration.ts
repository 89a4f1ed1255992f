/**
 * What a revision says of each link that somebody requires: where, of whom, and what is wrong with it. Pure.
 */
import { buildGraph } from '../graph/builder.js';
import { unhosted } from '../graph/hosted-bus.js';
import { EXTERNAL, type Link, RUNTIME_PROVIDER } from '../graph/link.js';
import { grouped } from '../kernel/grouped.js';
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
  const problems = grouped([...revision.problems, ...graph.problems], ({ file }) => file);
  const links = grouped(graph.links, keyOf);
  const exporters = grouped(exportersOf(revision), ({ name }) => name);
  const consumers = [
    ...revision.containers.map(({ name, requirements }) => ({ name, requirements })),
    { name: EXTERNAL, requirements: revision.device.ingress },
  ];
  const all = consumers.flatMap(({ name: consumer, requirements }) => {
    const own = new Map(requirements.map((one) => [one, problemAt(problems, one.place, one.name)]));
    const linked = requirements.filter((one) => !TAKEN.includes(own.get(one)?.code));
    const linkOf = linksByRequirement(linked, (name) => links.get(keyOf({ consumer, name })) ?? []);
    return requirements.map((requirement): Declaration => {
      const link = linkOf.get(requirement);
      const found = exporters.get(requirement.name) ?? [];
      const exporter = exporterOf(revision, found, requirement.provider ?? link?.provider);
      const problem = own.get(requirement) ?? (exporter && problemOf(exporter, problems));
      const isWell = link !== undefined && !link.error;
      return { consumer, requirement, link, exporter, problem: isWell ? undefined : problem };
    });
  });
  return { all, consumers: consumers.map(({ name }) => name), services: [...exporters.keys()] };
}

function keyOf({ consumer, name }: Pick<Link, 'consumer' | 'name'>): string {
  return JSON.stringify([consumer, name]);
}

/** Of two requirements that claim one target, the first has it, and this is the problem of the other. */
const TAKEN: readonly (ProblemCode | undefined)[] = ['target-duplicate', 'ingress-collision'];

/**
 * The links of one consumer. Of those to one service, each has a target of its own, and a requirement that says none
 * has the link that is left.
 */
function linksByRequirement(
  linked: readonly Requirement[],
  linksTo: (service: string) => readonly Link[],
): ReadonlyMap<Requirement, Link> {
  const found = new Map<Requirement, Link>();
  for (const [name, requirements] of grouped(linked, (one) => one.name)) {
    const left = new Map(linksTo(name).map((link) => [link.target, link]));
    const take = (requirement: Requirement, target: string) => {
      const link = left.get(target);
      if (link) found.set(requirement, link);
      left.delete(target);
    };
    for (const one of requirements) if (one.target !== undefined) take(one, one.target);
    for (const one of requirements) {
      const [target] = left.keys();
      if (one.target === undefined && target !== undefined) take(one, target);
    }
  }
  return found;
}

type NamedExporter = Exporter & { readonly name: string };

/** In the order of containers; what is served before what was refused. */
function exportersOf({ containers }: Revision): NamedExporter[] {
  return containers.flatMap(({ name: container, services, refused }) => [
    ...services.flatMap((service) => {
      const { name, place } = service;
      return name === undefined ? [] : [{ name, container, place, service }];
    }),
    ...refused.flatMap(({ name, place }) => {
      return name === undefined ? [] : [{ name, container, place, service: undefined }];
    }),
  ]);
}

/** `meant`: the container; absent or empty: whoever is the first. */
function exporterOf(
  { unreadable }: Revision,
  exporters: readonly NamedExporter[],
  meant: string | undefined,
): Exporter | undefined {
  if (meant === RUNTIME_PROVIDER) return undefined;
  if (!meant) return exporters[0];
  const file = unreadable.get(meant);
  const unread = file && { container: meant, place: { file, pointer: '' }, service: undefined };
  return exporters.find(({ container }) => container === meant) ?? (unread || undefined);
}

/** What is beside the entries of a file may have all of them refused. */
function problemOf(
  { place, service }: Exporter,
  problems: ReadonlyMap<string, readonly Problem[]>,
): Problem | undefined {
  const whole = service ? undefined : { file: place.file, pointer: '' };
  return problemAt(problems, place) ?? (whole && problemAt(problems, whole));
}

/** Names in one string share a place: then the problem that has this name. */
function problemAt(
  problems: ReadonlyMap<string, readonly Problem[]>,
  { file, pointer }: Place,
  name?: string,
): Problem | undefined {
  const isWithin = (one: Problem) =>
    one.pointer === pointer || one.pointer.startsWith(`${pointer}/`);
  const found = (problems.get(file) ?? []).filter(isWithin);
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
