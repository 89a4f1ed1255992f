/**
 * The labels of a container to what its manifests would say. Pure, and never throws: a label that is wrong takes out
 * itself alone, and its problem names the container and the label.
 *
 *   pv.services=JSON            what services.json holds
 *   pv.required, pv.optional    the lists of run.json: JSON, or names with commas between them
 *   pv.provide.NAME=TYPE:PATH   one service; TYPE:PORT too
 *   pv.require.NAME=TARGET      one requirement; an empty TARGET is the default one
 *   pv.provide.NAME.FIELD, pv.require.NAME.FIELD
 *                               one field of it: text, or JSON where it begins with a bracket
 *
 * A container inherits the labels of its image, and those were written by whoever made the image. A container may not
 * say itself what role it has, so labels that the image has too do not count, unless `pv.image-labels=accept` of the
 * container says that they do.
 */
import { nearest } from '../kernel/nearest.js';
import type { Vocabulary } from '../manifest/entries.js';
import { parseJson } from '../manifest/json.js';
import { MAX_ENTRIES, MAX_MANIFEST } from '../manifest/limits.js';
import { type Place, show } from '../manifest/problem.js';
import type { ProblemList } from '../manifest/problem-list.js';
import { readRequirement, readRequirementList, refused } from '../manifest/requirements.js';
import type { Requirement } from '../manifest/revision.js';
import {
  type ListedService,
  readServices,
  type ServicesRead,
  servicesIn,
} from '../manifest/services.js';
import { byName, printable } from '../manifest/text.js';

export type Labels = ReadonlyMap<string, string>;

/** What the labels of one container come to. */
export interface LabelsRead extends ServicesRead {
  readonly requirements: readonly Requirement[];
  /** `pv.services`, as problems call it, where that can't be read: nobody knows what the container provides. */
  readonly unreadable?: string;
}

const PREFIX = 'pv.';
const SERVICES = 'pv.services';
const LISTS = ['pv.required', 'pv.optional'];
const IMAGE_LABELS = 'pv.image-labels';
const ACCEPT = 'accept';
/** Every label of ours, by its whole name or by how it begins. */
const WHOLE = [SERVICES, ...LISTS, IMAGE_LABELS];
const SHORT = ['pv.provide.', 'pv.require.'];
/** How much of a label's name is shown. */
const SHOWN = 80;

/** Whether any of them may be for us. */
export function concernUs(labels: Labels): boolean {
  return [...labels.keys()].some((name) => name.startsWith(PREFIX));
}

/** How problems call a container, as its engine does. */
export function placeOf(container: string): Place {
  return { file: `container ${shortened(container)}`, pointer: '' };
}

function placeOfLabel(container: string, label: string): Place {
  return { file: `${placeOf(container).file}, label ${shortened(label)}`, pointer: '' };
}

/** `image`: the labels of its image. */
export function readLabels(
  container: string,
  labels: Labels,
  image: Labels,
  vocabulary: Vocabulary,
  problems: ProblemList,
): LabelsRead {
  const texts = ownLabels(container, labels, image, problems);
  const at = (label: string) => placeOfLabel(container, label);
  const services: ListedService[] = [];
  let unreadable: string | undefined;
  if (labels.has(SERVICES) && texts.has(SERVICES)) {
    const { file } = at(SERVICES);
    const value = jsonOf(texts.get(SERVICES) ?? null, file, problems);
    if (value === undefined) unreadable = file;
    else services.push(...servicesIn(value, file, problems));
  }
  const requirements = LISTS.flatMap((label, index) => {
    const text = texts.get(label) ?? null;
    const value = text === null ? undefined : listOf(text, at(label).file, problems);
    return readRequirementList(value, at(label), index === 1, vocabulary, problems);
  });
  for (const { item, place, sound } of shortForms('provide', texts, at, problems)) {
    services.push({ item, place, sound });
  }
  for (const { item, place, sound } of shortForms('require', texts, at, problems)) {
    const wanted = sound ? readRequirement(item, place, vocabulary, problems) : refused(item);
    if (wanted) requirements.push({ ...wanted, optional: false, place });
  }
  return {
    ...readServices(services, vocabulary, problems),
    requirements,
    ...(unreadable === undefined ? {} : { unreadable }),
  };
}

/** Those of ours that count, in order of their names; null where one is too large, which is a problem. */
function ownLabels(
  container: string,
  labels: Labels,
  image: Labels,
  problems: ProblemList,
): ReadonlyMap<string, string | null> {
  const isOwn = (label: string) => image.get(label) !== labels.get(label);
  const accepts = labels.get(IMAGE_LABELS) === ACCEPT && isOwn(IMAGE_LABELS);
  const own = new Map<string, string | null>();
  for (const [label, text] of [...labels].sort(([a], [b]) => byName(a, b))) {
    if (!label.startsWith(PREFIX)) continue;
    const place = placeOfLabel(container, label);
    if (!WHOLE.includes(label) && !SHORT.some((prefix) => label.startsWith(prefix))) {
      const meant = meantBy(label);
      if (meant === undefined) continue;
      problems.add('field-unknown', place, `the unknown label ${show(label)}`, meant);
    } else if (!isOwn(label) && !accepts) {
      const expected = `labels of the container itself, or "${IMAGE_LABELS}=${ACCEPT}" among them`;
      problems.add('label-inherited', place, 'a label of its image', expected, 'notice');
    } else if (label === IMAGE_LABELS) {
      if (!accepts) problems.add('label-invalid', place, show(text), `"${ACCEPT}"`);
    } else {
      const bytes = Buffer.byteLength(text);
      if (bytes > MAX_MANIFEST) {
        problems.add('file-too-large', place, `${bytes} bytes`, `at most ${MAX_MANIFEST}`);
      }
      own.set(label, bytes > MAX_MANIFEST ? null : text);
    }
  }
  return own;
}

