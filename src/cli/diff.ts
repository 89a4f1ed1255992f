/**
 * `pv-xconnect diff OLD NEW`: what a revision changes before it is installed, or what runs against what should: access
 * that somebody gains or loses, then links that appear, vanish or change.
 */
import { buildGraph } from '../graph/builder.js';
import { compareDeclared } from '../graph/declared-access.js';
import { type Access, compareGraphs, type GraphDifference } from '../graph/graph-difference.js';
import { unhosted } from '../graph/hosted-bus.js';
import { EXTERNAL, type Link, RUNTIME_PROVIDER } from '../graph/link.js';
import { valueText } from '../graph/rights.js';
import { linkToWire, parseGraph } from '../graph/wire.js';
import type { Vocabulary } from '../manifest/entries.js';
import { isObject } from '../manifest/json.js';
import { EVERY_ROLE } from '../manifest/policy.js';
import { readRevision } from '../manifest/reader.js';
import type { Revision } from '../manifest/revision.js';
import { printable, printableJson } from '../manifest/text.js';
import { ControlClient, type Got } from './control-client.js';
import type { Output } from './output.js';

export interface DiffOptions {
  /** Paths of revisions, or `running`. */
  readonly before: string;
  readonly after: string;
  /** The daemon's control socket, for `running`. */
  readonly control: string;
  readonly json: boolean;
  /** 1 where there is a difference. */
  readonly exitCode: boolean;
  /** What manifests may say. Absent: what the built-in plugins take. */
  readonly vocabulary?: Vocabulary | undefined;
}

export const RUNNING = 'running';

/** Without a revision: of a daemon whose graph a runtime builds. */
interface Side {
  readonly links: readonly Link[];
  readonly revision?: Revision;
}

/** Exit code: 0; 1 with `exitCode` where there is a difference; 2 where one of the two can't be read. */
export async function diffCommand(
  options: DiffOptions,
  { stdout, stderr }: { readonly stdout: Output; readonly stderr: Output },
): Promise<number> {
  const say = (sentence: string) => stderr.write(`pv-xconnect: ${printable(sentence)}\n`);
  const sides: Side[] = [];
  for (const which of [options.before, options.after]) {
    const got = await (which === RUNNING
      ? running(new ControlClient(options.control), say)
      : revisionAt(which, options.vocabulary, say));
    if (!got.ok) {
      say(got.error);
      return 2;
    }
    sides.push(got.value);
  }
  const [before, after] = sides as [Side, Side];
  if (!before.revision || !after.revision) {
    say(
      'A runtime tells its links alone: "allow" of services that nobody requires and names on the hosted bus are not compared.',
    );
  }
  const difference = differenceOf(before, after);
  stdout.write(options.json ? `${printableJson(jsonOf(difference))}\n` : textOf(difference));
  return options.exitCode && !isEmpty(difference) ? 1 : 0;
}

function differenceOf(before: Side, after: Side): GraphDifference {
  const difference = compareGraphs(before.links, after.links);
  if (!before.revision || !after.revision) return difference;
  const declared = compareDeclared(
    { revision: before.revision, links: before.links },
    { revision: after.revision, links: after.links },
  );
  const access = {
    gained: [...difference.access.gained, ...declared.gained],
    lost: [...difference.access.lost, ...declared.lost],
  };
  return { ...difference, access };
}

async function revisionAt(
  path: string,
  vocabulary: Vocabulary | undefined,
  say: (sentence: string) => void,
): Promise<Got<Side>> {
  const revision = await readRevision(path, vocabulary);
  if (revision.failed) {
    const [problem] = revision.problems;
    const why = problem?.message ?? 'it can not be read.';
    return { ok: false, error: `${path}: ${why}` };
  }
  const { links, problems } = buildGraph(revision, new Map(), unhosted(revision));
  const errors = [...revision.problems, ...problems].filter(({ severity }) => severity === 'error');
  if (errors.length > 0) {
    say(`Some links may be missing (problems: ${errors.length}): see pv-xconnect check ${path}.`);
  }
  return { ok: true, value: { links, revision } };
}

