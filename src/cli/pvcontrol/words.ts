/**
 * The words of pvcontrol, those of Pantavisor's script by that name, and what each asks of pv-ctrl. Pure.
 *
 * One table: a word that is in it can be said, is in the usage, and is asked for.
 */

/** One request of pv-ctrl. */
export interface Asked {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: string;
}

/** What is done for a word: requests, of which the first that fails is the last; or more than a request. */
export type Deed =
  | { readonly is: 'ask'; readonly requests: readonly Asked[] }
  /** `file`: a path, or `-SIZE` for that many bytes of standard input. */
  | { readonly is: 'put-object'; readonly file: string; readonly sha: string }
  | { readonly is: 'get-object'; readonly sha: string }
  /** `file`: a path, or `-` for standard input. */
  | { readonly is: 'put-step'; readonly file: string; readonly revision: string }
  /** `revision` absent: it is named after the archive. */
  | { readonly is: 'install-step'; readonly file: string; readonly revision?: string };

export interface Word {
  /** As they are typed; further ones mean the same. */
  readonly names: readonly string[];
  /** Of what follows, in order; those in brackets may be left out. */
  readonly takes: readonly string[];
  readonly help: string;
  readonly deed: (...args: string[]) => Deed;
}

export interface Subject {
  readonly names: readonly string[];
  /** Without names: the subject alone says what is wanted. */
  readonly words: readonly Word[];
}

const NAME = '<name>';

function ask(method: Asked['method'], path: string, body?: string): Deed {
  return { is: 'ask', requests: [{ method, path, ...(body === undefined ? {} : { body }) }] };
}

function word(
  names: string,
  takes: readonly string[],
  help: string,
  deed: (...args: string[]) => Deed,
): Word {
  return { names: names.split('|'), takes, help, deed };
}

function list(path: string, help: string): Word {
  return word('ls|list', [], help, () => ask('GET', path));
}

function actions(path: string, what: string): Word[] {
  return ['start', 'stop', 'restart'].map((action) =>
    word(action, [NAME], `${action}s ${what}`, (name) =>
      ask('PUT', part(path, name), JSON.stringify({ action })),
    ),
  );
}

/** Pantavisor's own daemons know no restart. */
function daemonActions(): Word[] {
  const put = (name: string, action: string): Asked => ({
    method: 'PUT',
    path: part('/daemons', name),
    body: JSON.stringify({ action }),
  });
  return [
    ...actions('/daemons', 'a daemon').filter(({ names }) => !names.includes('restart')),
    word('restart', [NAME], 'stops a daemon, then starts it', (name = '') => ({
      is: 'ask',
      requests: [put(name, 'stop'), put(name, 'start')],
    })),
  ];
}

function metadata(path: string, what: string): Word[] {
  return [
    list(path, `lists the ${what} metadata`),
    word('save|upload', ['<key>', '[value]'], 'makes or replaces a value', (key, value = '') =>
      ask('PUT', part(path, key), value),
    ),
    word('delete', ['<key>'], 'deletes a value', (key) => ask('DELETE', part(path, key))),
  ];
}

function command(name: string, op: string, takes: readonly string[], help: string): Word {
  return word(name, takes, help, (payload = '') =>
    ask('POST', '/commands', JSON.stringify({ op, payload })),
  );
}

function signal(type: string, help: string): Word {
  return word(type, [], help, () => ask('POST', '/signal', JSON.stringify({ type, payload: '' })));
}

/** `locals/x` stays two parts; nothing in them can be another request. */
function part(path: string, name = ''): string {
  return `${path}/${name.split('/').map(encodeURIComponent).join('/')}`;
}

const REVISION = '<locals/revision|revision>';

