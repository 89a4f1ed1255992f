/** Something that is begun with every member of a group, with those that come later, too, until it is ended. */

/** Begins it with a member; what is returned ends it. */
type Begin<M, R> = (member: M) => () => R;

interface Begun<M, R> {
  readonly begin: Begin<M, R>;
  /** How it is ended with each member. */
  readonly ends: Map<M, () => R>;
}

export class Following<M> {
  readonly #members: () => Iterable<M>;
  readonly #begun = new Set<Begun<M, unknown>>();

  /** `members`: those that there are now. */
  constructor(members: () => Iterable<M>) {
    this.#members = members;
  }

  /** Each call is a subscription of its own. The returned function ends it with every member that is still there. */
  follow<R>(begin: Begin<M, R>): () => R[] {
    const ends = new Map<M, () => R>();
    const begun = { begin, ends };
    this.#begun.add(begun);
    for (const member of this.#members()) ends.set(member, begin(member));
    return () => {
      this.#begun.delete(begun);
      return [...ends.values()].map((end) => end());
    };
  }

  /** One more member. */
  joined(member: M): void {
    for (const { begin, ends } of this.#begun) ends.set(member, begin(member));
  }

  /** It has ended, and all that was begun with it. */
  left(member: M): void {
    for (const { ends } of this.#begun) ends.delete(member);
  }
}
