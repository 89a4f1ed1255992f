/**
 * One `lxc.mount.entry`: a line of fstab(5), whose target is inside the container. Pure.
 *
 * What it may mount: file systems that are the kernel's own; volumes, which Pantavisor has at `/volumes`; a few places of
 * the host that containers commonly need; and folders that whoever runs pv-appengine has allowed.
 */
import { posix } from 'node:path';
import { ok, type WhyResult } from '../../../kernel/result.js';

export interface MountEntry {
  readonly kind: 'kernel' | 'volume' | 'host';
  /** Of a `kernel` one, its name; of a `host` one, the path; of a `volume`, `CONTAINER/VOLUME[/PATH]`. */
  readonly source: string;
  /** Within the root, without a slash at its beginning. */
  readonly target: string;
  readonly type: string;
  /** Without `create` and `optional`. */
  readonly options: readonly string[];
  /** What is made at the target where nothing is. */
  readonly create?: 'dir' | 'file';
  /** It may fail. */
  readonly optional: boolean;
}

const KERNEL = ['tmpfs', 'ramfs', 'proc', 'sysfs', 'devpts', 'mqueue', 'cgroup', 'cgroup2'];
/** Files and folders of the host, with all that is below the latter. */
const HOST = [
  ...['/etc/resolv.conf', '/etc/hosts', '/etc/localtime', '/lib/modules', '/lib/firmware'],
  ...['/dev', '/sys'],
];
/** In there are links to every file of the host. */
const WAYS_OUT = /^\/dev\/(fd|stdin|stdout|stderr)(\/|$)/;
/** What a file system's type is made of. It is written as it is: nothing in it may begin another line. */
const TYPE = /^[A-Za-z0-9_.-]+$/;
const OPTION = /^[A-Za-z0-9_=:%./+-]+$/;
/** Of file systems that are layers of others, or that would look elsewhere. */
const WRONG_OPTION = /^(relative|(lowerdir|upperdir|workdir|loop|idmap)(=.*)?)$/;

/** `why`: what was expected. `allowed`: folders of the host. */
export function readMountEntry(text: string, allowed: readonly string[]): WhyResult<MountEntry> {
  const fields = text.split(/\s+/).map(unescaped);
  const [source = '', to = '', type = '', said = 'defaults'] = fields;
  if (fields.length < 3 || fields.length > 6) return no('SOURCE TARGET TYPE OPTIONS 0 0');
  const target = posix.normalize(`/${to}`).slice(1).replace(/\/$/, '');
  if (target === '' || to.split('/').includes('..')) return no('a target inside the container');
  if (!TYPE.test(type)) return no('the type of a file system, or none');
  const options = said.split(',').filter((option) => option !== '');
  if (options.some((one) => !OPTION.test(one) || WRONG_OPTION.test(one))) {
    return no('options of mount(8)');
  }
  const create = options.includes('create=dir')
    ? 'dir'
    : options.includes('create=file')
      ? 'file'
      : undefined;
  const rest: Omit<MountEntry, 'kind' | 'source'> = {
    target,
    type,
    options: options.filter((one) => !/^(create=|optional$|origin=)/.test(one)),
    ...(create ? { create } : {}),
    optional: options.includes('optional'),
  };
  if (!options.some((one) => one === 'bind' || one === 'rbind')) {
    if (!KERNEL.includes(type))
      return no(`a bind, or a file system of the kernel: ${KERNEL.join(', ')}`);
    return ok({ ...rest, kind: 'kernel', source: type });
  }
  if (!source.startsWith('/') || source.split('/').includes('..')) {
    return no('an absolute source without ".."');
  }
  const path = posix.normalize(source).replace(/(?<=.)\/$/, '');
  if (path.startsWith('/volumes/')) {
    const volume = path.slice('/volumes/'.length);
    if (volume.split('/').length < 2) return no('/volumes/CONTAINER/VOLUME');
    return ok({ ...rest, kind: 'volume', source: volume });
  }
  const isOpen = [...HOST, ...allowed].some((one) => path === one || path.startsWith(`${one}/`));
  if (!isOpen || WAYS_OUT.test(path)) {
    return no(`a volume, one of ${HOST.join(', ')}, or what --allow-mount names`);
  }
  return ok({ ...rest, kind: 'host', source: path });
}

/** The line that lxc is given. `source`: a path of the host. */
export function formatMountEntry(
  { create, optional, options, type }: Pick<MountEntry, 'create' | 'optional' | 'options' | 'type'>,
  source: string,
  target: string,
): string {
  const all = [
    ...options,
    ...(create ? [`create=${create}`] : []),
    ...(optional ? ['optional'] : []),
  ];
  return [escaped(source), escaped(target), type, all.join(',') || 'defaults', '0', '0'].join(' ');
}

function no(why: string): WhyResult<never> {
  return { ok: false, why };
}

/** As getmntent(3) has it. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_all, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

function escaped(text: string): string {
  return text.replace(/[\s\\]/g, (one) => `\\${one.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
