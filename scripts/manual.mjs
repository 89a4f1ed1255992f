/**
 * Manual pages (man(7)) and completions of bash, zsh and fish, made from what each program answers to --help: so what the command line
 * knows is what they say.
 */
import { execFileSync } from 'node:child_process';

/** What `argv --help` says: the paragraphs, and under each heading its entries, `{term, text}`. */
function helpOf(argv) {
  const [program, ...args] = argv;
  const said = execFileSync(program, [...args, '--help'], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH }, // variables of ours would be shown as defaults
  });
  const help = { usage: '', paragraphs: [], sections: {} };
  let section = null;
  for (const line of said.split('\n')) {
    const [, term, text] = /^ {2}(\S.*?)(?: {2,}(\S.*))?$/.exec(line) ?? [];
    if (line.startsWith('Usage: ')) help.usage = line.slice('Usage: '.length);
    else if (/^[A-Z]\w+:$/.test(line)) help.sections[line.slice(0, -1)] = section = [];
    else if (term !== undefined) {
      section ??= help.sections.Uses = [];
      section.push({ term, text: text ?? '' });
    } else if (line.startsWith('   ') && section?.length > 0)
      section.at(-1).text += ` ${line.trim()}`;
    else if (line.trim() !== '') help.paragraphs.push(line.trim());
  }
  return help;
}

const escaped = (text) =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/, '\\&$1');

/** What is at the end of the page of each program that has it: `{term, text}`, as the sections of its help. */
const EXITS = [
  { term: '0', text: 'It is done, and nothing was found wrong.' },
  {
    term: '1',
    text: 'It failed, or what it was asked about is not well. The reason is on standard error.',
  },
  { term: '2', text: 'The command line is wrong.' },
];
const ENDINGS = {
  'pv-xconnect': {
    'EXIT STATUS': EXITS,
    EXAMPLES: [
      {
        term: 'pv-xconnect --docker /var/run/docker.sock',
        text: 'The daemon, for containers of Docker.',
      },
      {
        term: 'pv-xconnect check ./revision',
        text: 'What is wrong with the manifests of a revision.',
      },
      {
        term: 'pv-xconnect explain',
        text: 'Every link that is not well, with its reason and what to do.',
      },
      {
        term: 'pv-xconnect connections client --follow',
        text: 'Who is connected, and why connections end.',
      },
      {
        term: 'pv-xconnect diff running ./revision --exit-code',
        text: 'Whether a revision changes who may do what.',
      },
    ],
  },
  'pv-appengine': { 'EXIT STATUS': EXITS },
};

function entries(list) {
  return (list ?? []).flatMap(({ term, text }) => ['.TP', `.B ${escaped(term)}`, escaped(text)]);
}

/**
 * The page of a program, section 8, and its completions, by shell. `name`: as it is installed. `path`: where it is now.
 * `files`: `{path: text}`. `date`: of the page, ISO 8601.
 */
export function manualOf({ name, path, version, date, about, files = {} }) {
  const main = helpOf([path]);
  const commands = (main.sections.Commands ?? [])
    .map(({ term }) => term.split(' ')[0])
    .filter((command) => command !== 'help')
    .map((command) => ({ command, help: helpOf([path, command]) }));
  const page = [
    `.TH ${name.toUpperCase()} 8 ${date} "${name} ${version}" "System administration"`,
    ...['.SH NAME', `${name} \\- ${escaped(about)}`],
    ...['.SH SYNOPSIS', `.B ${escaped(main.usage)}`],
    ...['.SH DESCRIPTION', ...main.paragraphs.map(escaped)],
    ...entries(main.sections.Arguments ?? main.sections.Uses),
    ...['.SH OPTIONS', ...entries(main.sections.Options)],
    ...(commands.length > 0 ? ['.SH COMMANDS'] : []),
    ...commands.flatMap(({ help }) => [
      `.SS ${escaped(help.usage.replace(`${name} `, ''))}`,
      ...help.paragraphs.map(escaped),
      ...entries(help.sections.Options?.filter(({ term }) => !term.startsWith('-h'))),
    ]),
    ...Object.entries(ENDINGS[name] ?? {}).flatMap(([heading, list]) => [
      `.SH ${heading}`,
      ...entries(list),
    ]),
    '.SH FILES',
    ...Object.entries(files).flatMap(([file, text]) => [
      '.TP',
      `.I ${escaped(file)}`,
      escaped(text),
    ]),
    '',
  ].join('\n');
  return { page, completions: completionsOf(name, main, commands) };
}

