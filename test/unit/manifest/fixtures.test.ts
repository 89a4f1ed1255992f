/** The published example containers and devices: what each declares, and what each lacks by itself. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/graph/builder.js';
import { readRevision } from '../../../src/manifest/reader.js';
import { brief, graphFrom, revisionFrom, writeFiles } from './scratch.js';

const FIXTURES = new URL('../../fixtures/manifests/', import.meta.url).pathname;

function filesOf(name: string): Record<string, unknown> {
  const files = readdirSync(`${FIXTURES}/${name}`);
  return Object.fromEntries(
    files.map((file) => [
      `${name}/${file}`,
      JSON.parse(readFileSync(`${FIXTURES}/${name}/${file}`, 'utf8')),
    ]),
  );
}

function device(name: string): Record<string, unknown> {
  return { 'device.json': JSON.parse(readFileSync(`${FIXTURES}/${name}`, 'utf8')) };
}

const missing = (container: string) =>
  `error service-missing ${container}/args.json:/PV_SERVICES_REQUIRED/0`;

/** By container: the problems of its graph alone, and the names that it exports. */
const ALONE: Readonly<Record<string, { lacks: readonly string[]; exports: readonly string[] }>> = {
  'pv-example-dbus-client': { lacks: [missing('pv-example-dbus-client')], exports: [] },
  'pv-example-dbus-client-nobody': {
    lacks: [missing('pv-example-dbus-client-nobody')],
    exports: [],
  },
  'pv-example-dbus-server': { lacks: [], exports: ['system-bus'] },
  'pv-example-drm-master': { lacks: [missing('pv-example-drm-master')], exports: [] },
  'pv-example-drm-provider': { lacks: [], exports: ['drm-master', 'drm-render'] },
  'pv-example-drm-render': { lacks: [missing('pv-example-drm-render')], exports: [] },
  'pv-example-net-client': { lacks: [], exports: [] },
  'pv-example-net-server': { lacks: [], exports: [] },
  'pv-example-nginx-ingress': { lacks: [], exports: ['nginx-http', 'nginx-https'] },
  'pv-example-rest-client': { lacks: [missing('pv-example-rest-client')], exports: [] },
  'pv-example-rest-server': { lacks: [], exports: ['network-manager'] },
  'pv-example-unix-client': { lacks: [missing('pv-example-unix-client')], exports: [] },
  'pv-example-unix-server': { lacks: [], exports: ['raw-unix'] },
  'pv-example-wayland-client': { lacks: [missing('pv-example-wayland-client')], exports: [] },
  'pv-example-wayland-server': {
    lacks: [missing('pv-example-wayland-server')],
    exports: ['wayland-0'],
  },
};

describe('each container alone', () => {
  it('is in the table below', () => {
    const folders = readdirSync(FIXTURES).filter((name) => name.startsWith('pv-example-'));
    expect(folders.sort()).toEqual(Object.keys(ALONE).sort());
  });

  for (const [name, { lacks, exports }] of Object.entries(ALONE)) {
    it(`${name} reads without a problem and lacks ${lacks.length} service(s)`, async () => {
      const revision = await readRevision(await writeFiles(filesOf(name)));
      expect(revision.problems).toEqual([]);
      expect(revision.containers.map((one) => one.name)).toEqual([name]);
      expect(revision.containers[0]?.services.map((one) => one.name)).toEqual(exports);
      expect(brief(buildGraph(revision, new Map()).problems)).toEqual(lacks);
    });
  }
});

describe('each device', () => {
  it('device-ipam has a pool and a group, and nothing wrong', () => {
    const revision = revisionFrom(device('device-ipam.json'));
    expect(revision.problems).toEqual([]);
    expect(revision.device.pools).toMatchObject([{ name: 'internal', subnet: '10.0.5.0/24' }]);
    expect(revision.device.groups).toEqual([
      { name: 'root', statusGoal: 'STARTED', restartPolicy: 'container' },
    ]);
  });

  it('device-ingress-direct lacks its two providers by itself', () => {
    expect(brief(graphFrom(device('device-ingress-direct.json')).problems)).toEqual([
      'error service-missing device.json:/ingress/0',
      'error service-missing device.json:/ingress/1',
    ]);
  });

  it('device-ingress-hybrid names a provider that the examples do not have', () => {
    const graph = graphFrom({
      ...device('device-ingress-hybrid.json'),
      ...filesOf('pv-example-nginx-ingress'),
    });
    expect(brief(graph.problems)).toEqual([
      'error provider-missing device.json:/ingress/0/provider',
      'error provider-missing device.json:/ingress/1/provider',
    ]);
    expect(graph.problems[0]?.expected).toBe('"pv-example-nginx-ingress"');
  });
});

describe('all together', () => {
  it('the folder as it is has no problem and joins every requirement', async () => {
    const revision = await readRevision(FIXTURES);
    const { links, problems } = buildGraph(revision, new Map([['pv-example-drm-provider', 42]]));
    expect([...revision.problems, ...problems]).toEqual([]);
    const joined = links.map(
      (link) => `${link.consumer} ${link.type} ${link.target} ${link.provider} ${link.socket}`,
    );
    expect(joined.map((line) => line.replaceAll('pv-example-', ''))).toEqual([
      'dbus-client dbus /run/dbus/system_bus_socket dbus-server /run/dbus/system_bus_socket',
      'dbus-client-nobody dbus /run/dbus/system_bus_socket dbus-server /run/dbus/system_bus_socket',
      'drm-master drm /dev/dri/card0 drm-provider /dev/dri/card0',
      'drm-render drm /dev/dri/renderD128 drm-provider /dev/dri/renderD128',
      'rest-client rest /run/pv/services/network-manager.sock rest-server /run/nm/api.sock',
      'unix-client unix /run/pv/services/raw-unix.sock unix-server /run/example/raw.sock',
      'wayland-client wayland /run/wayland-0 wayland-server /run/wayland-0',
      'wayland-server drm /dev/dri/card0 drm-provider /dev/dri/card0',
    ]);
    expect(links.filter(({ providerPid }) => providerPid === 42)).toHaveLength(3);
    expect(links[0]).toMatchObject({ role: 'root', interface: 'org.pantavisor.Example' });
  });

  it('the direct ingress device joins the host to both of its providers', () => {
    const { links, problems } = graphFrom({
      ...device('device-ingress-direct.json'),
      ...filesOf('pv-example-unix-server'),
      ...filesOf('pv-example-rest-server'),
    });
    expect(problems).toEqual([]);
    expect(links).toMatchObject([
      { consumer: 'EXTERNAL', type: 'tcp', transport: 'unix', target: '0.0.0.0:2222' },
      { consumer: 'EXTERNAL', type: 'http', transport: 'unix', target: '0.0.0.0:80/api' },
    ]);
  });
});
