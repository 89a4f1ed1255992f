/** PostgreSQL: psql at its server through a unix link, where the role is who asks (`peer`), and through a tcp link. */
import { existsSync, readdirSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TestContainer } from '../../support/container.js';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { USER, useStockPair } from './support.js';

/** Where Debian has the programs themselves, by version. */
const VERSIONS = '/usr/lib/postgresql';
const BIN = `${VERSIONS}/${existsSync(VERSIONS) ? readdirSync(VERSIONS)[0] : ''}/bin`;
const ADDRESS = '127.0.0.1:5432';
const SOCKET = '/run/postgresql/.s.PGSQL.5432';

describe.runIf(has('pg_createcluster')).each([
  { type: 'unix', host: '/run/postgresql', socket: SOCKET, target: SOCKET },
  { type: 'tcp', host: '127.0.0.1', socket: ADDRESS, target: ADDRESS },
])('PostgreSQL through a $type link', ({ type, host, socket, target }) => {
  const pair = useStockPair({ name: 'database', type, interface: type, socket, target });
  const psql = `${BIN}/psql -X -At -v ON_ERROR_STOP=1 -h ${host} -U ${USER.name} -d postgres`;

  beforeAll(async () => {
    await pair.provider.exec(['install', '-d', '-o', USER.name, '/run/postgresql']);
    pair.serve(`
      ${BIN}/initdb -D /tmp/data --no-sync -E UTF8 --locale=C --auth-local=peer --auth-host=trust
      exec ${BIN}/postgres -D /tmp/data -F -h 127.0.0.1 -k /run/postgresql`);
    await eventually(
      async () => {
        expect(await pair.sh(pair.provider, `${psql} -c 'select 1'`)).toMatchObject({ code: 0 });
      },
      { timeoutMs: 30_000 },
    );
    await pair.establish();
  }, 60_000);

  const session = (container: TestContainer) =>
    pair.session(container, `echo $$ > /tmp/pid; exec ${psql} -v ON_ERROR_STOP=0 2>&1`);

  test('answers a query, and knows who asks', async () => {
    const { direct, through } = await pair.both(`${psql} -c 'select current_user, 6 * 7'`);
    expect(direct).toEqual({ code: 0, output: `${USER.name}|42\n` });
    expect(through).toEqual(direct);
  });

  test('copies some megabytes out and in again', async () => {
    const { direct, through } = await pair.both(`
      ${psql} -c 'copy (select g, md5(g::text) from generate_series(1, 200000) g) to stdout' > /tmp/rows
      ${psql} -q -c 'create temp table t (g int, m text)' -c '\\copy t from pstdin' \\
        -c 'copy t to stdout' < /tmp/rows > /tmp/again
      cmp /tmp/rows /tmp/again && wc -c < /tmp/again && md5sum < /tmp/again`);
    expect(direct.output).toMatch(/^7\d{6}\n[0-9a-f]{32} {2}-\n$/);
    expect(through).toEqual(direct);
  });

  test('notifies who listens', async () => {
    const told: string[] = [];
    for (const container of [pair.provider, pair.consumer]) {
      const listener = session(container);
      listener.say('listen news;\n\\echo ready\n');
      while ((await listener.line()) !== 'ready');
      expect((await pair.sh(container, `${psql} -c "notify news, 'it rains'"`)).code).toBe(0);
      let line = '';
      while (!line.startsWith('Asynchronous')) {
        listener.say('select 1;\n');
        line = await listener.line();
      }
      told.push(line.replace(/PID \d+/, 'PID'));
      await listener.end();
    }
    expect(told[0]).toMatch(/^Asynchronous notification "news" with payload "it rains" received/);
    expect(told[1]).toBe(told[0]);
  });

  test('stops a query that is cancelled', async () => {
    const busy = `select count(*) from pg_stat_activity where query like 'select pg_sleep%'`;
    const ended: string[][] = [];
    for (const container of [pair.provider, pair.consumer]) {
      const one = session(container);
      one.say('select pg_sleep(600);\n');
      await eventually(async () => {
        expect((await pair.sh(pair.provider, `${psql} -c "${busy}"`)).output).toBe('1\n');
      });
      expect((await pair.sh(container, 'kill -INT $(cat /tmp/pid)')).code).toBe(0);
      ended.push([await one.line(), await one.line()]);
      await one.end();
    }
    expect(ended[0]).toEqual([
      'Cancel request sent',
      'ERROR:  canceling statement due to user request',
    ]);
    expect(ended[1]).toEqual(ended[0]);
  });
});
