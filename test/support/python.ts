/** Python programs put together from files, for `python3 -c`: a container has none of the files. */
import { readFileSync } from 'node:fs';

/** The text of these files, one behind the other; each is found from `base`, which is the caller's `import.meta.url`. */
export function pythonOf(base: string, ...paths: readonly string[]): string {
  return paths.map((path) => readFileSync(new URL(path, base), 'utf8')).join('\n');
}
