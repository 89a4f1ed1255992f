/**
 * The containers of an engine to a revision, and to the processes that they are. Pure.
 *
 * How a container is called: by its Compose service, with the project in front where another project or container has
 * that name too; a container that is not of Compose by its own name. Of a service that is scaled to several containers,
 * the one with the lowest number has the service's name, and the others their own, so that each has its own links to
 * what it requires. What the service provides is provided by its longest running container.
 *
 * Inside a Compose project, names mean that project's services first: two projects may have the same services.
 *
 * No container can make those of another one unread or untold: each has its own list of problems, and of the room for
 * labels those who need least are given theirs first.
 */
import type { Processes } from '../graph/revision-source.js';
import { mayName } from '../manifest/assembly.js';
import { NO_DEVICE } from '../manifest/device.js';
import type { Vocabulary } from '../manifest/entries.js';
import { MAX_STATE } from '../manifest/limits.js';
import type { ContainerEnd } from '../manifest/link-values.js';
import { type Problem, show } from '../manifest/problem.js';
import { ProblemList } from '../manifest/problem-list.js';
import type {
  ContainerManifest,
  IngressRule,
  Requirement,
  Revision,
  Service,
} from '../manifest/revision.js';
import { CONTAINER_PREFIX } from '../manifest/services.js';
import { byName } from '../manifest/text.js';
import { type Labels, type LabelsRead, placeOf, readLabels, shortened } from './labels.js';

/** As the engine lists it. */
export interface EngineContainer {
  readonly id: string;
  readonly name: string;
  readonly labels: Labels;
  /** Those of its image, the same object as long as they are known; null: nobody knows them. */
  readonly imageLabels: Labels | null;
  /** When it was created: seconds since 1970. */
  readonly created: number;
  /** 0: it does not run. */
  readonly pid: number;
  /** Since when it runs: milliseconds since 1970. */
  readonly startedAt: number;
  /** How it ended last; absent: never. */
  readonly end?: ContainerEnd;
  /** It runs, but its processes are frozen. */
  readonly isPaused: boolean;
  /** Why the engine does not say whether it runs: a sentence. It is taken as if it did not. */
  readonly fault?: string;
}

export interface Ingress {
  readonly rules: readonly IngressRule[];
  readonly problems: readonly Problem[];
}

export interface Assembly {
  readonly revision: Revision;
  readonly processes: Omit<Processes, 'stamp'>;
}

interface ComposeService {
  readonly project: string;
  readonly service: string;
  readonly number: number;
}

/** A container with what its labels say, and who it is in the graph. */
interface Member {
  readonly container: EngineContainer;
  readonly read: LabelsRead;
  readonly compose: ComposeService | null;
  /** In the graph. */
  name: string;
}

/** The containers of one service, the one with its name first; a container of its own is alone in one. */
type Group = readonly [Member, ...Member[]];

const COMPOSE = 'com.docker.compose.';
const NAMED_AT_MOST = 5;
/** Of one container, beyond which they are only counted. */
const MAX_PROBLEMS_OF_ONE = 100;
/** What one more label takes, however short it is: as much as so many characters. */
const LABEL_COST = 256;

/** What the labels of a container say, and all that is wrong with them. */
interface Reading {
  readonly container: EngineContainer;
  readonly read: LabelsRead;
  readonly problems: readonly Problem[];
}

/**
 * Reads the labels of each container once: they stay the same as long as it lives, and an engine has many events.
 */
export class LabelReader {
  readonly #vocabulary: Vocabulary;
  #known = new Map<string, Reading>();

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** Forgets those that are not among them. */
  read(containers: readonly EngineContainer[]): readonly Reading[] {
    const readings = containers.map((container): Reading => {
      const known = this.#known.get(container.id);
      const { name, imageLabels } = known?.container ?? {};
      const isSame = name === container.name && imageLabels === container.imageLabels;
      return known && isSame ? { ...known, container } : this.#read(container);
    });
    this.#known = new Map(readings.map((one) => [one.container.id, one]));
    return readings;
  }

  #read(container: EngineContainer): Reading {
    const problems = new ProblemList(MAX_PROBLEMS_OF_ONE);
    const { name, labels, imageLabels } = container;
    const read = readLabels(name, labels, imageLabels, this.#vocabulary, problems);
    return { container, read, problems: problems.list() };
  }
}

