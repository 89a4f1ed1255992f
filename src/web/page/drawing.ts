/**
 * Draws a scene on three canvases: the lines, what moves along them, and the boxes above both. What is too small to be read is left out, so
 * the picture of a thousand links costs little more than that of a hundred.
 */
import { iconPath } from './icons.js';
import { BY_URGENCY, type State } from './model.js';
import { type Curve, type Line, type Node, pointOf, type Scene } from './scene.js';

export interface View {
  readonly x: number;
  readonly y: number;
  readonly k: number;
}

/** Colours as the style sheet has them. */
export interface Palette {
  readonly paper: string;
  readonly surface: string;
  readonly ink: string;
  readonly muted: string;
  readonly rule: string;
  readonly focus: string;
  readonly states: Readonly<Record<State, string>>;
}

export interface Emphasis {
  /** What does not match the filter is paler; null: all matches. */
  readonly shown: ReadonlySet<number> | null;
  readonly link: number | null;
  readonly container: string | null;
  /** Links that carry something at the moment. */
  readonly carrying: ReadonlySet<number>;
}

export interface Size {
  readonly width: number;
  readonly height: number;
  /** Pixels of the screen for each of ours. */
  readonly density: number;
}

/** Below these scales, containers are dots, and words and icons are left out. */
const WORDS_FROM = 0.7;
const ICONS_FROM = 0.7;
const NAMES_FROM = 0.85;
/** Few icons are drawn at any scale, in their usual size. */
const FEW_ICONS = 16;
/** Services are named on their lines while so many are in view. */
const MOST_NAMES = 90;

const MANY = 150;

export const LABEL_FONT = '600 13px system-ui, sans-serif';
const DETAIL_FONT = '11px system-ui, sans-serif';

/** A state is told by more than its colour. */
const DASHES: Readonly<Record<State, readonly number[]>> = {
  established: [],
  waiting: [7, 5],
  failed: [2, 4],
  unmet: [12, 5, 2, 5],
  draining: [1, 6],
};
/** The last one is above the others. */
const ORDER = [...BY_URGENCY].reverse();

/** By its path, of which there are few, and not by the type, which may be any word. */
const icons = new Map<string, Path2D>();
function iconOf(type: string): Path2D {
  const path = iconPath(type);
  const icon = icons.get(path) ?? new Path2D(path);
  icons.set(path, icon);
  return icon;
}

/** `visible`: those lines that are. */
export function drawLines(
  canvas: CanvasRenderingContext2D,
  visible: readonly Line[],
  view: View,
  size: Size,
  palette: Palette,
  emphasis: Emphasis,
): void {
  clear(canvas, size);
  turn(canvas, view, size);
  const isPale = paleness(emphasis);
  for (const pale of [true, false]) {
    canvas.globalAlpha = pale ? 0.14 : 1;
    const lines = visible.filter((line) => isPale(line) === pale);
    for (const state of ORDER) {
      const own = lines.filter((line) => line.state === state);
      // Of many, those that are well stand back.
      if (!pale) canvas.globalAlpha = state === 'established' && own.length > MANY ? 0.4 : 1;
      strokeAll(canvas, own, palette.states[state], DASHES[state], emphasis, view);
    }
  }
  canvas.globalAlpha = 1;
}

/** The icons on the lines, and the boxes. */
export function drawBoxes(
  canvas: CanvasRenderingContext2D,
  scene: Scene,
  visible: readonly Line[],
  view: View,
  size: Size,
  palette: Palette,
  emphasis: Emphasis,
): void {
  clear(canvas, size);
  turn(canvas, view, size);
  const isPale = paleness(emphasis);
  const bright = visible.filter((line) => !isPale(line));
  if (view.k >= ICONS_FROM || bright.length <= FEW_ICONS) {
    const named = view.k >= NAMES_FROM && bright.length <= MOST_NAMES;
    for (const line of bright) drawBadge(canvas, line, palette, view, named);
  }
  const paleNode = palenessOfNodes(scene, emphasis, isPale);
  for (const node of scene.nodes) {
    if (!isInside(node, view, size)) continue;
    const pale = paleNode(node);
    drawNode(canvas, node, palette, view.k, emphasis.container === node.id, pale);
  }
  canvas.globalAlpha = 1;
  if (view.k < WORDS_FROM) drawFewNames(canvas, scene, view, size, palette, paleNode);
}

