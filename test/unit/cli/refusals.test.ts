/**
 * Every mistake that the tests of manifests know, and the published examples: what is refused is explained, what is not
 * is well, and nothing differs from itself, also after its way through the control socket.
 */
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { declarationsOf } from '../../../src/cli/declaration.js';
import { explain, firstFailure } from '../../../src/cli/explanation.js';
import { buildGraph } from '../../../src/graph/builder.js';
import { compareDeclared } from '../../../src/graph/declared-access.js';
import { compareGraphs } from '../../../src/graph/graph-difference.js';
import { unhosted } from '../../../src/graph/hosted-bus.js';
import { revisionFromWire, revisionToWire } from '../../../src/graph/revision-wire.js';
import { linkToWire, parseGraph } from '../../../src/graph/wire.js';
import { readRevision } from '../../../src/manifest/reader.js';
import type { Revision } from '../../../src/manifest/revision.js';
import { ENTRY_CASES } from '../manifest/entry-cases.js';
import { FIELD_MISTAKES } from '../manifest/field-mistakes.js';
import { GRAPH_CASES } from '../manifest/graph-cases.js';
import { revisionFrom } from '../manifest/scratch.js';

const FIXTURES = new URL('../../fixtures/manifests', import.meta.url).pathname;

const MISTAKES: readonly (readonly [string, Revision])[] = [
  ...[...ENTRY_CASES, ...GRAPH_CASES].map(
    ({ title, files }) => [title, revisionFrom(files)] as const,
  ),
  ...FIELD_MISTAKES.map(({ title, files }) => [title, revisionFrom(files)] as const),
];

function explained(revision: Revision): void {
  for (const declaration of declarationsOf(revision).all) {
    const { requirement, link } = declaration;
    const failure = firstFailure(explain({ declaration }));
    const isMade = link !== undefined && !link.error;
    expect({ place: requirement.place, failed: failure !== undefined }).toEqual({
      place: requirement.place,
      failed: !isMade,
    });
    if (isMade) continue;
    const { found = '', expected = '', remedy = '' } = failure ?? {};
    expect(found).toMatch(/\S.*[^.]\.$/);
    expect(found).not.toContain('No link comes of'); // a problem says it better
    expect(expected).toMatch(/\S/);
    expect(remedy).toMatch(/\S.*\.$/);
  }
}

function differsNot(revision: Revision): void {
  const { links } = buildGraph(revision, new Map(), unhosted(revision));
  const wire: unknown = JSON.parse(JSON.stringify(links.map(linkToWire)));
  const same = compareGraphs(links, parseGraph(wire).links);
  expect(same).toEqual({
    appeared: [],
    vanished: [],
    changed: [],
    access: { gained: [], lost: [] },
  });
  const read = revisionFromWire(JSON.parse(JSON.stringify(revisionToWire(revision))));
  const declared = compareDeclared({ revision, links }, { revision: read, links });
  expect(declared).toEqual({ gained: [], lost: [] });
}

describe.each(MISTAKES)('%s', (_, revision) => {
  test('is explained', () => explained(revision));
  test('is no difference to itself', () => differsNot(revision));
});

describe('the published examples', () => {
  test('are explained, and no difference to themselves', async () => {
    const names = readdirSync(FIXTURES);
    const revision = await readRevision(FIXTURES);
    expect(revision.containers.length).toBeGreaterThan(names.length / 2);
    explained(revision);
    differsNot(revision);
  });
});
