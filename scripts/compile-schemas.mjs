/**
 * Compiles the schemas of manifests and graphs, so that a daemon checks them without loading a compiler: the last step
 * of a build, after tsc. The result, beside dist/manifest/schema.js, exports a function of the formats of texts.
 */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ENTRY, FAILED_ENTRY, SHOWN_OF_ENTRY } from '../dist/graph/wire.js';
import { GROUP_SCHEMA, POOL_SCHEMA, RULE_NAME } from '../dist/manifest/device-schema.js';
import { BUILT_IN } from '../dist/manifest/entries.js';
import { BARE_NAME } from '../dist/manifest/requirements.js';
import { ajvOptions, COMPILED_FILE, digestOf } from '../dist/manifest/schema.js';

const { Ajv, _ } = createRequire(import.meta.url)('ajv');
const { default: standalone } = createRequire(import.meta.url)('ajv/dist/standalone');

const SCHEMAS = [
  ...[...Object.values(BUILT_IN.schemas), BARE_NAME, GROUP_SCHEMA, POOL_SCHEMA, RULE_NAME],
  ...[ENTRY, FAILED_ENTRY, SHOWN_OF_ENTRY],
];

function compiled(schema) {
  const ajv = new Ajv({ ...ajvOptions(schema), code: { source: true, formats: _`FORMATS` } });
  const code = standalone(ajv, ajv.compile(schema));
  const validate = `((module) => {\n${code}\nreturn module.exports;\n})({})`;
  return `${JSON.stringify(schema.$id)}: { digest: '${digestOf(schema)}', validate: ${validate} }`;
}

const text = `module.exports = (FORMATS) => ({\n${SCHEMAS.map(compiled).join(',\n')},\n});\n`;
const folder = fileURLToPath(new URL('../dist/manifest', import.meta.url));
writeFileSync(join(folder, COMPILED_FILE), text);
