/** `pv-xconnect check`: its lines, its exit code, and that no revision can write to the terminal with it. */
import { describe, expect, it } from 'vitest';
import { checkCommand } from '../../../src/cli/check.js';
import { requires, services, writeFiles } from '../manifest/scratch.js';

async function check(files: Record<string, unknown>, json = false) {
  let text = '';
  const out = { write: (part: string) => (text += part) };
  const code = await checkCommand(await writeFiles(files), { json }, out);
  return { code, text };
}

const RAW = { name: 'raw', type: 'unix', socket: '/run/raw.sock' };

describe('check', () => {
  it('ends with 0 and a summary where nothing is wrong', async () => {
    const files = { 'p/services.json': services(RAW), 'c/run.json': requires('raw') };
    expect(await check(files)).toEqual({
      code: 0,
      text: '0 errors, 0 notices; 2 containers, 1 link.\n',
    });
  });

  it('ends with 0 where there are notices only', async () => {
    const { code, text } = await check({ 'c/run.json': { services: { optional: ['none'] } } });
    expect(code).toBe(0);
    expect(text).toMatch(/^c\/run\.json:\/services\/optional\/0: found .*\n0 errors, 1 notice; /);
  });

  it('ends with 1 and prints errors before notices, manifest and graph alike', async () => {
    const { code, text } = await check({
      'c/run.json': { services: { optional: ['none'], required: ['nothing'] } },
      'p/services.json': services({ ...RAW, type: 'udp' }),
    });
    expect(code).toBe(1);
    expect(text.split('\n').map((line) => line.split(': ')[0])).toEqual([
      'p/services.json:/services/0/type',
      'c/run.json:/services/required/0',
      'c/run.json:/services/optional/0',
      '2 errors, 1 notice; 2 containers, 0 links.',
      '',
    ]);
  });

  it('names a file alone where the whole of it is wrong', async () => {
    const { text } = await check({ 'c/run.json': '{' });
    expect(text.split('\n')[0]).toMatch(/^c\/run\.json: found the end of the file at line 1, /);
  });

  it('knows pools as soon as there is a device', async () => {
    const files = { 'c/args.json': { PV_NETWORK_POOL: 'internl' } };
    expect(await check(files)).toMatchObject({ code: 0 });
    const pools = { internal: { type: 'bridge', bridge: 'br0', subnet: '10.0.3.0/24' } };
    const { code, text } = await check({ ...files, 'device.json': { network: { pools } } });
    expect(code).toBe(1);
    expect(text.split('\n')[0]).toBe(
      'c/args.json:/PV_NETWORK_POOL: found the pool "internl", expected one of "internal": correct the name of the pool, or declare it in device.json.',
    );
  });

  it('prints JSON with --json', async () => {
    const { code, text } = await check({ 'c/run.json': requires('nothing') }, true);
    expect(code).toBe(1);
    expect(JSON.parse(text)).toMatchObject({
      errors: 1,
      notices: 0,
      containers: 1,
      links: 0,
      problems: [{ code: 'service-missing', file: 'c/run.json', severity: 'error' }],
    });
  });

  it('lets no control character or bidirectional override through', async () => {
    const nasty = '\u001b[2J\u0007\u009b\u202e\n';
    const files = { 'c/run.json': { services: { required: [nasty, { name: 'x', type: nasty }] } } };
    for (const json of [false, true]) {
      const { text } = await check(files, json);
      expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      expect(text).toMatch(/u001b.*u202e/);
    }
    const { text } = await check(files, true);
    expect(JSON.parse(text).problems[0].found).toContain('\u202e');
  });
});
