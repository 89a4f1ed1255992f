/**
 * Finds and imports plugins from outside, and enforces the contract on them: a plugin that breaks it costs its own
 * links and nothing else. Each failure is a sentence with the name of the module as it was given.
 *
 * A path is relative to the working directory. A package is looked for first in the project of the working directory,
 * as imports by the caller itself would be, and then beside pv-xconnect.
 */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isAbsolute, join, parse, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Link } from '../graph/link.js';
import { withDeadline } from '../kernel/deadline.js';
import { XConnectError } from '../kernel/errors.js';
import { importModule } from '../kernel/import-module.js';
import { foreignPlace } from '../kernel/place.js';
import { isObject } from '../manifest/json.js';
import type { Attachment, LinkHost, Plugin } from './plugin.js';

/** Time for a plugin to attach, in milliseconds: less than a link's watchdog, whose error would not name the plugin. */
const ATTACH_MS = 9_000;
const CHECK_MS = 10_000;

/** The plugin that a module exports by default. Rejects with an XConnectError. */
export async function importPlugin(module: string): Promise<Plugin> {
  const place = placeOf(module);
  const isPath = isAbsolute(place);
  const obstacle = isPath ? obstacleTo(place) : null;
  if (obstacle) throw new XConnectError(obstacle.code, `Plugin ${module}: ${obstacle.message}.`);
  let exported: { default?: unknown };
  try {
    exported = (await importModule(isPath ? pathToFileURL(place).href : place)) as typeof exported;
  } catch (thrown) {
    throw loadingFailed(module, isPath ? place : null, thrown);
  }
  const fault = contractFault(exported.default);
  if (fault === null) return guarded(module, exported.default as Plugin);
  throw new XConnectError(
    'plugin-invalid',
    `The default export of ${module} is no plugin: ${fault} was expected.`,
  );
}

/** The path of the file; or, if there is none, the name of a package that is imported as by ourselves. */
function placeOf(module: string): string {
  const isPath = isAbsolute(module) || module.startsWith('.') || /\.[cm]?js$/.test(module);
  if (isPath) return resolve(module);
  const project = createRequire(join(process.cwd(), 'package.json'));
  try {
    return project.resolve(module);
  } catch {
    const folders = project.resolve.paths(module) ?? [];
    const found = folders.map((folder) => join(folder, module)).find((one) => existsSync(one));
    return found === undefined ? module : (importedOf(found) ?? module);
  }
}

/** The file of a package that can be imported but not required. */
function importedOf(folder: string): string | undefined {
  try {
    const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = conditional(exports?.['.'] ?? exports);
    return file === undefined ? undefined : join(folder, file);
  } catch {
    return undefined;
  }
}

