/** Whose code something happened in: the first place of a stack that is in none of our own files. */
import { fileURLToPath } from 'node:url';

const OURS = new URL('..', import.meta.url).href;

/** Such as `/a/plugin.js:3`; null: our own code, or the stack does not tell. */
export function foreignPlace(stack: string | undefined): string | null {
  for (const [, url, line] of (stack ?? '').matchAll(/(file:\/\/\/[^\s)]+?):(\d+):\d+/g)) {
    if (url !== undefined && !url.startsWith(OURS)) return `${fileURLToPath(url)}:${line}`;
  }
  return null;
}
