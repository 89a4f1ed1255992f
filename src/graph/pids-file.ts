/**
 * The pids file: which process is the init of which container, as a runtime writes it for `--state`.
 *
 *   { "web": 1234, "db": { "pid": 1240, "address": "10.0.3.2" },
 *     "log": { "pid": 0, "end": { "how": "exit code 3", "times": 4, "log": "/var/log/log.log" } } }
 *
 * `address` is the container's pool address, where it has one, `end` how it ended last. A file that is not there means
 * that nothing runs. An entry that is wrong takes out itself alone.
 */
import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { bootTicks } from '../kernel/boot-clock.js';
import { XConnectError } from '../kernel/errors.js';
import { isAddress } from '../kernel/ip-address.js';
import { isPid } from '../kernel/process-stat.js';
import { close, FileFault, openNamedFile, readAll } from '../manifest/files.js';
import { isObject, type JsonObject, parseJson } from '../manifest/json.js';
import { MAX_ENTRIES, MAX_MANIFEST } from '../manifest/limits.js';
import { CONTAINER_END, type ContainerEnd } from '../manifest/link-values.js';
import { show } from '../manifest/problem.js';
import { ProblemList } from '../manifest/problem-list.js';
import { faultsOf, named } from '../manifest/schema.js';
import { printable } from '../manifest/text.js';

const ATTEMPTS = 3;
const MAX_WARNINGS = 10;
const ABSENT = 'absent';
/** How a container ended last, as an entry has it. */
export const END = named('container-end', { ...CONTAINER_END, firstOnly: true });

export interface Pids {
  readonly pids: ReadonlyMap<string, number>;
  readonly addresses: ReadonlyMap<string, string>;
  readonly ends: ReadonlyMap<string, ContainerEnd>;
  /** Before this tick, see GraphSnapshot, every process that the file names had started. */
  readonly stamp: number;
  /** One sentence for each of the first entries that were left out. */
  readonly warnings: readonly string[];
}

interface Version {
  /** Which file it was, and its times: equal for two looks at an unchanged file. */
  readonly identity: string;
  readonly bytes: Buffer;
  readonly stamp: number;
}

export class PidsFile {
  readonly #path: string;
  #last: { readonly version: Version; readonly result: Pids | XConnectError } | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * The same object as long as nobody wrote the file. Its stamp stays too: a pid that was recycled meanwhile
   * must not become old enough by the file being read again.
   */
  async read(): Promise<Pids | XConnectError> {
    const version = await this.#version();
    if (version instanceof FileFault) return this.#failure(version.found, version.expected);
    if (!this.#last || !sameVersion(this.#last.version, version)) {
      this.#last = { version, result: this.#parse(version) };
    }
    return this.#last.result;
  }

  /** The stamp is taken between two looks that find the same file, so it is later than all that it says. */
  async #version(): Promise<Version | FileFault> {
    for (let attempt = 1; ; attempt++) {
      const before = await stat(this.#path, { bigint: true }).then(identityOf, () => ABSENT);
      const stamp = bootTicks();
      const handle = await openNamedFile(this.#path);
      if (handle instanceof FileFault) {
        if (handle.code !== 'path-missing') return handle;
        return { identity: ABSENT, bytes: Buffer.from('{}'), stamp };
      }
      try {
        const bytes = await readAll(handle, MAX_MANIFEST);
        if (bytes instanceof FileFault) return bytes;
        const after = await handle.stat({ bigint: true }).then(identityOf, () => ABSENT);
        if (before === after || attempt === ATTEMPTS) {
          return { identity: after, bytes, stamp };
        }
      } finally {
        await close(handle);
      }
    }
  }

  #parse({ bytes, stamp }: Version): Pids | XConnectError {
    const problems = new ProblemList();
    const value = parseJson(bytes, this.#path, problems);
    const [problem] = problems.list();
    if (value === undefined) return this.#failure(problem?.found ?? 'no JSON', 'JSON');
    if (!isObject(value)) return this.#failure(show(value), 'an object of pids by container');
    const pids = new Map<string, number>();
    const addresses = new Map<string, string>();
    const ends = new Map<string, ContainerEnd>();
    const warnings: string[] = [];
    const warn = (container: string, found: string, expected: string) => {
      if (warnings.length < MAX_WARNINGS) warnings.push(warning(container, found, expected));
    };
    for (const [name, entry] of Object.entries(value).slice(0, MAX_ENTRIES)) {
      const { pid, address, end } = isObject(entry) ? entry : ({ pid: entry } as JsonObject);
      if (!isPid(pid)) {
        warn(name, show(pid), 'a pid');
        continue;
      }
      pids.set(name, pid);
      if (typeof address === 'string' && isAddress(address)) addresses.set(name, address);
      else if (address !== undefined) warn(name, `the address ${show(address)}`, 'an IP address');
      if (end === undefined) continue;
      const [fault] = faultsOf(END, end);
      if (!fault) ends.set(name, end as ContainerEnd);
      else warn(name, `${fault.found} at /end${fault.pointer}`, fault.expected);
    }
    return { pids, addresses, ends, stamp, warnings };
  }

  #failure(found: string, expected: string): XConnectError {
    const message = `The pids file ${printable(this.#path)} can't be used: found ${found}, expected ${expected}.`;
    return new XConnectError('state-unreadable', message);
  }
}

function warning(name: string, found: string, expected: string): string {
  return `Found ${found} for the container ${show(name)} in the pids file, expected ${expected}.`;
}

function sameVersion(a: Version, b: Version): boolean {
  return a.identity === b.identity && a.bytes.equals(b.bytes);
}

function identityOf(stats: BigIntStats): string {
  const { dev, ino, size, mtimeNs, ctimeNs } = stats;
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}