function clear(canvas: CanvasRenderingContext2D, { width, height, density }: Size): void {
  canvas.setTransform(density, 0, 0, density, 0, 0);
  canvas.clearRect(0, 0, width, height);
}

function turn(canvas: CanvasRenderingContext2D, { x, y, k }: View, { density }: Size): void {
  canvas.setTransform(density * k, 0, 0, density * k, density * x, density * y);
}

/** How a line runs in a picture of this scale. */
export function wayIn({ k }: View): (line: Line) => Curve {
  return k < WORDS_FROM ? ({ chord }) => chord : ({ curve }) => curve;
}

/** Which lines are not meant at the moment. */
export function paleness({ shown, link, container }: Emphasis): (line: Line) => boolean {
  if (link !== null) return (line) => line.key !== link;
  if (container !== null) return (line) => line.from !== container && line.to !== container;
  return (line) => shown !== null && !shown.has(line.key);
}

function palenessOfNodes(
  { lines }: Scene,
  { shown, link, container }: Emphasis,
  isPale: (line: Line) => boolean,
): (node: Node) => boolean {
  if (shown === null && link === null && container === null) return () => false;
  const bright = new Set(
    lines.filter((line) => !isPale(line)).flatMap(({ from, to }) => [from, to]),
  );
  return ({ id }) => !bright.has(id) && id !== container;
}

function strokeAll(
  canvas: CanvasRenderingContext2D,
  lines: readonly Line[],
  colour: string,
  dash: readonly number[],
  { carrying, link }: Emphasis,
  view: View,
): void {
  if (lines.length === 0) return;
  const { k } = view;
  const wayOf = wayIn(view);
  canvas.strokeStyle = colour;
  canvas.fillStyle = colour;
  // Dashes cost much, and can't be seen where the picture is small.
  canvas.setLineDash(k < 0.35 ? [] : [...dash]);
  const thin = Math.max(1.4, 0.7 / k);
  for (const strong of [false, true]) {
    canvas.lineWidth = strong && k >= WORDS_FROM ? thin * 1.8 : thin;
    canvas.beginPath();
    for (const line of lines) {
      if ((carrying.has(line.key) || line.key === link) !== strong) continue;
      const [x0, y0, x1, y1, x2, y2, x3, y3] = wayOf(line);
      canvas.moveTo(x0, y0);
      canvas.bezierCurveTo(x1, y1, x2, y2, x3, y3);
    }
    canvas.stroke();
  }
  canvas.setLineDash([]);
  if (k < WORDS_FROM) return;
  canvas.beginPath(); // the head of each arrow, at its provider
  for (const { curve } of lines) {
    const [, , , , x2, y2, x3, y3] = curve;
    const angle = Math.atan2(y3 - y2, x3 - x2);
    const [cos, sin] = [Math.cos(angle) * 7, Math.sin(angle) * 7];
    canvas.moveTo(x3, y3);
    canvas.lineTo(x3 - cos - sin * 0.55, y3 - sin + cos * 0.55);
    canvas.lineTo(x3 - cos + sin * 0.55, y3 - sin - cos * 0.55);
  }
  canvas.fill();
}

