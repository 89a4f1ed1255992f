import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LogFile } from '../../../src/runtime/log-file.js';
import { eventually } from '../../support/wait.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-log-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const text = (name: string) => readFileSync(join(folder, name), 'utf8');

test('output is appended to what an earlier run left', async () => {
  for (const word of ['one\n', 'two\n']) {
    const log = new LogFile(join(folder, 'deep/er/console.log'));
    await log.copy(Readable.from([Buffer.from(word)]));
    await log.close();
  }
  expect(text('deep/er/console.log')).toBe('one\ntwo\n');
});

test('at its limit the file begins anew, and one old file is kept', async () => {
  const log = new LogFile(join(folder, 'console.log'), 100);
  for (let i = 0; i < 50; i++) await log.write(`${String(i).padStart(9, '0')}\n`);
  await log.close();
  expect(readdirSync(folder).sort()).toEqual(['console.log', 'console.log.1']);
  expect(text('console.log.1') + text('console.log')).toMatch(/^000000030\n.*000000049\n$/s);
  expect(statSync(join(folder, 'console.log')).size).toBeLessThanOrEqual(100);
});

test('two streams share a file, each chunk in one piece', async () => {
  const log = new LogFile(join(folder, 'console.log'));
  const streams = [new PassThrough(), new PassThrough()];
  const copies = streams.map((stream) => log.copy(stream));
  for (let i = 0; i < 100; i++) streams[i % 2]?.write(`${'ab'[i % 2]?.repeat(1_000)}\n`);
  for (const stream of streams) stream.end();
  await Promise.all(copies);
  await log.close();
  const lines = text('console.log').trimEnd().split('\n');
  expect(lines.filter((line) => /^(a{1000}|b{1000})$/.test(line))).toHaveLength(lines.length);
  expect(lines.join('')).toHaveLength(100_000);
});

test('a file that cannot be written loses output, and nothing else', async () => {
  mkdirSync(join(folder, 'console.log'));
  const log = new LogFile(join(folder, 'console.log'));
  await log.copy(Readable.from([Buffer.from('lost\n')]));
  await log.close();
  expect(readdirSync(folder)).toEqual(['console.log']);
});

test('a stream that is cut off leaves what it said', async () => {
  const log = new LogFile(join(folder, 'console.log'));
  const stream = new PassThrough();
  const copied = log.copy(stream);
  stream.write('half');
  await eventually(() => expect(text('console.log')).toBe('half'));
  stream.destroy(new Error('cut'));
  await copied;
  await log.close();
  expect(text('console.log')).toBe('half');
});
