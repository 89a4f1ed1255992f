/** What the pages repeat of the code is the same there: tables, options, variables, metrics, codes, members. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EventEmitter } from 'eventemitter3';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { program } from '../../../src/command-line.js';
import { REMEDIES } from '../../../src/kernel/errors.js';
import { PROBLEM_REMEDIES } from '../../../src/manifest/problem.js';
import { CLOSES } from '../../../src/relay/protocol.js';
import { Metrics } from '../../../src/status/metrics.js';
import { StatusStore } from '../../../src/status/store.js';
import { filesBelow, PAGES, proseOf, quotedIn, ROOT, rowsBelow, textOf } from './pages.js';

const command = program(() => undefined);
const daemonOptions = command.options;
const subcommandOptions = (name: string): string[] =>
  command.commands
    .filter((one) => one.name() === name)
    .flatMap((one) => one.options.map(({ long }) => long ?? ''));
/** Options that a program declares itself, read from its source: importing it would run it. */
const declaredIn = (path: string): string[] =>
  [...textOf(path).matchAll(/option\('(--[a-z-]+)|Option\('(--[a-z-]+)/g)].map(
    ([, one, other]) => (one ?? other) as string,
  );
const engineOptions = declaredIn('src/runtime/main.ts');

/** The members of an interface or class, as its source has them. */
function membersOf(path: string, name: string): string[] {
  const file = ts.createSourceFile(path, textOf(path), ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  ts.forEachChild(file, (node) => {
    if (!(ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node))) return;
    if (node.name?.text !== name) return;
    const parents = (node.heritageClauses ?? []).flatMap(({ types }) => types);
    found.push(...parents.flatMap((parent) => membersOf(path, parent.getText())));
    for (const member of node.members) {
      if (member.name && ts.isIdentifier(member.name)) found.push(member.name.text);
    }
  });
  return found;
}

describe('options', () => {
  test('that a page names are options of something', () => {
    const known = [
      ...daemonOptions.map(({ long }) => long),
      ...command.commands.flatMap(({ options }) => options.map(({ long }) => long)),
      ...engineOptions,
      ...filesBelow('bench', /\.ts$/).flatMap(declaredIn),
      ...['--help', '--version'],
      ...['--filter', '--device-cgroup-rule', '--rootfs', '--project-name'], // of xdg-dbus-proxy, of docker and podman
    ];
    const wrong = PAGES.flatMap((page) =>
      quotedIn(proseOf(page))
        .flatMap((text) => /^--[a-z][a-z-]*/.exec(text)?.[0] ?? [])
        .filter((name) => !known.includes(name))
        .map((name) => `${page}: ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  test('of the daemon are on some page, each', () => {
    const all = PAGES.map(proseOf).join('');
    const missing = daemonOptions.filter(({ long }) => !all.includes(`${long}`));
    expect(missing.map(({ long }) => long).filter((long) => long !== '--version')).toEqual([]);
  });

  test('of `graph` are in the table of docs/control-socket.md', () => {
    const rows = rowsBelow('docs/control-socket.md', '| option | does |');
    const shown = rows.flatMap(([cell = '']) => [...cell.matchAll(/--[a-z-]+/g)].map(String));
    expect(shown.sort()).toEqual(
      subcommandOptions('graph')
        .filter((name) => name !== '--control')
        .sort(),
    );
  });

  test('of pv-appengine are in the table of docs/appengine.md, with their defaults for root', () => {
    const header = textOf('docs/appengine.md').match(/^\| option .*$/m)?.[0] ?? '';
    const rows = rowsBelow('docs/appengine.md', header);
    const shown = rows.map(([cell = '']) => /--[a-z-]+/.exec(cell)?.[0]);
    expect(shown.sort()).toEqual([...new Set(engineOptions)].sort());
    const source = textOf('src/runtime/main.ts');
    for (const [option = '', value = ''] of rows) {
      const path = /`(\/[^`]+)`/.exec(value)?.[1];
      if (path !== undefined) expect(source, option).toContain(`'${path}'`);
    }
  });

  test('have the defaults and the variables that the pages say', () => {
    const defaultOf = (long: string) =>
      daemonOptions.find((option) => option.long === long)?.defaultValue;
    const socket = textOf('docs/control-socket.md');
    expect(socket).toContain(`\`${defaultOf('--control')}\` (\`--control PATH\``);
    expect(socket.replace(/\s+/g, ' ')).toContain(
      `\`${defaultOf('--pv-ctrl')}\` (\`--pv-ctrl PATH\`)`,
    );
    expect(textOf('docs/ingress.md')).toContain(
      `\`--certificates\`, \`${defaultOf('--certificates')}\` by default`,
    );
    expect(textOf('docs/hosted-bus.md')).toContain(`\`--storage\`, \`${defaultOf('--storage')}\``);
    expect(textOf('docs/tcp.md')).toContain(
      `\`--drain\`, ${Number(defaultOf('--drain')) / 1000} s`,
    );
    expect(textOf('docs/rest.md')).toContain(
      `${Number(defaultOf('--patience')) / 1000} s by default (\`--patience\`)`,
    );
    expect(textOf('docs/security.md')).toContain(
      `A link may hold ${Number(defaultOf('--link-memory')) / 2 ** 20} MiB (\`--link-memory <MiB>\``,
    );
    const variables = daemonOptions.map(({ envVar }) => envVar);
    variables.push('PV_XCONNECT_UPGRADE_DRAIN', 'PV_XCONNECT_NODE'); // the supervisor reads these alone
    const named = PAGES.flatMap((page) => textOf(page).match(/PV_XCONNECT_[A-Z_]*[A-Z]/g) ?? []);
    expect(named.filter((name) => !variables.includes(name))).toEqual([]);
  });
});

describe('docs/control-socket.md', () => {
  const page = 'docs/control-socket.md';
  const rows = rowsBelow(page, '| metric | type | labels |');

  test('has every metric, with its type and its labels', async () => {
    const metrics = new Metrics({
      store: new StatusStore(new EventEmitter()),
      stats: () => null,
      health: { failing: false, counts: new Map() } as never,
      timed: true,
    });
    const { text } = await metrics.render(undefined);
    const types = [...text.matchAll(/^# TYPE (pv_xconnect_\w+) (\w+)$/gm)];
    expect(rows.map(([name, type = '']) => [name, type.split(',')[0]])).toEqual(
      types.map(([, name, type]) => [`\`${name}\``, type]),
    );
    const source = textOf('src/status/metrics.ts');
    const registered = [
      ...source.matchAll(
        /(?:#gauge|#counter|new Histogram)\(\s*'(\w+)',\s*'[^']*',\s*(LINK|\[[^\]]*\])/g,
      ),
    ];
    expect(registered).toHaveLength(rows.length);
    const labels = registered.map(([, , list = '']) => [
      ...(list.includes('LINK') ? ['the link'] : []),
      ...[...list.matchAll(/'(\w+)'/g)].map(([, label]) => label),
    ]);
    const shown = rows.map(([, , cell = '']) => [
      ...(/^the same|^`consumer` `service` `target`/.test(cell) ? ['the link'] : []),
      ...['state', 'direction', 'reason', 'rule', 'verdict', 'code', 'version'].filter((label) =>
        new RegExp(`\`${label}\``).test(cell),
      ),
    ]);
    expect(shown.map((one) => one.sort())).toEqual(labels.map((one) => one.sort()));
  });

  test('has every reason that the relay counts a close by', () => {
    const cell = rows.find(([name]) => name === '`pv_xconnect_closes_total`')?.[2] ?? '';
    expect(CLOSES.filter((reason) => !quotedIn(cell).includes(reason))).toEqual([]);
  });

  test('has every path that is served', () => {
    const source = textOf('src/status/server.ts');
    const read = [...source.matchAll(/\['(\/[a-z/-]+)',/g)].map(([, path]) => path);
    const asked = [...source.matchAll(/^const [A-Z]+ = '(\/.*)';/gm)];
    const served = [...read, ...asked.map(([, path]) => `POST ${path}`)];
    const shown = rowsBelow(page, '| path | answer |').map(([cell = '']) => quotedIn(cell)[0]);
    expect(shown.filter(Boolean).sort()).toEqual(served.sort());
  });
});

describe('codes', () => {
  test('that a page gives as the code of a link or a problem are some', () => {
    const known = [...Object.keys(REMEDIES), ...Object.keys(PROBLEM_REMEDIES)];
    const text = PAGES.map(proseOf).join('\n');
    const given = [
      ...text.matchAll(/`failed`[^.|]{0,60}?\(?`([a-z]+(?:-[a-z]+)+)`/g),
      ...text.matchAll(/\(`([a-z]+(?:-[a-z]+)+)`[,);]/g),
      ...text.matchAll(/code `([a-z]+(?:-[a-z]+)+)`/g),
    ].map(([, code = '']) => code);
    const others = ['link-full']; // of a line in the log
    expect(given.length).toBeGreaterThan(15);
    expect(given.filter((code) => ![...known, ...others].includes(code))).toEqual([]);
  });
});

describe('docs/plugins.md', () => {
  const namesIn = (header: string, pattern: RegExp) =>
    rowsBelow('docs/plugins.md', header).flatMap(([cell = '']) =>
      quotedIn(cell).flatMap((text) => pattern.exec(text)?.[0] ?? []),
    );

  test('has everything that a plugin can ask of its host', () => {
    expect(namesIn('| `host.` | does |', /^\w+/).sort()).toEqual(
      membersOf('src/plugins/plugin.ts', 'LinkHost').sort(),
    );
  });

  test('names members of a channel', () => {
    const members = membersOf('src/relay/channel.ts', 'Channel');
    const shown = namesIn('| `channel.` | |', /^\w+/);
    expect(shown.length).toBeGreaterThan(5);
    expect(shown.filter((name) => !members.includes(name))).toEqual([]);
  });

  test('shows the contract as it is', () => {
    for (const name of ['Plugin', 'Attachment']) {
      const shown = new RegExp(`interface ${name} \\{([^}]*)\\}`).exec(
        textOf('docs/plugins.md'),
      )?.[1];
      const members = membersOf('src/plugins/plugin.ts', name);
      expect(
        [...(shown ?? '').matchAll(/^ {2}(?:readonly )?(\w+)\??[(:]/gm)].map(([, one]) => one),
      ).toEqual(members);
    }
  });
});

describe('README.md', () => {
  test('has every command', () => {
    const text = textOf('README.md');
    const names = command.commands.map((one) => one.name());
    expect(names.filter((name) => !text.includes(`bin/pv-xconnect ${name}`))).toEqual([]);
    const scripts = JSON.parse(textOf('package.json')).scripts as Record<string, string>;
    const named = [...text.matchAll(/`npm (?:run )?([a-z:]+)/g)].map(([, name = '']) => name);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  test('has every example', () => {
    const text = PAGES.map(textOf).join('');
    const examples = readdirSync(join(ROOT, 'examples'));
    expect(examples.filter((name) => !text.includes(`examples/${name}`))).toEqual([]);
  });
});
