/**
 * pvcontrol: asks a runtime over its control socket, with the words and exit codes of Pantavisor's script by that name.
 * At a terminal answers are tables, in a pipe or a file they are what the runtime answered.
 *
 * Exit codes: 0 done; 1 wrong usage, or no answer; 48 no room on the disk; 60 an object with another hash; 70 a state
 * that is refused; 255 anything else that is refused.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { mostUnpacked } from '../../manifest/limits.js';
import { BAD_CHECKSUM, BAD_STATE, NO_SPACE } from '../../runtime/storage/refusals.js';
import { isSocket, type RequestBody, RuntimeClient, runtimeSocket, textOf } from './client.js';
import { shownAtTerminal } from './shown.js';
import { type Asked, type Deed, understand } from './words.js';

export interface Streams {
  readonly stdin: Readable;
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable;
}

interface Options {
  readonly socket?: string | undefined;
  readonly file?: string | undefined;
  readonly message?: string | undefined;
  readonly isVerbose: boolean;
}

const EXIT_CODES: Readonly<Record<string, number>> = {
  [NO_SPACE]: 48,
  [BAD_CHECKSUM]: 60,
  [BAD_STATE]: 70,
};
const REFUSED = 255;

/** `argv`: without program and script. Resolves with the exit code. */
export async function pvcontrol(argv: readonly string[], streams: Streams): Promise<number> {
  const { stdout, stderr } = streams;
  const [options, words] = optionsOf(argv);
  const understood = understand(options ? words : ['--help']);
  if (!options || !understood.ok) {
    const { usage = '', exitCode = 1 } = understood.ok ? {} : understood;
    stdout.write(usage);
    return options ? exitCode : words.includes('-h') ? 0 : 1;
  }
  const socket = options.socket ?? runtimeSocket();
  if (!isSocket(socket)) {
    stdout.write(`ERROR: ${socket} not found\n`);
    return 1;
  }
  const trace = (line: string) => {
    if (options.isVerbose) stderr.write(`${line}\n`);
  };
  const deeds = new Deeds(new RuntimeClient(socket, trace), options, streams);
  try {
    return await deeds.do(understood.deed);
  } catch (error) {
    stderr.write(`ERROR: ${(error as Error).message}\n`);
    return 1;
  }
}

/** The options before the first word, and the words. Undefined options: help was asked for, or one lacks its value. */
function optionsOf(argv: readonly string[]): [Options | undefined, readonly string[]] {
  const values: Record<string, string> = {};
  let isVerbose = false;
  let at = 0;
  for (; at < argv.length; at++) {
    const option = argv[at] as string;
    if (option === '-v') isVerbose = true;
    else if (option === '-h') return [undefined, ['-h']];
    else if (['-s', '-f', '-m'].includes(option)) {
      const value = argv[++at];
      if (value === undefined) return [undefined, []];
      values[option] = value;
    } else break;
  }
  const { '-s': socket, '-f': file, '-m': message } = values;
  return [{ socket, file, message, isVerbose }, argv.slice(at)];
}

class Deeds {
  readonly #client: RuntimeClient;
  readonly #options: Options;
  readonly #streams: Streams;

  constructor(client: RuntimeClient, options: Options, streams: Streams) {
    this.#client = client;
    this.#options = options;
    this.#streams = streams;
  }

  async do(deed: Deed): Promise<number> {
    switch (deed.is) {
      case 'ask':
        return this.#askAll(deed.requests);
      case 'put-object':
        return this.#shown(await this.#putObject(deed.file, deed.sha));
      case 'get-object':
        return this.#getObject(deed.sha);
      case 'put-step': {
        const answer = await this.#putStep(deed.file, deed.revision);
        return this.#shown(answer);
      }
      case 'install-step':
        return this.#install(deed.file, deed.revision);
    }
  }

