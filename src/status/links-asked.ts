/** The links that a question is about. */
import type { LinkStatus, StatusStore } from './store.js';

/** Those of the `consumer`, the `name` and the `target` that are asked for, each where it is. In the order of the store. */
export function linksAsked(store: StatusStore, asked: URLSearchParams): LinkStatus[] {
  const keys = ['consumer', 'name', 'target'] as const;
  const wanted = keys.flatMap((key) => {
    const value = asked.get(key);
    return value === null ? [] : [[key, value] as const];
  });
  return [...store.all()].filter(({ link }) => wanted.every(([key, value]) => link[key] === value));
}

/** The same where both `consumer` and `name` are asked for, and else none. */
export function linksNamed(store: StatusStore, asked: URLSearchParams): LinkStatus[] {
  return asked.has('consumer') && asked.has('name') ? linksAsked(store, asked) : [];
}
