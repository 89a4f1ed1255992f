/** The lines between the daemon and its supervisor, over real pipes. */

import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SupervisorWords } from '../../../src/broker/supervisor.js';
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
  writeSync(far, 'Z\n?\nT\nX the relay');
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
  expect(readFileSync(path, 'utf8')).toBe('U\nz\n');
});
