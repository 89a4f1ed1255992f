/** The pages of documentation, for the tests that hold them to the code. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
export const LF = '\n';

/** Every file below a folder of the repository whose name fits, by its path from the root. */
export function filesBelow(folder: string, name: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && name.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

export const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** All pages, by their path from the root. */
export const PAGES: readonly string[] = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...filesBelow('docs', /\.md$/),
  ...filesBelow('examples', /\.md$/),
];

/** The text of a page as it is read: without its blocks of code, in which `#` and `[` mean something else. */
export const proseOf = (path: string): string => textOf(path).replace(/^ *```.*?^ *```$/gms, '');

/** The blocks of code of a page that are of this language. */
export const blocksOf = (text: string, language: string): string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, block = '']) => block,
  );

/** What stands in backticks in a page. */
export const quotedIn = (text: string): string[] =>
  [...text.matchAll(/`([^`\n]+)`/g)].map(([, word = '']) => word);

/** The rows of the table of a page below this header, each as its cells. */
export function rowsBelow(page: string, header: string): string[][] {
  const lines = textOf(page).split(LF);
  const start = lines.indexOf(header) + 2;
  if (start === 1) throw new Error(`${page} has no table ${header}`);
  const end = lines.findIndex((line, at) => at >= start && !line.startsWith('|'));
  return lines.slice(start, end < 0 ? undefined : end).map((line) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  );
}
