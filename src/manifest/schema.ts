/**
 * JSON schemas as values from which the TypeScript types follow, and the ways in which a value does not meet one.
 *
 * A schema says in `description` what was expected and in `problem` which code its failure has (`shape-wrong` where it
 * says none). Each builder bounds what it describes. ajv checks; a build has the validators of named schemas compiled
 * ahead of time (scripts/compile-schemas.mjs), so that a daemon loads no compiler.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { ErrorObject, ValidateFunction } from 'ajv';
import { suggestion } from '../kernel/nearest.js';
import { FORMATS, type Format } from './formats.js';
import { type Place, PROBLEM_REMEDIES, type ProblemCode, pointerTo, show } from './problem.js';
import type { ProblemList } from './problem-list.js';

/** Of values of the type `T`. */
export interface Schema<T = unknown> {
  readonly [keyword: string]: unknown;
  readonly problem?: ProblemCode;
  readonly description?: string;
  /** Of a schema as a whole: the first fault is all that anybody asks for. */
  readonly firstOnly?: true;
  /** Of the compiler alone: no schema has it. */
  readonly '~value'?: T;
}

/** The type of what meets a schema. */
export type Static<S> = S extends Schema<infer T> ? T : never;

type Members = Readonly<Record<string, Schema>>;
/** Of an object with those members, of which `R` have to be there. */
type ObjectOf<M extends Members, R extends keyof M> = {
  readonly [K in keyof M & R]: Static<M[K]>;
} & { readonly [K in Exclude<keyof M, R>]?: Static<M[K]> };

export function text(
  description: string,
  keywords: { readonly format?: Format; readonly pattern?: string } & Bounds,
  problem?: ProblemCode,
): Schema<string> {
  return { type: 'string', description, ...keywords, ...(problem ? { problem } : {}) };
}
interface Bounds {
  /** Characters. */
  readonly minLength?: number;
  readonly maxLength?: number;
}

/** `what` it names, with an article. */
export function name(what: string): Schema<string> {
  const description = `${what}, 1 to 255 characters without slashes or control characters`;
  return text(description, { format: 'name' }, 'name-invalid');
}

export function whole(description: string, minimum: number, maximum?: number): Schema<number> {
  return { type: 'integer', description, minimum, ...(maximum === undefined ? {} : { maximum }) };
}

export function number(description: string, minimum: number, maximum?: number): Schema<number> {
  return { type: 'number', description, minimum, ...(maximum === undefined ? {} : { maximum }) };
}

export const flag: Schema<boolean> = { type: 'boolean', description: 'true or false' };

export function oneOf<const V extends readonly (string | number)[]>(
  values: V,
  description = values.length > 2
    ? `one of ${values.join(', ')}`
    : values.map((value) => JSON.stringify(value)).join(' or '),
): Schema<V[number]> {
  return { enum: values, description };
}

export function list<T>(
  items: Schema<T>,
  description: string,
  keywords: {
    readonly minItems?: number;
    readonly maxItems: number;
    readonly uniqueItems?: boolean;
  },
  problem?: ProblemCode,
): Schema<readonly T[]> {
  return { type: 'array', items, description, ...keywords, ...(problem ? { problem } : {}) };
}

export function object<M extends Members, R extends keyof M & string = never>(
  description: string,
  properties: M,
  keywords: {
    readonly required?: readonly R[];
    readonly minProperties?: number;
    /** Which other members there may be; absent: any. */
    readonly additionalProperties?: false;
  } = {},
  problem?: ProblemCode,
): Schema<ObjectOf<M, R>> {
  return { type: 'object', description, properties, ...keywords, ...(problem ? { problem } : {}) };
}

export function map<T>(
  values: Schema<T>,
  description: string,
  keywords: { readonly maxProperties: number; readonly propertyNames?: Schema<string> },
  problem?: ProblemCode,
): Schema<Readonly<Record<string, T>>> {
  const rest = { ...keywords, ...(problem ? { problem } : {}) };
  return { type: 'object', description, additionalProperties: values, ...rest };
}

/** A string of the first kind, or an object of the second. */
export function either<T>(
  string: Schema<string>,
  object: Schema<T>,
  description: string,
): Schema<string | T> {
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  const branches = { if: { type: 'string' }, then: string, else: object };
  return { type: ['string', 'object'], description, ...branches };
}

/** A way in which a value does not meet a schema. */
export interface SchemaFault {
  readonly code: ProblemCode;
  /** RFC 6901, from the value. */
  readonly pointer: string;
  readonly found: string;
  readonly expected: string;
}

/** One a place; empty where the value meets the schema. */
export function faultsOf(schema: Schema, value: unknown): SchemaFault[] {
  const validate = validatorOf(schema);
  if (validate(value)) return [];
  const seen = new Set<string>();
  const faults: SchemaFault[] = [];
  for (const error of validate.errors ?? []) {
    if (seen.has(error.instancePath)) continue; // the rest follows from it
    seen.add(error.instancePath);
    const fault = faultOf(error);
    if (fault) faults.push(fault);
  }
  return faults;
}

