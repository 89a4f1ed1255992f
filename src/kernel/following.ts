/** Something that is begun with every member of a group, with those that come later, too, until it is ended. */

/** Begins it with a member; what is returned ends it. */
type Begin<M, R> = (member: M) => () => R;

export class Following<M> {
  readonly #members: () => Iterable<M>;
  /** How each that was begun is ended. */
  readonly #begun = new Map<Begin<M, unknown>, Map<M, () => unknown>>();

  /** `members`: those that there are now. */
  constructor(members: () => Iterable<M>) {
    this.#members = members;
  }

  /** Each call is a subscription of its own. The returned function ends it with every member that is still there. */
  follow<R>(begin: Begin<M, R>): () => R[] {
    const own: Begin<M, R> = (member) => begin(member);
    const ends = new Map<M, () => R>();
    this.#begun.set(own, ends);
    for (const member of this.#members()) ends.set(member, own(member));
    return () => {
      this.#begun.delete(own);
      return [...ends.values()].map((end) => end());
    };
  }

  /** One more member. */
  joined(member: M): void {
    for (const [begin, ends] of this.#begun) ends.set(member, begin(member));
  }

  /** It has ended, and all that was begun with it. */
  left(member: M): void {
    for (const ends of this.#begun.values()) ends.delete(member);
  }
}
