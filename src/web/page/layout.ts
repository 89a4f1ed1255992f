/**
 * Where containers stand: from left to right as data is asked for, consumers before their providers, and so that
 * neighbours are near each other and nobody stands on anybody. Pure: the same graph has the same picture, and one
 * that changes a little moves a little, because each container starts where it stood.
 */
import {
  type Force,
  forceLink,
  forceManyBody,
  forceSimulation,
  forceX,
  forceY,
  type Simulation,
} from 'd3-force';
import { grouped } from '../../kernel/grouped.js';

export interface Box {
  readonly id: string;
  readonly width: number;
  readonly height: number;
}

export interface Edge {
  readonly from: string;
  readonly to: string;
}

/** The middle of a box. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

interface Body extends Box {
  index?: number;
  x: number;
  y: number;
  vx: number;
  vy: number;
  readonly column: number;
}

const COLUMN = 310;
const ROW = 76;
/** Least distance between boxes. */
const GAP_X = 40;
const GAP_Y = 26;
/** Above this, columns become a slight pull: one container a row would make a picture that is all height. */
const FEW = 60;

const MOST_TIDYING = 600;
/** A picture with few rows is drawn out to fill its height, up to so much. */
const MOST_STRETCH = 1.9;

/**
 * The column of each container: as far left of its providers as its longest chain of them; a circle counts once. Where
 * that makes more columns than `most`, neighbouring ones are put together, so that all have about the same size.
 */
export function columnsOf(
  ids: readonly string[],
  edges: readonly Edge[],
  most: number,
): ReadonlyMap<string, number> {
  const providers = new Map<string, string[]>(ids.map((id) => [id, []]));
  for (const { from, to } of edges) if (from !== to) providers.get(from)?.push(to);
  const heights = new Map<string, number>();
  const open = new Set<string>();
  const heightOf = (id: string): number => {
    const known = heights.get(id);
    if (known !== undefined) return known;
    if (open.has(id)) return 0;
    open.add(id);
    const height = Math.max(0, ...(providers.get(id) ?? []).map((one) => heightOf(one) + 1));
    open.delete(id);
    heights.set(id, height);
    return height;
  };
  const tallest = Math.max(0, ...ids.map(heightOf));
  const depthOf = (id: string) => tallest - (heights.get(id) ?? 0);
  if (tallest < most) return new Map(ids.map((id) => [id, depthOf(id)]));
  const sorted = [...ids].sort((one, other) => depthOf(one) - depthOf(other));
  const firsts = new Map<number, number>();
  for (const [index, id] of sorted.entries()) {
    if (!firsts.has(depthOf(id))) firsts.set(depthOf(id), index);
  }
  const columnOf = (id: string) =>
    Math.floor(((firsts.get(depthOf(id)) ?? 0) / sorted.length) * most);
  return new Map(ids.map((id) => [id, columnOf(id)]));
}

/** A layout that is being made, some steps at a time. */
export class Layout {
  readonly #bodies: Body[];
  readonly #simulation: Simulation<Body, undefined>;
  readonly #aspect: number;
  readonly #apart = keepApart();
  /** Steps since the rest was done, in which only those that overlap still move. */
  #tidying = 0;

