/**
 * The picture of the links: laid out in slices that leave room for frames, drawn again when something is new, and moved
 * along by frames only while something flows and nobody asked for less motion.
 *
 * Keys: arrows go from container to container, Enter chooses one, + - 0 zoom, Escape lets go.
 */
import { select } from 'd3-selection';
import { type ZoomBehavior, zoom, zoomIdentity } from 'd3-zoom';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Choice } from './app.js';
import {
  drawBoxes,
  drawFlows,
  drawLines,
  type Emphasis,
  type Flow,
  isVisible,
  LABEL_FONT,
  type Palette,
  paleness,
  type Size,
  type View,
  wayIn,
} from './drawing.js';
import { Layout, type Place } from './layout.js';
import { type Model, STATES, type State } from './model.js';
import {
  at,
  boxesOf,
  choiceOf,
  endsOf,
  nextNode,
  restated,
  type Scene,
  sceneOf,
  summaryOf,
} from './scene.js';

interface Props {
  readonly model: Model;
  /** Keys of links that match the filter; null: there is none. */
  readonly shown: ReadonlySet<number> | null;
  readonly choice: Choice;
  readonly onChoose: (choice: Choice) => void;
}

/** Time of a frame that a layout may take, in milliseconds. */
const SLICE_MS = 8;
/** What flows is drawn for at most one part in this many of the time, and otherwise with each frame. */
const FLOW_SHARE = 3;
const SCALES: [number, number] = [0.05, 2.5];
/** In pixels: how near a pointer has to be to a line. */
const REACH = 9;
/** Texts of which the width is kept: to measure is slow. */
const MAX_WIDTHS = 4_096;
const MARGIN = 28;
/** Height at the bottom that the buttons have. */
const BUTTONS = 46;

export function Picture({ model, shown, choice, onChoose }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const canvases = useRef<(HTMLCanvasElement | null)[]>([]);
  const [said, setSaid] = useState('');
  const stage = useMemo(() => new Stage(model), [model]);
  stage.onChoose = onChoose;
  stage.onSay = setSaid;

  useEffect(() => {
    const [lines, flows, boxes] = canvases.current;
    if (!frame.current || !lines || !flows || !boxes) return undefined;
    return stage.mount(frame.current, { lines, flows, boxes });
  }, [stage]);
  useEffect(() => stage.emphasize(shown, choice), [stage, shown, choice]);

  return (
    <>
      <div
        ref={frame}
        class="stage"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it has keys of its own
        tabIndex={0}
        role="application"
        aria-roledescription="picture"
        aria-label="Containers and their links. Arrow keys go from one container to the next; the table has the same links."
        onKeyDown={(event) => stage.key(event)}
      >
        {[0, 1, 2].map((layer) => (
          <canvas
            key={layer}
            ref={(canvas) => {
              canvases.current[layer] = canvas;
            }}
          />
        ))}
      </div>
      <div class="zoom">
        <button type="button" aria-label="Larger" onClick={() => stage.scale(1.4)}>
          +
        </button>
        <button type="button" aria-label="Smaller" onClick={() => stage.scale(1 / 1.4)}>
          −
        </button>
        <button type="button" aria-label="Show all" onClick={() => stage.fit(true)}>
          ⤢
        </button>
      </div>
      <p class="hidden" aria-live="polite">
        {said}
      </p>
    </>
  );
}

interface Layers<T> {
  readonly lines: T;
  readonly flows: T;
  readonly boxes: T;
}

