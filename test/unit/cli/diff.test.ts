/** `pv-xconnect diff` of two revisions, and of the running graph. */
import { describe, expect, it } from 'vitest';
import { type DiffOptions, diffCommand } from '../../../src/cli/diff.js';
import { unixLink } from '../../support/link.js';
import {
  requires,
  revisionFrom,
  scratchFolder,
  services,
  writeFiles,
} from '../manifest/scratch.js';
import { Control } from '../status/control.js';
import { Paper } from './paper.js';

async function diff(before: string, after: string, flags: Partial<DiffOptions> = {}) {
  const [stdout, stderr] = [new Paper(), new Paper()];
  const options = { before, after, control: '/nowhere', json: false, exitCode: false, ...flags };
  const code = await diffCommand(options, { stdout, stderr });
  return { code, out: stdout.text, err: stderr.text };
}

const RAW = { name: 'raw', type: 'unix', socket: '/run/raw' };
const API = { name: 'api', type: 'rest', socket: '/run/api' };
const OLD = {
  'server/services.json': services(RAW, { ...API, rules: { '*': ['GET /status'] } }),
  'client/run.json': requires('raw', 'api'),
  'device.json': {
    ingress: [{ type: 'http', external: '0.0.0.0:80', provider: 'server', service: 'api' }],
  },
};
const NEW = {
  'server/services.json': services(
    { ...RAW, allow: ['operator'] },
    { ...API, rules: { '*': ['GET /status', '* /admin/**'] } },
  ),
  'client/run.json': requires('raw', { name: 'api', role: 'operator' }),
  'device.json': {
    ingress: [{ type: 'http', external: '0.0.0.0:8080', provider: 'server', service: 'api' }],
  },
};

describe('two revisions', () => {
  it('have what somebody gains first, then what is lost, then the links', async () => {
    const { code, out, err } = await diff(await writeFiles(OLD), await writeFiles(NEW));
    expect(out).toBe(`\
Access gained:
  + whoever reaches 0.0.0.0:8080 may use api of server
  + client on api of server at /run/pv/services/api.sock: role "operator"
  + client on api of server at /run/pv/services/api.sock: * /admin/**
  + api of server: every role: * /admin/**
Access lost:
  - whoever reaches 0.0.0.0:80 may use api of server
  - client may use raw of server at /run/pv/services/raw.sock
  - client on api of server at /run/pv/services/api.sock: role "any"
  - raw of server: everyone may require it
Links that appear:
  + EXTERNAL → api of server (http) at 0.0.0.0:8080
Links that vanish:
  - EXTERNAL → api of server (http) at 0.0.0.0:80
Links that change:
  ~ client → raw of server (unix) at /run/pv/services/raw.sock: error nothing → client with the role "any" may not consume raw of server.
  ~ client → api of server (rest) at /run/pv/services/api.sock: role "any" → "operator"
  ~ client → api of server (rest) at /run/pv/services/api.sock: rules ["GET /status"] → ["GET /status","* /admin/**"]
`);
    expect(err).toContain('Some links may be missing (problems: 1)');
    expect(code).toBe(0);
  });

  it('that are the same have none, however they are written', async () => {
    const state = { '#spec': 'pantavisor-service-system@1', ...OLD };
    const folder = await writeFiles({ 'state.json': state });
    const same = await diff(await writeFiles(OLD), `${folder}/state.json`, { exitCode: true });
    expect(same).toEqual({ code: 0, out: 'No difference.\n', err: '' });
  });

  it('are compared for a program by JSON and the exit code', async () => {
    const flags = { json: true, exitCode: true };
    const { code, out } = await diff(await writeFiles(OLD), await writeFiles(NEW), flags);
    expect(code).toBe(1);
    const { access, links } = JSON.parse(out);
    expect(access.gained[0]).toMatchObject({ consumer: 'EXTERNAL', field: 'link', role: null });
    expect(access.gained[1]).toMatchObject({
      field: 'role',
      role: 'operator',
      what: 'role "operator"',
    });
    expect(links.vanished).toMatchObject([{ target: '0.0.0.0:80' }]);
    expect(links.changed[1]).toMatchObject({
      consumer: 'client',
      name: 'api',
      fields: [{ field: 'role', before: 'any', after: 'operator' }, { field: 'rules' }],
    });
  });

  it('of which one can not be read are not compared', async () => {
    const { code, out, err } = await diff(await writeFiles(OLD), '/nowhere/at/all');
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^pv-xconnect: \/nowhere\/at\/all: found nothing/);
  });
});

describe('the running graph', () => {
  it('is compared with the revision that it should be of', async () => {
    const control = await Control.start();
    const link = { consumer: 'client', provider: 'server', socket: '/run/raw', consumerPid: 7 };
    control.put(link);
    control.put({ ...link, consumer: 'gone' });
    const leaving = unixLink({ ...link, consumer: 'leaving' });
    control.mesh.emit('state', 'leaving', leaving, 'draining', null);
    const wanted = await writeFiles({
      'server/services.json': services(RAW),
      'client/run.json': requires('raw'),
    });
    const { code, out, err } = await diff('running', wanted, { control: control.path });
    expect(out).toBe(`\
Access lost:
  - gone may use raw of server at /run/pv/services/raw.sock
Links that vanish:
  - gone → raw of server (unix) at /run/pv/services/raw.sock
`);
    expect(err).toContain('A runtime tells its links alone');
    expect(code).toBe(0);
  });

  it('has the access that its revision declares beside its links', async () => {
    const control = await Control.start();
    control.revision = revisionFrom({ 'server/services.json': services(RAW) });
    const after = await writeFiles({ 'server/services.json': services({ ...RAW, allow: ['x'] }) });
    const { out, err } = await diff('running', after, { control: control.path });
    expect(out).toBe('Access lost:\n  - raw of server: everyone may require it\n');
    expect(err).toBe('');
  });

  it('of no daemon is told as that', async () => {
    const folder = await scratchFolder();
    const { code, err } = await diff('running', folder, { control: `${folder}/none` });
    expect(code).toBe(2);
    expect(err).toContain('No daemon listens');
  });
});