/** The target of the first condition that holds for an import (Node.js, "Conditional exports"). */
function conditional(target: unknown): string | undefined {
  if (typeof target === 'string') return target;
  if (typeof target !== 'object' || target === null) return undefined;
  for (const [condition, inner] of Object.entries(target)) {
    if (!['node', 'import', 'default'].includes(condition)) continue;
    const found = conditional(inner);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Why that file can't be read, such as a folder that the daemon may not enter; null: it can. */
function obstacleTo(path: string) {
  const { root } = parse(path);
  const parts = path.slice(root.length).split(sep);
  const who = `the daemon's user (uid ${process.geteuid?.()})`;
  for (let count = 0; count < parts.length; count++) {
    const folder = join(root, ...parts.slice(0, count));
    const next = join(root, ...parts.slice(0, count + 1));
    if (!may(folder, constants.X_OK)) {
      const message = `${who} may not enter ${folder}, whose mode is ${modeOf(folder)}`;
      return { code: 'plugin-unreadable', message } as const;
    }
    if (!existsSync(next)) {
      return { code: 'plugin-missing', message: `there is nothing at ${next}` } as const;
    }
  }
  if (statSync(path).isDirectory()) {
    return { code: 'plugin-missing', message: `${path} is a folder, a file was expected` } as const;
  }
  if (may(path, constants.R_OK)) return null;
  const message = `${who} may not read ${path}, whose mode is ${modeOf(path)}`;
  return { code: 'plugin-unreadable', message } as const;
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function modeOf(path: string): string {
  const { mode, uid } = statSync(path);
  return `${(mode & 0o7777).toString(8)} with the owner ${uid}`;
}

function loadingFailed(module: string, path: string | null, thrown: unknown): XConnectError {
  const { code, path: unread } = Object(thrown) as NodeJS.ErrnoException; // a module may throw null
  if ((code === 'EACCES' || code === 'EPERM') && unread !== undefined) {
    const message = obstacleTo(unread)?.message ?? `${unread} may not be read`;
    return new XConnectError('plugin-unreadable', `Plugin ${module}: ${message}.`);
  }
  if (code === 'ERR_MODULE_NOT_FOUND' && path === null) {
    const found = `no package of that name in ${process.cwd()} or above, or beside pv-xconnect`;
    return new XConnectError('plugin-missing', `Plugin ${module}: there is ${found}.`);
  }
  const where = thrown instanceof SyntaxError ? syntaxPlace(path) : placeIn(thrown);
  const message = `Plugin ${module} can't be loaded: ${reasonOf(thrown)}${where}.`;
  return new XConnectError('plugin-failed', message, { cause: thrown });
}

/** Where the syntax error is. An import does not tell (its stack has no place), but `node --check` does. */
function syntaxPlace(path: string | null): string {
  if (path === null) return '';
  try {
    execFileSync(process.execPath, ['--check', path], { stdio: 'pipe', timeout: CHECK_MS });
    return ', in a module that it imports';
  } catch (thrown) {
    const said = String((thrown as { stderr?: unknown }).stderr ?? '');
    const [, line] = /^(?:file:\/\/)?\/.*:(\d+)$/m.exec(said) ?? [];
    return line === undefined ? ` in ${path}` : ` at ${path}:${line}`;
  }
}

/** Where in a file of others it was thrown: ` at /a/plugin.js:3`. */
function placeIn(thrown: unknown): string {
  const place = foreignPlace(thrown instanceof Error ? thrown.stack : undefined);
  return place === null ? '' : ` at ${place}`;
}

function reasonOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return (text.split('\n')[0] ?? '').replace(/\.$/, '');
}

/** What was expected of it; null: it is one. */
function contractFault(value: unknown): string | null {
  const plugin = Object(value) as Partial<Record<keyof Plugin, unknown>>; // a module may export null
  const { types, interfaces, options, attach } = plugin;
  if (!isTexts(types) || typeof attach !== 'function') {
    return '{types: string[], attach(link, host)}';
  }
  if (interfaces !== undefined && !isTexts(interfaces)) return 'interfaces: string[]';
  const sides = isObject(options) ? Object.entries(options) : [];
  const areOptions =
    (options === undefined || isObject(options)) &&
    sides.every(([side, schemas]) => {
      if (side !== 'service' && side !== 'requirement') return false;
      return isObject(schemas) && Object.values(schemas).every(isObject);
    });
  return areOptions ? null : 'options: {service: {name: schema}, requirement: {name: schema}}';
}

function isTexts(value: unknown): value is string[] {
  const isText = (one: unknown) => typeof one === 'string' && one !== '';
  return Array.isArray(value) && value.length > 0 && value.every(isText);
}

/** The same plugin; its `attach` gives an attachment or rejects with an XConnectError, and does so in time. */
export function guarded(module: string, plugin: Plugin, attachMs = ATTACH_MS): Plugin {
  const failed = (what: string, cause?: unknown) =>
    new XConnectError('plugin-failed', `Plugin ${module} ${what}.`, { cause });
  return {
    types: [...plugin.types],
    ...(plugin.interfaces ? { interfaces: [...plugin.interfaces] } : {}),
    ...(plugin.options ? { options: structuredClone(plugin.options) } : {}),
    async attach(link: Link, host: LinkHost): Promise<Attachment> {
      const attaching = (async () => plugin.attach(link, host))().then(
        (given: unknown) => {
          if (isAttachment(given)) {
            return { detach: async (drainMs: number) => void (await given.detach(drainMs)) };
          }
          throw failed('attached nothing: {detach(drainMs)} was expected');
        },
        (thrown: unknown) => {
          if (thrown instanceof XConnectError) throw thrown;
          throw failed(`failed: ${reasonOf(thrown)}${placeIn(thrown)}`, thrown);
        },
      );
      const attachment = await withDeadline(attaching, attachMs, null);
      if (attachment) return attachment;
      void attaching.then((late) => late.detach(0)).catch(() => undefined); // its link has failed already
      throw failed(`has not attached within ${attachMs / 1000} s`);
    },
  };
}

function isAttachment(value: unknown): value is Attachment {
  if (typeof value !== 'object' || value === null) return false;
  return typeof (value as Partial<Attachment>).detach === 'function';
}
