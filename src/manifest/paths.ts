/**
 * Paths inside containers: what may be one, and when two name the same place.
 */
import { posix } from 'node:path';
import { MAX_STRING } from './limits.js';
import { isClean } from './text.js';

/** Absolute, without `..`, naming something in a folder and not a folder itself. */
export function isContainerPath(text: string): boolean {
  if (!text.startsWith('/') || text.endsWith('/') || text.length > MAX_STRING) return false;
  return isClean(text) && !text.split('/').includes('..') && !text.endsWith('/.');
}

/** One spelling for each place: `/run//./a.sock` is `/run/a.sock`. Symbolic links are not looked at. */
export function samePlace(path: string): string {
  return posix.normalize(path);
}
