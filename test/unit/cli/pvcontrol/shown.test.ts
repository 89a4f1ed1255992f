import { expect, test } from 'vitest';
import { shownAtTerminal } from '../../../../src/cli/pvcontrol/shown.js';

const shown = (value: unknown) => shownAtTerminal(JSON.stringify(value));

test('a list is a table, and what is in it has columns of its own', () => {
  const recovery = { policy: 'always', max_retries: 3 };
  expect(
    shown([
      { name: 'web', status: 'READY', roles: ['mgmt', 'x'], auto_recovery: recovery },
      { name: 'a\u001b[2J', status: '', roles: [] },
    ]),
  ).toBe(
    [
      'NAME        STATUS  ROLES    POLICY  MAX RETRIES',
      'web         READY   mgmt, x  always  3',
      'a\\u001b[2J  -       -        -       -',
      '',
    ].join('\n'),
  );
  expect(shown([])).toBe('There are none.\n');
});

test('keys and their values are a row each; an error of a link is its sentence', () => {
  expect(shown({ a: 'x', bb: 'y' })).toBe('KEY  VALUE\na    x\nbb   y\n');
  expect(shown([{ state: 'failed', last_error: { code: 'x', message: 'It is.' } }])).toBe(
    'STATE   LAST ERROR\nfailed  It is.\n',
  );
});

test('a state is JSON, and text is text', () => {
  expect(shown({ '#spec': 'x', 'web/run.json': { exec: ['web'] } })).toBe(
    `${JSON.stringify({ '#spec': 'x', 'web/run.json': { exec: ['web'] } }, null, 2)}\n`,
  );
  expect(shownAtTerminal('pv-appengine 1\n')).toBe('pv-appengine 1\n');
});
