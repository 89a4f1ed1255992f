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
 *
 * A label may be a limit on what another one provides. So one that can't be understood takes out the entry that it was
 * about, as far as that can be told: where its name is misspelt, where it is the image's, where it is too large, and
 * where `pv.services` has the same name as a short form.
 */
import { nearest } from '../kernel/nearest.js';
import type { Vocabulary } from '../manifest/entries.js';
import { isObject, parseJson } from '../manifest/json.js';
import { MAX_ENTRIES, MAX_MANIFEST } from '../manifest/limits.js';
import { type Place, placeText, show } from '../manifest/problem.js';
import type { ProblemList } from '../manifest/problem-list.js';
import { readRequirement, readRequirementList, refused } from '../manifest/requirements.js';
import type { Requirement } from '../manifest/revision.js';
import {
  type ListedService,
  readServices,
  type ServicesRead,
  servicesIn,
} from '../manifest/services.js';
import { byName, MAX_NAME, printable } from '../manifest/text.js';

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
const PROVIDE = 'pv.provide.';
const SHORT = [PROVIDE, 'pv.require.'];
/** How much of a label's name is shown. */
const SHOWN = 80;

/** Names of labels that nobody completes, of which the one that was meant is looked for. */
const MAX_ORPHANS = 100;

/** Whether any of them may be for us. */
export function concernUs(labels: Labels): boolean {
  return [...labels.keys()].some(isOurs);
}

/** Labels have cases, and the people who write them mix them up. */
function isOurs(label: string): boolean {
  return /^\s*pv\./i.test(label);
}

/** How problems call a container, as its engine does. */
export function placeOf(container: string): Place {
  return { file: `container ${shortened(container)}`, pointer: '' };
}

function placeOfLabel(container: string, label: string): Place {
  return { file: `${placeOf(container).file}, label ${shortened(label)}`, pointer: '' };
}

/** One that counts. */
interface OwnLabel {
  /** Spelt right, whatever the container says. */
  readonly name: string;
  /** Null after adding a problem: nobody knows what it says. */
  readonly text: string | null;
  readonly place: Place;
}

/** `image`: the labels of its image; null: nobody knows them, and so not which of the container's are its own. */
export function readLabels(
  container: string,
  labels: Labels,
  image: Labels | null,
  vocabulary: Vocabulary,
  problems: ProblemList,
): LabelsRead {
  const own = ownLabels(container, labels, image, problems);
  const listed: ListedService[] = [];
  let unreadable: string | undefined;
  for (const { text, place } of own.filter(({ name }) => name === SERVICES)) {
    const value = jsonOf(text, place.file, problems);
    if (value === undefined) unreadable = place.file;
    else listed.push(...servicesIn(value, place.file, problems));
  }
  const forms = shortForms('provide', own, problems);
  const doubtful = new Set([
    ...inBothForms(listed, own, problems),
    ...beside(listed, forms, problems),
  ]);
  const services = [...listed, ...forms.map(entryIn)].map((one) =>
    doubtful.has(nameOf(one) ?? '') ? { ...one, sound: false } : one,
  );
  const requirements = LISTS.flatMap((list, index) =>
    own
      .filter(({ name }) => name === list)
      .flatMap(({ text, place }) => {
        const value = text === null ? undefined : listOf(text, place.file, problems);
        return readRequirementList(value, place, index === 1, vocabulary, problems);
      }),
  );
  for (const { item, place, sound } of shortForms('require', own, problems).map(entryIn)) {
    const wanted = sound ? readRequirement(item, place, vocabulary, problems) : refused(item);
    if (wanted) requirements.push({ ...wanted, optional: false, place });
  }
  return {
    ...readServices(services, vocabulary, problems),
    requirements,
    ...(unreadable === undefined ? {} : { unreadable }),
  };
}

/** Those of ours that count, in order of their names. */
function ownLabels(
  container: string,
  labels: Labels,
  image: Labels | null,
  problems: ProblemList,
): readonly OwnLabel[] {
  if (image === null) {
    const found = 'labels of an image that the engine no longer knows, or of the container';
    problems.add('image-unknown', placeOf(container), found, 'labels that are its own');
  }
  const isOwn = (label: string) => image !== null && image.get(label) !== labels.get(label);
  const accepts = labels.get(IMAGE_LABELS) === ACCEPT && isOwn(IMAGE_LABELS);
  const counts = (label: string) => accepts || isOwn(label);
  const ours = [...labels].filter(([label]) => isOurs(label)).sort(([a], [b]) => byName(a, b));
  const ownEntries = new Set(ours.flatMap(([label]) => (counts(label) ? entryOf(label) : [])));
  return ours.flatMap(([label, text]): OwnLabel[] => {
    const place = placeOfLabel(container, label);
    const name = isKnown(label) ? label : meantBy(label);
    if (name === undefined) return [];
    const unread = { name, text: null, place };
    if (image === null) return [unread];
    if (!counts(label)) {
      const expected = `labels of the container itself, or "${IMAGE_LABELS}=${ACCEPT}" among them`;
      const isOfOwn = ownEntries.has(entryOf(name));
      const severity = isOfOwn ? 'error' : 'notice';
      problems.add('label-inherited', place, 'a label of its image', expected, severity);
      return isOfOwn ? [unread] : [];
    }
    if (name !== label) {
      problems.add('field-unknown', place, `the unknown label ${show(label)}`, spelling(name));
      return [unread];
    }
    if (label === IMAGE_LABELS) {
      if (!accepts) problems.add('label-invalid', place, show(text), `"${ACCEPT}"`);
      return [];
    }
    const bytes = Buffer.byteLength(text);
    if (bytes <= MAX_MANIFEST) return [{ name, text, place }];
    problems.add('file-too-large', place, `${bytes} bytes`, `at most ${MAX_MANIFEST}`);
    return [unread];
  });
}

