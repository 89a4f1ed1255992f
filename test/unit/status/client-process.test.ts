import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  ClientProcesses,
  commandOf,
  innermostPid,
  insideId,
} from '../../../src/status/client-process.js';

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
    for (let i = 0; i < 100; i++) processes.of({ pid: process.pid, uid: 0 }, Date.now());
    expect(reads).toBe(4);
  });
});
