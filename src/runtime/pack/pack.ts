/**
 * Makes a pvrexport of a revision that is a folder, as `pvr` would: for each container its `root` folder becomes a
 * squashfs, its `args.json` a `run.json` and an `lxc.container.conf`; files beside them and below `_config` are taken as
 * they are. What is in the archive is named by its hash.
 */
import { execFile } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { create } from 'tar';
import { ok, type WhyResult } from '../../kernel/result.js';
import { isFolder } from '../../manifest/files.js';
import { type ObjectSink, objectsOf, takeObjects } from '../../manifest/objects.js';
import { type Problem, problemText } from '../../manifest/problem.js';
import { readRevision } from '../../manifest/reader.js';
import { byName } from '../../manifest/text.js';
import { CONFIG, ROOT, renderConfiguration, renderRun, renderScript, SCRIPT } from './render.js';

const run = promisify(execFile);
const MAX_SQUASH_MS = 600_000;
/** The same folder has the same hash. */
const SQUASH = ['-noappend', '-quiet', '-no-progress', '-reproducible', '-all-time', '0'];

export interface Packed {
  readonly file: string;
  readonly containers: readonly string[];
  readonly problems: readonly Problem[];
}

export interface PackOptions {
  /** Where the archive is written. Absent: `FOLDER.pvrexport.tgz` beside the folder. */
  readonly output?: string | undefined;
  /** gzip the archive. */
  readonly gzip?: boolean;
  /** Options of mksquashfs beside ours. */
  readonly squash?: readonly string[];
}

/** `why`: one sentence. */
export async function pack(folder: string, options: PackOptions = {}): Promise<WhyResult<Packed>> {
  const from = resolve(folder);
  const file = resolve(options.output ?? join(dirname(from), `${basename(from)}.pvrexport.tgz`));
  const draft = await mkdtemp(`${file}.draft-`);
  try {
    const packer = new Packer(from, draft, options);
    const packed = await packer.pack();
    if (!packed.ok) return packed;
    await create(
      { file: join(draft, 'archive'), cwd: draft, gzip: options.gzip ?? true, portable: true },
      ['json', 'objects'],
    );
    await rename(join(draft, 'archive'), file);
    return ok({ file, ...packed.value });
  } catch (error) {
    const { code, message, stderr } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === 'ENOENT' && /mksquashfs/.test(message)) {
      return { ok: false, why: 'mksquashfs not found: install squashfs-tools.' };
    }
    return { ok: false, why: `${from} can't be packed: ${stderr?.trim() || message}.` };
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function* hashedBy(hash: Hash, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of bytes) {
    hash.update(chunk);
    yield chunk;
  }
}

class Packer implements ObjectSink {
  readonly #from: string;
  readonly #draft: string;
  readonly #options: PackOptions;

  constructor(from: string, draft: string, options: PackOptions) {
    this.#from = from;
    this.#draft = draft;
    this.#options = options;
  }

  async pack(): Promise<WhyResult<Omit<Packed, 'file'>>> {
    await mkdir(join(this.#draft, 'objects'));
    const revision = await readRevision(this.#from);
    if (revision.failed) {
      const why = revision.problems[0]?.message ?? 'nothing in it is a revision';
      return { ok: false, why: `${this.#from} can't be packed: ${why}` };
    }
    const { problems, state: files } = await takeObjects([this.#from], revision.state, this);
    const [wrong] = problems;
    if (wrong) return { ok: false, why: `${this.#from} can't be packed: ${problemText(wrong)}` };
    const state: Record<string, unknown> = { ...revision.state, ...files };
    for (const container of revision.containers) {
      const { name } = container;
      const root = join(this.#from, name, 'root');
      if (await isFolder(root)) state[`${name}/${ROOT}`] = await this.#squash(root);
      if (state[`${name}/${ROOT}`] === undefined) continue; // it has no root, and is one of another engine
      state[`${name}/run.json`] = renderRun(container);
      const configuration = renderConfiguration(container);
      if (configuration === null || state[`${name}/${CONFIG}`] !== undefined) continue;
      state[`${name}/${CONFIG}`] = await this.#text(configuration);
      const script = renderScript(container.run);
      if (script !== null) state[`_config/${name}/${SCRIPT}`] = await this.#text(script);
    }
    for (const [key, sha256] of objectsOf(state)) {
      if (existsSync(this.#object(sha256))) continue;
      const why = `${key} is the object ${sha256}, which is not in it`;
      return { ok: false, why: `${this.#from} can't be packed: ${why}.` };
    }
    const sorted = Object.fromEntries(Object.entries(state).sort(([a], [b]) => byName(a, b)));
    await writeFile(join(this.#draft, 'json'), JSON.stringify(sorted));
    return ok({
      containers: revision.containers.map(({ name }) => name),
      problems: revision.problems,
    });
  }

  async put(sha256: string, bytes: AsyncIterable<Buffer>) {
    const hash = createHash('sha256');
    await writeFile(this.#object(sha256), hashedBy(hash, bytes));
    const found = hash.digest('hex');
    if (found === sha256) return { ok: true } as const;
    return { ok: false, why: `bytes with the SHA-256 ${found}` } as const;
  }

  async #squash(root: string): Promise<string> {
    const image = join(this.#draft, 'image');
    const argv = [root, image, ...SQUASH, ...(this.#options.squash ?? [])];
    await run('mksquashfs', argv, { timeout: MAX_SQUASH_MS, maxBuffer: 1024 * 1024 });
    const hash = createHash('sha256');
    await pipeline(createReadStream(image), hash);
    const sha256 = hash.digest('hex');
    await rename(image, this.#object(sha256));
    return sha256;
  }

  async #text(text: string): Promise<string> {
    const sha256 = createHash('sha256').update(text).digest('hex');
    await writeFile(this.#object(sha256), text);
    return sha256;
  }

  #object(sha256: string): string {
    return join(this.#draft, 'objects', sha256);
  }
}
