/**
 * Compiles the schemas of manifests and graphs, so that a daemon checks them without loading a compiler: the last step
 * of a build, after tsc. Each has a file in dist/manifest/compiled, which says of which schema it is and makes a validator
 * with the formats of texts.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { END } from '../dist/graph/pids-file.js';
import { ENTRY, FAILED_ENTRY, SHOWN_OF_ENTRY } from '../dist/graph/wire.js';
import {
  AUTO_RECOVERY_SCHEMA,
  FILE_SCHEMA,
  GROUP_SCHEMA,
  NETWORK_SCHEMA,
  POOL_SCHEMA,
  RULE_NAME,
  STORAGE_SCHEMA,
} from '../dist/manifest/device-schema.js';
import { BUILT_IN } from '../dist/manifest/entries.js';
import { BARE_NAME } from '../dist/manifest/requirements.js';
import { ajvOptions, COMPILED_FOLDER, digestOf } from '../dist/manifest/schema.js';

const { Ajv, _ } = createRequire(import.meta.url)('ajv');
const { default: standalone } = createRequire(import.meta.url)('ajv/dist/standalone');

const SCHEMAS = [
  ...[...Object.values(BUILT_IN.schemas), BARE_NAME, GROUP_SCHEMA, POOL_SCHEMA, RULE_NAME],
  ...[AUTO_RECOVERY_SCHEMA, FILE_SCHEMA, NETWORK_SCHEMA, STORAGE_SCHEMA],
  ...[ENTRY, FAILED_ENTRY, SHOWN_OF_ENTRY, END],
];

function compiled(schema) {
  const ajv = new Ajv({ ...ajvOptions(schema), code: { source: true, formats: _`FORMATS` } });
  const code = standalone(ajv, ajv.compile(schema));
  return `exports.digest = '${digestOf(schema)}';
exports.validatorWith = (FORMATS) => {
const module = {};
${code}
return module.exports;
};
`;
}

const folder = fileURLToPath(new URL(`../dist/manifest/${COMPILED_FOLDER}`, import.meta.url));
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
for (const schema of SCHEMAS) writeFileSync(join(folder, `${schema.$id}.cjs`), compiled(schema));
