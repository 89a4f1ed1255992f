/** What the daemon says about every link: its command line, and the limits of its process. */
export interface LinkHostOptions {
  /** How long a connection waits for its provider, in milliseconds. */
  readonly patienceMs: number;
  /** Of one listener; more wait in its backlog. */
  readonly maxConnections: number;
  /** Of its connections, for receivers that do not read, in bytes. */
  readonly linkMemory: number;
  /** How long connections and requests take is counted. */
  readonly timed?: boolean;
}
