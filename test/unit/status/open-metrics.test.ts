/** Metrics in the form of OpenMetrics, and who gets it; its own parser is asked about the daemon's in test/e2e/seeing. */
import { describe, expect, test } from 'vitest';
import { openMetrics, wantsOpenMetrics } from '../../../src/status/open-metrics.js';

describe('a client gets OpenMetrics', () => {
  const PROMETHEUS =
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,' +
    'text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
  test.each([
    [PROMETHEUS, true],
    ['application/openmetrics-text; version=1.0.0', true],
    ['Application/OpenMetrics-Text', true],
    ['text/plain;q=0.5, application/openmetrics-text;q=0.5', true],
    ['text/plain, application/openmetrics-text;q=0.5', false],
    ['application/openmetrics-text;version=0.0.1', false],
    ['application/openmetrics-text;q=0', false],
    ['application/openmetrics-text;q=x', false],
    ['text/plain', false],
    ['*/*', false],
    ['', false],
    [undefined, false],
  ])('%s: %s', (accept, wants) => expect(wantsOpenMetrics(accept)).toBe(wants));
});

test('OpenMetrics names the family of a counter, has no empty line, and an end', () => {
  const text = `# HELP a_total Of a.
# TYPE a_total counter
a_total{x="# TYPE b_total counter"} 1

# HELP b_total Of b, which is none.
# TYPE b_total gauge
b_total 2
`;
  expect(openMetrics(text)).toBe(`# HELP a Of a.
# TYPE a counter
a_total{x="# TYPE b_total counter"} 1
# HELP b_total Of b, which is none.
# TYPE b_total gauge
b_total 2
# EOF
`);
});
