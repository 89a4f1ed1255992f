/**
 * docs/walkthrough.md, walked: its commands, in their order, in one shell at a terminal, and what they print beside what
 * the page shows. The shell has a mount, a network and a process namespace of its own, so that the page can use the
 * places that pv-appengine has by default.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  type WriteStream,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endBy } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { blocksOf, LF, ROOT, textOf } from '../../unit/documentation/pages.js';

const PAGE = 'docs/walkthrough.md';
/** Where the page was written: the folder that it is walked in, and the checkout. */
const [WALK, CHECKOUT] = ['/tmp/walk', '/opt/pv-xconnect'];
/** What only looks is asked again until it shows what the page does, as the page says. */
const LOOK =
  /^(cat|grep|tail|ls|lxc-ls|lxc-attach|nsenter|pv-xconnect (graph|explain)|pvcontrol \w+ (ls|show-progress))\b/;
/** The places that pv-appengine has by default. */
const PLACES = ['/var/lib/pv-appengine', '/run/pantavisor', '/run/pv-xconnect'];
const PREPARE = `
  for place in ${PLACES.join(' ')}; do mkdir -p $place; mount -t tmpfs none $place; done
  ip link set lo up
  exec script -qfec "$1" /dev/null`;

const LONG = { timeoutMs: 30_000, intervalMs: 100 };

const hasAll = [
  'bash',
  'busybox',
  'ip',
  'lxc-start',
  'mksquashfs',
  'script',
  'socat',
  'unshare',
].every(has);

describe.runIf(isRoot() && hasAll)('the walk of docs/walkthrough.md', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pvx-walk-'));
  const walk = join(folder, 'walk');
  const shell = new Shell(folder, walk);
  beforeAll(() => shell.start());
  afterAll(async () => {
    await shell.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  const plain = (text: string) =>
    withoutChance(text.replaceAll(walk, WALK).replaceAll(ROOT, `${CHECKOUT}/`));

  for (const { heading, commands } of sectionsOf(textOf(PAGE))) {
    test(heading, async () => {
      for (const { command, shown } of commands) {
        const expected = plain(shown);
        if (/ &$/.test(command)) {
          const said = await shell.runBehind(command);
          // What starts at the same time is said in any order.
          const lines = (text: string) => text.split(LF).sort();
          const isSaid = () => expect(lines(plain(said())), command).toEqual(lines(expected));
          await eventually(isSaid, LONG);
        } else if (LOOK.test(command)) {
          await eventually(
            async () => expect(plain(await shell.run(command)), command).toBe(expected),
            LONG,
          );
        } else {
          expect(plain(await shell.run(command)), command).toBe(expected);
        }
      }
    });
  }
});

/** A line, or several that begin with `> `; and what is shown below it. */
interface Step {
  readonly command: string;
  readonly shown: string;
}

interface Section {
  readonly heading: string;
  readonly commands: readonly Step[];
}

function sectionsOf(text: string): Section[] {
  return text
    .split(/^## /m)
    .slice(1)
    .map((section) => ({
      heading: section.split(LF, 1)[0] as string,
      commands: blocksOf(section, 'console').flatMap(stepsOf),
    }));
}

function stepsOf(block: string): Step[] {
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((step) => {
      const [first = '', ...lines] = step.split(LF);
      const end = lines.findIndex((line) => !line.startsWith('> '));
      const more = lines.slice(0, end).map((line) => line.slice(2));
      return { command: [first, ...more].join(LF), shown: lines.slice(end).join(LF) };
    });
}

/** What is another each time, or as wide as it happens to be, becomes the same. */
function withoutChance(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/[A-Z][a-z]{2} [ \d]\d \d\d:\d\d/g, 'TIME')
    .replace(/\b[0-9a-f]{64}\b/g, 'SHA256')
    .replace(/\b\d+\/\d+\b/g, 'COUNTS')
    .replace(/\b\d{2,}\b/g, 'NUMBER')
    .replace(/[ \t\r]+/g, ' ')
    .replace(/ $/gm, '')
    .trim();
}

/** bash at a terminal, which is told its commands one by one. */
class Shell {
  readonly #folder: string;
  readonly #home: string;
  #process: ChildProcess | undefined;
  #commands: WriteStream | undefined;
  #said = '';
  #count = 0;

  constructor(folder: string, home: string) {
    this.#folder = folder;
    this.#home = home;
  }

  start(): void {
    const commands = join(this.#folder, 'commands');
    execFileSync('mkfifo', [commands]);
    mkdirSync(this.#home);
    const own = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const bash = `bash --noprofile --norc -m ${commands}`;
    this.#process = spawn('unshare', [...own, 'sh', '-ec', PREPARE, 'sh', bash], {
      cwd: this.#home,
      env: { ...process.env, PATH: `${ROOT}bin:${process.env.PATH}` },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#process.stdout?.on('data', (chunk: Buffer) => {
      this.#said += chunk.toString();
    });
    this.#commands = createWriteStream(commands);
  }

  /** What it printed. */
  async run(command: string): Promise<string> {
    const end = `--- ${++this.#count} ---`;
    const from = this.#said.length;
    this.#commands?.write(`${command}\necho "${end}"\n`);
    return eventually(() => {
      const at = this.#said.indexOf(end, from);
      if (at < 0) throw new Error(`${command} has not ended: ${this.#said.slice(from)}`);
      return this.#said.slice(from, at);
    }, LONG);
  }

  /** The same of what is run behind, as if in a terminal of its own. What it printed so far. */
  async runBehind(command: string): Promise<() => string> {
    const file = join(this.#folder, 'behind');
    await this.run(command.replace(/ &$/, ` > ${file} 2>&1 &`));
    return () => readFileSync(file, 'utf8');
  }

  async kill(): Promise<void> {
    this.#commands?.destroy();
    if (this.#process) await endBy(this.#process);
  }
}
