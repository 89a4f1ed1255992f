/** Completions in bash, zsh and fish themselves, beside a daemon that answers, and the manual page of each program. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { program } from '../../src/command-line.js';
import { PACKAGE_ROOT } from '../../src/relay/native.js';
import { runApart } from '../support/apart.js';
import { wireLink } from '../support/link.js';
import { has, ORDINARY_USER } from '../support/requirements.js';

const LINKS = [
  wireLink({ consumer: 'kiosk', name: 'raw' }),
  wireLink({ consumer: 'kiosk', name: 'bus', target: '/run/b' }),
  wireLink({ consumer: 'panel', name: 'api' }),
  wireLink({ consumer: 'odd; $(touch x)', name: 'api', target: '/run/c' }),
];

/** Types into zsh at a terminal, and prints what it shows until that is there, without bells. */
const AT_TERMINAL = `
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(TERM='dumb', PS1='> ')
    os.execvp('zsh', ['zsh', '-f', '-i'])
def until(word, seconds=20):
    said, end = '', time.time() + seconds
    while word not in said and time.time() < end:
        if select.select([fd], [], [], .1)[0]:
            said += os.read(fd, 65536).decode(errors='replace').replace('\\a', '')
    return said
folder, typed, wanted = sys.argv[1:]
os.write(fd, f"fpath=({folder} $fpath); autoload -U compinit; compinit -u -d {folder}/dump; echo re''ady\\n".encode())
until('ready')
os.write(fd, typed.encode() + b'\\t')
print(until(wanted))
os.write(fd, b'\\x03exit\\n')
os.close(fd)
`;

describe('completion', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pvx-completion-'));
  const control = join(folder, 'control.sock');
  const server = http.createServer((_, response) => response.end(JSON.stringify(LINKS)));
  const path = join(PACKAGE_ROOT, 'bin/pv-xconnect');
  const env = { ...process.env, PATH: `${PACKAGE_ROOT}/bin:${process.env.PATH}` };

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(control, resolve));
    const { manualOf } = await import(`${PACKAGE_ROOT}/scripts/manual.mjs`);
    const { completions } = manualOf({
      ...{ name: 'pv-xconnect', path, version: '1', date: '2026-01-01', about: 'x' },
    });
    writeFileSync(join(folder, 'bash'), completions.bash);
    writeFileSync(join(folder, '_pv-xconnect'), completions.zsh);
    writeFileSync(join(folder, 'fish'), completions.fish);
  });
  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  const run = (...argv: string[]) => runApart(argv, { env, cwd: folder });
  const shells: Record<string, (line: string, wanted: string) => Promise<string[]>> = {
    bash: async (line) => {
      const script = `. ${folder}/bash; COMP_WORDS=(${line.replace(/ $/, " ''")})
        COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _pv_xconnect; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return (await run('bash', '-c', script)).split('\n');
    },
    fish: async (line) => {
      const out = await run('fish', '-c', `source ${folder}/fish; complete -C '${line}'`);
      return out.split('\n').map((one) => one.split('\t')[0] as string);
    },
    zsh: async (line, wanted) => {
      const said = await run('python3', '-c', AT_TERMINAL, folder, line, wanted);
      return said.split(/\s+/);
    },
  };
  const where = `--control ${control}`;

  describe.each(Object.keys(shells))('of %s', (shell) => {
    const offered = (line: string, wanted: string) =>
      (shells[shell] as (typeof shells)[string])(`pv-xconnect ${line}`, wanted);

    test.runIf(has(shell))(
      'has commands, options, containers, and the services of one',
      async () => {
        expect(await offered('exp', 'explain')).toContain('explain');
        expect(await offered('graph --wa', '--watch')).toContain('--watch');
        const consumers = await offered(`explain ${where} `, 'panel');
        expect(consumers).toEqual(expect.arrayContaining(['kiosk', 'panel']));
        expect(consumers.join(' ')).not.toContain('touch');
        const services = await offered(`explain ${where} kiosk `, 'raw');
        expect(services).toEqual(expect.arrayContaining(['bus', 'raw']));
        expect(services).not.toContain('api');
      },
    );
  });

  test.runIf(has('man'))(
    'goes with a page that man takes without a warning, and a help of a screen',
    async () => {
      const { manualOf } = await import(`${PACKAGE_ROOT}/scripts/manual.mjs`);
      for (const name of readdirSync(join(PACKAGE_ROOT, 'bin'))) {
        const path = join(PACKAGE_ROOT, 'bin', name);
        const { page } = manualOf({ name, path, version: '1', date: '2026-01-01', about: 'x' });
        writeFileSync(join(folder, 'page.8'), page);
        const argv = ['--warnings', '-l', join(folder, 'page.8')];
        const { stdout, stderr, status } = spawnSync('man', argv, { env, encoding: 'utf8' });
        expect([name, status, stderr]).toEqual([name, 0, '']);
        if (name === 'pv-xconnect') expect(stdout).toMatch(/^EXIT STATUS$.*^EXAMPLES$/ms);
      }
      for (const name of program(() => undefined).commands.map((one) => one.name())) {
        const help = await run(path, name, '--help');
        expect([name, help.split('\n').length < 24]).toEqual([name, true]);
      }
    },
  );

  test('says nothing where no daemon answers, or another one does', async () => {
    for (const words of [
      ['explain', '--control', '/nowhere'],
      ['explain', '--control', control, 'kiosk', 'raw'],
      ['graph', '--control', control],
      ['explain', '--control'],
      ['--sing'],
      [],
    ]) {
      expect(await run(path, 'names', ...words)).toBe('');
    }
  });
});

test.runIf(process.geteuid?.() === 0)("a user's commands find that user's own daemon", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pvx-own-'));
  spawnSync('chown', ['1000', folder]);
  const server = http.createServer((_, response) => response.end(JSON.stringify(LINKS)));
  try {
    spawnSync('setpriv', [...ORDINARY_USER, 'mkdir', join(folder, 'pv-appengine')]);
    const control = join(folder, 'pv-appengine/control.sock');
    await new Promise<void>((resolve) =>
      server.listen({ path: control, writableAll: true }, resolve),
    );
    const env = { ...process.env, XDG_RUNTIME_DIR: folder, PV_XCONNECT_CONTROL: undefined };
    const argv = ['setpriv', ...ORDINARY_USER, `${PACKAGE_ROOT}/bin/pv-xconnect`, 'graph'];
    expect(await runApart(argv, { env })).toContain('kiosk');
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
});
