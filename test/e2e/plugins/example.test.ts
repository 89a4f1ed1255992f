import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import { isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

describe.runIf(isRoot())('examples/plugin', () => {
  const engine = new AppEngineProcess();
  const example = join(PACKAGE_ROOT, 'examples/plugin');
  beforeAll(() => engine.startWith([example, '--plugin', join(example, 'announce.js')]));
  afterAll(() => engine.remove());

  test('says who is calling, whatever the caller says', async () => {
    const line = 'the server says: You are client-app operator, and say: I am root.\n';
    await eventually(() => expect(engine.console('client-app')).toContain(line), {
      timeoutMs: 15_000,
    });
    expect(engine.said).not.toMatch(/found|did not start/);
  });
});
