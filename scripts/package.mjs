/**
 * `npm run package [-- --arch amd64|arm64|armhf] [--version V] [--out FOLDER]`: a Debian package, a tarball for a root
 * file system, and the SBOM, in build/packages. For another architecture than this one's it takes Debian's cross
 * compiler; all that is not C is the same everywhere.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { manualOf } from './manual.mjs';
import { compileNative, NATIVE } from './native.mjs';
import { ROOT, setUp } from './setup.mjs';

/** By Debian's name: the prefix of its compiler and the rest of binutils. */
const TOOLS = {
  amd64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
  armhf: 'arm-linux-gnueabihf',
};
const HOST = { x64: 'amd64', arm64: 'arm64', arm: 'armhf' }[process.arch];
const HOME = 'usr/lib/pv-xconnect';
const ABOUT = {
  'pv-xconnect': 'service mesh between the containers of a device',
  'pv-appengine': 'runs the containers of a revision, with pv-xconnect between them',
  pvcontrol: 'asks the runtime of a device',
  pventer: 'runs a program in a container of a device',
};
const FILES = {
  'pv-xconnect': {
    '/etc/default/pv-xconnect': 'The options of the service, as variables.',
    '/etc/pv-xconnect/certificates': 'Certificates and keys that ingress may use.',
    '/run/pv-xconnect/control.sock': 'What the commands ask.',
    '/var/lib/pv-xconnect': 'The uids of roles on the hosted bus.',
  },
};

const described = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

function readArguments() {
  const options = {
    arch: { type: 'string' },
    version: { type: 'string' },
    out: { type: 'string' },
  };
  const { values } = parseArgs({ options });
  const { arch = HOST, version = described.version, out = join(ROOT, 'build/packages') } = values;
  if (Object.hasOwn(TOOLS, arch)) return { arch, version, out };
  process.stderr.write(`--arch is one of ${Object.keys(TOOLS).join(', ')}, not "${arch}".\n`);
  return process.exit(2);
}

function run(what, program, args) {
  try {
    return execFileSync(program, args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 26 });
  } catch (thrown) {
    process.stderr.write(
      `${thrown.stdout ?? ''}${thrown.stderr ?? ''}${what} failed: ${thrown.message}\n`,
    );
    return process.exit(1);
  }
}

function put(path, text, mode = 0o644) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
}

const packed = (text) => gzipSync(text, { level: 9 });

/** The programs and the addon, stripped. */
function putNative(to, arch) {
  const tool = (name) => (arch === HOST ? name : `${TOOLS[arch]}-${name}`);
  const from = arch === HOST ? 'build/Release' : `build/${arch}`;
  if (arch !== HOST) compileNative(ROOT, from, [], run, tool('gcc'));
  mkdirSync(to, { recursive: true });
  for (const name of NATIVE) {
    const path = join(to, name);
    run(`Stripping ${name}`, tool('strip'), ['-o', path, join(ROOT, from, name)]);
    chmodSync(path, name.endsWith('.node') ? 0o644 : 0o755);
  }
}

/** All of /usr/lib/pv-xconnect: what runs, and nothing that is only for building it. */
function putHome(home, { arch, version }) {
  const { name, type, license } = described;
  put(join(home, 'package.json'), `${JSON.stringify({ name, version, type, license })}\n`);
  putNative(join(home, 'build/Release'), arch);
  cpSync(join(ROOT, 'bin'), join(home, 'bin'), { recursive: true });
  for (const file of ['main.js', 'code-cache.js']) {
    put(join(home, 'dist', file), readFileSync(join(ROOT, 'dist', file)));
  }
  cpSync(join(ROOT, 'dist/bundle'), join(home, 'dist/bundle'), {
    recursive: true,
    filter: (path) => !path.endsWith('.cache'), // it belongs to the Node.js that made it
  });
  cpSync(join(ROOT, 'dist/web/page'), join(home, 'dist/web/page'), { recursive: true });
  cpSync(join(ROOT, 'src/runtime'), join(home, 'src/runtime'), {
    recursive: true,
    filter: (path) => statSync(path).isDirectory() || path.endsWith('.sh'),
  });
}

/** Whose code is in the bundles: scripts/bundle.mjs wrote that down. */
function bundled() {
  const folders = JSON.parse(readFileSync(join(ROOT, 'dist/bundled-packages.json'), 'utf8'));
  return folders.map((folder) => {
    const path = join(ROOT, folder);
    const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
    return { name: `${name} ${version}`, path, license };
  });
}

