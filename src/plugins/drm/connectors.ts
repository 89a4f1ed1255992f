/**
 * Chooses what to lease for named connectors: the connectors, and for each a free CRTC that can drive it. Pure.
 */
import { failed, ok, type Result } from '../../kernel/result.js';
import type { Card, Connector } from '../device/device.js';

/** The kernel's names (drm_connector_enum_list), indexed by `DRM_MODE_CONNECTOR_*`. */
const TYPES = [
  ...['Unknown', 'VGA', 'DVI-I', 'DVI-D', 'DVI-A', 'Composite', 'SVIDEO', 'LVDS', 'Component'],
  ...['DIN', 'DP', 'HDMI-A', 'HDMI-B', 'TV', 'eDP', 'Virtual', 'DSI', 'DPI', 'Writeback', 'SPI'],
  'USB',
];

export function connectorName({ type, number }: Connector): string {
  return `${TYPES[type] ?? 'Unknown'}-${number}`;
}

/** Ids of the connectors, and then of their CRTCs, none of them in `taken`; or why there are none. */
export function chooseObjects(
  card: Card,
  names: readonly string[],
  taken: ReadonlySet<number>,
): Result<number[]> {
  const byName = new Map(card.connectors.map((one) => [connectorName(one), one]));
  const wanted: Connector[] = [];
  for (const name of names) {
    const connector = byName.get(name);
    if (!connector) {
      const there = [...byName.keys()].join(', ') || 'none';
      const message = `The card has no connector ${name}; it has: ${there}.`;
      return failed({ code: 'connector-missing', message });
    }
    if (taken.has(connector.id)) {
      return failed({ code: 'device-busy', message: `${name} is leased to another consumer.` });
    }
    wanted.push(connector);
  }
  const crtcs = assign(wanted, taken);
  if (crtcs) return ok([...wanted.map(({ id }) => id), ...crtcs]);
  const message = `The card has no free CRTC for each of ${names.join(', ')}.`;
  return failed({ code: 'connector-missing', message });
}

/** A CRTC for each connector, found by augmenting paths. The CRTC that drives it already is tried first. */
function assign(connectors: readonly Connector[], taken: ReadonlySet<number>): number[] | null {
  const owner = new Map<number, Connector>();
  const give = (connector: Connector, tried: Set<number>): boolean => {
    for (const crtc of candidates(connector)) {
      if (taken.has(crtc) || tried.has(crtc)) continue;
      tried.add(crtc);
      const other = owner.get(crtc);
      if (other && !give(other, tried)) continue;
      owner.set(crtc, connector);
      return true;
    }
    return false;
  };
  if (!connectors.every((connector) => give(connector, new Set()))) return null;
  const crtcOf = new Map([...owner].map(([crtc, connector]) => [connector, crtc]));
  return connectors.map((connector) => crtcOf.get(connector) as number);
}

function candidates({ crtcs, crtc }: Connector): readonly number[] {
  return crtcs.includes(crtc) ? [crtc, ...crtcs.filter((one) => one !== crtc)] : crtcs;
}
