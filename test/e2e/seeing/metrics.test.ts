/** Metrics of a real mesh, as Prometheus itself reads them from the exporter, and what the dashboard asks it for. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { request } from '../../support/daemon.js';
import { childNamed, endBy } from '../../support/processes.js';
import { has, hasPython, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { queriesOf } from '../../unit/documentation/dashboard.js';
import { LivelyMesh, WHERE } from './lively.js';

const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0';
/** Reads OpenMetrics, strictly, and prints the families with their types. */
const PARSE = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
print(json.dumps({family.name: family.type for family in text_string_to_metric_families(sys.stdin.read())}))
`;
/** What has nothing to show where all is well. */
const EMPTY = [
  'Links that are not established',
  'Messages that policies deny, per second',
  'The graph became unreadable, per hour',
];

/** A program that says where it listens. */
async function started(argv: readonly string[], said: RegExp): Promise<[ChildProcess, string]> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const where = new Promise<string>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on('line', (line) => {
        const [, found] = said.exec(line) ?? [];
        if (found !== undefined) resolve(found);
      });
    }
  });
  return [child, await where];
}

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

function ask(url: string, headers: http.OutgoingHttpHeaders = {}, method = 'GET'): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = http.request(url, { method, headers, agent: false }, async (response) => {
      let body = '';
      for await (const text of response.setEncoding('utf8')) body += text;
      const { statusCode: status = 0 } = response;
      resolve({ status, type: response.headers['content-type'] ?? '', body });
    });
    asked.once('error', reject);
    asked.end();
  });
}

describe.runIf(isRoot() && has('dbus-daemon') && has('prometheus'))('the metrics', () => {
  const mesh = new LivelyMesh('--histograms', 'on', '--stop-drain', '0');
  const folder = mkdtempSync(join(tmpdir(), 'pvx-metrics-'));
  let exporter: ChildProcess;
  let url: string;

  beforeAll(async () => {
    await mesh.begin();
    for (const service of Object.keys(WHERE)) await mesh.hold(service);
    chmodSync(dirname(mesh.daemon.control), 0o755); // as /run is
    const command = [`${PACKAGE_ROOT}/bin/pv-xconnect`, 'metrics', '--listen', '127.0.0.1:0'];
    command.push('--control', mesh.daemon.control);
    [exporter, url] = await started(command, /^The metrics are at (\S+)$/);
  }, 60_000);
  afterAll(async () => {
    await endBy(exporter, 'SIGTERM');
    await mesh.stop();
    rmSync(folder, { recursive: true });
  });

  const countsOf = async (metric: string) => {
    const text = String(await request(mesh.daemon.control, '/metrics'));
    const found = text.matchAll(
      new RegExp(`^pv_xconnect_${metric}_count\\{.*service="(\\w+)".*\\} (\\d+)$`, 'gm'),
    );
    return Object.fromEntries([...found].map(([, name, count]) => [name, Number(count)]));
  };

  test('have how long each connection took to get its provider, and each request', async () => {
    expect(await countsOf('connect_seconds')).toEqual({
      ...{ raw: 1, api: 1, port: 1, site: 1, bus: 1, ruled: 1 },
    });
    await eventually(async () =>
      expect(await countsOf('request_seconds')).toEqual({ api: 1, site: 1 }),
    );
    const text = String(await request(mesh.daemon.control, '/metrics'));
    for (const [, service, sum] of text.matchAll(/_seconds_sum\{.*service="(\w+)".*\} (\S+)$/gm)) {
      expect([service, Number(sum) > 0, Number(sum) < 10]).toEqual([service, true, true]);
    }
  });

  test.runIf(hasPython('prometheus_client'))(
    'are what the parser of OpenMetrics takes, and promtool',
    async () => {
      const open = await ask(url, { Accept: OPEN_METRICS });
      expect(open.type).toContain(OPEN_METRICS);
      const parsed = spawnSync('/usr/bin/python3', ['-c', PARSE], {
        input: open.body,
        encoding: 'utf8',
      });
      expect(parsed.stderr).toBe('');
      expect(JSON.parse(parsed.stdout)).toMatchObject({
        pv_xconnect_links: 'gauge',
        pv_xconnect_bytes: 'counter',
        pv_xconnect_connect_seconds: 'histogram',
        pv_xconnect_request_seconds: 'histogram',
        process_cpu_seconds: 'counter',
      });
      const plain = await ask(url);
      expect(plain.type).toContain('text/plain; version=0.0.4');
      const { stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: plain.body });
      expect(`${stdout}${stderr}`).not.toMatch(/pv_xconnect|error while linting/);
    },
  );

  test('once are printed by the command', async () => {
    const { code, out, err } = await mesh.command('metrics');
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain('pv_xconnect_source_up 1\n');
  });

  test('are all that the exporter serves, to who asks for an address or a name of this machine', async () => {
    const statusOf = async (path: string, headers = {}, method = 'GET') => {
      const { status } = await ask(new URL(path, url).href, headers, method);
      return status;
    };
    expect([await statusOf('/links'), await statusOf('/'), await statusOf('/metrics/')]).toEqual([
      404, 404, 404,
    ]);
    expect([
      await statusOf('/metrics', {}, 'POST'),
      await statusOf('/metrics', {}, 'HEAD'),
    ]).toEqual([405, 200]);
    expect(await statusOf('/metrics', { Host: 'evil.example' })).toBe(421);
    expect(await statusOf('/metrics', { Host: 'localhost' })).toBe(200);
  });

  test('come from two processes that have given up root', () => {
    const pids = [exporter.pid as number, childNamed(exporter.pid as number, 'node')];
    const uids = pids.map((pid) => {
      const text = readFileSync(`/proc/${pid}/status`, 'utf8');
      expect(text).toMatch(/^CapEff:\t0+$/m);
      return Number(/^Uid:\t(\d+)/m.exec(text)?.[1]);
    });
    expect(uids).not.toContain(0);
    expect(uids[0]).not.toBe(uids[1]);
  });

  test('answer every query of the dashboard in a real Prometheus', async () => {
    const config = join(folder, 'prometheus.yml');
    const target = { targets: [new URL(url).host] };
    const job = { job_name: 'pv-xconnect', scrape_interval: '200ms', static_configs: [target] };
    writeFileSync(
      config,
      JSON.stringify({ scrape_configs: [{ ...job, scrape_timeout: '200ms' }] }),
    );
    const [prometheus, address] = await started(
      [
        ...['prometheus', `--config.file=${config}`, `--storage.tsdb.path=${folder}/data`],
        '--web.listen-address=127.0.0.1:0',
      ],
      /msg="Listening on" address=(\S+)/,
    );
    const query = async (text: string) => {
      const { body } = await ask(
        `http://${address}/api/v1/query?query=${encodeURIComponent(text)}`,
      );
      return JSON.parse(body) as { status: string; data?: { result: unknown[] }; error?: string };
    };
    try {
      await eventually(
        async () => expect((await query('sum_over_time(up[1m]) > 4')).data?.result).toHaveLength(1),
        { timeoutMs: 20_000 },
      );
      for (const { title, text } of queriesOf((name) =>
        name === '__rate_interval' ? '1m' : '.*',
      )) {
        const { status, error, data } = await query(text);
        expect([title, status, error]).toEqual([title, 'success', undefined]);
        expect([title, (data?.result.length ?? 0) > 0]).toEqual([title, !EMPTY.includes(title)]);
      }
    } finally {
      await endBy(prometheus, 'SIGTERM');
    }
  });

  test('are missing with 503 while there is no daemon, and come back', async () => {
    await mesh.daemon.kill('SIGTERM');
    expect(await ask(url)).toMatchObject({ status: 503, body: /^No daemon listens at / });
    await mesh.daemon.launch();
    await eventually(async () => expect((await ask(url)).status).toBe(200));
  });
});

describe.runIf(isRoot())('the exporter', () => {
  test('says that its address is taken, and ends with 1', async () => {
    const server = http.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const argv = ['metrics', '--listen', `127.0.0.1:${port}`, '--control', '/nowhere/control.sock'];
    const { status, stderr } = spawnSync(`${PACKAGE_ROOT}/bin/pv-xconnect`, argv, {
      encoding: 'utf8',
    });
    server.close();
    expect([status, stderr]).toEqual([
      1,
      `pv-xconnect: The metrics can not be served at 127.0.0.1:${port}: something listens there already: choose another port.\n`,
    ]);
  });
});
