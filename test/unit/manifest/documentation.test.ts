/** docs/manifests.md says what the code does: tables that have a source in it are compared with that. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SERVES } from '../../../src/graph/compatibility.js';
import { SERVICE_TYPES } from '../../../src/graph/link.js';
import { MAX_DEPTH, MAX_ENTRIES, MAX_MANIFEST, MAX_STATE } from '../../../src/manifest/limits.js';
import { PROBLEM_REMEDIES } from '../../../src/manifest/problem.js';
import { brief, graphFrom, revisionFrom } from './scratch.js';

const TEXT = readFileSync(new URL('../../../docs/manifests.md', import.meta.url), 'utf8');
const LINES = TEXT.split('\n');

/** Rows under the header, each as its cells. */
function rows(header: string): string[][] {
  const start = LINES.indexOf(header) + 2;
  const end = LINES.findIndex((line, at) => at >= start && !line.startsWith('|'));
  return LINES.slice(start, end < 0 ? undefined : end).map((line) =>
    line.slice(2, -2).split(' | '),
  );
}

/** The JSON blocks of a section; one that is a member of an object is put into one. */
function blocks(section: string): Record<string, unknown>[] {
  const [, body = ''] = TEXT.split(`\n${section}\n`);
  const [own = ''] = body.split(/\n## /);
  return [...own.matchAll(/```json\n(.*?)```/gs)].map(([, json = '']) =>
    JSON.parse(json.startsWith('{') ? json : `{${json}}`),
  );
}

describe('docs/manifests.md', () => {
  it('has every problem code with its remedy, in the order of the source', () => {
    const expected = Object.entries(PROBLEM_REMEDIES).map(([code, remedy]) => [
      `\`${code}\``,
      typeof remedy === 'string' ? remedy : `${remedy.error} As a notice: ${remedy.notice}`,
    ]);
    expect(rows('| code | what to do |')).toEqual(expected);
  });

  it('has the type table of the graph', () => {
    const quoted = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(', ');
    const table = rows('| provider type | may be consumed as |');
    expect(Object.fromEntries(table)).toEqual(
      Object.fromEntries(SERVICE_TYPES.map((type) => [quoted([type]), quoted(SERVES[type])])),
    );
  });

  it('has the limits that are enforced', () => {
    const mebibyte = 1024 * 1024;
    expect(TEXT).toContain(
      `At most ${MAX_MANIFEST / mebibyte} MiB a manifest, ${MAX_STATE / mebibyte} MiB a state in any shape, ${MAX_DEPTH} levels of JSON, ${MAX_ENTRIES.toLocaleString('en')} entries a list`,
    );
  });

  it('shows examples that read without a problem and make the links they promise', () => {
    const [exported, policy] = blocks('## `services.json`: what a container provides');
    const [run] = blocks('## `run.json`, `args.json`: what a container requires');
    const [device] = blocks('## `device.json`: the host');
    const api = { name: 'api', type: 'rest', socket: '/run/api.sock' };
    const bus = { name: 'bus', type: 'dbus', socket: '/run/bus.sock', ...policy };
    const files = {
      'provider/services.json': exported,
      'kiosk/run.json': run,
      'api-container/services.json': [api, bus],
      'device.json': device,
    };
    expect(revisionFrom(files).problems).toEqual([]);
    const { links, problems } = graphFrom(files);
    expect(brief(problems)).toEqual([]);
    expect(links.map(({ consumer, name }) => `${consumer} ${name}`)).toEqual([
      'kiosk raw',
      'kiosk web',
      'kiosk card',
      'EXTERNAL api',
    ]);
    expect(revisionFrom(files).containers[0]?.services[1]?.policy?.size).toBe(2);
  });
});