function isKnown(label: string): boolean {
  return WHOLE.includes(label) || SHORT.some((prefix) => label.startsWith(prefix));
}

/** `pv.provide.NAME` of one in a short form. */
function entryOf(label: string): string {
  return label.split('.', 3).join('.');
}

/** How a label is spelt right that nobody knows. Undefined: other programs have labels that begin with "pv." too. */
function meantBy(label: string): string | undefined {
  const [, word = '', ...rest] = label.trim().split('.');
  const words = [...WHOLE, ...SHORT].map((one) => one.split('.')[1] as string);
  const meant = nearest(word, words, 1);
  if (meant === undefined) return undefined;
  const name = `${PREFIX}${meant}`;
  return SHORT.includes(`${name}.`) ? [name, ...(rest.length > 0 ? rest : [''])].join('.') : name;
}

function spelling(name: string): string {
  const prefix = SHORT.find((one) => name.startsWith(one));
  return prefix === undefined ? `"${name}"` : `"${prefix}NAME"`;
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
  readonly name: string;
  /** Its fields by their names. */
  readonly fields: Map<string, unknown>;
  place: Place;
  sound: boolean;
  /** There is a label of the entry itself, not of its fields alone. */
  isWhole: boolean;
}

/** The entries that labels `pv.provide.*` or `pv.require.*` make together. */
function shortForms(
  side: 'provide' | 'require',
  labels: readonly OwnLabel[],
  problems: ProblemList,
): readonly ShortForm[] {
  const prefix = `${PREFIX}${side}.`;
  const forms = new Map<string, ShortForm>();
  for (const { name: label, text, place } of labels) {
    if (!label.startsWith(prefix)) continue;
    const [name = '', field, ...deeper] = label.slice(prefix.length).split('.');
    if (forms.size >= MAX_ENTRIES && !forms.has(name)) {
      problems.add('file-too-large', place, `more names than that`, `at most ${MAX_ENTRIES}`);
      continue;
    }
    const form = forms.get(name) ?? {
      ...{ name, fields: new Map([['name', name]]), place, sound: true, isWhole: false },
    };
    forms.set(name, form);
    if (field === undefined) form.isWhole = true;
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
  return [...forms.values()];
}

function entryIn({ fields, place, sound }: ShortForm): ListedService {
  return { item: Object.fromEntries(fields), place, sound };
}

function nameOf({ item }: ListedService): string | undefined {
  return isObject(item) && typeof item.name === 'string' ? item.name : undefined;
}

/** Names of services in `pv.services` that labels in the short form say something of, too: which of them counts? */
function inBothForms(
  listed: readonly ListedService[],
  labels: readonly OwnLabel[],
  problems: ProblemList,
): ReadonlySet<string> {
  const places = new Map(listed.map((one) => [nameOf(one), one.place]));
  const found = new Set<string>();
  for (const { name: label, place } of labels) {
    if (!label.startsWith(PROVIDE)) continue;
    const rest = label.slice(PROVIDE.length, PROVIDE.length + MAX_NAME + 1);
    for (let end = rest.indexOf('.'); ; end = rest.indexOf('.', end + 1)) {
      const name = end < 0 ? rest : rest.slice(0, end);
      const other = places.get(name);
      if (other && !found.has(name)) {
        const expected = `each service once, and ${placeText(other)} has it`;
        problems.add('service-duplicate', place, `${show(name)} again`, expected);
        found.add(name);
      }
      if (end < 0) break;
    }
  }
  return found;
}

/** Names that fields stand alone under, and those of the services that they were likely to limit. */
function beside(
  listed: readonly ListedService[],
  forms: readonly ShortForm[],
  problems: ProblemList,
): ReadonlySet<string> {
  const isOrphan = ({ isWhole, fields }: ShortForm) => !isWhole && !fields.has('type');
  const whole = forms.filter((form) => !isOrphan(form)).map(({ name }) => name);
  const names = [...whole, ...listed.flatMap((one) => nameOf(one) ?? [])];
  const found = new Set<string>();
  for (const { name, place } of forms.filter(isOrphan).slice(0, MAX_ORPHANS)) {
    const meant = names.includes(name) ? undefined : nearest(name, names);
    if (meant === undefined) continue;
    const what = `a field of ${show(name)}, which no label provides`;
    problems.add('label-invalid', place, what, `one of ${show(meant)}, or its own TYPE:PATH`);
    found.add(name).add(meant);
  }
  return found;
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

/** Of a name that somebody else chose, as much as is shown. */
export function shortened(text: string): string {
  const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
  return printable(shown);
}
