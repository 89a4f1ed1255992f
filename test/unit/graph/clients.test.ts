/** What a link says about those who connect to it: from the manifests, and from a foreign graph. */
import { describe, expect, it } from 'vitest';
import { linkToWire, parseGraph } from '../../../src/graph/wire.js';
import { wireLink } from '../../support/link.js';
import { brief, graphFrom, requires, revisionFrom, services } from '../manifest/scratch.js';

const TCP = wireLink({ type: 'tcp', interface: 'tcp', target: '0.0.0.0:80', socket: '/s' });

describe('the fields about clients', () => {
  it('come from the requirement, and the header from the service', () => {
    const { links } = graphFrom({
      'p/services.json': services({ name: 'ssh', type: 'tcp', port: 22, proxy_protocol: 2 }),
      'device.json': {
        ingress: [
          {
            external: '0.0.0.0:2222',
            service: 'ssh',
            max_connections: 5,
            allow_from: ['10.0.0.0/8', '::1'],
            proxy_protocol: 1,
          },
        ],
      },
    });
    // A provider that believes a header must not hear one that its client made up, nor another version.
    expect(links[0]).toMatchObject({
      proxyProtocol: 2,
      maxConnections: 5,
      allowFrom: ['10.0.0.0/8', '::1'],
    });
  });

  it('are those of the requirement where the service says nothing, and only where they mean something', () => {
    const wanted = { name: 'raw', max_connections: 5, allow_from: [], proxy_protocol: 1 };
    const { links } = graphFrom({
      'p/services.json': services({ name: 'raw', type: 'unix', socket: '/run/raw.sock' }),
      'c/run.json': requires(wanted, { ...wanted, type: 'tcp', target: '127.0.0.1:7' }),
    });
    expect(links[0]).toMatchObject({ type: 'unix', proxyProtocol: 1 });
    expect(links[0]).not.toHaveProperty('allowFrom');
    expect(links[1]).toMatchObject({ proxyProtocol: 1, maxConnections: 5, allowFrom: [] });
  });

  it('are problems where they are wrong, or where a limit would be ignored', () => {
    const { problems } = revisionFrom({
      'p/services.json': services(
        { name: 'a', type: 'tcp', port: 1, proxy_protocol: 3 },
        { name: 'b', type: 'dbus', socket: '/run/b', proxy_protocol: 1 },
      ),
      'c/run.json': requires(
        { name: 'a', max_connections: 0 },
        { name: 'a', allow_from: ['10.0.0.0/33'] },
        { name: 'a', allow_from: 'everywhere' },
        { name: 'a', type: 'unix', max_connections: 1 },
      ),
    });
    expect(brief(problems).sort()).toEqual([
      'error address-invalid c/run.json:/services/required/1/allow_from/0',
      'error field-ignored p/services.json:/services/1/proxy_protocol',
      'error shape-wrong c/run.json:/services/required/0/max_connections',
      'error shape-wrong c/run.json:/services/required/2/allow_from',
      'error shape-wrong p/services.json:/services/0/proxy_protocol',
      'notice field-ignored c/run.json:/services/required/3/max_connections',
    ]);
  });

  it('go through the wire form unchanged', () => {
    const wire = { ...TCP, proxy_protocol: 2, max_connections: 9, allow_from: ['10.0.0.1'] };
    const [link] = parseGraph([wire]).links;
    expect(link && linkToWire(link)).toEqual(wire);
  });

  it.each([
    { proxy_protocol: 3 },
    { max_connections: 0 },
    { max_connections: '5' },
    { allow_from: '10.0.0.0/8' },
    { allow_from: ['localhost'] },
    { allow_from: [1] },
    { allow_from: new Array(65).fill('10.0.0.1') },
  ])('are refused by name on the wire where they are wrong: %j', (field) => {
    const { links, errors } = parseGraph([{ ...TCP, ...field }]);
    expect(links).toMatchObject([{ error: { code: 'runtime-answer' } }]);
    expect(errors[0]).toMatch(new RegExp(`^/0/${Object.keys(field)[0]}(/0)?: found`));
  });
});
