/**
 * `npm start`: sets up, then runs examples/unix under pv-appengine and shows what happens in a few plain lines.
 * Ctrl-C ends it, and nothing is left behind. With `--once` it ends after one round: 0 if a greeting came across.
 */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guardOutput, ROOT, setUp } from './setup.mjs';

const ROUND_MS = 20_000;
const GREETING = 'the server says';
const USAGE = `npm start [-- --once]

Runs examples/unix on two real containers and shows what happens. Ctrl-C ends it.

  --once   ends after one round: 0 if a greeting came across
  --help   this text
`;
const options = process.argv.slice(2);
const once = options.includes('--once');

let interrupt = () => undefined;
guardOutput(() => interrupt());

/** Prints the usage where that is asked for or an option is unknown, and returns the exit code; otherwise undefined. */
function answered() {
  for (const option of options.filter((one) => one !== '--once')) {
    if (option === '--help' || option === '-h') {
      process.stdout.write(USAGE);
      return 0;
    }
    process.stderr.write(`npm start: unknown option ${JSON.stringify(option)}.\n\n${USAGE}`);
    return 2;
  }
  return undefined;
}

const say = (line) => process.stdout.write(`${line}\n`);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A function that reads what was appended to the file since its last call: nothing while there is no file. */
function tail(path) {
  let position = 0;
  return () => {
    try {
      const file = openSync(path, 'r');
      const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - position));
      position += readSync(file, bytes, 0, bytes.length, position);
      closeSync(file);
      return bytes.toString();
    } catch {
      return '';
    }
  };
}

function showGraph(control) {
  const argv = ['graph', '--control', control];
  const { stdout, stderr } = spawnSync(join(ROOT, 'bin/pv-xconnect'), argv, { encoding: 'utf8' });
  say(`\n${`${stdout}${stderr}`.trimEnd()}\n`);
}

function whereToLook(folder, control) {
  say('Where to look next, while this runs:');
  say(`  bin/pv-xconnect graph --watch --control ${control}`);
  say(`  curl --unix-socket ${folder}/pv-ctrl http://localhost/xconnect-graph`);
  say(`  ${folder}/logs/0/*/*/*.log`);
  say('  examples/unix/README.md\n');
}

async function main() {
  setUp();
  const folder = mkdtempSync(join(tmpdir(), 'pvx-start-'));
  const control = join(folder, 'control.sock');
  const paths = ['--storage', folder, '--pv-ctrl', join(folder, 'pv-ctrl'), '--control', control];
  const argv = [join(ROOT, 'bin/pv-appengine'), join(ROOT, 'examples/unix'), ...paths];
  const command = ['--pdeathsig', 'TERM', process.execPath, ...argv]; // so that it also ends if this is killed
  const ending = once ? 'It ends by itself after one round.' : 'Ctrl-C ends it.';
  say(`Two containers start: server-app provides a socket, client-app requires it. ${ending}\n`);
  // In a session of its own: Ctrl-C reaches this process alone, which passes it on once.
  const engine = spawn('setpriv', command, {
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  let ended = false;
  const exited = new Promise((resolve) => {
    engine.once('exit', resolve);
    engine.once('error', () => {
      say('setpriv was not found: install util-linux.');
      resolve(1);
    });
  }).finally(() => {
    ended = true;
  });
  let interrupted = false;
  interrupt = () => {
    interrupted = true;
    engine.kill('SIGTERM');
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interrupt());

  const words = tail(join(folder, 'logs/0/client-app/lxc/console.log'));
  const deadline = Date.now() + ROUND_MS;
  let heard = '';
  while (!ended && !interrupted && !heard.includes(GREETING) && Date.now() < deadline) {
    await sleep(50);
    heard += words();
  }
  const crossed = heard.includes(GREETING);
  if (crossed) {
    say(`\nclient-app wrote:\n  ${heard.trimEnd().replaceAll('\n', '\n  ')}`);
    showGraph(control);
    if (!once) whereToLook(folder, control);
  } else if (!interrupted) {
    const log = tail(join(folder, 'logs/0/pv-xconnect/pv-xconnect.log'))();
    const end = log.trimEnd().split('\n').slice(-5).join('\n');
    say(`\nNo greeting came across. The end of pv-xconnect.log:\n${end}`);
  }
  while (crossed && !once && !ended && !interrupted) {
    process.stdout.write(words());
    await Promise.race([sleep(500), exited]);
  }
  engine.kill('SIGTERM');
  const code = await exited;
  rmSync(folder, { recursive: true, force: true });
  const isDone = once ? crossed : crossed || interrupted;
  return isDone && code === 0 ? 0 : 1;
}

process.exitCode = answered() ?? (await main());