/** Undefined: other programs have labels that begin with "pv." too. */
function meantBy(label: string): string | undefined {
  const [word = ''] = label.slice(PREFIX.length).split('.');
  const words = [...WHOLE, ...SHORT].map((one) => one.split('.')[1] as string);
  const meant = words.includes(word) ? word : nearest(word, words, 1);
  if (meant === undefined) return undefined;
  return SHORT.includes(`${PREFIX}${meant}.`) ? `"pv.${meant}.NAME"` : `"pv.${meant}"`;
}

/** Undefined where there is a problem. */
function jsonOf(text: string | null, file: string, problems: ProblemList): unknown {
  if (text === null) return undefined;
  if (text.trim() !== '') return parseJson(Buffer.from(text), file, problems);
  problems.add('json-invalid', { file, pointer: '' }, 'an empty label', 'JSON');
  return undefined;
}

function listOf(text: string, file: string, problems: ProblemList): unknown {
  return looksLikeJson(text) ? jsonOf(text, file, problems) : text;
}

function looksLikeJson(text: string): boolean {
  return /^\s*[[{"]/.test(text);
}

interface ShortForm {
  /** Its fields by their names. */
  readonly fields: Map<string, unknown>;
  place: Place;
  sound: boolean;
}

/** The entries that labels `pv.provide.*` or `pv.require.*` make together, by their names. */
function shortForms(
  side: 'provide' | 'require',
  texts: ReadonlyMap<string, string | null>,
  at: (label: string) => Place,
  problems: ProblemList,
): ListedService[] {
  const prefix = `${PREFIX}${side}.`;
  const forms = new Map<string, ShortForm>();
  for (const [label, text] of texts) {
    if (!label.startsWith(prefix)) continue;
    const [name = '', field, ...deeper] = label.slice(prefix.length).split('.');
    const place = at(label);
    if (forms.size >= MAX_ENTRIES && !forms.has(name)) {
      problems.add('file-too-large', place, `more names than that`, `at most ${MAX_ENTRIES}`);
      continue;
    }
    const form = forms.get(name) ?? { fields: new Map([['name', name]]), place, sound: true };
    forms.set(name, form);
    const said =
      text === null
        ? null
        : name === '' || field === '' || deeper.length > 0
          ? wrongName(side, place, label, problems)
          : field !== undefined
            ? oneField(field, text, place, problems)
            : side === 'provide'
              ? provided(text, place, problems)
              : text === ''
                ? []
                : [['target', text] as const];
    // What it was to say may have been a limit.
    if (said === null) form.sound = false;
    for (const [key, value] of said ?? []) {
      if (form.fields.has(key)) {
        problems.add('label-invalid', place, `${show(key)} again`, 'each field once');
        form.sound = false;
      } else form.fields.set(key, value);
    }
  }
  return [...forms.values()].map(({ fields, place, sound }) => {
    return { item: Object.fromEntries(fields), place, sound };
  });
}

/** Null after adding a problem; as of the next two. */
type Said = readonly (readonly [field: string, value: unknown])[] | null;

function wrongName(side: string, place: Place, label: string, problems: ProblemList): Said {
  const json = side === 'provide' ? SERVICES : LISTS[0];
  const expected = `"pv.${side}.NAME" or "pv.${side}.NAME.FIELD"; a NAME with dots goes into ${json}`;
  problems.add('label-invalid', place, `the label ${show(label)}`, expected);
  return null;
}

function oneField(field: string, text: string, place: Place, problems: ProblemList): Said {
  if (!looksLikeJson(text)) return [[field, text]];
  const value = parseJson(Buffer.from(text), place.file, problems);
  return value === undefined ? null : [[field, value]];
}

function provided(text: string, place: Place, problems: ProblemList): Said {
  const [, type, where = ''] = /^([\w-]+):(\/.*|\d{1,5})$/s.exec(text) ?? [];
  if (type === undefined) {
    const expected = 'TYPE:PATH or TYPE:PORT, such as "unix:/run/x.sock" or "http:8080"';
    problems.add('label-invalid', place, show(text), expected);
    return null;
  }
  const isPath = where.startsWith('/');
  return [
    ['type', type],
    [isPath ? 'socket' : 'port', isPath ? where : Number(where)],
  ];
}

function shortened(text: string): string {
  const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
  return printable(shown);
}
