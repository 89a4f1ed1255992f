/** What ours is meant to reach over HTTP. */
import { type Aim, oursAtLeast } from '../aims.js';

const REQUESTS = ['rest-1', 'rest-32', 'rest-256', 'http-1', 'http-32', 'http-256'];
const BODIES = ['rest-up', 'rest-down', 'http-up', 'http-down'];

export const HTTP_AIMS: readonly Aim[] = [
  ...REQUESTS.flatMap((metric) => [
    { metric, subject: 'caddy', least: 2 },
    { metric, subject: 'nginx', least: 0.5 },
  ]),
  ...BODIES.map((metric) => ({ metric, subject: 'nginx', least: 1 })),
].map(({ metric, subject, least }) =>
  oursAtLeast(least, `${metric}: at least ${least} x ${subject}`, metric, subject),
);
