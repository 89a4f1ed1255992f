/**
 * Graphs picked by a fixed seed, and a daemon that is killed while it makes each of them real: afterwards everything is
 * as a daemon would have it that was started with the last graph, and what no graph changed was not touched.
 */
import net from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import type { WireLink } from '../../support/link.js';
import { isRoot } from '../../support/requirements.js';
import { eventually, pause } from '../../support/wait.js';
import { numbers, useSupervisedPair } from './support.js';

const ROUNDS = Number(process.env.PVX_KILLS ?? 8);
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];
const SOCKETS = ['/run/example/one.sock', '/run/example/two.sock'];
/** Milliseconds from a new graph to the kill: before it is seen, in its middle, when it is done. */
const MOMENTS = [0, 1, 3, 6, 12, 25, 50, 200];

describe.runIf(isRoot())('a daemon that is killed between and within changes of the graph', () => {
  const pair = useSupervisedPair('--drain', '0');
  const held = new Map<string, { readonly socket: net.Socket; readonly link: WireLink }>();
  const random = numbers(20_261_129);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  afterAll(() => {
    for (const { socket } of held.values()) socket.destroy();
  });

  function graph(): WireLink[] {
    return NAMES.filter(() => random() < 0.7).map((name) =>
      pair.link({
        ...{ name, target: `/run/pv/services/${name}.sock`, socket: pick(SOCKETS) },
        role: random() < 0.8 ? 'any' : '10',
        fds: random() < 0.8,
      }),
    );
  }

  /** Now and then another value for one field, or another set of links. */
  function changed(before: readonly WireLink[]): WireLink[] {
    if (random() < 0.3) return graph();
    const next = graph();
    return before.map((link) => {
      const other = next.find(({ name }) => name === link.name);
      return other && random() < 0.3 ? other : link;
    });
  }

  const isSame = (a: WireLink | undefined, b: WireLink | undefined) =>
    JSON.stringify(a) === JSON.stringify(b);

  function connect(link: WireLink): Promise<net.Socket> {
    const socket = net.connect(pair.consumer.rootDir + link.target);
    socket.on('error', () => undefined); // it is closed then, which is looked at
    return new Promise((resolve, reject) => {
      socket.once('connect', () => resolve(socket));
      socket.once('error', reject);
    });
  }

  async function answers(socket: net.Socket): Promise<boolean> {
    const text = String(random());
    return new Promise((resolve) => {
      socket.once('data', (data) => resolve(data.toString() === text));
      socket.once('close', () => resolve(false));
      socket.write(text);
    });
  }

  async function planted(): Promise<string[]> {
    const { stdout } = await pair.consumer.exec(['ls', '-1i', '/run/pv/services']);
    return stdout
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => line.trim());
  }

  test(
    'ends at the last graph, and disturbs nothing that stayed',
    async () => {
      for (const socket of SOCKETS) await pair.serveAt(socket);
      let settled: WireLink[] = [];
      let inodes: string[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const between = changed(settled);
        const last = random() < 0.5 ? between : changed(between);
        pair.daemon.set(...between);
        await pause(pick(MOMENTS)); // any state is the one to be killed in
        pair.daemon.graph = last;
        await pair.kill('node', last);

        const now = await planted();
        expect(now.map((line) => line.split(' ')[1])).toEqual(
          last.map(({ name }) => `${name}.sock`).sort(),
        );
        for (const link of last) {
          const versions = [settled, between].map((all) =>
            all.find(({ name }) => name === link.name),
          );
          if (!versions.every((version) => isSame(version, link))) continue;
          const stayed = held.get(link.name);
          expect(inodes, link.name).toContain(
            now.find((line) => line.endsWith(` ${link.name}.sock`)),
          );
          expect(await answers(stayed?.socket as net.Socket), link.name).toBe(true);
        }
        for (const [name, { socket, link }] of held) {
          if (last.some((other) => isSame(other, link))) continue;
          await eventually(() => expect(socket.closed, name).toBe(true));
          held.delete(name);
        }
        for (const link of last) {
          if (held.get(link.name)?.socket.closed === false) continue;
          const socket = await connect(link);
          held.set(link.name, { socket, link });
          expect(await answers(socket), link.name).toBe(true);
        }
        settled = last;
        inodes = now;
      }
    },
    60_000 + ROUNDS * 5_000,
  );
});
