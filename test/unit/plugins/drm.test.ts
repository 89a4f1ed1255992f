/** Which DRM node is what, and what a lease of named connectors takes: pure, so by property. */
import { describe, expect, test } from 'vitest';
import type { Card, Connector } from '../../../src/plugins/device/device.js';
import { chooseObjects, connectorName } from '../../../src/plugins/drm/connectors.js';
import { isCard, linkError, nodeError } from '../../../src/plugins/drm/nodes.js';
import { nodeError as inputError } from '../../../src/plugins/input/index.js';
import { unixLink } from '../../support/link.js';
import { fc, property } from '../../support/property.js';

const drm = (fields: object) => unixLink({ type: 'drm', ...fields });

describe('a DRM node', () => {
  test.each([
    ['card0', 0],
    ['card63', 63],
    ['renderD128', 128],
    ['renderD191', 191],
    ['card200', 200],
    ['renderD200', 200],
    ['screen', 5],
    ['gpu', 130],
  ])('%s may have minor number %i', (name, minor) => {
    expect(nodeError(drm({}), `/dev/dri/${name}`, { major: 226, minor })).toBeNull();
  });

  test.each([
    ['card0', 1],
    ['card0', 128],
    ['card128', 128],
    ['renderD5', 5],
    ['renderD128', 129],
    ['control64', 64],
    ['screen', 100],
    ['screen', 300],
  ])('%s may not have minor number %i', (name, minor) => {
    const error = nodeError(drm({}), `/dev/dri/${name}`, { major: 226, minor });
    expect(error).toMatchObject({ code: 'device-wrong' });
    expect(error?.message).toContain(`226:${minor}`);
  });

  test.each([
    ['master', '/dev/dri/card0', true],
    ['render', '/dev/dri/renderD128', true],
    ['any', '/dev/dri/card0', true],
    ['constructor', '/dev/dri/screen', true],
    ['master', '/dev/dri/renderD128', false],
    ['master', '/dev/dri/card', false],
    ['render', '/dev/dri/card0', false],
  ])('for the role %s by the name %s: %s', (role, socket, right) => {
    expect(linkError(drm({ role, socket }))).toEqual(
      right ? null : expect.objectContaining({ code: 'device-wrong' }),
    );
  });

  test('is a card by its name, or else by its number', () => {
    const is = (path: string, minor: number) => isCard(path, { major: 226, minor });
    expect([is('/a/card200', 200), is('/a/renderD200', 200)]).toEqual([true, false]);
    expect([is('/a/screen', 3), is('/a/screen', 128)]).toEqual([true, false]);
  });

  test('that is no card has nothing to lease, by whatever name', () => {
    const lease = ['DP-1'];
    expect(linkError(drm({ lease, socket: '/dev/dri/renderD128' }))).not.toBeNull();
    expect(nodeError(drm({ lease }), '/dev/gpu', { major: 226, minor: 128 })).not.toBeNull();
    expect(nodeError(drm({ lease }), '/dev/gpu', { major: 226, minor: 2 })).toBeNull();
  });
});

describe('an input node', () => {
  test.each([
    ['event0', 64, true],
    ['event31', 95, true],
    ['event256', 256, true],
    ['mouse0', 32, true],
    ['js15', 15, true],
    ['scanner', 77, true],
    ['event0', 65, false],
    ['event32', 96, false],
    ['event40', 40, false],
    ['mice', 63, true],
    ['mouse31', 63, false],
    ['js16', 16, false],
  ])('%s with minor number %i: %s', (name, minor, right) => {
    const link = unixLink({ type: 'input' });
    const error = inputError(link, `/dev/input/${name}`, { major: 13, minor });
    expect(error === null).toBe(right);
  });
});

const card = fc
  .record({
    crtcs: fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 6 }),
    count: fc.integer({ min: 0, max: 6 }),
    masks: fc.array(fc.nat(63), { minLength: 6, maxLength: 6 }),
    current: fc.array(fc.nat(8), { minLength: 6, maxLength: 6 }),
  })
  .map(({ crtcs, count, masks, current }): Card => {
    const connectors = Array.from({ length: count }, (_, i): Connector => {
      const possible = crtcs.filter((_id, bit) => ((masks[i] ?? 0) >>> bit) & 1);
      return {
        id: 100 + i,
        type: 11,
        number: i + 1,
        crtcs: possible,
        crtc: crtcs[current[i] ?? 0] ?? 0,
      };
    });
    return { crtcs, connectors };
  });

/** Whether each can have one of its own, tried in every way. */
function possible(connectors: readonly Connector[], taken: ReadonlySet<number>): boolean {
  const [first, ...rest] = connectors;
  if (!first) return true;
  return first.crtcs.some((crtc) => !taken.has(crtc) && possible(rest, new Set([...taken, crtc])));
}

describe('a lease', () => {
  property('is found exactly where there is one, and takes what it may', async (holds) => {
    const takenIds = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 3 });
    await holds(
      fc.property(card, fc.nat(63), takenIds, (read, mask, ids) => {
        const wanted = read.connectors.filter((_one, bit) => (mask >>> bit) & 1);
        const taken = new Set(ids);
        const chosen = chooseObjects(read, wanted.map(connectorName), taken);
        expect(chosen.ok).toBe(possible(wanted, taken));
        if (!chosen.ok) return;
        expect(chosen.value.slice(0, wanted.length)).toEqual(wanted.map(({ id }) => id));
        const crtcs = chosen.value.slice(wanted.length);
        expect(new Set(crtcs).size).toBe(wanted.length);
        for (const [i, crtc] of crtcs.entries()) {
          expect(wanted[i]?.crtcs).toContain(crtc);
          expect(taken.has(crtc)).toBe(false);
        }
      }),
      { runs: 2_000 },
    );
  });

  test('leaves a connector with the CRTC that drives it', () => {
    const one = { id: 7, type: 10, number: 1, crtcs: [1, 2, 3], crtc: 2 };
    expect(chooseObjects({ crtcs: [1, 2, 3], connectors: [one] }, ['DP-1'], new Set())).toEqual({
      ok: true,
      value: [7, 2],
    });
  });

  test('of what another link leases, or of nothing that is there, is refused by name', () => {
    const one = { id: 7, type: 99, number: 4, crtcs: [1], crtc: 1 };
    const read = { crtcs: [1], connectors: [one] };
    expect(chooseObjects(read, ['Unknown-4'], new Set([7]))).toMatchObject({
      error: { code: 'device-busy' },
    });
    expect(chooseObjects(read, ['DP-1'], new Set())).toEqual({
      ok: false,
      error: {
        code: 'connector-missing',
        message: 'The card has no connector DP-1; it has: Unknown-4.',
      },
    });
    expect(chooseObjects({ crtcs: [], connectors: [] }, ['DP-1'], new Set())).toMatchObject({
      error: { message: 'The card has no connector DP-1; it has: none.' },
    });
  });
});
