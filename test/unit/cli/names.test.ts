/** Which names a shell may complete behind what words. */
import { expect, test } from 'vitest';
import { wantedBehind } from '../../../src/cli/names.js';
import { program } from '../../../src/command-line.js';

const CONTROL = '/run/pv-xconnect/control.sock';
const behind = (...words: string[]) =>
  wantedBehind(
    words,
    program(() => undefined),
  );

test.each([
  [['explain'], { control: CONTROL, consumer: null }],
  [['explain', 'kiosk'], { control: CONTROL, consumer: 'kiosk' }],
  [['learn', '--for', '5m', 'kiosk'], { control: CONTROL, consumer: 'kiosk' }],
  [['connections', '--follow', '--json'], { control: CONTROL, consumer: null }],
  [['connections', '--control=/c', 'kiosk'], { control: '/c', consumer: 'kiosk' }],
  [['--control', '/c', 'explain'], { control: '/c', consumer: null }],
  [['--log-level', 'explain', 'explain'], { control: CONTROL, consumer: null }],
  [['explain', 'kiosk', 'raw'], null],
  [['explain', '--control'], null],
  [['check'], null],
  [['--sing', 'graph'], null],
  [['sing', 'explain'], null],
  [[], null],
])('%j', (words, wanted) => expect(behind(...words)).toEqual(wanted));