function drawBadge(
  canvas: CanvasRenderingContext2D,
  line: Line,
  palette: Palette,
  view: View,
  named: boolean,
): void {
  const [atX, atY] = pointOf(wayIn(view)(line), line.iconAt);
  const colour = palette.states[line.state];
  canvas.font = DETAIL_FONT;
  const label = line.label.length > 22 ? `${line.label.slice(0, 21)}…` : line.label;
  const text = named ? canvas.measureText(label).width + 6 : 0;
  const width = 20 + text;
  const size = Math.max(1, 0.85 / view.k);
  canvas.save();
  canvas.translate(atX, atY);
  canvas.scale(size, size);
  canvas.beginPath();
  canvas.roundRect(-width / 2, -10, width, 20, 10);
  canvas.fillStyle = palette.paper;
  canvas.fill();
  canvas.strokeStyle = colour;
  canvas.lineWidth = 1;
  canvas.stroke();
  canvas.save();
  canvas.translate(-width / 2 + 4, -6);
  canvas.scale(0.75, 0.75);
  canvas.lineWidth = 1.6;
  canvas.lineJoin = 'round';
  canvas.lineCap = 'round';
  canvas.stroke(iconOf(line.type));
  canvas.restore();
  if (named) {
    canvas.fillStyle = palette.ink;
    canvas.textBaseline = 'middle';
    canvas.fillText(label, -width / 2 + 19, 0.5);
  }
  canvas.restore();
}

function drawNode(
  canvas: CanvasRenderingContext2D,
  node: Node,
  palette: Palette,
  k: number,
  chosen: boolean,
  pale: boolean,
): void {
  const { x, y, width, height, special } = node;
  const colour = palette.states[node.state];
  if (k < WORDS_FROM) {
    const radius = (4 + Math.min(4, Math.sqrt(node.degree))) / Math.max(k, 0.25);
    canvas.globalAlpha = 1;
    canvas.beginPath();
    canvas.arc(x, y, radius, 0, 7);
    canvas.fillStyle = palette.surface;
    canvas.fill();
    canvas.globalAlpha = pale ? 0.35 : 1;
    canvas.lineWidth = (chosen ? 3.5 : 1.6) / k;
    canvas.strokeStyle = chosen ? palette.focus : colour;
    canvas.stroke();
    canvas.beginPath();
    canvas.arc(x, y, radius * 0.55, 0, 7);
    canvas.fillStyle = colour;
    canvas.fill();
    return;
  }
  const [left, top] = [x - width / 2, y - height / 2];
  canvas.beginPath();
  canvas.roundRect(left, top, width, height, special ? height / 2 : 9);
  canvas.globalAlpha = 1; // nothing shines through a box
  canvas.fillStyle = special || pale ? palette.paper : palette.surface;
  canvas.fill();
  canvas.globalAlpha = pale ? 0.35 : 1;
  canvas.strokeStyle = chosen ? palette.focus : palette.rule;
  canvas.lineWidth = chosen ? 2.5 : 1.2;
  canvas.setLineDash(special ? [4, 3] : []);
  canvas.stroke();
  canvas.setLineDash([]);
  canvas.fillStyle = colour;
  canvas.beginPath();
  canvas.arc(left + 19, y, 5, 0, 7);
  canvas.fill();
  canvas.textBaseline = 'middle';
  canvas.fillStyle = palette.ink;
  canvas.font = LABEL_FONT;
  canvas.fillText(node.label, left + 33, y - 8, width - 40);
  canvas.fillStyle = palette.muted;
  canvas.font = DETAIL_FONT;
  canvas.fillText(node.detail, left + 33, y + 9, width - 40);
}

/** Where the picture is small: the names of those with most links that have room for one, at their usual size. */
function drawFewNames(
  canvas: CanvasRenderingContext2D,
  { nodes }: Scene,
  view: View,
  { width, height, density }: Size,
  palette: Palette,
  isPale: (node: Node) => boolean,
): void {
  canvas.setTransform(density, 0, 0, density, 0, 0);
  canvas.font = DETAIL_FONT;
  canvas.textBaseline = 'middle';
  canvas.textAlign = 'center';
  const taken: (readonly [number, number, number, number])[] = [];
  const sorted = nodes
    .filter((node) => !isPale(node))
    .sort((one, other) => other.degree - one.degree);
  for (const node of sorted.slice(0, 120)) {
    const half = canvas.measureText(node.label).width / 2 + 4;
    const x = node.x * view.k + view.x;
    const y = node.y * view.k + view.y + 8 + 9 + Math.min(4, Math.sqrt(node.degree));
    const box = [x - half, y - 9, x + half, y + 9] as const;
    if (box[0] < 0 || box[1] < 0 || box[2] > width || box[3] > height) continue;
    const isFree = taken.every(
      ([left, top, right, bottom]) =>
        box[2] < left || box[0] > right || box[3] < top || box[1] > bottom,
    );
    if (!isFree) continue;
    taken.push(box);
    canvas.lineWidth = 3;
    canvas.strokeStyle = palette.paper;
    canvas.strokeText(node.label, x, y);
    canvas.fillStyle = palette.ink;
    canvas.fillText(node.label, x, y);
  }
  canvas.textAlign = 'start';
}