/** Adds a problem for each fault of `value`; true where there is none. */
export function meets<T>(
  schema: Schema<T>,
  value: unknown,
  { file, pointer }: Place,
  problems: ProblemList,
): value is T {
  const faults = faultsOf(schema, value);
  for (const fault of faults) {
    const at = { file, pointer: pointer + fault.pointer };
    problems.add(fault.code, at, fault.found, fault.expected);
  }
  return faults.length === 0;
}

/**
 * Known by a name, under which the build compiles it ahead of time: see scripts/compile-schemas.mjs, which lists them.
 */
export function named<T>($id: string, schema: Schema<T>): Schema<T> {
  return { ...schema, $id };
}

const PROBLEM_CODES = Object.keys(PROBLEM_REMEDIES);
/** Options of ajv for a schema, here and ahead of time. */
export function ajvOptions({ firstOnly }: Schema) {
  return {
    allErrors: firstOnly !== true,
    verbose: true, // errors carry the schema and the value that they are about
    strictTypes: false,
    keywords: [
      { keyword: 'problem', schemaType: 'string' as const, metaSchema: { enum: PROBLEM_CODES } },
      'firstOnly',
    ],
    formats: FORMATS,
  };
}

/** What a named schema was compiled from: another digest is another schema. */
export function digestOf(schema: Schema): string {
  return createHash('sha256').update(JSON.stringify(schema)).digest('hex');
}

const require = createRequire(import.meta.url);
/** Below this file in a build: a file for each named schema, so that what is not asked for is not loaded. */
export const COMPILED_FOLDER = 'compiled';
interface Compiled {
  readonly digest: string;
  readonly validatorWith: (formats: typeof FORMATS) => ValidateFunction;
}

const validators = new WeakMap<Schema, ValidateFunction>();

function validatorOf(schema: Schema): ValidateFunction {
  const known = validators.get(schema);
  if (known) return known;
  const validate = ofTheBuild(schema) ?? compile(schema);
  validators.set(schema, validate);
  return validate;
}

/** Undefined where it is not named, and where there is no build or one of another schema. */
function ofTheBuild(schema: Schema): ValidateFunction | undefined {
  if (typeof schema.$id !== 'string') return undefined;
  const file = new URL(`${COMPILED_FOLDER}/${schema.$id}.cjs`, import.meta.url);
  if (!existsSync(file)) return undefined;
  const { digest, validatorWith }: Compiled = require(fileURLToPath(file));
  return digest === digestOf(schema) ? validatorWith(FORMATS) : undefined;
}

/** `is no JSON schema: ...`; null: it is one. */
export function whyNoSchema(schema: Schema): string | null {
  try {
    compile(schema);
    return null;
  } catch (thrown) {
    return `is no JSON schema: ${(thrown as Error).message}`;
  }
}

function compile(schema: Schema): ValidateFunction {
  const { Ajv } = require('ajv') as typeof import('ajv');
  return new Ajv(ajvOptions(schema)).compile(schema);
}

function faultOf(error: ErrorObject): SchemaFault | undefined {
  const { problem: code = 'shape-wrong', description } = (error.parentSchema ?? {}) as Schema;
  const expected = description ?? error.message ?? 'another value';
  const pointer = error.instancePath;
  const fault = { code, pointer, found: show(error.data), expected };
  switch (error.keyword) {
    case 'required': {
      const missing = String(error.params.missingProperty);
      const schemas = error.parentSchema?.properties as Members | undefined;
      const wanted = schemas?.[missing]?.description ?? `"${missing}"`;
      return { ...fault, found: `no "${missing}"`, expected: wanted };
    }
    case 'additionalProperties': {
      const name = String(error.params.additionalProperty);
      const meant = suggestion(name, Object.keys(error.parentSchema?.properties ?? {}));
      const found = `the key ${show(name)}`;
      return { code, pointer: pointerTo(pointer, name), found, expected: `${expected}${meant}` };
    }
    case 'if': // what its branch found is an error of its own
      return undefined;
    case 'enum': {
      const values: readonly unknown[] = error.params.allowedValues;
      const texts = values.filter((value) => typeof value === 'string');
      const meant = suggestion(error.data, texts);
      return { ...fault, expected: `${unquoted(error.data, values, expected)}${meant}` };
    }
    case 'type':
      return { ...fault, expected: unquoted(error.data, error.schema, expected) };
    default:
      return fault;
  }
}

/** A number or truth value in quotes: what is expected, and how it is written. */
function unquoted(found: unknown, wanted: unknown, expected: string): string {
  if (typeof found !== 'string' || !/^(-?\d+(\.\d+)?|true|false)$/.test(found)) return expected;
  const value: unknown = JSON.parse(/^-?0\d/.test(found) ? 'null' : found);
  const fits = Array.isArray(wanted)
    ? wanted.includes(value) || wanted.includes(typeof value)
    : wanted === typeof value || (wanted === 'integer' && Number.isInteger(value));
  return fits ? `${expected}, without the quotes` : expected;
}
