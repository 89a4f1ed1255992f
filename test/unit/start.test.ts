/**
 * What the daemon loads before it serves, by its bundle as it was built. Whoever adds to these lists adds to its start
 * and its memory: can it wait until it is needed (`await import`)?
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../src/relay/native.js';

interface Metafile {
  readonly inputs: Readonly<
    Record<string, { readonly imports: readonly { path: string; kind: string; external?: true }[] }>
  >;
}

const { inputs }: Metafile = JSON.parse(
  readFileSync(join(PACKAGE_ROOT, 'dist/daemon-bundle.json'), 'utf8'),
);

/** Files and external modules that `entry` needs at once. */
function loadedWith(entry: string, found = new Set<string>()): Set<string> {
  found.add(entry);
  for (const { path, kind, external } of inputs[entry]?.imports ?? []) {
    if (kind === 'dynamic-import' || found.has(path)) continue;
    if (external) found.add(path);
    else loadedWith(path, found);
  }
  return found;
}

const atStart = [...loadedWith('src/run-daemon.ts')];
const ofPackages = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//;

function unique(names: readonly (string | undefined)[]): string[] {
  return [...new Set(names.filter((name) => name !== undefined))].sort();
}

test('of others: what logs and what tells of events', () => {
  expect(unique(atStart.map((path) => ofPackages.exec(path)?.[1]))).toEqual([
    '@pinojs/redact',
    'atomic-sleep',
    'eventemitter3',
    'on-exit-leak-free',
    'pino',
    'pino-std-serializers',
    'quick-format-unescaped',
    'safe-stable-stringify',
    'sonic-boom',
    'thread-stream',
  ]);
});

test('of Node.js', () => {
  const own = atStart.filter((path) => !path.includes('/') || path.startsWith('node:'));
  expect(unique(own.map((path) => path.replace('node:', '')))).toEqual([
    ...[
      'assert',
      'buffer',
      'child_process',
      'crypto',
      'diagnostics_channel',
      'events',
      'fs',
      'fs/promises',
    ],
    ...['http', 'module', 'net', 'os', 'path', 'timers/promises', 'tty', 'url', 'util'],
    'worker_threads',
  ]);
});

const ours = atStart.filter((path) => path.startsWith('src/'));

test('of our folders: not the container engines, and of plugins what tells their links apart', () => {
  expect(unique(ours.map((path) => dirname(path)))).toEqual([
    'src',
    ...['broker', 'bus', 'graph', 'host', 'http1', 'kernel', 'manifest', 'mesh'].map(
      (name) => `src/${name}`,
    ),
    'src/plugins',
    ...['dbus', 'device', 'drm', 'ingress', 'input', 'rest', 'tcp', 'unix', 'wayland'].map(
      (name) => `src/plugins/${name}`,
    ),
    ...['src/relay', 'src/status'],
  ]);
});

test('of the protocols that are read here: nothing that reads them', () => {
  const readers = /^src\/(http1|plugins\/(dbus|ingress|rest))\//;
  expect(unique(ours.filter((path) => readers.test(path)))).toEqual([
    'src/http1/deadlines.ts',
    'src/http1/lingering.ts',
    'src/plugins/dbus/index.ts',
    'src/plugins/dbus/observation.ts',
    'src/plugins/ingress/index.ts',
    'src/plugins/rest/index.ts',
  ]);
});
