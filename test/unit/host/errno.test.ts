import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { connectError, holdError, isNotThereYet, listenError } from '../../../src/host/errno.js';
import { REMEDIES } from '../../../src/kernel/errors.js';
import { unixLink } from '../../support/link.js';

const LINK = unixLink();
const ERRNOS = Object.keys(constants.errno);
const SENTENCE = /^[A-Z/].*[^.]\.$/;

describe('an errno of the broker', () => {
  test.each(ERRNOS)('%s is a code with a remedy and one sentence, whatever was tried', (errno) => {
    const errors = [
      holdError('web', 12, errno),
      listenError(LINK, errno),
      connectError(LINK, errno),
    ];
    for (const { code, message } of errors) {
      expect(REMEDIES[code]).toBeDefined();
      expect(message).toMatch(SENTENCE);
    }
  });

  test('at the target says what was found there and that it was left alone', () => {
    expect(listenError(LINK, 'EEXIST')).toMatchObject({
      code: 'target-occupied',
      message:
        'No socket at /run/pv/services/raw.sock in consumer: something that is no socket is there, and was left untouched.',
    });
    expect(listenError(LINK, 'EROFS').code).toBe('target-read-only');
    expect(listenError(LINK, 'EXDEV').code).toBe('target-on-host');
  });

  test('of a process that is gone or recycled asks for a fresh graph', () => {
    expect(holdError('web', 12, 'ESTALE').code).toBe('container-gone');
    expect(holdError('web', 12, 'ESRCH').code).toBe('container-gone');
    expect(holdError('web', 12, 'EXDEV').code).toBe('not-a-container');
  });

  test('of a provider that may still come is waited for, of one that is wrong is not', () => {
    expect(isNotThereYet('ENOENT')).toBe(true);
    expect(isNotThereYet('ECONNREFUSED')).toBe(true);
    expect(isNotThereYet('ENOTSOCK')).toBe(false);
    expect(isNotThereYet('EACCES')).toBe(false);
  });
});
