/**
 * ARCHITECTURE.md as a test: data flows down the list, and a folder imports only what stands before it (or the
 * shared kernel). Types alone may be imported from the contracts, which belong to both of their sides.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SRC = join(ROOT, 'src');

/** What each folder may import, beside itself and kernel. `host` joins plugins, broker and relay. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  kernel: [],
  manifest: [],
  graph: ['manifest'],
  docker: ['manifest', 'graph'],
  mesh: ['graph'],
  relay: [],
  bus: ['manifest', 'graph', 'relay'],
  http1: ['relay'],
  plugins: ['manifest', 'graph', 'mesh', 'http1'],
  broker: ['relay'],
  host: ['graph', 'mesh', 'plugins', 'broker', 'relay'],
  status: ['graph', 'mesh'],
  runtime: ['manifest', 'graph', 'bus', 'relay', 'plugins'],
  tap: ['http1', 'plugins'],
  cli: ['manifest', 'graph', 'plugins', 'relay', 'status', 'runtime', 'tap'],
  web: ['manifest', 'graph', 'relay', 'status', 'cli'],
};
/** Files of types that describe the seam between two folders. */
const CONTRACTS = [
  'graph/link',
  'mesh/attacher',
  'plugins/plugin',
  'plugins/on-demand',
  'plugins/device/device',
  'relay/channel',
  'relay/byte-stream',
  'relay/transfer',
];

/** Where waiting for time is defined, and where the words for it are looked for. */
const EXEMPT = /support\/wait\.ts$|unit\/architecture\.test\.ts$/;

function filesOf(folder: string, extension: RegExp): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && extension.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

function importsOf(file: string): { target: string; typeOnly: boolean }[] {
  const text = readFileSync(file, 'utf8');
  const found = text.matchAll(
    /(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'(\.[^']+)'|import\('(\.[^']+)'\)/g,
  );
  return [...found].map(([, type, path, dynamic]) => ({
    target: relative(SRC, resolve(dirname(file), (path ?? dynamic) as string)),
    typeOnly: type !== undefined,
  }));
}

describe('the architecture', () => {
  const files = filesOf(SRC, /\.tsx?$/).filter((file) => dirname(file) !== SRC);

  test.each(files.map((file) => relative(SRC, file)))(
    '%s imports only what is before it',
    (name) => {
      const folder = name.split('/')[0] as string;
      const allowed = [folder, 'kernel', ...(MAY_IMPORT[folder] ?? [])];
      const wrong = importsOf(join(SRC, name))
        .filter(({ target, typeOnly }) => {
          if (allowed.includes(target.split('/')[0] as string)) return false;
          return !(typeOnly && CONTRACTS.includes(target.replace(/\.js$/, '')));
        })
        .map(({ target }) => target);
      expect(wrong).toEqual([]);
    },
  );

  test('every folder of src is in the list', () => {
    const folders = readdirSync(SRC, { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    expect(folders.map(({ name }) => name).sort()).toEqual(Object.keys(MAY_IMPORT).sort());
  });

  // A file holds one idea whole, however long; past this it is worth asking whether it holds two.
  test('no file of ours is longer than 500 lines', () => {
    const all = ['src', 'native', 'test', 'bench', 'examples', 'scripts'].flatMap((folder) =>
      filesOf(join(ROOT, folder), /\.(ts|js|mjs|c|h)$/),
    );
    const long = all.filter((file) => readFileSync(file, 'utf8').split('\n').length > 501);
    expect(long.map((file) => relative(ROOT, file))).toEqual([]);
  });

  test('no test is another one the next time: what is random is in test/support/property.ts', () => {
    const random =
      /Math\.random|\brandom(Bytes|Int|UUID|Fill)|from 'fast-check'|fc\.(assert|check)\b/;
    const all = ['test', 'examples'].flatMap((folder) => filesOf(join(ROOT, folder), /\.m?[jt]s$/));
    const wrong = all.filter((file) => random.test(readFileSync(file, 'utf8')));
    expect(wrong.map((file) => relative(ROOT, file))).toEqual([
      'test/support/property.ts',
      'test/unit/architecture.test.ts',
    ]);
  });

  test('no test waits for time alone without saying why there is no state to wait for', () => {
    const sleep = /\bsleep\(|(?<!= )\bsetTimeout\(|(?<![.\w])pause\([A-Z\d]/;
    const said = /\S.*(\/\/|#) |^\s*(\/\/|#|\/\*\*) /;
    const all = filesOf(join(ROOT, 'test'), /\.(ts|py)$/).filter((file) => !EXEMPT.test(file));
    const wrong = all.flatMap((file) => {
      const lines = readFileSync(file, 'utf8').split('\n');
      return lines
        .map((line, index) => ({
          line,
          at: `${relative(ROOT, file)}:${index + 1}`,
          before: lines[index - 1],
        }))
        .filter(
          ({ line, before = '' }) => sleep.test(line) && !said.test(line) && !said.test(before),
        )
        .map(({ at }) => at);
    });
    expect(wrong).toEqual([]);
  });

  test('a failure is told from a value by `ok` of its Result, and by nothing else', () => {
    const guard = /'(code|fd|errno|error|status|reason|fail(ed|ure)|refusal)' in /;
    const wrong = filesOf(SRC, /\.ts$/).filter((file) => guard.test(readFileSync(file, 'utf8')));
    // That one tells two kinds of streams apart.
    expect(wrong.map((file) => relative(SRC, file))).toEqual(['relay/byte-stream.ts']);
  });

  test('no path is built by joining to /proc/PID/root', () => {
    const all = [...filesOf(SRC, /\.ts$/), ...filesOf(join(ROOT, 'native'), /\.[ch]$/)];
    const wrong = all.filter((file) =>
      /["'`]\/proc\/(\$\{[^}]+\}|%[du]|\d+)\/root\//.test(readFileSync(file, 'utf8')),
    );
    expect(wrong).toEqual([]);
  });
});
