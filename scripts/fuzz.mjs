/**
 * `npm run fuzz [-- [--minutes N] [--seed S] [NAME...]]`: every property and fuzzer of the test suites with random
 * seeds, round after round, for N minutes (5 unless told). NAME is a part of `FILE > NAME OF THE TEST`. Each finding
 * is printed with the command that repeats it; --seed tries the one batch of inputs that belongs to that seed.
 *
 * Ends with 0 where nothing was found.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { guardOutput, ROOT, setUp } from './setup.mjs';

const USAGE = 'npm run fuzz [-- [--minutes N] [--seed S] [NAME...]]';
/** How long a property is tried in a round, if the time suffices: its start takes little of that. */
const SHARE_MS = 5_000;

function fail(sentence) {
  process.stderr.write(`${sentence}\n${USAGE}\n`);
  process.exit(2);
}

function readArguments() {
  try {
    const options = { minutes: { type: 'string' }, seed: { type: 'string' } };
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    const seed = values.seed === undefined ? null : Number(values.seed);
    const minutes = Number(values.minutes ?? (seed === null ? 5 : 0));
    if (seed !== null && !(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 31))
      fail(`--seed takes a whole number below 2147483648, not "${values.seed}".`);
    if (!(minutes >= 0)) fail(`--minutes takes a number, not "${values.minutes}".`);
    return { seed, minutes, names: positionals };
  } catch (error) {
    return fail(error.message);
  }
}

/** Test files with properties, and their text: those that the names match, or all where they match none. */
function filesFor(names) {
  const files = readdirSync(join(ROOT, 'test'), { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test', name))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))
    .filter(({ text }) => text.includes('support/property.js'));
  const named = files.filter(({ path, text }) =>
    names.some((name) => path.includes(name) || name.includes(path) || text.includes(name)),
  );
  return named.length > 0 ? named : files;
}

/** Tries every property of the files for its share of the time. Returns the failures with the names of the tests. */
function runRound(files, fuzzing, folder) {
  const report = join(folder, 'report.json');
  rmSync(report, { force: true });
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      ...[join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--allowOnly', '--passWithNoTests'],
      // One process for each file, so that a crash does not stop the others.
      ...['--isolate', '--sequence.shuffle.files', '--reporter=json', `--outputFile=${report}`],
      ...files,
    ],
    {
      cwd: ROOT,
      encoding: 'utf8',
      maxBuffer: 2 ** 30,
      env: { ...process.env, PVX_FUZZ: JSON.stringify(fuzzing), NO_COLOR: '1' },
    },
  );
  const results = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')).testResults : [];
  const found = results.flatMap((file) => {
    const path = relative(ROOT, file.name);
    const failed = file.assertionResults
      // A test that is still pending at the end was ended by the end of its process.
      .filter(({ status }) => status === 'failed' || status === 'pending')
      .map(({ ancestorTitles, title, failureMessages }) => ({
        name: [path, ...ancestorTitles, title].join(' > '),
        message: failureMessages.join('\n') || 'Its process ended in the middle.',
      }));
    const isAll = file.status !== 'failed' || failed.length > 0;
    return isAll ? failed : [{ name: path, message: file.message }];
  });
  if (found.length > 0 || status === 0) return found;
  return [{ name: 'vitest', message: `${stdout}${stderr}` }];
}

function readBatches(path) {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line));
}

const { seed, minutes, names } = readArguments();
guardOutput(() => process.exit());
setUp();
const files = filesFor(names);
const folder = mkdtempSync(join(tmpdir(), 'pvx-fuzz-'));
const batches = join(folder, 'batches');
const begun = Date.now();
const end = begun + minutes * 60_000;
const paths = files.map(({ path }) => path);
const count = files.reduce((sum, { text }) => sum + text.split(/\bproperty\(/).length - 1, 0);
const fuzzing = {
  ...{ seed, names, batches },
  shareMs: Math.min(SHARE_MS, (minutes * 60_000) / Math.max(1, count)),
  // Without minutes each is tried once, however long that takes.
  until: minutes > 0 ? end : Number.MAX_SAFE_INTEGER,
};
const findings = new Set();
let rounds = 0;

do {
  rounds++;
  for (const { name, message } of runRound(paths, fuzzing, folder)) {
    if (findings.has(name)) continue;
    findings.add(name);
    process.stdout.write(`FOUND: ${name}\n${message.trim()}\n`);
    const last = readBatches(batches).findLast((one) => one.name.startsWith(name));
    if (!last) continue;
    const quoted = `'${last.name.replaceAll("'", "'\\''")}'`;
    process.stdout.write(`Repeat it: npm run fuzz -- --seed ${last.seed} ${quoted}\n\n`);
  }
} while (Date.now() < end);

const tried = readBatches(batches);
rmSync(folder, { recursive: true });
const properties = new Set(tried.map(({ name }) => name)).size;
if (properties === 0 && findings.size === 0)
  fail(`No property is called "${names.join('" or "')}".`);
const inputs = tried.reduce((sum, one) => sum + one.inputs, 0);
const took = ((Date.now() - begun) / 60_000).toFixed(1);
process.stdout.write(
  `${properties} properties in ${rounds} rounds of ${took} minutes: ${inputs} inputs of ${tried.length} ` +
    `seeds, ${findings.size} found\n`,
);
process.exitCode = findings.size === 0 ? 0 : 1;
