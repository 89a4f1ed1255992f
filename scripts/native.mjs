/**
 * Builds the addon and the programs from binding.gyp. node-gyp does, where there is Python; it downloads the
 * headers of Node.js, unless Node.js was installed with them. Where there are headers and no Python, the C compiler
 * alone builds from the same file.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** What is made in build/Release: the addon and the programs. */
export const NATIVE = [
  'pvx.node',
  'pv-xconnect',
  'pvx-broker',
  'pvx-relay',
  'pvx-bus',
  'pvx-enter',
];
const PREFIX = dirname(dirname(realpathSync(process.execPath)));
const HEADERS = join(PREFIX, 'include/node');

const works = (program) => spawnSync(program, ['--version']).status === 0;

/** `run(what, command, args, env)` ends the process where the command fails. */
export function buildNative(root, run) {
  const what = 'Building the native parts';
  const hasHeaders = existsSync(join(HEADERS, 'node_api.h'));
  if (works('python3') || works('python') || !hasHeaders) {
    const env = existsSync(join(HEADERS, 'common.gypi')) ? { npm_config_nodedir: PREFIX } : {};
    run(what, 'npm', ['run', '--silent', 'install'], { ...env, ...process.env });
    return;
  }
  compileNative(root, 'build/Release', [], (...what) => run(...what, process.env));
}

/**
 * The same by the C compiler alone, into `folder`, with `flags` after binding.gyp's. `run(what, command, args)`. `cc`: for
 * another machine, its compiler; Node-API is the same everywhere, and so are its headers.
 */
export function compileNative(root, folder, flags, run, cc = 'cc') {
  const what = 'Building the native parts';
  const { target_defaults, targets } = JSON.parse(readFileSync(join(root, 'binding.gyp'), 'utf8'));
  mkdirSync(join(root, folder), { recursive: true });
  for (const target of targets) {
    const isProgram = target.type === 'executable';
    const output = join(
      root,
      folder,
      isProgram ? target.target_name : `${target.target_name}.node`,
    );
    const args = [
      ...target_defaults.cflags,
      ...flags,
      ...(target.defines ?? []).map((define) => `-D${define}`),
      ...(isProgram ? [] : ['-fPIC', '-shared', `-I${HEADERS}`]),
      `-DNODE_GYP_MODULE_NAME=${target.target_name}`,
      ...sourcesOf(root, target),
      ...target_defaults.ldflags,
      ...['-o', `${output}.new`, '-pthread'],
    ];
    run(`${what}: ${target.target_name}`, cc, args);
    renameSync(`${output}.new`, output);
  }
}

/** binding.gyp names them as `<!@(ls FOLDER/*.c)`. */
function sourcesOf(root, { sources }) {
  return sources.flatMap((source) => {
    const folder = /^<!@\(ls (\S+)\/\*\.c\)$/.exec(source)?.[1];
    if (!folder) return [source];
    const names = readdirSync(join(root, folder)).filter((name) => name.endsWith('.c'));
    return names.map((name) => join(folder, name));
  });
}
