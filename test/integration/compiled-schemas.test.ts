/** What a build checks manifests and graphs with: the same schemas as the source, without a compiler. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { parseGraph } from '../../src/graph/wire.js';
import { wireLink } from '../support/link.js';
import { requires, revisionFrom, services } from '../unit/manifest/scratch.js';

/** Every schema is asked about something right and something wrong. */
const FILES = {
  'a/services.json': services(
    { name: 'raw', type: 'unix', socket: '/run/raw.sock', mode: 'dgram' },
    { name: 'raw2', type: 'unixx', socket: 'raw.sock', fds: 1 },
    {
      name: 'bus',
      type: 'dbus',
      socket: '/b',
      policy: { x: { call: { 'a.b': ['C'] }, look: [] } },
    },
  ),
  'b/run.json': requires('raw', '', { name: 'raw', role: 7, health: { intervall: 5 } }),
  'device.json': {
    groups: [{ name: 'x' }, { name: 7, auto_recovery: { max_retries: 1.5 } }],
    network: { pools: { one: { type: 'bridge' }, two: { subnet: '10.0.3.0' } } },
    ingress: [
      { name: 'raw', external: '0.0.0.0:80' },
      { name: '', type: 'udp' },
    ],
  },
};
const GRAPH = [
  wireLink(),
  wireLink({ name: 'b', mode: 'fast', lease: [] }),
  wireLink({ name: 'c', error: { code: 'x', message: '' } }),
  { ...wireLink({ name: 'd' }), policy: { see: ['a.b', ':1.5'] }, http: { limits: { head: 1 } } },
];

const PROGRAM = `
  import { createRequire } from 'node:module';
  import { toRevision } from './dist/manifest/assembly.js';
  import { BUILT_IN } from './dist/manifest/entries.js';
  import { ProblemList } from './dist/manifest/problem-list.js';
  import { parseGraph } from './dist/graph/wire.js';
  const [files, graph] = JSON.parse(process.argv[1]);
  const reading = { problems: new ProblemList(), failed: false };
  const { problems } = toRevision(new Map(Object.entries(files)), BUILT_IN, reading);
  const parsed = parseGraph(graph);
  const { cache } = createRequire(import.meta.url);
  const loaded = Object.keys(cache).filter((file) => /ajv.(?!dist.runtime)/.test(file));
  process.stdout.write(JSON.stringify({ problems, parsed, loaded }));
`;

it('finds what the source finds, and loads no compiler for it', () => {
  const said = execFileSync(
    process.execPath,
    ['--input-type=module', '-e', PROGRAM, JSON.stringify([FILES, GRAPH])],
    { cwd: fileURLToPath(new URL('../..', import.meta.url)), encoding: 'utf8' },
  );
  const { problems, parsed, loaded } = JSON.parse(said);
  const expected = revisionFrom(FILES).problems;
  expect(expected.length).toBeGreaterThan(8);
  expect(problems).toEqual(JSON.parse(JSON.stringify(expected)));
  expect(parsed).toEqual(JSON.parse(JSON.stringify(parseGraph(GRAPH))));
  expect(loaded).toEqual([]);
});
