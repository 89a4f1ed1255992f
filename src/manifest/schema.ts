/**
 * JSON schemas, by ajv, compiled when first used, and the way from an ajv error to a problem.
 *
 * A schema says in `problem` which code its failure has and in `description` what was expected; whatever
 * has neither is `shape-wrong`.
 */
import { isIP } from 'node:net';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { isRule } from '../kernel/http-options.js';
import { suggestion } from '../kernel/nearest.js';
import { isCidr, isNetwork } from './address.js';
import { isContainerPath } from './paths.js';
import { isInterface, isMember, isMemberRule, isNamePattern, isObjectPath } from './policy.js';
import { type Place, type ProblemCode, pointerTo, show } from './problem.js';
import type { ProblemList } from './problem-list.js';
import { isBusName, isClean, isName } from './text.js';

export interface Schema {
  readonly [keyword: string]: unknown;
  readonly problem?: ProblemCode;
  readonly description?: string;
}

const compiled = new Map<Schema, ValidateFunction>();
let ajv: Ajv | undefined;

/** Adds a problem for each place in `value` that does not meet the schema; true where there is none. */
export function meets(
  schema: Schema,
  value: unknown,
  place: Place,
  problems: ProblemList,
): boolean {
  const validate = compiled.get(schema) ?? compile(schema);
  if (validate(value)) return true;
  const seen = new Set<string>();
  for (const error of validate.errors ?? []) {
    if (seen.has(error.instancePath)) continue; // one complaint a place: the rest follows from it
    seen.add(error.instancePath);
    report(error, place, problems);
  }
  return false;
}

function compile(schema: Schema): ValidateFunction {
  ajv ??= new Ajv({
    allErrors: true,
    verbose: true, // errors carry the schema and the value that they are about
    strictTypes: false,
    keywords: [{ keyword: 'problem', schemaType: 'string' }],
    formats: {
      name: isName,
      path: isContainerPath,
      clean: isClean,
      'name-pattern': isNamePattern,
      'member-rule': isMemberRule,
      'bus-name': isBusName,
      interface: isInterface,
      member: isMember,
      'object-path': isObjectPath,
      cidr: isCidr,
      'http-rule': isRule,
      network: isNetwork,
      ip: (text: string) => isIP(text) !== 0,
    },
  });
  const validate = ajv.compile(schema);
  compiled.set(schema, validate);
  return validate;
}

function report(error: ErrorObject, place: Place, problems: ProblemList): void {
  const { code, description } = blame(error);
  const expected = description ?? error.message ?? 'another value';
  const at = { file: place.file, pointer: place.pointer + error.instancePath };
  switch (error.keyword) {
    case 'required': {
      const missing = String(error.params.missingProperty);
      const wanted = propertySchema(error, missing)?.description;
      problems.add(code, at, `no "${missing}"`, wanted ?? `"${missing}"`);
      return;
    }
    case 'additionalProperties': {
      const name = String(error.params.additionalProperty);
      const extra = { file: at.file, pointer: pointerTo(at.pointer, name) };
      const meant = suggestion(name, Object.keys(error.parentSchema?.properties ?? {}));
      problems.add(code, extra, `the key ${show(name)}`, `${expected}${meant}`);
      return;
    }
    case 'if': // what its branch found is an error of its own
      return;
    case 'enum': {
      const values: readonly unknown[] = error.params.allowedValues;
      const texts = values.filter((value) => typeof value === 'string');
      const meant = suggestion(error.data, texts);
      problems.add(code, at, show(error.data), `${unquoted(error.data, values, expected)}${meant}`);
      return;
    }
    case 'type':
      problems.add(code, at, show(error.data), unquoted(error.data, error.schema, expected));
      return;
    default:
      problems.add(code, at, show(error.data), expected);
  }
}

/** A number or truth value in quotes: what is expected, and how it is written. */
export function unquoted(found: unknown, wanted: unknown, expected: string): string {
  if (typeof found !== 'string' || !/^(-?\d+(\.\d+)?|true|false)$/.test(found)) return expected;
  const value: unknown = JSON.parse(/^-?0\d/.test(found) ? 'null' : found);
  const fits = Array.isArray(wanted)
    ? wanted.includes(value) || wanted.includes(typeof value)
    : wanted === typeof value || (wanted === 'integer' && Number.isInteger(value));
  return fits ? `${expected}, without the quotes` : expected;
}

function blame(error: ErrorObject): { code: ProblemCode; description: string | undefined } {
  const schema = (error.parentSchema ?? {}) as Schema;
  return { code: schema.problem ?? 'shape-wrong', description: schema.description };
}

function propertySchema(error: ErrorObject, name: string): Schema | undefined {
  const schemas = error.parentSchema?.properties as Record<string, Schema> | undefined;
  return schemas?.[name];
}
