/** The tables of docs/hostile-http.md: what each row says of us and of the others, by name. */
import { readFileSync } from 'node:fs';

export interface Noted {
  readonly ours: string;
  readonly nginx: string;
  readonly haproxy: string;
}

const DOCUMENT = new URL('../../../docs/hostile-http.md', import.meta.url);

export function hostileTable(heading: 'Requests' | 'Answers'): Map<string, Noted> {
  const [, section = ''] = readFileSync(DOCUMENT, 'utf8').split(`\n## ${heading}\n`);
  const rows = (section.split('\n## ')[0] as string)
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .slice(1);
  return new Map(
    rows.map(([, name = '', ours = '', nginx = '', haproxy = '']) => [
      name,
      { ours, nginx, haproxy },
    ]),
  );
}

/** `a or b` is either: it depends on who is faster. */
export function agrees(noted: string | undefined, found: string): boolean {
  return noted?.split(' or ').includes(found) ?? false;
}
