/** A native call that takes descriptors has them closed where it fails, too. Wrong arguments on purpose. */
import { spawnSync } from 'node:child_process';
import { closeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { native, PACKAGE_ROOT, SOCKET_TYPES } from '../../../src/relay/native.js';
import { isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { openFds } from './support.js';

const wrong = 'no such thing' as never;

describe('what a native call takes is closed where the call fails:', () => {
  /** Each is given two sockets, whose other ends stay here, and throws. */
  test.each<[string, (one: number, other: number) => void]>([
    [
      'channelOpen',
      (one, other) => {
        expect(() => native.channelOpen(one, wrong)).toThrow();
        expect(() => native.channelOpen(other, 5 as never, native.closingNew())).toThrow();
      },
    ],
    [
      'descriptorsClose',
      (one, other) => {
        expect(() => native.descriptorsClose([one, wrong, other])).toThrow();
      },
    ],
  ])('%s', async (_, call) => {
    const [one, far] = native.socketPair(SOCKET_TYPES.stream);
    const [other, away] = native.socketPair(SOCKET_TYPES.stream);
    call(one, other);
    for (const end of [far, away]) {
      await eventually(() => expect(native.socketRead(end, Buffer.alloc(1))).toBe(0)); // it was closed
      closeSync(end);
    }
  });
});

test('a poller that could not be made leaves no descriptor open', () => {
  const before = openFds();
  expect(() => native.pollerOpen(new Int32Array(256), 5 as never)).toThrow(
    'poller: Invalid argument',
  );
  expect(openFds()).toBe(before);
});

/** In a process of its own, which would give up root. Says what is thrown, who it is then, and what it has started. */
const LAUNCH = `
const { readFileSync } = require('node:fs');
const { launch } = require(process.argv[1]);
const sleep = ['/bin/sleep', '5'];
let thrown;
try {
  launch(sleep, sleep, [], 1, 1, ['no such thing'], sleep);
} catch (error) {
  thrown = error.name;
}
console.log(thrown, process.getuid(), readFileSync('/proc/thread-self/children', 'utf8'));
`;

test.runIf(isRoot())(
  'a launch whose last argument is wrong has started nothing and given up nothing',
  () => {
    const addon = `${PACKAGE_ROOT}/build/Release/pvx.node`;
    const said = spawnSync(process.execPath, ['-e', LAUNCH, addon], { encoding: 'utf8' });
    expect(said.stdout.trim()).toBe('TypeError 0');
  },
);
