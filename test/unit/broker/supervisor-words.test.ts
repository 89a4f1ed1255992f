/** The lines between the daemon and its supervisor, over real pipes. */

import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SupervisorWords } from '../../../src/broker/supervisor.js';
import { BETWEEN_VERSIONS } from '../../../src/kernel/between-versions.js';
import { eventually } from '../../support/wait.js';
import { scratchFolder } from '../manifest/scratch.js';

test('what the supervisor says is heard line by line, however it comes', async () => {
  const path = `${await scratchFolder()}/words`;
  execFileSync('mkfifo', [path]);
  const far = openSync(path, 'r+');
  const heard: string[] = [];
  new SupervisorWords(-1, openSync(path, 'r+')).hear({
    freeze: () => heard.push('Z'),
    commit: () => heard.push('C'),
    thaw: () => heard.push('T'),
    refuse: (reason) => heard.push(reason),
  });
  writeSync(far, `Z${BETWEEN_VERSIONS}\n?\nT\nX the relay`);
  await eventually(() => expect(heard).toEqual(['Z', 'T']));
  writeSync(far, ' ended.\nC\n');
  await eventually(() => expect(heard).toEqual(['Z', 'T', 'the relay ended.', 'C']));
  closeSync(far);
});

test('what is said to it is a letter a line', async () => {
  const path = `${await scratchFolder()}/words`;
  const words = new SupervisorWords(openSync(path, 'w'));
  words.upgrade();
  words.frozen();
  expect(readFileSync(path, 'utf8')).toBe(`U\nz${BETWEEN_VERSIONS}\n`);
});

test('a version of another protocol is told our number, and nothing freezes', async () => {
  const folder = await scratchFolder();
  execFileSync('mkfifo', [`${folder}/orders`]);
  const far = openSync(`${folder}/orders`, 'r+');
  const words = new SupervisorWords(
    openSync(`${folder}/words`, 'w'),
    openSync(`${folder}/orders`, 'r+'),
  );
  const heard: string[] = [];
  words.hear({
    freeze: () => heard.push('Z'),
    commit: () => heard.push('C'),
    thaw: () => heard.push('T'),
    refuse: () => heard.push('X'),
  });
  writeSync(far, `Z${BETWEEN_VERSIONS + 1}\nZ\nX\n`);
  await eventually(() => expect(heard).toEqual(['X']));
  expect(readFileSync(`${folder}/words`, 'utf8')).toBe(`z${BETWEEN_VERSIONS}\n`.repeat(2));
  closeSync(far);
});

test('the number of the protocol between versions is that of the programs in C', () => {
  const header = readFileSync(
    new URL('../../../native/between-versions.h', import.meta.url),
    'utf8',
  );
  expect(header).toContain(`#define PVX_BETWEEN_VERSIONS ${BETWEEN_VERSIONS}\n`);
});
