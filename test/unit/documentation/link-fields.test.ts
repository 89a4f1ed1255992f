/**
 * The tables of fields in docs/manifests.md and docs/control-socket.md are the table of link fields: what is compared is
 * the page as it would be with their rows written anew. `npx vitest run test/unit/documentation -u` writes them.
 */
import { expect, test } from 'vitest';
import {
  type EntryFields,
  REQUIREMENT_FIELDS,
  SERVICE_FIELDS,
} from '../../../src/manifest/entries.js';
import { type Change, ROWS } from '../../../src/manifest/link-fields.js';
import { textOf } from './pages.js';

const coded = (texts: readonly string[]) => texts.map((text) => `\`${text}\``).join(', ');
const row = (...cells: readonly string[]) =>
  `|${cells.map((cell) => (cell === '' ? ' ' : ` ${cell} `)).join('|')}|`;

/** Without aliases, which are fields under another name. */
function canonical(fields: EntryFields) {
  return Object.entries(fields).filter(([name, { alias }]) => name !== alias);
}

const services = canonical(SERVICE_FIELDS).map(([name, field]) => {
  const { types, for: whom = types ? coded(types) : 'all', default: value = '', meaning } = field;
  return row(coded([name]), whom, value, meaning);
});

const requirements = canonical(REQUIREMENT_FIELDS).map(([name, field]) => {
  const { types, for: whom = types ? coded(types) : 'all', default: value = '', meaning } = field;
  return row(coded([name]), field.alias ? coded([field.alias]) : '', whom, value, meaning);
});

const CHANGES: Readonly<Record<Change, string>> = {
  nothing: '',
  retarget: 'new connections go there',
  reattach: 'attached anew',
  revoke: 'attached anew, at once',
};
const NEEDED = { always: 'required', 'unless-failed': 'required without `error`' } as const;
const links = ROWS.map(([, { wire, types, needed, absent, onChange }]) => {
  const without = needed ? NEEDED[needed] : absent === undefined ? '' : coded([String(absent)]);
  return row(coded([wire]), types ? coded(types) : 'all', without, CHANGES[onChange]);
});

/** The page with these rows below that header. */
function withRows(page: string, header: string, rows: readonly string[]): string {
  const lines = page.split('\n');
  const start = lines.indexOf(header) + 2;
  expect(start, `no table with the header ${header}`).toBeGreaterThan(1);
  const end = lines.findIndex((line, at) => at >= start && !line.startsWith('|'));
  return [...lines.slice(0, start), ...rows, ...lines.slice(end)].join('\n');
}

test('docs/manifests.md has the fields of services and requirements', async () => {
  const page = textOf('docs/manifests.md');
  const first = withRows(page, '| field | for | default | meaning |', services);
  const whole = withRows(first, '| field | alias | for | default | meaning |', requirements);
  await expect(whole).toMatchFileSnapshot('../../../docs/manifests.md');
});

test('docs/control-socket.md has the fields of a link', async () => {
  const page = textOf('docs/control-socket.md');
  const whole = withRows(page, '| field | of | absent | when it changes |', links);
  await expect(whole).toMatchFileSnapshot('../../../docs/control-socket.md');
});
