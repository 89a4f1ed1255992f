/**
 * `pv-xconnect graph`: the graph of the running daemon, or of a revision, for people and for tools.
 */
import { buildGraph } from '../graph/builder.js';
import { unhosted } from '../graph/hosted-bus.js';
import { linkToWire } from '../graph/wire.js';
import type { Vocabulary } from '../manifest/entries.js';
import { readRevision } from '../manifest/reader.js';
import { printable, printableJson } from '../manifest/text.js';
import { ControlClient, type Got } from './control-client.js';
import { toDot, toMermaid } from './link-drawing.js';
import { linkRows } from './link-row.js';
import { linkTable } from './link-table.js';
import { lineWidth, type Output } from './output.js';
import { watchGraph } from './watch.js';

export interface GraphCommandOptions {
  /** The daemon's control socket. */
  readonly control: string;
  readonly json: boolean;
  readonly dot: boolean;
  readonly mermaid: boolean;
  readonly watch: boolean;
  /** A revision to read in place of asking the daemon. */
  readonly from?: string;
  /** What its manifests may say. Absent: what the built-in plugins take. */
  readonly vocabulary?: Vocabulary | undefined;
}

/** Exit code: 0; 1 if there is no graph; 2 if the options contradict each other. */
export async function graphCommand(
  options: GraphCommandOptions,
  { stdout, stderr }: { readonly stdout: Output; readonly stderr: Output },
): Promise<number> {
  const say = (sentence: string) => stderr.write(`pv-xconnect: ${printable(sentence)}\n`);
  const fail = (sentence: string, code: number) => {
    say(sentence);
    return code;
  };
  const formats = [options.json, options.dot, options.mermaid].filter(Boolean).length;
  if (formats > 1) return fail('Give one of --json, --dot and --mermaid, not several.', 2);
  if (options.watch && options.from !== undefined) {
    return fail('--watch is about the running daemon, --from about a revision: give one.', 2);
  }
  const client = new ControlClient(options.control);
  const look = () =>
    options.from === undefined ? live(client) : drawn(options.from, options.vocabulary, say);
  const render = (wire: readonly unknown[]) => renderGraph(wire, options, lineWidth(stdout));
  if (options.watch) {
    const ended = await watchGraph(client, look, render, stdout);
    return ended.ok ? 0 : fail(ended.error, 1);
  }
  const got = await look();
  if (!got.ok) return fail(got.error, 1);
  stdout.write(render(got.value));
  return 0;
}

function renderGraph(wire: readonly unknown[], options: GraphCommandOptions, most: number): string {
  if (options.json) return `${printableJson(wire)}\n`;
  const rows = linkRows(wire);
  if (options.dot) return toDot(rows);
  return options.mermaid ? toMermaid(rows) : linkTable(rows, most);
}

async function live(client: ControlClient): Promise<Got<readonly unknown[]>> {
  const got = await client.get('/xconnect-graph');
  if (!got.ok || Array.isArray(got.value)) return got as Got<readonly unknown[]>;
  return { ok: false, error: 'The daemon sent no array of links: it may be of another version.' };
}

/** The graph of a revision: no container runs, so there are no pids and no states. */
async function drawn(
  path: string,
  vocabulary: Vocabulary | undefined,
  say: (sentence: string) => void,
): Promise<Got<readonly unknown[]>> {
  const revision = await readRevision(path, vocabulary);
  if (revision.failed) {
    const [problem] = revision.problems;
    return { ok: false, error: `${path}: ${problem?.message ?? 'it can not be read.'}` };
  }
  const { links, unmet, problems } = buildGraph(revision, new Map(), unhosted(revision));
  const errors = [...revision.problems, ...problems].filter(({ severity }) => severity === 'error');
  if (errors.length > 0) {
    say(`Some links may be missing (problems: ${errors.length}): see pv-xconnect check ${path}.`);
  }
  return { ok: true, value: [...links, ...unmet].map(linkToWire) };
}
