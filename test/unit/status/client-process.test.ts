import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bootTicks, TICK_MS } from '../../../src/kernel/boot-clock.js';
import {
  ClientProcesses,
  commandOf,
  innermostPid,
  insideId,
} from '../../../src/status/client-process.js';

/** Files of /proc for processes that there are not. */
class FakeProc {
  readonly #files = new Map<string, string>();

  /** `age`: in milliseconds; below 0: it begins so long from now. */
  run(pid: number, command: string, age: number): void {
    const start = bootTicks() - Math.round(age / TICK_MS);
    const stat = `${pid} (x) S ${[...Array(18).fill(0), start].join(' ')}`;
    const files = { status: `NSpid:\t${pid}\n`, uid_map: '0 0 1\n', cmdline: `${command}\0`, stat };
    for (const [name, text] of Object.entries(files)) this.#files.set(`/proc/${pid}/${name}`, text);
  }

  end(pid: number): void {
    for (const path of this.#files.keys()) {
      if (path.startsWith(`/proc/${pid}/`)) this.#files.delete(path);
    }
  }

  read(path: string): string {
    const text = this.#files.get(path);
    if (text === undefined) throw new Error(path);
    return text;
  }
}

describe('the process of a client', () => {
  test('has the pid of its own namespace', () => {
    expect(innermostPid('Name:\tx\nNStgid:\t9\t8\nNSpid:\t4711\t12\t3\nNSpgid:\t1\n')).toBe(3);
    expect(innermostPid('Name:\tx\nNSpid:\t4711\n')).toBe(4711);
    expect([innermostPid(''), innermostPid('NSpid:\tx\n')]).toEqual([0, 0]);
  });

  test('has the user of its own namespace, if that has one', () => {
    const map = '         0     100000      65536\n     70000       5000          1\n';
    expect([100_000, 100_042, 5_000].map((id) => insideId(map, id))).toEqual([0, 42, 70_000]);
    expect([0, 99_999, 165_536, 5_001].map((id) => insideId(map, id))).toEqual(Array(4).fill(null));
    expect([insideId('', 0), insideId('junk\n', 0)]).toEqual([null, null]);
  });

  test('has its arguments, and not without end', () => {
    expect(commandOf('sh\0-c\0echo  x\0')).toBe('sh -c echo  x');
    expect([commandOf(''), commandOf('\0\0')]).toEqual([null, null]);
    expect(commandOf('x'.repeat(5_000))).toHaveLength(1_024);
  });

  test('is the real one, unless it began after the connection', () => {
    const own = { pid: process.pid, uid: process.getuid?.() ?? 0 };
    const host = { host_pid: own.pid, host_uid: own.uid };
    const processes = new ClientProcesses();
    expect(processes.of(own, Date.now())).toMatchObject({ uid: own.uid, ...host });
    expect(processes.of(own, Date.now()).command).toContain('node');
    const gone = { pid: null, uid: null, command: null };
    expect(processes.of(own, Date.now() - 86_400_000 * 365)).toEqual({ ...gone, ...host });
    expect(processes.of({ pid: 0, uid: 1 }, Date.now())).toMatchObject(gone);
  });

  test('is read once, however many connections it has', () => {
    let reads = 0;
    const processes = new ClientProcesses((path) => {
      reads++;
      return readFileSync(path, 'utf8');
    });
    const now = Date.now();
    for (let i = 0; i < 100; i++) processes.of({ pid: process.pid, uid: 0 }, now);
    expect(reads).toBe(4);
  });

  test('is another one where the pid was given again, and the one that was known where it was not', () => {
    const pid = 4711;
    const proc = new FakeProc();
    const processes = new ClientProcesses((path) => proc.read(path));
    const command = (since: number) => processes.of({ pid, uid: 0 }, since).command;
    const hour = 3_600_000;
    const now = Date.now();
    proc.run(pid, 'old', 2 * hour);
    expect(command(now - hour)).toBe('old');
    proc.end(pid);
    expect(command(now - hour)).toBe('old'); // it has ended since
    expect(command(now + hour)).toBe('old'); // as far as anybody knows
    proc.run(pid, 'new', -hour);
    expect(command(now)).toBe('old'); // the connection is older than the new one
    expect(command(now + 2 * hour)).toBe('new');
    expect(command(now - hour)).toBe(null); // of the old one nothing is known any more
  });

  test('is forgotten where too many were seen after it', () => {
    const proc = new FakeProc();
    const processes = new ClientProcesses((path) => proc.read(path));
    const since = Date.now();
    const command = (pid: number) => processes.of({ pid, uid: 0 }, since).command;
    for (let pid = 1; pid <= 4_097; pid++) {
      proc.run(pid, `number ${pid}`, 3_600_000);
      command(pid);
      proc.end(pid);
    }
    expect([command(1), command(2), command(4_097)]).toEqual([null, 'number 2', 'number 4097']);
  });
});