  async #askAll(requests: readonly Asked[]): Promise<number> {
    let code = 0;
    for (const { method, path, body } of requests) {
      const sent = body === undefined ? undefined : textBody(body);
      const answer = await this.#client.ask(method, path, sent);
      code = await this.#shown(answer, { isGet: method === 'GET' });
      if (code !== 0) return code;
    }
    return code;
  }

  #putObject(file: string, sha: string): Promise<IncomingMessage> {
    const path = `/objects/${encodeURIComponent(sha)}`;
    const size = /^-(\d+)$/.exec(file)?.[1];
    const body =
      size === undefined ? fileBody(file) : { bytes: this.#streams.stdin, length: Number(size) };
    return this.#client.ask('PUT', path, body);
  }

  async #getObject(sha: string): Promise<number> {
    const answer = await this.#client.ask('GET', `/objects/${encodeURIComponent(sha)}`);
    if (answer.statusCode !== 200) return this.#shown(answer);
    const { file } = this.#options;
    if (file === undefined) await pipeline(answer, this.#streams.stdout, { end: false });
    else await pipeline(answer, createWriteStream(file));
    return 0;
  }

  /** The answer to the state, or, where that was taken, to the message. */
  async #putStep(file: string, revision: string): Promise<IncomingMessage> {
    const path = `/steps/${revision.split('/').map(encodeURIComponent).join('/')}`;
    const body = file === '-' ? { bytes: this.#streams.stdin, length: undefined } : fileBody(file);
    const answer = await this.#client.ask('PUT', path, body);
    const { message } = this.#options;
    if (answer.statusCode !== 200 || message === undefined) return answer;
    answer.resume();
    return this.#client.ask('PUT', `${path}/commitmsg`, textBody(message));
  }

  /** Puts the objects of an export that are not there yet, then its state. */
  async #install(file: string, name: string | undefined): Promise<number> {
    const folder = await mkdtemp(join(tmpdir(), 'pvcontrol-'));
    try {
      const { extract } = await import('tar'); // of all words this one alone needs it
      // What leads out of the folder is left out by `tar` itself.
      const limit = mostUnpacked(statSync(file).size);
      let size = 0;
      await extract({
        file,
        cwd: folder,
        strict: true,
        // A link or a device in it could be a file of whoever installs it.
        filter: (_path, entry) => {
          if (!('type' in entry) || !/^(File|OldFile|ContiguousFile|Directory)$/.test(entry.type))
            return false;
          size += entry.size;
          return size <= limit;
        },
      });
      if (size > limit) throw new Error(`${file} unpacks to more than ${limit} bytes.`);
      const objects = await readdir(join(folder, 'objects')).catch(() => undefined);
      if (!objects || !isFile(join(folder, 'json'))) {
        throw new Error(`${file} has no json and objects/ in it: that is no export.`);
      }
      const there = await textOf(await this.#client.ask('GET', '/objects'));
      for (const sha of objects.filter((one) => !there.includes(one))) {
        const answer = await this.#putObject(join(folder, 'objects', sha), sha);
        if (answer.statusCode !== 200) return await this.#shown(answer);
        answer.resume();
      }
      const revision = name ?? `locals/${await hashOf(file)}`;
      const steps = await textOf(await this.#client.ask('GET', '/steps'));
      if (!steps.includes(JSON.stringify(revision))) {
        const answer = await this.#putStep(join(folder, 'json'), revision);
        if (answer.statusCode !== 200) return await this.#shown(answer);
        answer.resume();
      }
      await this.#write(`${JSON.stringify({ revision })}\n`);
      return 0;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Prints the answer, or what is wrong; the exit code. What was only done, and has nothing to say, prints nothing. */
  async #shown(answer: IncomingMessage, { isGet = false } = {}): Promise<number> {
    const text = await textOf(answer);
    if (answer.statusCode === 200) {
      if (isGet || text.trim() !== '{}') await this.#write(text);
      return 0;
    }
    const detail = answer.headers['error-detail'];
    this.#streams.stderr.write(`${text.trimEnd()}\n${detail ? `${String(detail)}\n` : ''}`);
    return exitCodeOf(text);
  }

  async #write(text: string): Promise<void> {
    const { stdout } = this.#streams;
    const { file } = this.#options;
    if (file === undefined) {
      stdout.write(stdout.isTTY ? shownAtTerminal(text) : text);
      return;
    }
    const handle = await open(file, 'w');
    await handle.writeFile(text);
    await handle.close();
  }
}

function exitCodeOf(text: string): number {
  try {
    const { Error: error } = JSON.parse(text) as { Error?: string };
    return EXIT_CODES[error ?? ''] ?? REFUSED;
  } catch {
    return REFUSED;
  }
}

function textBody(text: string): RequestBody {
  return { bytes: text, length: Buffer.byteLength(text) };
}

/** Throws where there is none. */
function fileBody(path: string): RequestBody {
  const { size } = statSync(path);
  return { bytes: createReadStream(path), length: size };
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