export function assemble(
  containers: readonly EngineContainer[],
  ingress: Ingress,
  reader: LabelReader,
): Assembly {
  const problems = new ProblemList();
  const readings = reader.read(withinBounds(containers, problems));
  const members = readings.map(({ container, read }): Member => {
    noteFault(container, problems);
    return { container, read, compose: composeService(container), name: container.name };
  });
  const groups = groupsOf(members);
  nameThem(groups);
  const sound = new Set(uniquelyNamed(members, problems));
  const scope = new Scope(groups);

  const manifests: ContainerManifest[] = [];
  const unreadable = new Map<string, string>();
  const pids = new Map<string, number>();
  const servers = new Map<string, number>();
  const ends = new Map<string, ContainerEnd>();
  for (const group of groups) {
    const serving = servingOf(group);
    for (const member of group) {
      const { name, container, read } = member;
      if (!sound.has(member)) continue;
      const isNamesake = member === group[0];
      const { services, refused, unreadable: label } = serving.read;
      if (isNamesake && label !== undefined) unreadable.set(name, label);
      manifests.push({
        name,
        services: isNamesake ? services.map((one) => scope.service(serving, one)) : [],
        refused: isNamesake ? refused : [],
        requirements: read.requirements.map((one) => scope.requirement(member, one)),
        ...{ run: {}, args: {} },
      });
      pids.set(name, container.pid);
      if (container.end) ends.set(name, container.end);
      if (isNamesake) servers.set(name, serving.container.isPaused ? 0 : serving.container.pid);
    }
    noteScaled(group, serving, problems);
  }
  const running = members.filter(({ container }) => container.pid > 0);
  return {
    revision: {
      containers: manifests.sort((a, b) => byName(a.name, b.name)),
      unreadable,
      device: { ...NO_DEVICE, ingress: ingress.rules },
      problems: [
        ...problems.list(),
        ...readings.flatMap((one) => one.problems),
        ...ingress.problems,
      ],
      state: {},
    },
    processes: {
      ...{ pids, servers, ends },
      engineIds: new Map(running.map(({ container: { pid, id } }) => [pid, id])),
    },
  };
}

/** In order of their names, all but those whose labels take more than is left by the containers with fewer. */
function withinBounds(containers: readonly EngineContainer[], problems: ProblemList) {
  const sized = containers.map((container) => ({ container, size: sizeOf(container.labels) }));
  sized.sort((a, b) => a.size - b.size || byName(a.container.name, b.container.name));
  let left = MAX_STATE;
  const kept = sized.filter(({ container, size }) => {
    left -= size;
    if (left >= 0) return true;
    const found = `${container.labels.size} labels that take ${size} characters, beside those of other containers`;
    const expected = `at most ${MAX_STATE} together`;
    problems.add('file-too-large', placeOf(container.name), found, expected);
    return false;
  });
  return kept.map(({ container }) => container).sort((a, b) => byName(a.name, b.name));
}

function sizeOf(labels: Labels): number {
  let size = 0;
  for (const [label, text] of labels) size += LABEL_COST + label.length + text.length;
  return size;
}

function noteFault({ name, fault }: EngineContainer, problems: ProblemList): void {
  if (fault === undefined) return;
  const found = `no answer of the engine whether it runs (${fault.replace(/\.$/, '')})`;
  problems.add('container-unknown', placeOf(name), found, 'its pid');
}

/** Null: it is a container of its own. */
function composeService({ labels, imageLabels }: EngineContainer): ComposeService | null {
  const label = (name: string) => labels.get(`${COMPOSE}${name}`);
  const [project, service, number] = ['project', 'service', 'container-number'].map(label);
  // Compose gives images that it builds the first two as well. Whoever made an image must not choose a name by them.
  const isOwn = imageLabels !== null && number !== imageLabels.get(`${COMPOSE}container-number`);
  if (!project || !service || !isOwn || label('oneoff') === 'True') return null;
  return { project, service, number: Number(number) || 0 };
}

function groupsOf(members: readonly Member[]): Group[] {
  const groups = new Map<string, [Member, ...Member[]]>();
  for (const member of members) {
    const { compose, container } = member;
    const key = JSON.stringify(compose ? [compose.project, compose.service] : container.id);
    const group = groups.get(key);
    if (group) group.push(member);
    else groups.set(key, [member]);
  }
  for (const group of groups.values()) group.sort(byNumber);
  return [...groups.values()];
}

