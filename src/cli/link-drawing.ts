/**
 * The graph as text for Graphviz (dot(1)) and for Mermaid: a node a container, an edge a link, from consumer to
 * provider. Nodes have made-up identifiers, and names are in quoted labels only, so no name can become syntax.
 */
import { printable } from '../manifest/text.js';
import type { LinkRow } from './link-row.js';

const COLOURS: Readonly<Record<string, string>> = {
  established: '#2e7d32',
  waiting: '#b26a00',
  failed: '#c62828',
  draining: '#757575',
};
const PLAIN = '#333333';

export function toDot(rows: readonly LinkRow[]): string {
  const nodes = nodesOf(rows);
  const lines = [
    ...[...nodes].map(([name, id]) => `  ${id} [label=${dotText(name)}];`),
    ...rows.map((row) => {
      const style = row.state === 'established' || row.state === '' ? 'solid' : 'dashed';
      const from = nodes.get(row.consumer);
      const to = nodes.get(row.provider);
      return `  ${from} -> ${to} [label=${dotText(labelOf(row))}, color="${colourOf(row)}", style=${style}];`;
    }),
  ];
  return `digraph mesh {\n  rankdir=LR;\n  node [shape=box];\n${lines.map((line) => `${line}\n`).join('')}}\n`;
}

export function toMermaid(rows: readonly LinkRow[]): string {
  const nodes = nodesOf(rows);
  const lines = [
    ...[...nodes].map(([name, id]) => `  ${id}["${mermaidText(name)}"]`),
    ...rows.map((row) => {
      const from = nodes.get(row.consumer);
      return `  ${from} -->|"${mermaidText(labelOf(row))}"| ${nodes.get(row.provider)}`;
    }),
    ...rows.map((row, index) => `  linkStyle ${index} stroke:${colourOf(row)}`),
  ];
  return `flowchart LR\n${lines.map((line) => `${line}\n`).join('')}`;
}

/** Identifiers by name, in order of appearance. */
function nodesOf(rows: readonly LinkRow[]): Map<string, string> {
  const names = new Set(rows.flatMap(({ consumer, provider }) => [consumer, provider]));
  return new Map([...names].map((name, index) => [name, `n${index}`]));
}

function labelOf({ service, type, target }: LinkRow): string {
  return `${service} (${type}) ${target}`;
}

function colourOf({ state }: LinkRow): string {
  return (Object.hasOwn(COLOURS, state) && COLOURS[state]) || PLAIN;
}

/** A quoted string of the DOT language: escString has backslash sequences, and labels HTML entities. */
function dotText(text: string): string {
  const escaped = printable(text).replace(/[\\"]/g, '\\$&').replaceAll('&', '&amp;');
  return `"${escaped}"`;
}

/** Mermaid has no escapes within quotes but its entity codes, `#34;`; what isn't plainly text becomes one. */
function mermaidText(text: string): string {
  return printable(text).replace(
    /[^\p{L}\p{M}\p{N} _./:()-]/gu,
    (character) => `#${character.codePointAt(0)};`,
  );
}
