/** The table of Pantavisor's test plans: each file has the test that the table says. */
import { expect, test } from 'vitest';
import { rowsBelow, textOf } from './pages.js';

test('every check of the plans of Pantavisor is held by a test that is there', () => {
  const rows = rowsBelow(
    'docs/appengine.md',
    '| plan and its tests | what is checked | held by | test |',
  );
  const word = (cell = '') => cell.replaceAll('`', '');
  const missing = rows
    .map(([, , file, name]) => [word(file), word(name)] as const)
    .filter(([file, name]) => !textOf(file).includes(name));
  expect(missing).toEqual([]);
  expect(rows.length).toBeGreaterThan(0);
});
