/** ssh-agent, which serves its own user alone: through a unix link whose role is that user. */
import { beforeAll, describe, expect, test } from 'vitest';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { USER, useStockPair } from './support.js';

const SOCKET = '/run/agent/agent.sock';
const programs = ['ssh-agent', 'ssh-add', 'ssh-keygen'];

describe.runIf(programs.every(has))('ssh-agent through a unix link', () => {
  const pair = useStockPair({ name: 'agent', socket: SOCKET, target: SOCKET });
  const ask = (script: string) => `export SSH_AUTH_SOCK=${SOCKET}; ${script}`;

  beforeAll(async () => {
    await pair.provider.exec(['install', '-d', '-o', USER.name, '/run/agent']);
    pair.serve(`ssh-keygen -q -t ed25519 -N '' -C key -f /tmp/key; exec ssh-agent -D -a ${SOCKET}`);
    await eventually(async () => {
      expect((await pair.sh(pair.provider, ask('ssh-add -q /tmp/key'))).code).toBe(0);
    });
    await pair.establish();
  });

  test('lists its keys', async () => {
    const { direct, through } = await pair.both(ask('ssh-add -l; ssh-add -L'));
    expect(direct.output).toMatch(/^256 SHA256:\S+ key \(ED25519\)\nssh-ed25519 \S+ key\n$/);
    expect(through).toEqual(direct);
  });

  test('signs for a client that has no key of its own', async () => {
    const { direct, through } = await pair.both(
      ask(`cat > /tmp/text; ssh-add -L > /tmp/public
        ssh-keygen -q -Y sign -n file -f /tmp/public < /tmp/text | tee /tmp/signature
        ssh-keygen -Y check-novalidate -n file -s /tmp/signature < /tmp/text`),
      Buffer.from('a text'),
    );
    expect(direct.output).toContain('Good "file" signature with ED25519 key');
    expect(through).toEqual(direct);
  });

  test('takes a key that a client adds, and forgets it', async () => {
    const { direct, through } = await pair.both(
      ask(`ssh-keygen -q -t ed25519 -N '' -C other -f /tmp/other
        ssh-add -q /tmp/other && ssh-add -l | wc -l
        ssh-add -q -d /tmp/other && ssh-add -l | wc -l`),
    );
    expect(direct).toEqual({ code: 0, output: '2\n1\n' });
    expect(through).toEqual(direct);
  });
});
