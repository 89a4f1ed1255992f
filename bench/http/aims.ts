/** What ours is meant to reach over HTTP, held against the tables. Pure. */
import type { Table } from '../report.js';

const REQUESTS = ['rest-1', 'rest-32', 'rest-256', 'http-1', 'http-32', 'http-256'];
const BODIES = ['rest-up', 'rest-down', 'http-up', 'http-down'];

const AIMS = [
  ...REQUESTS.flatMap((metric) => [
    { metric, subject: 'caddy', least: 2 },
    { metric, subject: 'nginx', least: 0.5 },
  ]),
  ...BODIES.map((metric) => ({ metric, subject: 'nginx', least: 1 })),
];

export function checkHttpAims(tables: readonly Table[]): string {
  const lines = AIMS.map(({ metric, subject, least }) => {
    const table = tables.find((one) => one.metric.key === metric);
    const value = table?.rows.find((row) => row.subject === subject)?.ours ?? null;
    const verdict = value === null ? 'not measured' : value >= least ? 'met' : 'MISSED';
    const found = value === null ? '' : `: ${value.toFixed(2)}`;
    return `  ${verdict.padEnd(12)}  ${metric}: at least ${least} x ${subject}${found}`;
  });
  return ['Aims', ...lines].join('\n');
}
