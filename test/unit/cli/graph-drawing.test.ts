/** Rows, table and drawings: aligned, complete, and with names that can't become syntax or control a terminal. */
import { describe, expect, it } from 'vitest';
import { toDot, toMermaid } from '../../../src/cli/link-drawing.js';
import { type LinkRow, linkRows } from '../../../src/cli/link-row.js';
import { linkTable } from '../../../src/cli/link-table.js';
import { linkToWire } from '../../../src/graph/wire.js';
import { unixLink } from '../../support/link.js';
import { fc, property } from '../../support/property.js';

const FAILURE = { code: 'target-occupied', message: 'A file is at the target.' } as const;

function row(fields: Partial<LinkRow> = {}): LinkRow {
  return {
    consumer: 'app',
    service: 'raw',
    type: 'unix',
    role: 'any',
    provider: 'server',
    target: '/run/raw.sock',
    state: 'established',
    marks: '',
    connections: '1/42',
    error: '',
    ...fields,
  };
}

describe('the rows', () => {
  it('have what the daemon says of a link', () => {
    const wire = {
      ...linkToWire(unixLink({ role: 'operator' })),
      state: 'failed',
      last_error: FAILURE,
      connections: { active: 2, total: 7 },
      tap: { pid: 12, uid: 0 },
    };
    expect(linkRows([wire])).toEqual([
      {
        consumer: 'consumer',
        service: 'raw',
        type: 'unix',
        role: 'operator',
        provider: 'provider',
        target: '/run/pv/services/raw.sock',
        state: 'failed',
        marks: 'tap',
        connections: '2/7',
        error: FAILURE.message,
      },
    ]);
  });

  it('have no state where there is no daemon, but what the builder knows to be wrong', () => {
    const wire = [unixLink(), unixLink({ name: 'b', error: FAILURE })].map(linkToWire);
    expect(linkRows(wire)).toMatchObject([
      { state: '', connections: '', error: '' },
      { state: 'failed', error: FAILURE.message },
    ]);
  });

  property('come of anything', async (holds) => {
    await holds(
      fc.property(fc.array(fc.jsonValue()), (wire) => {
        for (const one of linkRows(wire)) {
          expect(Object.values(one).every((value) => typeof value === 'string')).toBe(true);
        }
      }),
    );
  });
});

describe('the table', () => {
  it('has its columns one below the other', () => {
    const rows = [row(), row({ consumer: 'é', state: 'failed', error: 'It is late.' })];
    expect(linkTable(rows)).toBe(
      [
        'CONSUMER  SERVICE  TYPE  ROLE  PROVIDER  TARGET         STATE        CONNECTIONS  ERROR',
        'app       raw      unix  any   server    /run/raw.sock  established  1/42         -',
        'é         raw      unix  any   server    /run/raw.sock  failed       1/42         It is late.',
        '',
      ].join('\n'),
    );
  });

  it('says so where there is none', () => {
    expect(linkTable([])).toBe('The graph has no links.\n');
  });

  property(
    'has one line a link and no control character, whatever the names are',
    async (holds) => {
      const text = fc.string({ unit: 'binary', maxLength: 20 });
      const any = fc.tuple(text, text, text).map(([service, consumer, error]) => {
        return row({ service, consumer, error });
      });
      await holds(
        fc.property(fc.array(any, { minLength: 1 }), (rows) => {
          const table = linkTable(rows);
          expect(table.split('\n')).toHaveLength(rows.length + 2);
          expect(table.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
        }),
      );
    },
  );

  it('shows an escape sequence instead of obeying it', () => {
    expect(linkTable([row({ service: '\x1b[2Jx\n' })])).toContain('\\u001b[2Jx\\u000a');
  });
});

describe('the dot drawing', () => {
  it('has a node a container and an edge a link', () => {
    const rows = [row(), row({ consumer: 'server', provider: 'app', state: 'waiting' })];
    expect(toDot(rows)).toBe(`digraph mesh {
  rankdir=LR;
  node [shape=box];
  n0 [label="app"];
  n1 [label="server"];
  n0 -> n1 [label="raw (unix) /run/raw.sock", color="#2e7d32", style=solid];
  n1 -> n0 [label="raw (unix) /run/raw.sock", color="#b26a00", style=dashed];
}
`);
  });

  it('takes no name for syntax, escape or entity', () => {
    const text = toDot([
      row({ consumer: 'a"]; n9 [label="\\N\n', service: '&lt;', state: '"red' }),
    ]);
    expect(text).toContain('n0 [label="a\\"]; n9 [label=\\"\\\\N\\\\u000a"];');
    expect(text).toContain('label="&amp;lt; (unix)');
    expect(text).toContain('color="#333333"');
  });

  property('has balanced quotes, whatever the names are', async (holds) => {
    const name = fc.string({ unit: fc.constantFrom('"', '\\', 'n', ']', ';', '\n', '&') });
    await holds(
      fc.property(name, name, (consumer, service) => {
        for (const line of toDot([row({ consumer, service })]).split('\n')) {
          const quoted = /"(?:[^"\\]|\\.)*"/g;
          expect(line.replace(quoted, '')).not.toMatch(/["\\\\]/);
        }
      }),
    );
  });
});

describe('the mermaid drawing', () => {
  it('has a node a container and an edge a link', () => {
    expect(toMermaid([row({ state: 'failed' })])).toBe(`flowchart LR
  n0["app"]
  n1["server"]
  n0 -->|"raw (unix) /run/raw.sock"| n1
  linkStyle 0 stroke:#c62828
`);
  });

  it('takes no name for syntax, markup or an entity', () => {
    const text = toMermaid([row({ consumer: 'a"]<b>`#35;\n', service: 'x|y' })]);
    expect(text).toContain('n0["a#34;#93;#60;b#62;#96;#35;35#59;#92;u000a"]');
    expect(text).toContain('|"x#124;y (unix)');
  });
});
