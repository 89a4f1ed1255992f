/** Which changes of links are lines of the log, at which level, and with which reason. */
import { EventEmitter } from 'eventemitter3';
import { expect, test } from 'vitest';
import type { Link, LinkState } from '../../../src/graph/link.js';
import type { LinkError } from '../../../src/kernel/errors.js';
import type { Logger } from '../../../src/kernel/log.js';
import type { MeshEvents } from '../../../src/mesh/mesh.js';
import { ChangeLog } from '../../../src/status/change-log.js';
import { unixLink } from '../../support/link.js';

const DOWN: LinkError = { code: 'consumer-not-running', message: 'client is not running.' };
const BUSY: LinkError = { code: 'device-busy', message: 'The device is busy.' };

function begin() {
  const mesh = new EventEmitter<MeshEvents>();
  const lines: string[] = [];
  const at = (level: string) => (fields: { state: string }, text: string) =>
    void lines.push(`${level} ${fields.state}: ${text}`);
  const log = { info: at('info'), warn: at('warn'), debug: at('debug') } as unknown as Logger;
  const changes = new ChangeLog(mesh, log);
  const tell = (state: LinkState, error: LinkError | null = null, link: Partial<Link> = {}) => {
    mesh.emit('state', 'a|b|c', { ...unixLink(), ...link }, state, error);
  };
  const said = () => lines.splice(0).filter((line) => !line.startsWith('debug'));
  return { changes, tell, said, gone: () => mesh.emit('gone', 'a|b|c') };
}

test('a link that comes and goes is a line a change', () => {
  const { tell, said, gone } = begin();
  tell('waiting');
  tell('waiting', DOWN);
  tell('waiting', DOWN);
  tell('established');
  tell('failed', BUSY);
  tell('established');
  tell('draining');
  gone();
  expect(said()).toEqual([
    'info waiting: client is not running.',
    'info established: established',
    'warn failed: The device is busy.',
    'info established: established',
    'info draining: it is no longer in the graph: its connections may finish',
    'info gone: nothing is left of it',
  ]);
});

test('a link that is attached anew, or goes on with another provider, says what is other', () => {
  const { tell, said } = begin();
  tell('established');
  tell('waiting', null, { role: 'operator' });
  tell('established', null, { role: 'operator' });
  tell('established', null, { role: 'operator', providerPid: 77 });
  tell('established', null, { role: 'operator', providerPid: 77, optional: true });
  tell('waiting', null, { role: 'operator', providerPid: 77, extra: { x: 1 } });
  tell('established', null, { role: 'operator', providerPid: 77, extra: { x: 1 } });
  expect(said()).toEqual([
    'info established: established',
    'info established: with another role',
    'info established: with another provider_pid',
    'info established: with another options',
  ]);
});

test('an unmet requirement is none, as it is a problem of the manifests', () => {
  const { tell, said, gone } = begin();
  tell('unmet', { code: 'requirement-unmet', message: 'Nobody provides it.' });
  expect(said()).toEqual([]);
  gone();
  expect(said()).toEqual(['info gone: it is no longer in the graph']);
});

test('where everything ends, that is the reason', () => {
  const { changes, tell, said } = begin();
  tell('established');
  changes.leaving = 'pv-xconnect ends';
  tell('draining');
  expect(said()[1]).toBe('info draining: pv-xconnect ends: its connections may finish');
});
