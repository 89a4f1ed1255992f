/** HTTP/2 frame by frame, behind TLS as it is served: each error ends what it says, and nothing else. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has } from '../../support/requirements.js';
import { FRAME_CASES } from './http2-cases.js';
import { ACK, type Bytes, frame, Http2Client, PREFACE, SETTINGS } from './http2-client.js';
import { REQUEST_CASES } from './http2-request-cases.js';
import { httpProvider, Stand } from './stand.js';
import { TlsStand } from './tls-stand.js';

/** For what never comes: of a case that holds, all has come long before. */
const PATIENCE_MS = 5_000;

describe.runIf(has('openssl'))('an HTTP/2 client that sends', () => {
  let stand: Stand;
  let secure: TlsStand;
  /** Of the last request that the provider had. */
  let seenLast: readonly string[] = [];
  beforeAll(() => {
    const provider = httpProvider((asked, answer) => {
      seenLast = asked.rawHeaders;
      asked.resume();
      asked.on('end', () => answer.end('good'));
    });
    stand = new Stand(provider);
    secure = new TlsStand(stand);
  });
  afterAll(() => {
    secure?.close();
    stand?.close();
  });

  /** What of `expected` is heard first; or all that was heard, where that is none of it. */
  async function outcome(
    sent: readonly Bytes[],
    raw: boolean,
    expected: readonly string[],
  ): Promise<string> {
    const one = new Http2Client(await secure.connect());
    if (!raw) one.send(PREFACE, frame(SETTINGS, 0, 0), frame(SETTINGS, ACK, 0));
    one.send(...sent);
    const found = await new Promise<string>((resolve) => {
      const timer = setTimeout(() => resolve(one.heard.join(', ') || 'nothing'), PATIENCE_MS);
      one.onHeard = () => {
        const held = one.heard.find((words) => expected.includes(words));
        if (!held && !one.heard.includes('closed')) return;
        clearTimeout(timer);
        resolve(held ?? one.heard.join(', '));
      };
      one.onHeard();
    });
    one.close();
    return found;
  }

  test.each([...FRAME_CASES, ...REQUEST_CASES])(
    '$name',
    async ({ sent, expected, raw = false, deviates, seen }) => {
      const allowed = deviates ? [deviates[0]] : expected;
      expect(allowed).toContain(await outcome(sent, raw, allowed));
      if (seen) expect(seenLast).toEqual(seen);
    },
  );
});