/** The picture without its elements: what it shows, and when it draws. */
class Stage {
  onChoose: (choice: Choice) => void = () => undefined;
  onSay: (text: string) => void = () => undefined;
  readonly #model: Model;
  #frame!: HTMLDivElement;
  /** From the lowest to the highest. */
  #layers!: Layers<CanvasRenderingContext2D>;
  #zoom!: ZoomBehavior<HTMLDivElement, unknown>;
  #palette!: Palette;
  #size: Size = { width: 0, height: 0, density: 1 };
  #view: View = { x: 0, y: 0, k: 1 };
  #scene: Scene = { nodes: [], lines: [] };
  #places = new Map<string, Place>();
  #layout: Layout | null = null;
  #shape = -1;
  /** Those of the shape of that number, also ones that have no place yet. */
  #boxes: ReturnType<typeof boxesOf> = [];
  /** Who is joined with whom, in the layout that is there or being made. */
  #joined = '';
  /** Who has moved the picture keeps it where it is. */
  #moved = false;
  #flows: readonly Flow[] = [];
  /** Keys of the links of those. */
  #carrying: ReadonlySet<number> = new Set();
  #shown: ReadonlySet<number> | null = null;
  #choice: Choice = null;
  #hovered: number | null = null;
  #cursor: string | null = null;
  readonly #widths = new Map<string, number>();
  #flowsFrom = 0;
  #stale = true;
  #asked = 0;
  #calm = matchMedia('(prefers-reduced-motion: reduce)');

  constructor(model: Model) {
    this.#model = model;
  }

