/** A consumer whose file systems hang keeps its sockets, as nobody can take them out, but no connection. */
import { afterEach, describe, expect, test } from 'vitest';
import { usePair } from '../../support/container-pair.js';
import { mountStalling } from '../../support/file-systems.js';
import { isRoot } from '../../support/requirements.js';
import { killDaemon } from '../supervision/support.js';
import { UnixPair } from '../unix/support.js';

const TARGET = '/run/pv/raw.sock';
const CLIENT = `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.recv(1)
print('ended')
`;

describe.runIf(isRoot())('a link whose consumer stalls every access to its socket', () => {
  const pair = usePair(new UnixPair(['--drain', '0']));
  afterEach(async () => {
    await pair.consumer.restart(); // what hangs ends with it
    await pair.clear();
  });

  test.each([
    ['is withdrawn', () => pair.daemon.set()],
    [
      'is withdrawn while no daemon is there',
      async () => {
        pair.daemon.graph = [];
        await killDaemon(pair.daemon, []).catch(() => undefined); // it may show the link still
      },
    ],
  ])('ends its connections when it %s', async (_when, withdraw) => {
    const stall = await mountStalling(pair.consumer, '/run/pv');
    await pair.serve('serve-hold');
    pair.daemon.set(pair.link({ target: TARGET }));
    await pair.daemon.until({ raw: 'established' });
    const client = pair.talk(pair.consumer, ['python3', '-c', CLIENT, TARGET]);
    await pair.daemon.untilActive(1);
    stall();
    await withdraw();
    expect(await client.line()).toBe('ended');
  });
});
