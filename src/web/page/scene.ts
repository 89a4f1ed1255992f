/**
 * The links and containers as shapes: boxes with their words, and curves from each consumer to its provider. Pure; lengths
 * are those of the picture at scale 1.
 */
import { grouped } from '../../kernel/grouped.js';
import { EXTERNAL, RUNTIME_PROVIDER } from '../../manifest/vocabulary.js';
import { plural, seen } from './format.js';
import type { Box, Edge, Place } from './layout.js';
import { BY_URGENCY, type Link, type State, stateOf } from './model.js';

export interface Node extends Box, Place {
  readonly label: string;
  readonly detail: string;
  /** The worst of its links. */
  readonly state: State;
  /** The host or the runtime, in place of a container. */
  readonly special: boolean;
  readonly degree: number;
  /** What stands for nobody is the end of this one link, and no container. */
  readonly link?: number;
}

/** A cubic curve: x and y of its start, of its two control points and of its end. */
export type Curve = readonly [number, number, number, number, number, number, number, number];

export interface Line {
  readonly key: number;
  readonly from: string;
  readonly to: string;
  readonly type: string;
  readonly label: string;
  readonly state: State;
  readonly curve: Curve;
  /** The same from middle to middle, for a picture in which containers are dots. */
  readonly chord: Curve;
  /** Where on the curve its icon is, from 0 to 1: those of lines between the same two are side by side. */
  readonly iconAt: number;
}

export interface Scene {
  readonly nodes: readonly Node[];
  readonly lines: readonly Line[];
}

export const BOX_HEIGHT = 46;
const BOX_WIDTH = { least: 132, most: 230, margin: 44 };
const LONGEST_LABEL = 26;

/** What consumes or provides something. A requirement that nobody meets has no provider, and a line to nowhere: what no container can be called. */
export function endsOf({ consumer, provider, key }: Link): Edge {
  return { from: consumer, to: provider === '' ? `\0nobody ${key}` : provider };
}

/** What is chosen with a box: its container, or the link of which it is the end. */
export function choiceOf({ id, link }: Pick<Node, 'id' | 'link'>) {
  return link === undefined ? { container: id } : { link };
}

/** Everything of a container but its place. `widthOf`: of a text, in the font of labels. */
export function boxesOf(links: Iterable<Link>, widthOf: (text: string) => number) {
  const ends = new Map<
    string,
    { uses: number; serves: number; state: State; link: number | null }
  >();
  const at = (id: string, link: number | null = null) => {
    const one = ends.get(id) ?? { uses: 0, serves: 0, state: 'established' as State, link };
    ends.set(id, one);
    return one;
  };
  for (const link of links) {
    const { from, to } = endsOf(link);
    const state = stateOf(link.state);
    const [consumer, provider] = [at(from), at(to, link.provider === '' ? link.key : null)];
    consumer.uses++;
    provider.serves++;
    for (const one of [consumer, provider]) {
      if (BY_URGENCY.indexOf(state) < BY_URGENCY.indexOf(one.state)) one.state = state;
    }
  }
  return [...ends].map(([id, { uses, serves, state, link }]) => {
    const nobody = link !== null;
    const label = nobody ? 'nobody' : labelOf(id);
    const detail = nobody
      ? 'provides this'
      : [
          ...(uses > 0 ? [`uses ${uses.toLocaleString('en')}`] : []),
          ...(serves > 0 ? [`serves ${serves.toLocaleString('en')}`] : []),
        ].join(' · ');
    const wanted = Math.max(widthOf(label), widthOf(detail) * 0.86) + BOX_WIDTH.margin;
    return {
      ...{ id, label, detail, state, degree: uses + serves },
      ...(nobody ? { link } : {}),
      special: nobody || id === EXTERNAL || id === RUNTIME_PROVIDER,
      width: Math.round(Math.min(BOX_WIDTH.most, Math.max(BOX_WIDTH.least, wanted))),
      height: BOX_HEIGHT,
    };
  });
}

export function labelOf(container: string): string {
  if (container === EXTERNAL) return 'outside';
  if (container === RUNTIME_PROVIDER) return 'the runtime';
  const text = seen(container);
  return text.length > LONGEST_LABEL ? `${text.slice(0, LONGEST_LABEL - 1)}…` : text;
}

export function sceneOf(
  links: readonly Link[],
  boxes: ReturnType<typeof boxesOf>,
  places: ReadonlyMap<string, Place>,
): Scene {
  const nodes = boxes.map((box): Node => ({ ...box, ...(places.get(box.id) ?? { x: 0, y: 0 }) }));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const ends = links.flatMap((link) => {
    const { from, to } = endsOf(link);
    const [one, other] = [byId.get(from), byId.get(to)];
    return one && other ? [{ link, from: one, to: other, ...sidesOf(one, other) }] : [];
  });
  const portOf = ({ id }: Node, side: number) => JSON.stringify([id, side]);
  const arrivals = ends.flatMap(({ link: { key }, from, to, fromSide, toSide }) => [
    { port: portOf(from, fromSide), key, y: to.y },
    { port: portOf(to, toSide), key, y: from.y },
  ]);
  const ports = grouped(arrivals, ({ port }) => port);
  const offsets = new Map([...ports].map(([port, all]) => [port, spread(all)]));
  const pairOf = ({ from, to }: (typeof ends)[number]) => JSON.stringify([from.id, to.id].sort());
  const pairs = grouped(ends, pairOf);
  const lines = ends.map((end): Line => {
    const { link, from, to, fromSide, toSide } = end;
    const pair = pairs.get(pairOf(end)) ?? [];
    const aside = pair.indexOf(end) - (pair.length - 1) / 2;
    const iconAt = 0.5 + aside * Math.min(0.16, 0.6 / pair.length) * (from.x <= to.x ? 1 : -1);
    const fromY = from.y + (offsets.get(portOf(from, fromSide))?.get(link.key) ?? 0);
    const toY = to.y + (offsets.get(portOf(to, toSide))?.get(link.key) ?? 0);
    return {
      ...{ key: link.key, from: from.id, to: to.id, type: link.type },
      ...{ label: seen(link.name), state: stateOf(link.state) },
      curve: curveOf(from, to, fromSide, toSide, fromY, toY, aside),
      ...{ chord: chordOf(from, to, aside), iconAt },
    };
  });
  return { nodes, lines };
}