/** While Compose replaces a container by another one, both have its number. */
function byNumber({ compose: a, container: one }: Member, { compose: b, container: two }: Member) {
  const isRunning = ({ pid }: EngineContainer) => (pid > 0 ? 0 : 1);
  return (
    (a?.number ?? 0) - (b?.number ?? 0) ||
    isRunning(one) - isRunning(two) ||
    two.created - one.created ||
    byName(one.id, two.id)
  );
}

function nameThem(groups: readonly Group[]): void {
  const wishes = new Map<string, number>();
  for (const [{ compose, container }] of groups) {
    const name = compose?.service ?? container.name;
    wishes.set(name, (wishes.get(name) ?? 0) + 1);
  }
  for (const [first] of groups) {
    if (!first.compose) continue;
    const { project, service } = first.compose;
    first.name = wishes.get(service) === 1 ? service : `${project}-${service}`;
  }
}

/** Two of one name would each have what the other may: neither is served. */
function uniquelyNamed(members: readonly Member[], problems: ProblemList): Member[] {
  const byTheName = new Map<string, Member>();
  const twice = new Set<string>();
  for (const member of members) {
    if (byTheName.has(member.name)) twice.add(member.name);
    byTheName.set(member.name, member);
  }
  return members.filter(({ name, container }) => {
    const place = placeOf(container.name);
    if (!mayName(name, place, problems)) return false;
    if (!twice.has(name)) return true;
    const found = `the name ${show(name)}, which another container has in the graph too`;
    problems.add('container-duplicate', place, found, 'one that is free');
    return false;
  });
}

/** Who answers for a service: of those that can, the one that has done so for longest. */
function servingOf(group: Group): Member {
  const rank = ({ container: { pid, isPaused } }: Member) => (pid <= 0 ? 2 : isPaused ? 1 : 0);
  const [first = group[0]] = [...group].sort(
    (a, b) => rank(a) - rank(b) || a.container.startedAt - b.container.startedAt,
  );
  return rank(first) === 2 ? group[0] : first;
}

function noteScaled(group: Group, serving: Member, problems: ProblemList): void {
  const others = group.filter((one) => one !== serving && one.container.pid > 0);
  if (others.length === 0 || serving.read.services.length === 0) return;
  const names = others.map(({ container }) => shortened(container.name));
  const rest = names.length > NAMED_AT_MOST ? ' and others' : '';
  const found = `${others.length} more containers of its service (${names.slice(0, NAMED_AT_MOST).join(', ')}${rest}), which get no connections`;
  problems.add('provider-scaled', placeOf(serving.container.name), found, 'it alone', 'notice');
}

interface Project {
  /** By the name of the service. */
  readonly groups: Map<string, Group>;
  /** By the name of what is provided, or was to be; null: by several of them. */
  readonly exports: Map<string, Group | null>;
}

/** Whom the names in labels mean. */
class Scope {
  readonly #byName = new Map<string, Group>();
  readonly #projects = new Map<string, Project>();

  constructor(groups: readonly Group[]) {
    for (const group of groups) {
      const [{ name, compose }] = group;
      this.#byName.set(name, group);
      if (!compose) continue;
      const project = this.#projects.get(compose.project) ?? {
        groups: new Map(),
        exports: new Map(),
      };
      this.#projects.set(compose.project, project);
      project.groups.set(compose.service, group);
      const { services, refused } = servingOf(group).read;
      for (const { name: service = '' } of [...services, ...refused]) {
        const other = project.exports.get(service);
        project.exports.set(service, other === undefined || other === group ? group : null);
      }
    }
  }

  service(by: Member, service: Service): Service {
    if (!service.allow) return service;
    const allow = service.allow.flatMap((entry) => {
      if (!entry.startsWith(CONTAINER_PREFIX)) return [entry];
      const name = entry.slice(CONTAINER_PREFIX.length);
      const meant = this.#group(by, name)?.map((member) => member.name) ?? [name];
      return meant.map((one) => `${CONTAINER_PREFIX}${one}`);
    });
    return { ...service, allow };
  }

  requirement(by: Member, requirement: Requirement): Requirement {
    const { provider } = requirement;
    const own = this.#projects.get(by.compose?.project ?? '');
    const group =
      provider === undefined ? own?.exports.get(requirement.name) : this.#group(by, provider);
    return group ? { ...requirement, provider: group[0].name } : requirement;
  }

  #group({ compose }: Member, name: string): Group | undefined {
    const own = this.#projects.get(compose?.project ?? '');
    return own?.groups.get(name) ?? this.#byName.get(name);
  }
}