async function running(client: ControlClient, say: (sentence: string) => void): Promise<Got<Side>> {
  const got = await client.get('/xconnect-graph');
  if (!got.ok) return got;
  const isNone = (entry: unknown) =>
    isObject(entry) && (entry.state === 'draining' || entry.state === 'unmet');
  const wanted = Array.isArray(got.value) ? got.value.filter((one) => !isNone(one)) : got.value;
  const { links, errors } = parseGraph(wanted);
  const [error] = errors;
  if (error !== undefined && links.length === 0) return { ok: false, error };
  for (const sentence of errors) say(sentence);
  const revision = await client.revision();
  if (!revision.ok) return revision;
  return { ok: true, value: { links, ...(revision.value ? { revision: revision.value } : {}) } };
}

function isEmpty({ appeared, vanished, changed, access }: GraphDifference): boolean {
  const lists = [appeared, vanished, changed, access.gained, access.lost];
  return lists.every((list) => list.length === 0);
}

function jsonOf({ appeared, vanished, changed, access }: GraphDifference) {
  const told = (one: Access) => ({ ...one, text: accessText(one) });
  return {
    access: { gained: access.gained.map(told), lost: access.lost.map(told) },
    links: {
      appeared: appeared.map(linkToWire),
      vanished: vanished.map(linkToWire),
      changed: changed.map(({ after, fields }) => {
        const { consumer, name, target } = after;
        return { consumer, name, target, fields };
      }),
    },
  };
}

function textOf(difference: GraphDifference): string {
  if (isEmpty(difference)) return 'No difference.\n';
  const { appeared, vanished, changed, access } = difference;
  const changes = changed.flatMap(({ after, fields }) => {
    const { error: _, ...link } = after;
    return fields.map(({ field, before: old, after: now }) => {
      return `  ~ ${linkText(link)}: ${field} ${saidOf(old)} → ${saidOf(now)}`;
    });
  });
  const parts: [string, string[]][] = [
    ['Access gained:', access.gained.map((one) => `  + ${accessText(one)}`)],
    ['Access lost:', access.lost.map((one) => `  - ${accessText(one)}`)],
    ['Links that appear:', appeared.map((link) => `  + ${linkText(link)}`)],
    ['Links that vanish:', vanished.map((link) => `  - ${linkText(link)}`)],
    ['Links that change:', changes],
  ];
  const shown = parts.filter(([, lines]) => lines.length > 0);
  return `${shown.map(([head, lines]) => [head, ...lines.map(printable)].join('\n')).join('\n')}\n`;
}

/** An error by its sentence. */
function saidOf(value: unknown): string {
  return isObject(value) && typeof value.message === 'string' ? value.message : valueText(value);
}

function linkText({ consumer, name, provider, type, target, error }: Link): string {
  const why = error ? `, which can't be made: ${error.message}` : '';
  const what = type === '' ? '' : ` (${type})`;
  return `${consumer} → ${name} of ${providerText(provider)}${what} at ${target}${why}`;
}

function providerText(provider: string): string {
  if (provider === RUNTIME_PROVIDER) return 'the runtime';
  return provider === '' ? 'an unknown provider' : provider;
}

/** Whose access it is, to what, and how far it goes. */
function accessText({ consumer, role, provider, name, target, field, what }: Access): string {
  const of = `${name} of ${providerText(provider)}`;
  if (consumer === null) {
    const whose = role === null ? '' : role === EVERY_ROLE ? 'every role: ' : `the role ${role}: `;
    return `${of}: ${whose}${what}`;
  }
  const who = consumer === EXTERNAL ? `whoever reaches ${target}` : consumer;
  const as = role === null || role === 'any' ? '' : ` as ${role}`;
  const at = consumer === EXTERNAL ? '' : ` at ${target}`;
  return field === 'link' ? `${who} may use ${of}${as}${at}` : `${who} on ${of}${at}: ${what}`;
}