/** The same scene with the states of these, where they are the same links and nobody has moved; otherwise null. */
export function restated(
  { nodes, lines }: Scene,
  links: ReadonlyMap<number, Link>,
  boxes: ReturnType<typeof boxesOf>,
): Scene | null {
  const byId = new Map(boxes.map((box) => [box.id, box]));
  if (lines.length !== links.size || nodes.length !== boxes.length) return null;
  if (!lines.every(({ key }) => links.has(key)) || !nodes.every(({ id }) => byId.has(id)))
    return null;
  return {
    nodes: nodes.map((node) => ({ ...node, state: byId.get(node.id)?.state ?? node.state })),
    lines: lines.map((line) => ({ ...line, state: stateOf(links.get(line.key)?.state ?? '') })),
  };
}

/** -1: the left side, 1: the right one. */
function sidesOf(from: Node, to: Node): { readonly fromSide: 1 | -1; readonly toSide: 1 | -1 } {
  const apart = Math.abs(to.x - from.x) - (from.width + to.width) / 2;
  if (apart < 0) return { fromSide: 1, toSide: 1 };
  return to.x > from.x ? { fromSide: 1, toSide: -1 } : { fromSide: -1, toSide: 1 };
}

/** Lines that meet at one side of a box, in the order of where they come from. */
function spread(all: readonly { key: number; y: number }[]): ReadonlyMap<number, number> {
  const sorted = [...all].sort((one, other) => one.y - other.y || one.key - other.key);
  const step = Math.min(10, (BOX_HEIGHT - 14) / Math.max(1, sorted.length - 1));
  return new Map(sorted.map(({ key }, i) => [key, (i - (sorted.length - 1) / 2) * step]));
}

function curveOf(
  from: Node,
  to: Node,
  fromSide: 1 | -1,
  toSide: 1 | -1,
  fromY: number,
  toY: number,
  aside: number,
): Curve {
  const startX = from.x + (from.width / 2) * fromSide;
  const endX = to.x + (to.width / 2) * toSide;
  if (from.id === to.id) {
    const top = from.y - BOX_HEIGHT / 2;
    const far = top - 46 - Math.abs(aside) * 30;
    return [from.x + 18, top, from.x + 50, far, from.x - 50, far, from.x - 18, top];
  }
  const wide = fromSide === toSide ? 60 + aside * 18 : Math.abs(endX - startX) * 0.5;
  const reach = Math.max(44, Math.min(180, wide));
  return [startX, fromY, startX + reach * fromSide, fromY, endX + reach * toSide, toY, endX, toY];
}

/** Bent a little, to the left of its way, and more for those that are further aside. */
function chordOf(from: Node, to: Node, aside: number): Curve {
  const bend = 0.07 + Math.abs(aside) * 0.05;
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const one = [from.x + dx * 0.3 + dy * bend, from.y + dy * 0.3 - dx * bend] as const;
  const other = [from.x + dx * 0.7 + dy * bend, from.y + dy * 0.7 - dx * bend] as const;
  return [from.x, from.y, ...one, ...other, to.x, to.y];
}

export function pointOf(curve: Curve, t: number): readonly [number, number] {
  const [x0, y0, x1, y1, x2, y2, x3, y3] = curve;
  const u = 1 - t;
  const [a, b, c, d] = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
  return [a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3];
}

/**
 * What is at a point: a container, or else the nearest line within `reach`; null: nothing. `wayOf`: how a line is drawn.
 */
export function at(
  { nodes, lines }: Scene,
  x: number,
  y: number,
  reach: number,
  wayOf: (line: Line) => Curve,
): { readonly node: Node } | { readonly line: Line } | null {
  for (const node of nodes) {
    if (Math.abs(x - node.x) <= node.width / 2 && Math.abs(y - node.y) <= node.height / 2)
      return { node };
  }
  let best: Line | null = null;
  let nearest = reach * reach;
  for (const line of lines) {
    for (let step = 1; step < 24; step++) {
      const [lineX, lineY] = pointOf(wayOf(line), step / 24);
      const distance = (lineX - x) ** 2 + (lineY - y) ** 2;
      if (distance < nearest) [best, nearest] = [line, distance];
    }
  }
  return best && { line: best };
}

/** The next container in a direction: the nearest one, of which what lies straight ahead counts as nearer. */
export function nextNode(
  { nodes }: Scene,
  from: Node | undefined,
  dx: number,
  dy: number,
): Node | undefined {
  if (!from) return nodes[0];
  const distance = ({ x, y }: Node) => {
    const ahead = (x - from.x) * dx + (y - from.y) * dy;
    const aside = Math.abs((x - from.x) * dy) + Math.abs((y - from.y) * dx);
    return ahead <= 1 ? Number.POSITIVE_INFINITY : ahead + aside * 2;
  };
  const [best] = [...nodes].sort((one, other) => distance(one) - distance(other));
  return best && distance(best) < Number.POSITIVE_INFINITY ? best : from;
}

export function summaryOf({ nodes, lines }: Scene): string {
  const containers = nodes.filter(({ special }) => !special).length;
  return `${plural(containers, 'container')}, ${plural(lines.length, 'link')}`;
}
