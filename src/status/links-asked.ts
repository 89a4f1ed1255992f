/** The links that a question is about. */
import type { LinkStatus, StatusStore } from './store.js';

/** Those of the `consumer` and the `name` that are asked for; of all where neither is. In the order of the store. */
export function linksAsked(store: StatusStore, asked: URLSearchParams): LinkStatus[] {
  const [consumer, name] = [asked.get('consumer'), asked.get('name')];
  return [...store.all()].filter(
    ({ link }) =>
      (consumer === null || link.consumer === consumer) && (name === null || link.name === name),
  );
}
