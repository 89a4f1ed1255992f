/** What a page, a comment or a remedy refers to is there: files, folders, pages, headings. */
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { REMEDIES } from '../../../src/kernel/errors.js';
import { PROBLEM_REMEDIES } from '../../../src/manifest/problem.js';
import { filesBelow, LF, PAGES, proseOf, quotedIn, ROOT, textOf } from './pages.js';

const FOLDERS = ['src', 'native', 'test', 'bench', 'examples', 'scripts', 'bin', 'docs'];
/** Made by the build, or by a run. */
const MADE = /^(build|dist|node_modules)\//;
const FILE =
  /(?<![\w@$/.<*-])(?:\.\.?\/)*(?:[\w-]+\/)*[\w-]+(?:\.[\w-]+)*\.(?:ts|mjs|[ch]|py|sh|md)\b(?!\()/g;

/** Source and headers of the kernel, headers of Node.js. */
const FOREIGN =
  /^(linux\/[\w.]+|sys\/mount\.h|fs\/exec\.c|drm_mode\.h|input\.h|(ev|mouse|joy)dev\.c|(js_native|node)_api\.h)$/;

const everyFile = FOLDERS.flatMap((folder) => filesBelow(folder, /./)).filter(
  (path) => !path.includes('node_modules/'),
);
const pages = PAGES.map((page) => [page, proseOf(page)] as const);

/** Whether a path means a file or folder of the repository, said in full or by its end. */
function isThere(path: string, from: string): boolean {
  const name = normalize(path.replace(/\/$/, ''));
  if (MADE.test(name)) return true;
  if (existsSync(join(ROOT, name)) || existsSync(join(ROOT, dirname(from), name))) return true;
  if (existsSync(join(ROOT, 'src', name))) return true;
  return everyFile.some((file) => `/${file}`.endsWith(`/${name.replace(/^(\.\.\/)+/, '')}`));
}

/** The anchor that GitHub makes of a heading. */
const anchorOf = (heading: string): string =>
  heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');

const headingsOf = (page: string): string[] =>
  [...proseOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);

describe('the documentation', () => {
  test.each(pages)('%s links to what is there', (page, text) => {
    const broken = [...text.matchAll(/\]\(([^)]+)\)/g)]
      .map(([, to = '']) => to)
      .filter((to) => !/^https?:/.test(to))
      .filter((to) => {
        const [path = '', anchor] = to.split('#');
        const target = path === '' ? page : normalize(join(dirname(page), path));
        if (!existsSync(join(ROOT, target))) return true;
        return anchor !== undefined && !headingsOf(target).map(anchorOf).includes(anchor);
      });
    expect(broken).toEqual([]);
  });

  test.each(pages)('%s names files and folders that are there', (page, text) => {
    const named = quotedIn(text)
      .flatMap((word) => word.split(' '))
      .filter(
        (word) =>
          new RegExp(`^(?:EX/)?(${FOLDERS.join('|')})/[\\w./-]*$`).test(word) ||
          word.match(FILE)?.[0] === word,
      )
      .map((word) => word.replace(/^EX\//, ''));
    expect(named.filter((path) => !isThere(path, page) && !/NAME$/.test(path))).toEqual([]);
  });

  test('ARCHITECTURE.md has every folder of src and of native', () => {
    const quoted = quotedIn(proseOf('ARCHITECTURE.md'));
    const folders = everyFile
      .map((path) => /^src\/([\w-]+\/)|^(native\/[\w-]+\/)/.exec(path))
      .map((match) => match?.[1] ?? match?.[2])
      .filter((folder) => folder !== undefined);
    expect([...new Set(folders)].filter((folder) => !quoted.includes(folder))).toEqual([]);
  });

  test('comments name files that are there', () => {
    const sources = ['src', 'native', 'test', 'bench', 'examples', 'scripts']
      .flatMap((folder) => filesBelow(folder, /\.(ts|mjs|[ch]|py|sh)$/))
      .filter((path) => !path.includes('node_modules/'));
    const wrong = sources.flatMap((path) =>
      textOf(path)
        .split(LF)
        .map((line) => /^\s*(?:\/?\*+|\/\/|#)\s(.*)|\s(?:\/\/|\/\*|#) (.*)/.exec(line))
        .flatMap((match) => (match?.[1] ?? match?.[2] ?? '').match(FILE) ?? [])
        .filter((name) => !FOREIGN.test(name) && !isThere(name, path))
        .map((name) => `${path}: ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  test('remedies name pages, and headings of them, that are there', () => {
    const texts = [
      ...Object.values(REMEDIES),
      ...Object.values(PROBLEM_REMEDIES).flatMap((one) =>
        typeof one === 'string' ? [one] : Object.values(one),
      ),
    ];
    const wrong = texts.filter((text) => {
      const page = /docs\/[\w-]+\.md/.exec(text)?.[0];
      const heading = /"([^"]+)" of docs\//.exec(text)?.[1];
      if (page === undefined) return false;
      if (!existsSync(join(ROOT, page))) return true;
      return heading !== undefined && !headingsOf(page).includes(heading);
    });
    expect(wrong).toEqual([]);
  });
});
