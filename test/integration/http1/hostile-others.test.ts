/** What docs/hostile-http.md notes of nginx and HAProxy is so: they are asked. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has } from '../../support/requirements.js';
import { CountingProvider, outcome } from './counting-provider.js';
import { HOSTILE_ANSWERS } from './hostile-answers.js';
import { HOSTILE_REQUESTS } from './hostile-requests.js';
import { agrees, hostileTable } from './hostile-table.js';
import { OtherProxies } from './other-proxies.js';
import { reading, ScriptedProvider, twoRequests } from './scripted-provider.js';

const OTHERS = ['nginx', 'haproxy'] as const;
/** When an answer has ended is a guess: one that is not as expected is asked for again, and waited for longer. */
const PATIENCE = [1, 4, 8];

/** Whether the second request is answered too is a race in them. */
const firstOf = (answers = '') => answers.replace(/, 200 next$/, '');

/** What was found at last where it never is as the table has it. */
async function disagreement(
  noted: string | undefined,
  look: (patience: number) => Promise<string>,
): Promise<string | null> {
  let found = '';
  for (const patience of PATIENCE) {
    found = await look(patience);
    if (agrees(noted, found)) return null;
  }
  return found;
}

describe.runIf(has('nginx') && has('haproxy'))('of the others', () => {
  const counting = new CountingProvider();
  const scripted = new ScriptedProvider();
  const before = {
    requests: new OtherProxies(counting.accept),
    answers: new OtherProxies(scripted.accept),
  };
  beforeAll(async () => {
    await before.requests.start();
    await before.answers.start();
  });
  afterAll(async () => {
    await before.requests.stop();
    await before.answers.stop();
  });

  test.each(OTHERS)(
    '%s deals with hostile requests as the table has it',
    async (other) => {
      const table = hostileTable('Requests');
      const wrong: string[] = [];
      for (const [name, bytes] of HOSTILE_REQUESTS) {
        const found = await disagreement(table.get(name)?.[other], async (patience) => {
          counting.seen = [];
          const answer = await before.requests.ask(other, bytes, patience);
          return outcome(answer, counting.seen.length);
        });
        if (found !== null) wrong.push(`${name}: ${found}`);
      }
      expect(wrong).toEqual([]);
    },
    120_000,
  );

  test.each(OTHERS)(
    '%s deals with hostile answers as the table has it',
    async (other) => {
      const table = hostileTable('Answers');
      const wrong: string[] = [];
      for (const { name, bytes, method, stays } of HOSTILE_ANSWERS) {
        const found = await disagreement(firstOf(table.get(name)?.[other]), async (patience) => {
          scripted.script(bytes, stays ?? false);
          const answer = await before.answers.ask(other, twoRequests(method), patience);
          return firstOf(reading(answer, method === 'HEAD'));
        });
        if (found !== null) wrong.push(`${name}: ${found}`);
      }
      expect(wrong).toEqual([]);
    },
    120_000,
  );
});
