import { describe, expect, test } from 'vitest';
import { understand } from '../../../../src/cli/pvcontrol/words.js';

const asked = (line: string) => {
  const understood = understand(line.split(' '));
  if (!understood.ok) return understood.exitCode;
  if (understood.deed.is !== 'ask') return understood.deed;
  return understood.deed.requests.map(({ method, path, body }) =>
    [method, path, body].filter((part) => part !== undefined).join(' '),
  );
};

describe('the words of pvcontrol', () => {
  test.each([
    ['ls', 'GET /containers'],
    ['list', 'GET /containers'],
    ['containers ls', 'GET /containers'],
    ['container start a', 'PUT /containers/a {"action":"start"}'],
    ['containers stop a', 'PUT /containers/a {"action":"stop"}'],
    ['containers restart a', 'PUT /containers/a {"action":"restart"}'],
    ['groups ls', 'GET /groups'],
    ['signal ready', 'POST /signal {"type":"ready","payload":""}'],
    ['signal alive', 'POST /signal {"type":"alive","payload":""}'],
    ['cmd run locals/x', 'POST /commands {"op":"LOCAL_RUN","payload":"locals/x"}'],
    [
      'command run-commit locals/x',
      'POST /commands {"op":"LOCAL_RUN_COMMIT","payload":"locals/x"}',
    ],
    ['commands reboot why', 'POST /commands {"op":"REBOOT_DEVICE","payload":"why"}'],
    ['cmd poweroff', 'POST /commands {"op":"POWEROFF_DEVICE","payload":""}'],
    ['cmd run-gc', 'POST /commands {"op":"RUN_GC","payload":""}'],
    ['cmd make-factory', 'POST /commands {"op":"MAKE_FACTORY","payload":""}'],
    ['cmd enable-ssh', 'POST /commands {"op":"ENABLE_SSH","payload":""}'],
    ['cmd disable-ssh', 'POST /commands {"op":"DISABLE_SSH","payload":""}'],
    ['cmd go-remote', 'POST /commands {"op":"GO_REMOTE","payload":""}'],
    ['cmd defer-reboot 60', 'POST /commands {"op":"DEFER_REBOOT","payload":"60"}'],
    ['devmeta ls', 'GET /device-meta'],
    ['devmeta upload k v', 'PUT /device-meta/k v'],
    ['usrmeta save k v', 'PUT /user-meta/k v'],
    ['usrmeta save k', 'PUT /user-meta/k '],
    ['usrmeta delete k', 'DELETE /user-meta/k'],
    ['buildinfo', 'GET /buildinfo'],
    ['objects list', 'GET /objects'],
    ['steps ls', 'GET /steps'],
    ['steps get locals/a?b', 'GET /steps/locals/a%3Fb'],
    ['steps show-progress current', 'GET /steps/current/progress'],
    ['config ls', 'GET /config'],
    ['conf ls', 'GET /config2'],
    ['configuration list', 'GET /config2'],
    ['graph ls', 'GET /xconnect-graph'],
    ['daemons ls', 'GET /daemons'],
    ['daemons stop d', 'PUT /daemons/d {"action":"stop"}'],
    ['storage gc', 'POST /storage/gc'],
  ])('%s', (line, request) => {
    expect(asked(line)).toEqual([request]);
  });

  test('a daemon is restarted by a stop and a start', () => {
    expect(asked('daemons restart d')).toEqual([
      'PUT /daemons/d {"action":"stop"}',
      'PUT /daemons/d {"action":"start"}',
    ]);
  });

  test('more than a request is told by name', () => {
    expect(asked('objects put f s')).toEqual({ is: 'put-object', file: 'f', sha: 's' });
    expect(asked('objects get s')).toEqual({ is: 'get-object', sha: 's' });
    expect(asked('steps put f locals/x')).toEqual({
      is: 'put-step',
      file: 'f',
      revision: 'locals/x',
    });
    expect(asked('steps install f')).toEqual({ is: 'install-step', file: 'f' });
  });

  test.each([
    ['--help', 0],
    ['steps --help', 0],
    ['', 1],
    ['nothing', 1],
    ['containers', 1],
    ['containers stop', 1],
    ['ls more', 1],
    ['signal done', 1],
    ['objects put f', 1],
    ['cmd run', 1],
    ['cmd defer-reboot', 1],
  ])('%j is the usage, and the exit code %i', (line, code) => {
    expect(asked(line)).toBe(code);
  });
});
