/** Revisions for tests: in memory, and as files of every shape. What is written goes away with the test. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { create } from 'tar';
import { onTestFinished } from 'vitest';
import { buildGraph, type Graph, type GraphOptions } from '../../../src/graph/builder.js';
import { toRevision } from '../../../src/manifest/assembly.js';
import { BUILT_IN } from '../../../src/manifest/entries.js';
import type { Problem } from '../../../src/manifest/problem.js';
import { ProblemList } from '../../../src/manifest/problem-list.js';
import type { Revision } from '../../../src/manifest/revision.js';

export const SPEC = 'service-manifest-xconnect@1';
export const STATE = { '#spec': 'pantavisor-service-system@1' };

export type Files = Readonly<Record<string, unknown>>;

/** `services.json` of these services. */
export function services(...list: unknown[]) {
  return { '#spec': SPEC, services: list };
}

/** `run.json` that requires these. */
export function requires(...required: unknown[]) {
  return { services: { required } };
}

/** A revision from what its files would hold, without any file. */
export function revisionFrom(files: Files): Revision {
  const reading = { problems: new ProblemList(), failed: false };
  return toRevision(new Map(Object.entries(files)), BUILT_IN, reading);
}

export function graphFrom(files: Files, options: GraphOptions = {}): Graph {
  return buildGraph(revisionFrom(files), new Map(), options);
}

export async function scratchFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pvx-manifest-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Strings and buffers as they are, anything else as JSON; resolves to the folder. */
export async function writeFiles(files: Files, into?: string): Promise<string> {
  const folder = into ?? (await scratchFolder());
  for (const [path, content] of Object.entries(files)) {
    const raw = typeof content === 'string' || Buffer.isBuffer(content);
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), raw ? content : JSON.stringify(content));
  }
  return folder;
}

/** A pvrexport with these members, made where `path` says. */
export async function writeExport(path: string, members: Files, gzip = true): Promise<string> {
  const folder = await writeFiles(members);
  await create({ file: path, cwd: folder, gzip, portable: true }, Object.keys(members));
  return path;
}

export function readBytes(path: string): Promise<Buffer> {
  return readFile(path);
}

/** `severity code file:pointer`, short enough to compare. */
export function brief(problems: readonly Problem[]): string[] {
  return problems.map(
    ({ severity, code, file, pointer }) => `${severity} ${code} ${file}:${pointer}`,
  );
}
