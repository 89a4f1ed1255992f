/** `pv-xconnect tap` against a control socket that says what the test has pass. */
import { describe, expect, it } from 'vitest';
import { tapCommand } from '../../../src/cli/tap.js';
import { Control } from '../status/control.js';
import { Paper } from './paper.js';

describe('pv-xconnect tap', () => {
  it.each([0, 1, 2, 3, 5, 301])('counts bytes, as its daemon does: %d', async (length) => {
    const control = await Control.start({
      tap: (_link, sink) => {
        const about = { connection: '1.1', to: 'provider' as const, time: 0, fds: 0 };
        sink.take({ ...about, bytes: Buffer.alloc(length, 'x') });
        return { begun: Promise.resolve(), end: async () => undefined };
      },
    });
    control.put();
    const [stdout, stderr] = [new Paper(), new Paper()];
    const options = { consumer: 'consumer', service: 'raw', control: control.path };
    const code = await tapCommand({ ...options, for: 50, json: false }, { stdout, stderr });
    expect(stderr.text).toBe(
      'pv-xconnect: consumer → raw is tapped for 0.05 s, or until Ctrl-C.\n' +
        `pv-xconnect: It is over, as its time is over: ${length} bytes were shown.\n`,
    );
    expect(code).toBe(0);
  });
});
