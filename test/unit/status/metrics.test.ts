/** The metrics, as Prometheus would read them. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { NO_DURATIONS } from '../../../src/kernel/durations.js';
import { XConnectError } from '../../../src/kernel/errors.js';
import { packageVersion } from '../../../src/kernel/package-version.js';
import { has } from '../../support/requirements.js';
import { Control, FAILURE } from './control.js';

async function scrape(control: Control): Promise<string[]> {
  const { status, headers, body } = await control.ask('GET /metrics HTTP/1.1\r\n\r\n');
  expect(status).toBe(200);
  expect(headers.get('content-type')).toContain('text/plain; version=0.0.4');
  return body.split('\n').filter((line) => !line.startsWith('#'));
}

const ours = (lines: string[]) => lines.filter((line) => line.startsWith('pv_xconnect_'));

describe('the metrics', () => {
  it('are the counters of each link at the moment of the scrape', async () => {
    const control = await Control.start();
    const id = control.put();
    control.put({ name: 'other' }, FAILURE);
    control.count(id, { active: 1, total: 3, toProvider: 10, toConsumer: 20, closes: { eof: 2 } });
    await scrape(control);
    control.count(id, { active: 2, total: 5, toProvider: 11, toConsumer: 21, closes: { eof: 3 } });
    control.source.emit('failure', new XConnectError('runtime-away', 'It is away.'));
    const raw = 'consumer="consumer",service="raw",target="/run/pv/services/raw.sock"';
    expect(ours(await scrape(control))).toEqual([
      'pv_xconnect_links{state="waiting"} 0',
      'pv_xconnect_links{state="established"} 1',
      'pv_xconnect_links{state="failed"} 1',
      'pv_xconnect_links{state="draining"} 0',
      'pv_xconnect_links{state="unmet"} 0',
      `pv_xconnect_link_established{${raw}} 1`,
      `pv_xconnect_link_established{${raw.replace('raw', 'other')}} 0`,
      `pv_xconnect_link_state{${raw},state="established",code=""} 1`,
      `pv_xconnect_link_state{${raw.replace('raw', 'other')},state="failed",code="target-occupied"} 1`,
      `pv_xconnect_connections_active{${raw}} 2`,
      `pv_xconnect_connections_total{${raw}} 5`,
      `pv_xconnect_bytes_total{${raw},direction="to_provider"} 11`,
      `pv_xconnect_bytes_total{${raw},direction="to_consumer"} 21`,
      `pv_xconnect_closes_total{${raw},reason="eof"} 3`,
      'pv_xconnect_source_up 0',
      'pv_xconnect_source_failures_total{code="runtime-away"} 1',
      `pv_xconnect_build_info{version="${packageVersion()}"} 1`,
    ]);
  });

  it.runIf(has('promtool'))('are what promtool takes for good', async () => {
    const control = await Control.start();
    control.put({}, FAILURE);
    control.source.emit('failure', new XConnectError('runtime-away', 'It is away.'));
    const { body } = await control.ask('GET /metrics HTTP/1.0\r\n\r\n');
    const told = spawnSync('promtool', ['check', 'metrics'], { input: body });
    const said = `${told.stdout}${told.stderr}`.split('\n');
    // The metrics of the process itself are the library's.
    expect(said.filter((line) => line.includes('pv_xconnect'))).toEqual([]);
    expect(said.join('\n')).not.toContain('error while linting');
  });

  it('have what took how long, where that is counted', async () => {
    const control = await Control.start({ timed: true });
    const connectTimes = { counts: [1, 0, 2, 0, 0, 0, 0, 0, 1], milliseconds: 9_004.5 };
    control.count(control.put(), { total: 4, connectTimes, requestTimes: NO_DURATIONS });
    const lines = ours(await scrape(control)).filter((line) => line.includes('seconds'));
    const raw = 'consumer="consumer",service="raw",target="/run/pv/services/raw.sock"';
    const bounds = ['0.0001', '0.0005', '0.0025', '0.01', '0.05', '0.25', '1', '5', '+Inf'];
    expect(lines).toEqual([
      ...bounds.map((le, i) => {
        const count = [1, 1, 3, 3, 3, 3, 3, 3, 4][i];
        return `pv_xconnect_connect_seconds_bucket{${raw},le="${le}"} ${count}`;
      }),
      `pv_xconnect_connect_seconds_sum{${raw}} 9.0045`,
      `pv_xconnect_connect_seconds_count{${raw}} 4`,
    ]);
  });

  it('are OpenMetrics to who asks for that', async () => {
    const control = await Control.start();
    control.put();
    const accept = 'Accept: application/openmetrics-text; version=1.0.0';
    const { headers, body } = await control.ask(`GET /metrics HTTP/1.1\r\n${accept}\r\n\r\n`);
    expect(headers.get('content-type')).toContain('application/openmetrics-text; version=1.0.0');
    expect(headers.get('vary')).toBe('Accept');
    expect(body.endsWith('\n# EOF\n')).toBe(true);
    expect(body).toContain('# TYPE pv_xconnect_closes counter');
  });

  it('have nothing of a link that left', async () => {
    const control = await Control.start();
    control.mesh.emit('gone', control.put());
    const text = ours(await scrape(control)).join('\n');
    expect(text).not.toContain('consumer=');
    expect(text).toContain('pv_xconnect_source_up 1');
  });

  it('have the process, too', async () => {
    const lines = await scrape(await Control.start());
    expect(lines.join('\n')).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(lines.join('\n')).toMatch(/^process_open_fds \d+$/m);
  });

  it('stay one line for each value, whatever the names are', async () => {
    const control = await Control.start();
    control.count(control.put({ name: 'a"} 7\nforged_total{x="\\' }), { total: 1 });
    const lines = await scrape(control);
    expect(lines.filter((line) => line.startsWith('forged'))).toEqual([]);
    expect(lines).toContainEqual(
      expect.stringContaining('service="a\\"} 7\\nforged_total{x=\\"\\\\"'),
    );
  });

  it('of several scrapes at once are all whole', async () => {
    const control = await Control.start();
    control.put();
    const scrapes = await Promise.all(Array.from({ length: 5 }, () => scrape(control)));
    for (const lines of scrapes) expect(ours(lines)).toEqual(ours(scrapes[0] ?? []));
  });
});
