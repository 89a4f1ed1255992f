/** A bus link with a policy whose provider's socket is, by symlink, what a link listens on. */
import { describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { point, within } from '../../support/rings.js';
import { eventually } from '../../support/wait.js';
import { POLICY } from './example-policy.js';
import { SOCKET, TARGET, useBusPair } from './support.js';

/** More than any ring may take before it ends, and nothing beside what one that does not end takes. */
const FEW = 25;

describe.runIf(isRoot() && has('dbus-daemon'))('a bus link with a policy', () => {
  const pair = useBusPair('--patience', '2');

  const client = () => pair.consumer.exec(['python3', '-c', CLIENT], { timeout: 15_000 });

  test('that leads back to itself refuses each client, says why, and recovers when it is mended', async () => {
    await point(pair, SOCKET, TARGET);
    pair.daemon.set(within(pair, { role: 'root', policy: POLICY }));
    const [shown] = await pair.daemon.until({ bus: 'failed' });
    expect(shown?.last_error?.code).toBe('provider-loop');
    for (let i = 0; i < 3; i++) await client();
    await eventually(async () => {
      const [now] = await pair.daemon.shown();
      expect(now?.last_error?.code).toBe('provider-loop');
      expect(now?.connections.active).toBe(0);
      expect(now?.connections.total).toBeLessThan(FEW);
    });
    await pair.consumer.exec(['rm', SOCKET]);
    pair.run(pair.consumer, [
      'dbus-daemon',
      '--session',
      '--nofork',
      `--address=unix:path=${SOCKET}`,
    ]);
    await eventually(async () => {
      await client();
      const [now] = await pair.daemon.shown();
      expect(now?.state).toBe('established');
    });
  });
});

const CLIENT = `
import socket
client = socket.socket(socket.AF_UNIX)
client.connect("${TARGET}")
client.send(b"\\0AUTH EXTERNAL 30\\r\\n")
client.settimeout(5)
try:
    while client.recv(4096):
        client.send(b"NEGOTIATE_UNIX_FD\\r\\nBEGIN\\r\\n")
except OSError:
    pass
`;
