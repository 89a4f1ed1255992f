/**
 * What is said about fields that an entry may not have (link-fields.ts has those that it may).
 *
 * A field that limits access is a *guard*: where it is misspelt, or stands where nobody would keep it, the entry is
 * refused, because to serve it without would be to serve it open. Any other unknown field is ignored, and told, as long
 * as there are fewer problems than are told.
 */
import { nearest } from '../kernel/nearest.js';
import type { Vocabulary } from './entries.js';
import { REQUIREMENT_FIELDS, SERVICE_FIELDS } from './entries.js';
import type { EntryField } from './link-fields.js';
import { type Place, pointerTo, show } from './problem.js';
import type { ProblemList } from './problem-list.js';

/** Words that speak of access: a field with one of them was to close something, whatever it is called. */
const ABOUT_ACCESS =
  /^(allow|deny|denie|forbid|permi|restrict|polic|rule|role|access|acl|authent|authori|secur)/;
/** A note to the reader, as JSON has no comments. */
const A_NOTE = /^([#$_]|x-)/;

type FieldLike = Pick<EntryField, 'guard' | 'types'>;

/** What is known of the fields that may stand somewhere. */
export interface KnownFields {
  readonly here: Readonly<Record<string, FieldLike>>;
  /** Those that people put here and that mean something in another place, and that place. */
  readonly elsewhere?: {
    readonly fields: Readonly<Record<string, FieldLike>>;
    readonly where: string;
  };
}

export function ofService({ service, requirement }: Vocabulary): KnownFields {
  const where = 'it in a requirement of the service';
  return { here: service, elsewhere: { fields: requirement, where } };
}
export function ofRequirement({ service, requirement }: Vocabulary): KnownFields {
  const where = 'it in the services.json of the provider';
  return { here: requirement, elsewhere: { fields: service, where } };
}
/** Beside the list of services. */
export const OF_A_SERVICE_FILE: KnownFields = {
  here: { '#spec': {}, services: {}, roles: {} },
  elsewhere: { fields: SERVICE_FIELDS, where: 'it in an entry of "services"' },
};
export const OF_RUN_SERVICES: KnownFields = {
  here: { required: { guard: true }, optional: { guard: true } },
  elsewhere: { fields: REQUIREMENT_FIELDS, where: 'it in an entry of "required"' },
};

/**
 * Says which fields of `entry` nobody knows. False: one of them limits access, or was to, so that the entry must not
 * be served.
 */
export function fieldsAreKnown(
  entry: object,
  { here: known, elsewhere }: KnownFields,
  place: Place,
  problems: ProblemList,
): boolean {
  let sound = true;
  for (const name of Object.keys(entry)) {
    if (Object.hasOwn(known, name)) continue;
    if (problems.isFull) {
      // Nobody looks any more what each of so many was to be: it takes longer than to read them.
      problems.add('field-unknown', place, `the unknown field ${show(name)}`, 'none');
      sound = false;
      continue;
    }
    const misplaced = elsewhere && Object.hasOwn(elsewhere.fields, name);
    const meant = misplaced ? undefined : nearest(name, Object.keys(known));
    const field = misplaced ? elsewhere.fields[name] : known[meant ?? ''];
    const isGuard = field?.guard === true || isAboutAccess(name);
    if (field === undefined && !isGuard && A_NOTE.test(name)) continue;
    const guards = Object.keys(known).filter((one) => known[one]?.guard);
    const expected = misplaced
      ? elsewhere.where
      : meant !== undefined
        ? show(meant)
        : isGuard && guards.length > 0
          ? `one of ${guards.join(', ')}`
          : 'one that is known here';
    const at = { file: place.file, pointer: pointerTo(place.pointer, name) };
    const found = `the unknown field ${show(name)}`;
    problems.add('field-unknown', at, found, expected, isGuard ? 'error' : 'notice');
    sound &&= !isGuard;
  }
  return sound;
}

/** Of an object whose other fields are somebody else's: says only which are a near miss of ours. */
export function noteNearMisses(
  object: object,
  known: readonly string[],
  place: Place,
  problems: ProblemList,
  severity: 'error' | 'notice',
): void {
  for (const name of Object.keys(object)) {
    const meant = known.includes(name) ? undefined : nearest(name, known, 1);
    if (meant === undefined || Object.hasOwn(object, meant)) continue;
    const at = { file: place.file, pointer: pointerTo(place.pointer, name) };
    problems.add('field-unknown', at, `the unknown field ${show(name)}`, show(meant), severity);
  }
}

/** `field` stands in an entry of this type, where it may mean nothing. */
export function noteMisplaced(
  field: string,
  { types }: Pick<EntryField, 'types'>,
  type: string,
  place: Place,
  problems: ProblemList,
  severity: 'error' | 'notice' = 'notice',
): void {
  if (!types || types.some((one) => one === type)) return;
  const at = { file: place.file, pointer: pointerTo(place.pointer, field) };
  const found = `${show(field)} on type ${type}, which does not keep it`;
  problems.add('field-ignored', at, found, `it on ${types.join(' or ')} only`, severity);
}

function isAboutAccess(name: string): boolean {
  const words = name.replaceAll(/([a-z])([A-Z])/g, '$1 $2').split(/[^A-Za-z]+/);
  return words.some((word) => ABOUT_ACCESS.test(word.toLowerCase()));
}