  /** `edges`: between `boxes` alone. `before`: where containers stood. `aspect`: width by height of what they are shown in. */
  constructor(
    boxes: readonly Box[],
    edges: readonly Edge[],
    before: ReadonlyMap<string, Place>,
    aspect: number,
  ) {
    const ids = boxes.map(({ id }) => id);
    const joined = unique(edges);
    this.#aspect = Math.max(0.5, aspect);
    const wide = Math.sqrt((boxes.length * this.#aspect * ROW) / COLUMN);
    const columns = columnsOf(ids, joined, Math.max(4, Math.min(8, Math.round(wide * 1.4))));
    const deepest = Math.max(0, ...columns.values());
    const few = boxes.length <= FEW;
    const rows = startRows(ids, joined, columns);
    this.#bodies = boxes.map((box) => {
      const column = columns.get(box.id) ?? 0;
      const start = before.get(box.id) ?? startOf(column, rows.get(box.id) ?? 0, few);
      return { ...box, column, x: start.x, y: start.y, vx: 0, vy: 0 };
    });
    const links = joined
      .filter(({ from, to }) => from !== to)
      .map(({ from, to }) => ({ source: from, target: to }));
    // All boxes with their gaps fill this width, in the shape of what they are shown in.
    const spread = Math.sqrt(boxes.length * COLUMN * ROW * this.#aspect);
    const columnX = ({ column }: Body) =>
      few ? column * COLUMN : deepest === 0 ? 0 : (column / deepest - 0.5) * spread;
    const moved = boxes.some(({ id }) => !before.has(id));
    this.#simulation = forceSimulation(this.#bodies)
      .force('x', forceX<Body>(columnX).strength(few ? 0.9 : 0.12))
      .force('y', forceY<Body>(0).strength(few ? 0.03 : 0.06 * Math.min(3, this.#aspect)))
      .force(
        'links',
        forceLink<Body, { source: string; target: string }>(links)
          .id(({ id }) => id)
          .distance(few ? COLUMN : 160)
          .strength(few ? 0.12 : 0.05),
      )
      .force(
        'apart',
        forceManyBody<Body>()
          .strength(few ? -40 : -120)
          .distanceMax(500),
      )
      .force('boxes', this.#apart)
      .alpha(before.size === 0 ? 1 : moved ? 0.5 : 0.1)
      .alphaDecay(boxes.length > FEW ? 0.03 : 0.02)
      .stop();
  }

  /** False: it is done. */
  step(): boolean {
    if (this.#simulation.alpha() < this.#simulation.alphaMin() * 5) {
      return this.#tidying++ < MOST_TIDYING && this.#apart();
    }
    this.#simulation.tick();
    return true;
  }

  places(): Map<string, Place> {
    const span = (values: readonly number[]) => Math.max(...values) - Math.min(...values);
    const width = span(this.#bodies.map(({ x }) => x)) + COLUMN;
    const height = span(this.#bodies.map(({ y }) => y)) + ROW;
    const stretch = Math.min(MOST_STRETCH, Math.max(1, width / this.#aspect / height));
    return new Map(this.#bodies.map(({ id, x, y }) => [id, { x, y: y * stretch }]));
  }
}

function startOf(column: number, row: number, few: boolean): Place {
  return few
    ? { x: column * COLUMN, y: row * ROW }
    : { x: column * COLUMN * 2, y: row * ROW * 0.5 };
}

function unique(edges: readonly Edge[]): Edge[] {
  return [...new Map(edges.map((edge) => [JSON.stringify([edge.from, edge.to]), edge])).values()];
}

/** The row of each container, 0 in the middle of its column: beside those that it is joined with, after some sweeps. */
function startRows(
  ids: readonly string[],
  edges: readonly Edge[],
  columns: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const near = new Map<string, string[]>(ids.map((id) => [id, []]));
  for (const { from, to } of edges) {
    near.get(from)?.push(to);
    near.get(to)?.push(from);
  }
  const groups = grouped(ids, (id) => columns.get(id) ?? 0);
  const rows = new Map<string, number>();
  const settle = (group: readonly string[]) => {
    for (const [row, id] of group.entries()) rows.set(id, row - (group.length - 1) / 2);
  };
  for (const group of groups.values()) settle(group);
  const sorted = [...groups.keys()].sort((one, other) => one - other);
  for (let sweep = 0; sweep < 8; sweep++) {
    for (const column of sweep % 2 === 0 ? sorted : [...sorted].reverse()) {
      const group = groups.get(column) ?? [];
      const mean = (id: string) => {
        const others = near.get(id) ?? [];
        const sum = others.reduce((total, other) => total + (rows.get(other) ?? 0), 0);
        return others.length === 0 ? (rows.get(id) ?? 0) : sum / others.length;
      };
      const means = new Map(group.map((id) => [id, mean(id)]));
      group.sort((one, other) => (means.get(one) ?? 0) - (means.get(other) ?? 0));
      settle(group);
    }
  }
  return rows;
}

/** Boxes that overlap push each other apart, the shorter way. Calling it says whether some did. */
function keepApart(): Force<Body, undefined> & (() => boolean) {
  let bodies: Body[] = [];
  let widest = 0;
  const force = () => {
    let pushed = false;
    bodies.sort((one, other) => one.x - other.x); // so that only those nearby are compared
    for (const [index, one] of bodies.entries()) {
      for (let next = index + 1; next < bodies.length; next++) {
        const other = bodies[next] as Body;
        if (other.x - one.x > widest + GAP_X) break;
        if (push(one, other)) pushed = true;
      }
    }
    return pushed;
  };
  force.initialize = (all: Body[]) => {
    bodies = [...all];
    widest = Math.max(0, ...all.map(({ width }) => width));
  };
  return force;
}

function push(one: Body, other: Body): boolean {
  const [dx, dy] = [other.x - one.x, other.y - one.y];
  const overX = (one.width + other.width) / 2 + GAP_X - Math.abs(dx);
  const overY = (one.height + other.height) / 2 + GAP_Y - Math.abs(dy);
  if (overX <= 0 || overY <= 0) return false;
  const way = overY < overX ? 'y' : 'x';
  const by = Math.min(overX, overY) * 0.3 * ((way === 'y' ? dy : dx) < 0 ? -1 : 1);
  one[way] -= by;
  other[way] += by;
  return Math.min(overX, overY) > 1;
}