/** Licences of all that is shipped, in the form that Debian's machines read. */
function copyright() {
  const indented = (text) =>
    text
      .split('\n')
      .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`))
      .join('\n');
  const own = readFileSync(join(ROOT, 'LICENSE'), 'utf8').trim();
  const holder = /Copyright .*/.exec(own)?.[0] ?? 'its authors';
  const others = bundled().map(({ name, path, license }) => {
    if (license === 'Apache-2.0') {
      return `${name}, a part of ${HOME}/dist/bundle: see /usr/share/common-licenses/Apache-2.0`;
    }
    const file = readdirSync(path).find((one) => /^licen[cs]e/i.test(one));
    const text = file ? readFileSync(join(path, file), 'utf8').trim() : `${license}`;
    return `${name} (${license}), a part of ${HOME}/dist/bundle:\n\n${text}`;
  });
  const format = 'https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/';
  return `Format: ${format}
Upstream-Name: pv-xconnect
Comment: The bundles hold packages of others, with these licences:
${indented(others.join('\n\n'))}

Files: *
Copyright: ${holder.replace(/^Copyright (\(c\) )?/, '')}
License: Expat
${indented(own)}
`;
}

function putTree(root, { arch, version }) {
  putHome(join(root, HOME), { arch, version });
  const date = new Date((Number(process.env.SOURCE_DATE_EPOCH) || Date.now() / 1000) * 1000);
  for (const name of readdirSync(join(ROOT, 'bin'))) {
    mkdirSync(join(root, 'usr/bin'), { recursive: true });
    symlinkSync(`../lib/pv-xconnect/bin/${name}`, join(root, 'usr/bin', name));
    const { page, completions } = manualOf({
      ...{ name, path: join(ROOT, 'bin', name), version, about: ABOUT[name], files: FILES[name] },
      date: date.toISOString().slice(0, 10),
    });
    put(join(root, `usr/share/man/man8/${name}.8.gz`), packed(page));
    put(join(root, 'usr/share/bash-completion/completions', name), completions.bash);
    put(join(root, 'usr/share/zsh/vendor-completions', `_${name}`), completions.zsh);
    put(join(root, 'usr/share/fish/vendor_completions.d', `${name}.fish`), completions.fish);
  }
  const unit = 'pv-xconnect.service';
  put(join(root, 'lib/systemd/system', unit), readFileSync(join(ROOT, 'packaging/debian', unit)));
  put(join(root, 'etc/default/pv-xconnect'), readFileSync(join(ROOT, 'packaging/debian/default')));
  const documents = join(root, 'usr/share/doc/pv-xconnect');
  put(join(documents, 'copyright'), copyright());
  const changed = `pv-xconnect (${version}) unstable; urgency=medium

  * What changed is in CHANGELOG.md of the sources.

 -- The pv-xconnect authors <pv-xconnect@localhost>  ${date.toUTCString().replace('GMT', '+0000')}
`;
  put(join(documents, 'changelog.gz'), packed(changed));
}

function filesBelow(root, folder = root) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(root, path);
    return entry.isFile() ? [relative(root, path)] : [];
  });
}

/** The oldest C library that has what the programs ask for. */
function libcOf(root) {
  const wanted = NATIVE.map((name) => join(root, HOME, 'build/Release', name))
    .flatMap(
      (path) => run('readelf', 'readelf', ['--version-info', path]).match(/GLIBC_2\.\d+/g) ?? [],
    )
    .map((name) => Number(name.split('.')[1]));
  return `2.${Math.max(...wanted)}`;
}

/** Debian Policy, chapters 5 and 6. */
function putControl(root, { arch, version }) {
  const files = filesBelow(root);
  const sums = files.map((file) => {
    const digest = createHash('md5')
      .update(readFileSync(join(root, file)))
      .digest('hex');
    return `${digest}  ${file}\n`;
  });
  const size = files.reduce(
    (sum, file) => sum + Math.ceil(statSync(join(root, file)).size / 1024),
    0,
  );
  put(
    join(root, 'DEBIAN/control'),
    `Package: pv-xconnect
Version: ${version}
Architecture: ${arch}
Maintainer: The pv-xconnect authors <pv-xconnect@localhost>
Installed-Size: ${size}
Depends: libc6 (>= ${libcOf(root)}), nodejs (>= 20)
Recommends: dbus-daemon
Suggests: docker.io | podman, iproute2, nftables
Section: admin
Priority: optional
Description: service mesh between containers
 Containers provide services (a unix socket, a REST API, a D-Bus name, a device,
 a TCP port) and require them by name. pv-xconnect makes each of these links
 real, with an identity of the consumer that it can't forge: between containers
 of Docker or Podman by their labels, of Pantavisor, or of pv-appengine, which
 is a part of this package.
`,
  );
  put(join(root, 'DEBIAN/conffiles'), '/etc/default/pv-xconnect\n');
  put(join(root, 'DEBIAN/md5sums'), sums.join(''));
  for (const name of ['postinst', 'prerm', 'postrm']) {
    put(join(root, 'DEBIAN', name), readFileSync(join(ROOT, 'packaging/debian', name)), 0o755);
  }
}

/** Modes as they are everywhere, whatever the umask was. */
function plain(folder) {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) plain(path);
    else if (entry.isFile()) chmodSync(path, statSync(path).mode & 0o100 ? 0o755 : 0o644);
  }
}

const wanted = readArguments();
setUp();
const root = join(ROOT, `build/package-${wanted.arch}`);
rmSync(root, { recursive: true, force: true });
putTree(root, wanted);
plain(root);
mkdirSync(wanted.out, { recursive: true });
const name = join(wanted.out, `pv-xconnect_${wanted.version}_${wanted.arch}`);
const tar = ['--owner=0', '--group=0', '--sort=name', '-C', root];
run('tar', 'tar', [...tar, '-czf', `${name}.tar.gz`, ...readdirSync(root)]);
putControl(root, wanted);
plain(join(root, 'DEBIAN'));
run('dpkg-deb', 'dpkg-deb', ['--root-owner-group', '--build', root, `${name}.deb`]);
put(
  `${name}.sbom.json`,
  run('npm sbom', 'npm', [
    'sbom',
    '--package-lock-only',
    '--omit=dev',
    '--sbom-format=cyclonedx',
    '--sbom-type=application',
  ]),
);
rmSync(root, { recursive: true });
for (const kind of ['deb', 'tar.gz', 'sbom.json']) {
  const path = `${name}.${kind}`;
  process.stdout.write(`${path}: ${Math.ceil(statSync(path).size / 1024)} KiB\n`);
}