const flagsOf = ({ sections }) =>
  (sections.Options ?? []).flatMap(({ term }) => term.match(/--[a-z-]+/g) ?? []).join(' ');

/** Whether names of containers and services stand behind a command: the program itself says which (src/cli/names.ts). */
const takesNames = ({ help }) => /[<[]consumer[\]>]/.test(help.usage);

/** What each shell offers: commands, options, files where no option is begun, and names that the daemon knows. */
function completionsOf(name, main, commands) {
  const uses = (main.sections.Uses ?? []).map(({ term }) => term.split(' ')[1]);
  const words = [...new Set([...commands.map(({ command }) => command), ...uses])].join(' ');
  const first = `${flagsOf(main)} ${words}`;
  const identifier = `_${name.replaceAll('-', '_')}`;
  const cases = commands.map((one) => {
    const named = takesNames(one) ? ' named=yes' : '';
    return `      ${one.command}) words='${flagsOf(one.help)}'${named} ;;`;
  });
  return {
    bash: bashOf({ name, first, identifier, cases }),
    zsh: zshOf({ name, first, cases }),
    fish: fishOf({ name, identifier, main, uses, commands }),
  };
}

/** The first word that is a command decides. */
const search = (cases, words) => `for word in ${words}; do
    case $word in
${cases.length > 0 ? cases.join('\n') : ''}
      *) continue ;;
    esac
    break
  done`;

const bashOf = ({ name, first, identifier, cases }) => `# Completion of ${name} for bash.
${identifier}() {
  local words word named='' current=\${COMP_WORDS[COMP_CWORD]}
  words='${first}'
  ${search(cases, `"\${COMP_WORDS[@]:1:COMP_CWORD-1}"`)}
  if [[ $named && $current != -* ]]; then
    words=$("\${COMP_WORDS[0]}" names "\${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F ${identifier} ${name}
`;

const zshOf = ({ name, first, cases }) => `#compdef ${name}
# Completion of ${name} for zsh.
local word named='' found
local -a before
before=("\${(@)words[2,CURRENT-1]}")
() {
  local words='${first}'
  ${search(cases, `"\${before[@]}"`)}
  found=$words
}
if [[ -n $named && $PREFIX != -* ]]; then
  found=$("$words[1]" names "\${before[@]}" 2>/dev/null)
fi
compadd -- \${=found}
[[ $PREFIX == -* ]] || _files
`;

const quoted = (text) => `'${text.replace(/[\\']/g, '\\$&')}'`;

function fishOf({ name, identifier, main, uses, commands }) {
  const options = (help, when) =>
    (help.sections.Options ?? []).flatMap(({ term, text }) => {
      const [, flag] = /--([a-z-]+)/.exec(term) ?? [];
      const value = /--[a-z-]+ [<[]/.test(term) ? ' -r' : '';
      return flag
        ? [`complete -c ${name} -n ${quoted(when)} -l ${flag}${value} -d ${quoted(text)}`]
        : [];
    });
  const seen = (...list) => `__fish_seen_subcommand_from ${list.join(' ')}`;
  const named = commands.filter(takesNames).map(({ command }) => command);
  const lines = [
    `# Completion of ${name} for fish.`,
    ...options(main, commands.length > 0 ? '__fish_use_subcommand' : 'true'),
    ...uses.map((word) => `complete -c ${name} -n __fish_use_subcommand -a ${word}`),
    ...commands.flatMap(({ command, help }) => [
      `complete -c ${name} -n __fish_use_subcommand -a ${command} -d ${quoted(help.paragraphs.join(' '))}`,
      ...options(help, seen(command)),
    ]),
  ];
  if (named.length > 0) {
    lines.push(
      `function _${identifier}_names`,
      '  set -l before (commandline -opc)',
      '  $before[1] names $before[2..-1] 2>/dev/null',
      'end',
      `complete -c ${name} -f -n ${quoted(seen(...named))} -a '(_${identifier}_names)'`,
    );
  }
  return `${lines.join('\n')}\n`;
}
