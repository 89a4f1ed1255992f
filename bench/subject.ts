/** What is compared: something that makes sockets at the front lead to sockets at the back. */

/** Sockets `<prefix>0`, `<prefix>1`, … in a folder. */
export interface Sockets {
  readonly dir: string;
  readonly prefix: string;
}

/** One set-up of a subject: `count` sockets at the front, the same at the back, one to one. */
export interface Stand {
  readonly front: Sockets;
  /** The far end listens here before `start` is called. */
  readonly back: Sockets;
  /** Begins to serve, or lets it begin: returns before the front is usable. */
  start(): void | Promise<void>;
  /** The proxy's processes; their descendants are the proxy's too. Empty: there is no proxy. */
  pids(): readonly number[];
  stop(): Promise<void>;
}

export interface Subject {
  readonly key: string;
  readonly title: string;
  /** Why the subject can't take part on this machine. */
  missing(): string | undefined;
  /** `folder` is empty, this stand's own, and goes away after `stop`. */
  stand(folder: string, count: number): Promise<Stand>;
  /** The same, where `start` executes the proxy. Absent: that of `stand` does. */
  coldStand?(folder: string, count: number): Promise<Stand>;
}
