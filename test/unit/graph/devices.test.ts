/** What manifests say of devices and displays, as links. */
import { describe, expect, it } from 'vitest';
import { brief, graphFrom, requires, revisionFrom, services } from '../manifest/scratch.js';

const CARD = { name: 'card', type: 'drm', socket: '/dev/dri/card0' };
const KEYS = { name: 'keys', type: 'input', socket: '/dev/input/event0' };

function link(service: object, requirement: object | string) {
  const { links, problems } = graphFrom({
    'p/services.json': services(service),
    'c/run.json': requires(requirement),
  });
  expect(brief(problems)).toEqual([]);
  return links[0];
}

function problemsOf(service: object): string[] {
  return brief(revisionFrom({ 'p/services.json': services(service) }).problems);
}

describe('a link to a device', () => {
  it('carries what its export allows', () => {
    expect(link({ ...KEYS, access: 'ro' }, { name: 'keys', mode: 'fd' })).toMatchObject({
      access: 'ro',
      device: 'fd',
    });
    expect(link({ ...CARD, lease: ['HDMI-A-1', 'DP-2'] }, 'card')?.lease).toEqual([
      'HDMI-A-1',
      'DP-2',
    ]);
  });

  it('has none of it where the manifest has not', () => {
    for (const field of ['access', 'lease', 'match', 'device']) {
      expect(link(CARD, 'card')).not.toHaveProperty(field);
    }
  });

  it('by identity needs no node; numbers are written as sysfs has them', () => {
    const match = { name: 'ACME', vendor: '05E0', product: 'ABCD' };
    const { socket: _, ...keys } = KEYS;
    expect(link({ ...keys, match }, 'keys')).toMatchObject({
      socket: '/dev/input/keys',
      target: '/dev/input/keys',
      match: { name: 'ACME', vendor: '05e0', product: 'abcd' },
    });
    expect(link({ ...KEYS, socket: '/dev/mine/x', match }, 'keys')?.socket).toBe('/dev/mine/x');
  });
});

describe('a link to a compositor', () => {
  const display = { name: 'display', type: 'wayland', socket: '/run/user/0/wayland-1' };

  it('is where clients look, unless it says otherwise', () => {
    expect(link(display, 'display')?.target).toBe('/run/wayland-0');
    expect(link(display, { name: 'display', target: '/run/x' })?.target).toBe('/run/x');
  });

  it('of type unix is as every unix link', () => {
    expect(link(display, { name: 'display', type: 'unix' })).toMatchObject({
      type: 'unix',
      target: '/run/pv/services/display.sock',
    });
  });
});

describe('an export of a device', () => {
  it.each([
    ['an access of neither kind', { ...KEYS, access: 'wo' }, '/access'],
    ['no connectors', { ...CARD, lease: [] }, '/lease'],
    ['a connector twice', { ...CARD, lease: ['DP-1', 'DP-1'] }, '/lease'],
    ['what is no connector', { ...CARD, lease: ['DP-1', '../x'] }, '/lease/1'],
    ['a read-only lease', { ...CARD, lease: ['DP-1'], access: 'ro' }, '/access'],
    ['a match of nothing', { ...KEYS, match: {} }, '/match'],
    ['a vendor that is no number', { ...KEYS, match: { vendor: 'acme' } }, '/match/vendor'],
    ['a name with a line break', { ...KEYS, match: { name: 'a\nb' } }, '/match/name'],
    ['neither node nor match', { name: 'keys', type: 'input' }, ''],
  ])('with %s is one thing wrong, and is left out', (_name, service, pointer) => {
    expect(problemsOf(service)).toEqual([
      expect.stringMatching(
        new RegExp(`^error shape-wrong p/services.json:/services/0${pointer}$`),
      ),
    ]);
    expect(revisionFrom({ 'p/services.json': services(service) }).containers[0]?.services).toEqual(
      [],
    );
  });

  it('is refused with limits that are not kept for its type', () => {
    const at = 'error field-ignored p/services.json:/services/0';
    expect(problemsOf({ ...CARD, match: { name: 'x' } })).toEqual([`${at}/match`]);
    expect(problemsOf({ ...KEYS, lease: ['DP-1'] })).toEqual([`${at}/lease`]);
  });
});