export const SUBJECTS: readonly Subject[] = [
  {
    names: ['ls', 'list'],
    words: [word('', [], 'lists the containers', () => ask('GET', '/containers'))],
  },
  {
    names: ['containers', 'container'],
    words: [
      list('/containers', 'lists the containers and their states'),
      ...actions('/containers', 'a container'),
    ],
  },
  { names: ['groups'], words: [list('/groups', 'lists the groups of containers')] },
  {
    names: ['signal'],
    words: [signal('ready', 'this container is ready'), signal('alive', 'this container is alive')],
  },
  {
    names: ['cmd', 'command', 'commands'],
    words: [
      command('run', 'LOCAL_RUN', [REVISION], 'runs a revision that was put'),
      command('run-commit', 'LOCAL_RUN_COMMIT', [REVISION], 'the same, and commits it'),
      command('reboot', 'REBOOT_DEVICE', ['[message]'], 'starts everything anew'),
      command('poweroff', 'POWEROFF_DEVICE', ['[message]'], 'ends everything'),
      command('run-gc', 'RUN_GC', [], 'removes what nobody needs any more'),
      command('xconnect-graph', 'XCONNECT_GRAPH', [], 'has pv-xconnect look at the graph'),
      command('make-factory', 'MAKE_FACTORY', ['[revision]'], 'of Pantavisor'),
      command('enable-ssh', 'ENABLE_SSH', [], 'of Pantavisor'),
      command('disable-ssh', 'DISABLE_SSH', [], 'of Pantavisor'),
      command('go-remote', 'GO_REMOTE', [], 'of Pantavisor'),
      command('unclaim', 'UNCLAIM', [], 'of Pantavisor'),
      command('defer-reboot', 'DEFER_REBOOT', ['<timeout>'], 'of Pantavisor'),
    ],
  },
  { names: ['devmeta'], words: metadata('/device-meta', 'device') },
  { names: ['usrmeta'], words: metadata('/user-meta', 'user') },
  {
    names: ['buildinfo'],
    words: [word('', [], 'says which version runs', () => ask('GET', '/buildinfo'))],
  },
  {
    names: ['objects'],
    words: [
      list('/objects', 'lists the objects'),
      word('put', ['<path|-size>', '<sha>'], 'puts an object', (file = '', sha = '') => ({
        is: 'put-object',
        file,
        sha,
      })),
      word('get', ['<sha>'], 'gets an object', (sha = '') => ({ is: 'get-object', sha })),
    ],
  },
  {
    names: ['steps'],
    words: [
      list('/steps', 'lists the revisions'),
      word('get', ['<revision|current>'], 'gets the state of a revision', (name) =>
        ask('GET', part('/steps', name)),
      ),
      word('show-progress', ['<revision|current>'], 'how far it has come', (name) =>
        ask('GET', `${part('/steps', name)}/progress`),
      ),
      word('put', ['<path>', '<locals/revision>'], 'puts a state', (file = '', revision = '') => ({
        is: 'put-step',
        file,
        revision,
      })),
      word('install', ['<path>', '[locals/revision]'], 'puts an export', (file = '', revision) => ({
        is: 'install-step',
        file,
        ...(revision === undefined ? {} : { revision }),
      })),
    ],
  },
  { names: ['config'], words: [list('/config', 'lists the settings by their short names')] },
  { names: ['conf', 'configuration'], words: [list('/config2', 'lists the settings')] },
  { names: ['graph'], words: [list('/xconnect-graph', 'lists the links')] },
  { names: ['daemons'], words: [list('/daemons', 'lists the daemons'), ...daemonActions()] },
  {
    names: ['storage'],
    words: [word('gc', [], 'removes what nobody needs any more', () => ask('POST', '/storage/gc'))],
  },
];

export type Understood =
  | { readonly ok: true; readonly deed: Deed }
  /** Help was asked for, or what was said is no word; `usage` is what is printed. */
  | { readonly ok: false; readonly exitCode: 0 | 1; readonly usage: string };

/** `argv`: from the first word on. */
export function understand(argv: readonly string[]): Understood {
  const [first, ...rest] = argv;
  if (first === '--help') return { ok: false, exitCode: 0, usage: usage(SUBJECTS) };
  const subject = SUBJECTS.find(({ names }) => first !== undefined && names.includes(first));
  if (!subject) return { ok: false, exitCode: 1, usage: usage(SUBJECTS) };
  const refused = (exitCode: 0 | 1): Understood => {
    return { ok: false, exitCode, usage: usage([subject]) };
  };
  if (rest[0] === '--help') return refused(0);
  const alone = subject.words.find(({ names }) => names[0] === '');
  const said = alone ?? subject.words.find(({ names }) => names.includes(rest[0] ?? ''));
  const args = alone ? rest : rest.slice(1);
  if (!said) return refused(1);
  const needed = said.takes.filter((one) => one.startsWith('<')).length;
  const isWhole = args.slice(0, needed).every((arg) => arg !== '') && args.length >= needed;
  if (!isWhole || args.length > said.takes.length) return refused(1);
  return { ok: true, deed: said.deed(...args) };
}

function usage(subjects: readonly Subject[]): string {
  const lines = subjects.flatMap(({ names, words }) =>
    words.map((one) => {
      const said = [names[0], one.names[0], ...one.takes].filter((text) => text !== '').join(' ');
      return `  pvcontrol ${said.padEnd(50)} ${one.help}`;
    }),
  );
  const options = [
    '  -s <path>     the socket of the runtime',
    '  -f <path>     writes the answer to a file',
    '  -m <message>  of "steps put" and "steps install"',
    '  -v            says what is asked and answered',
    '  -h            this text, of all words',
  ];
  return `Usage: pvcontrol [options] <what> [arguments]\n${lines.join('\n')}\nOptions:\n${options.join('\n')}\n`;
}
