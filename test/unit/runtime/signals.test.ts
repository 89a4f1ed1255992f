import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { catches, signalIfCaught } from '../../../src/runtime/signals.js';

test('the mask of a status file is read bit by bit', () => {
  const status = 'Name:\tnode\nSigIgn:\t0000000000001000\nSigCgt:\t0000000100000403\n';
  expect(catches(status, 'SIGHUP')).toBe(true);
  expect(catches(status, 'SIGINT')).toBe(true);
  expect(catches(status, 'SIGTERM')).toBe(false);
  expect(catches('', 'SIGHUP')).toBe(false);
});

test('a process that does not catch a signal is spared it, one that does gets it', async () => {
  const program = `
    process.stdin.once('data', () => {
      process.on('SIGHUP', () => process.exit(7));
      console.log('ready');
    });
    console.log('up');`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  expect(signalIfCaught(child.pid as number, 'SIGHUP')).toBe(false);
  child.stdin.write('go');
  await once(child.stdout, 'data');
  expect(signalIfCaught(child.pid as number, 'SIGHUP')).toBe(true);
  expect((await exited)[0]).toBe(7);
  expect(signalIfCaught(child.pid as number, 'SIGHUP')).toBe(false);
});