  mount(frame: HTMLDivElement, layers: Layers<HTMLCanvasElement>): () => void {
    this.#frame = frame;
    const paperOf = (canvas: HTMLCanvasElement) =>
      canvas.getContext('2d') as CanvasRenderingContext2D;
    const { lines, flows, boxes } = layers;
    this.#layers = { lines: paperOf(lines), flows: paperOf(flows), boxes: paperOf(boxes) };
    this.#palette = paletteOf(frame);
    const recolour = () => {
      this.#palette = paletteOf(frame);
      this.#redraw();
    };
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', recolour);
    this.#calm.addEventListener('change', recolour);
    const sizes = new ResizeObserver(() => this.#resize([lines, flows, boxes]));
    sizes.observe(frame);
    this.#zoom = zoom<HTMLDivElement, unknown>()
      .scaleExtent(SCALES)
      .on('zoom', ({ transform, sourceEvent }) => {
        const { x, y, k } = transform;
        this.#view = { x, y, k };
        if (sourceEvent) this.#moved = true;
        this.#redraw();
      });
    select(frame).call(this.#zoom).on('dblclick.zoom', null);
    frame.addEventListener('click', (event) => this.#click(event));
    frame.addEventListener('pointermove', (event) => this.#hover(event));
    frame.addEventListener('pointerleave', () => this.#hover(null));
    const forget = this.#model.listen(() => this.#update());
    this.#update();
    return () => {
      forget();
      sizes.disconnect();
      dark.removeEventListener('change', recolour);
      this.#calm.removeEventListener('change', recolour);
      cancelAnimationFrame(this.#asked);
    };
  }

  emphasize(shown: ReadonlySet<number> | null, choice: Choice): void {
    this.#shown = shown;
    this.#choice = choice;
    this.#redraw();
  }

  scale(factor: number): void {
    this.#moved = true;
    select(this.#frame).call(this.#zoom.scaleBy, factor);
  }

  /** Shows all of it. `again`: from now on, too. */
  fit(again = false): void {
    if (again) this.#moved = false;
    const { nodes } = this.#scene;
    const { width, height } = this.#size;
    if (nodes.length === 0 || width === 0) return;
    const left = Math.min(...nodes.map((one) => one.x - one.width / 2));
    const right = Math.max(...nodes.map((one) => one.x + one.width / 2));
    const top = Math.min(...nodes.map((one) => one.y - one.height / 2));
    const bottom = Math.max(...nodes.map((one) => one.y + one.height / 2));
    const [roomX, roomY] = [width - 2 * MARGIN, height - 2 * MARGIN - BUTTONS];
    const k = Math.min(
      1.25,
      Math.max(SCALES[0], Math.min(roomX / (right - left), roomY / (bottom - top))),
    );
    const x = width / 2 - ((left + right) / 2) * k;
    const y = (height - BUTTONS) / 2 - ((top + bottom) / 2) * k;
    select(this.#frame).call(this.#zoom.transform, zoomIdentity.translate(x, y).scale(k));
  }

  key(event: KeyboardEvent): void {
    const ways: Readonly<Record<string, readonly [number, number]>> = {
      ...{ ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] },
    };
    const way = ways[event.key];
    if (way) this.#go(...way);
    else if (event.key === 'Enter' && this.#cursor !== null) {
      const node = this.#scene.nodes.find(({ id }) => id === this.#cursor);
      if (node) this.onChoose(choiceOf(node));
    } else if (event.key === '+' || event.key === '=') this.scale(1.4);
    else if (event.key === '-') this.scale(1 / 1.4);
    else if (event.key === '0') this.fit(true);
    else return;
    event.preventDefault();
  }

  #go(dx: number, dy: number): void {
    const from = this.#scene.nodes.find(({ id }) => id === this.#cursor);
    const next = nextNode(this.#scene, from, dx, dy);
    if (!next) return;
    this.#cursor = next.id;
    this.onSay(`${next.label}, ${next.detail}, ${next.state}`);
    const { x, y, k } = this.#view;
    const [screenX, screenY] = [next.x * k + x, next.y * k + y];
    const { width, height } = this.#size;
    if (screenX < 40 || screenY < 40 || screenX > width - 40 || screenY > height - 40) {
      select(this.#frame).call(this.#zoom.translateTo, next.x, next.y);
    }
    this.#redraw();
  }

  #resize(canvases: readonly HTMLCanvasElement[]): void {
    const { clientWidth: width, clientHeight: height } = this.#frame;
    const density = Math.min(2, window.devicePixelRatio || 1);
    this.#size = { width, height, density };
    for (const canvas of canvases) {
      canvas.width = Math.round(width * density);
      canvas.height = Math.round(height * density);
    }
    if (!this.#moved) this.fit();
    this.#redraw();
  }

  /** The model is another one: of its shape, or of its counters alone. */
  #update(): void {
    if (this.#model.shape !== this.#shape) {
      this.#shape = this.#model.shape;
      this.#relayout();
    }
    this.#flow();
  }

  #measured() {
    const { boxes } = this.#layers;
    boxes.font = LABEL_FONT;
    const widthOf = (text: string) => {
      const known = this.#widths.get(text);
      if (known !== undefined) return known;
      const { width } = boxes.measureText(text);
      if (this.#widths.size >= MAX_WIDTHS) this.#widths.clear();
      this.#widths.set(text, width);
      return width;
    };
    return boxesOf(this.#model.links.values(), widthOf);
  }

  /** A new layout where containers or the pairs that are joined are others; else only colours are. */
  #relayout(): void {
    const links = [...this.#model.links.values()];
    this.#boxes = this.#measured();
    const edges = links.map(endsOf);
    const joined = JSON.stringify(
      [...new Set(edges.map(({ from, to }) => `${from}\n${to}`))].sort(),
    );
    const isSame = joined === this.#joined;
    if (!isSame) {
      const { width, height } = this.#size;
      this.#joined = joined;
      this.#layout = new Layout(
        this.#boxes,
        edges,
        this.#places,
        height > 0 ? width / height : 1.4,
      );
    }
    const same = isSame ? restated(this.#scene, this.#model.links, this.#boxes) : null;
    if (same) this.#scene = same;
    else if (this.#places.size > 0) this.#place();
    this.#redraw();
  }

  #place(): void {
    const links = [...this.#model.links.values()];
    const boxes = this.#boxes.filter(({ id }) => this.#places.has(id));
    this.#scene = sceneOf(links, boxes, this.#places);
    this.#frame.dataset.summary = summaryOf(this.#scene);
    this.#flow();
  }

  #flow(): void {
    const lines = new Map(this.#scene.lines.map((line) => [line.key, line]));
    const before = this.#flows.map(({ line }) => line.key).join();
    this.#flows = [...this.#model.links.values()].flatMap((link) => {
      const line = lines.get(link.key);
      const carries = link.toProviderRate + link.toConsumerRate > 0;
      if (!line || !carries) return [];
      return [{ line, toProvider: link.toProviderRate, toConsumer: link.toConsumerRate }];
    });
    this.#carrying = new Set(this.#flows.map(({ line }) => line.key));
    if (this.#flows.map(({ line }) => line.key).join() !== before) this.#redraw();
    this.#frame.dataset.flows = String(this.#flows.length);
    this.#next();
  }

  #redraw(): void {
    this.#stale = true;
    this.#next();
  }

  #next(): void {
    if (this.#asked === 0 && this.#frame)
      this.#asked = requestAnimationFrame((now) => this.#draw(now));
  }

  /** One frame. Another one follows only if something is not done, or moves. */
  #draw(now: number): void {
    this.#asked = 0;
    if (this.#layout) this.#settle(this.#layout);
    const { lines, flows, boxes } = this.#layers;
    const emphasis = this.#emphasis();
    const how = [this.#view, this.#size, this.#palette] as const;
    if (this.#stale) {
      this.#stale = false;
      const visible = this.#scene.lines.filter((line) => isVisible(line, this.#view, this.#size));
      drawLines(lines, visible, ...how, emphasis);
      drawBoxes(boxes, this.#scene, visible, ...how, emphasis);
    }
    const moves = !this.#calm.matches && this.#flows.length > 0;
    if (now >= this.#flowsFrom) {
      const isPale = paleness(emphasis);
      const shown = moves ? this.#flows.filter(({ line }) => !isPale(line)) : [];
      const began = performance.now();
      drawFlows(flows, shown, now / 1_000, ...how);
      this.#flowsFrom = now + (performance.now() - began) * FLOW_SHARE;
    }
    if (moves || this.#layout) this.#next();
  }

  /** The first layout is shown when it is done, and later ones as they come to rest. */
  #settle(layout: Layout): void {
    const isFirst = this.#places.size === 0;
    const end = performance.now() + SLICE_MS;
    let going = true;
    while (going && performance.now() < end) going = layout.step();
    if (!going) this.#layout = null;
    if (going && (isFirst || this.#calm.matches)) return;
    this.#places = layout.places();
    this.#place();
    if (!this.#moved) this.fit();
    this.#stale = true;
  }

  #emphasis(): Emphasis {
    const choice = this.#choice;
    const focused = document.activeElement === this.#frame ? this.#cursor : null;
    return {
      shown: this.#shown,
      link: choice && 'link' in choice ? choice.link : this.#hovered,
      container: choice && 'container' in choice ? choice.container : focused,
      carrying: this.#carrying,
    };
  }

  #at(event: MouseEvent) {
    const { left, top } = this.#frame.getBoundingClientRect();
    const { x, y, k } = this.#view;
    const [atX, atY] = [(event.clientX - left - x) / k, (event.clientY - top - y) / k];
    return at(this.#scene, atX, atY, REACH / k, wayIn(this.#view));
  }

  #click(event: MouseEvent): void {
    const found = this.#at(event);
    if (!found) this.onChoose(null);
    else if ('node' in found) {
      this.#cursor = found.node.id;
      this.onChoose(choiceOf(found.node));
    } else this.onChoose({ link: found.line.key });
  }

  #hover(event: PointerEvent | null): void {
    const found =
      event && event.buttons === 0 && event.pointerType === 'mouse' ? this.#at(event) : null;
    const hovered = found && 'line' in found ? found.line.key : null;
    this.#frame.style.cursor = found ? 'pointer' : '';
    if (hovered === this.#hovered) return;
    this.#hovered = hovered;
    this.#redraw();
  }
}

function paletteOf(element: HTMLElement): Palette {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const states = Object.fromEntries(STATES.map((state) => [state, colour(state)]));
  return {
    ...{ paper: colour('paper'), surface: colour('surface'), ink: colour('ink') },
    ...{ muted: colour('muted'), rule: colour('edge'), focus: colour('focus') },
    states: states as Record<State, string>,
  };
}
