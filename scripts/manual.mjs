/**
 * Manual pages (man(7)) and completions of bash, made from what each program answers to --help: so what the command line
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

function entries(list) {
  return (list ?? []).flatMap(({ term, text }) => ['.TP', `.B ${escaped(term)}`, escaped(text)]);
}

/**
 * The page of a program, section 8, and its completion. `name`: as it is installed. `path`: where it is now.
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
    '.SH FILES',
    ...Object.entries(files).flatMap(([file, text]) => [
      '.TP',
      `.I ${escaped(file)}`,
      escaped(text),
    ]),
    '',
  ].join('\n');
  return { page, completion: completionOf(name, main, commands) };
}

const flagsOf = ({ sections }) =>
  (sections.Options ?? []).flatMap(({ term }) => term.match(/--[a-z-]+/g) ?? []).join(' ');

function completionOf(name, main, commands) {
  const uses = (main.sections.Uses ?? []).map(({ term }) => term.split(' ')[1]);
  const words = [...new Set([...commands.map(({ command }) => command), ...uses])].join(' ');
  const cases = commands.map(({ command, help }) => `    ${command}) words='${flagsOf(help)}' ;;`);
  const identifier = `_${name.replaceAll('-', '_')}`;
  return `# Completion of ${name} for bash: commands, options, and files where no option is begun.
${identifier}() {
  local words word
  words='${flagsOf(main)} ${words}'
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
${cases.length > 0 ? cases.join('\n') : '    *) ;;'}
    esac
  done
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F ${identifier} ${name}
`;
}
