/** A link that refuses everybody says so, for as long as it does. */
import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../../support/wait.js';
import { SOCKET, TARGET, useUnixPair } from './support.js';

describe('a unix link whose every connection is refused', () => {
  const pair = useUnixPair('--patience', '1');
  afterEach(() => pair.clear());

  const provider = (script: string) => pair.provider.exec(['sh', '-c', script]);
  const refused = () => expect(pair.ask('ask', TARGET, 'x')).rejects.toThrow();

  test('because the role may not connect is failed until one may', async () => {
    await pair.serve('serve-echo');
    await provider(`chmod 600 ${SOCKET}`);
    await pair.establish({ role: '4711' });
    for (let i = 0; i < 3; i++) await refused();
    const [shown] = await pair.daemon.until({ raw: 'failed' });
    expect(shown).toMatchObject({
      connections: { active: 0, total: 3, refused: 3 },
      last_error: {
        code: 'provider-refused',
        remedy: expect.any(String),
        since: expect.any(String),
      },
    });
    await provider(`chmod 666 ${SOCKET}`);
    expect(await pair.ask('ask', TARGET, 'x')).toBe('x');
    await pair.daemon.until({ raw: 'established' });
  });

  test('because nobody listens on what is bound is not established for long', async () => {
    const bind = `import socket, os; s = socket.socket(1); s.bind("${SOCKET}"); print(flush=True); input()`;
    await provider(`mkdir -p /run/example; rm -f ${SOCKET}`);
    const other = pair.talk(pair.provider, ['python3', '-c', bind]);
    await other.line();
    pair.daemon.set(pair.link());
    await eventually(async () => {
      await refused();
      const [shown] = await pair.daemon.shown();
      expect(shown).toMatchObject({ state: 'waiting', last_error: { code: 'provider-refused' } });
    });
    other.kill();
  });

  test('because its socket is a file that a dead provider left is never established', async () => {
    await provider(
      `mkdir -p /run/example; rm -f ${SOCKET}; python3 -c 'import socket; socket.socket(1).bind("${SOCKET}")'`,
    );
    const established = () => pair.daemon.log.split('"state":"established"').length;
    const before = established();
    pair.daemon.set(pair.link());
    await eventually(async () => {
      const [shown] = await pair.daemon.shown();
      expect(shown).toMatchObject({ state: 'waiting', last_error: { code: 'provider-refused' } });
    });
    await refused();
    await pair.daemon.until({ raw: 'waiting' });
    expect(established()).toBe(before);
    await provider(`rm ${SOCKET}`);
    await pair.serve('serve-echo');
    await pair.daemon.until({ raw: 'established' });
  });
});