export function isVisible(line: Line, view: View, { width, height }: Size): boolean {
  const { x, y, k } = view;
  const curve = wayIn(view)(line);
  const xs = [curve[0], curve[2], curve[4], curve[6]].map((one) => one * k + x);
  const ys = [curve[1], curve[3], curve[5], curve[7]].map((one) => one * k + y);
  return (
    Math.max(...xs) > 0 &&
    Math.min(...xs) < width &&
    Math.max(...ys) > 0 &&
    Math.min(...ys) < height
  );
}

function isInside(node: Node, { x, y, k }: View, { width, height }: Size): boolean {
  const [midX, midY] = [node.x * k + x, node.y * k + y];
  const [halfX, halfY] = [(node.width / 2) * k + 4, (node.height / 2) * k + 4];
  return midX + halfX > 0 && midX - halfX < width && midY + halfY > 0 && midY - halfY < height;
}

/** What moves along a line: bytes a second to the provider and to the consumer. */
export interface Flow {
  readonly line: Line;
  readonly toProvider: number;
  readonly toConsumer: number;
}

/** Above this many lines that carry something, each has one dot a way. */
const MANY_FLOWS = 250;
/** Along the picture, in lengths of scale 1 a second. */
const SPEED = 90;

/** `seconds`: a time that goes on. More dots are more bytes, by powers of ten. */
export function drawFlows(
  canvas: CanvasRenderingContext2D,
  flows: readonly Flow[],
  seconds: number,
  view: View,
  size: Size,
  palette: Palette,
): void {
  clear(canvas, size);
  const { width, height } = size;
  const wayOf = wayIn(view);
  const many = flows.length > MANY_FLOWS;
  const radius = Math.min(3.4, Math.max(1.6, 3 * view.k));
  const dots = new Map<State, [number, number][]>();
  for (const { line, toProvider, toConsumer } of flows) {
    const curve = wayOf(line);
    const length = Math.hypot(curve[6] - curve[0], curve[7] - curve[1]) + 40;
    for (const [perSecond, back] of [
      [toProvider, false],
      [toConsumer, true],
    ] as const) {
      if (perSecond <= 0) continue;
      const count = many ? 1 : Math.min(6, Math.max(1, Math.round(Math.log10(perSecond))));
      const start = (line.key * 0.618 + (back ? 0.37 : 0)) % 1;
      const own = dots.get(line.state) ?? [];
      dots.set(line.state, own);
      for (let dot = 0; dot < count; dot++) {
        const t = (start + dot / count + (seconds * SPEED) / length) % 1;
        const [x, y] = pointOf(curve, back ? 1 - t : t);
        const [atX, atY] = [x * view.k + view.x, y * view.k + view.y];
        if (atX > 0 && atY > 0 && atX < width && atY < height) own.push([atX, atY]);
      }
    }
  }
  for (const [state, points] of dots) {
    canvas.fillStyle = palette.states[state];
    if (many) {
      for (const [x, y] of points) canvas.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
      continue;
    }
    canvas.beginPath();
    for (const [x, y] of points) {
      canvas.moveTo(x + radius, y);
      canvas.arc(x, y, radius, 0, 7);
    }
    canvas.fill();
    canvas.lineWidth = 1;
    canvas.strokeStyle = palette.paper;
    canvas.stroke();
  }
}
