/** Containers of an engine, for tests: in memory. */

import {
  assemble,
  type EngineContainer,
  type Ingress,
  LabelReader,
} from '../../../src/docker/revision.js';
import { buildGraph } from '../../../src/graph/builder.js';
import { BUILT_IN } from '../../../src/manifest/entries.js';

export type LabelTexts = Readonly<Record<string, string>>;

let made = 0;

/** One that runs, with a pid and an id of its own. */
export function container(
  name: string,
  labels: LabelTexts,
  more: Partial<EngineContainer> = {},
): EngineContainer {
  made++;
  return {
    name,
    id: made.toString(16).padStart(64, '0'),
    labels: new Map(Object.entries(labels)),
    imageLabels: new Map(),
    created: 1000 + made,
    pid: 100 + made,
    startedAt: 1_000_000 + made,
    isPaused: false,
    ...more,
  };
}

/** As Compose would call the container and label it. */
export function composed(
  project: string,
  service: string,
  labels: LabelTexts,
  more: Partial<EngineContainer> & { readonly number?: number } = {},
): EngineContainer {
  const { number = 1, ...rest } = more;
  const compose = {
    'com.docker.compose.project': project,
    'com.docker.compose.service': service,
    'com.docker.compose.container-number': String(number),
    'com.docker.compose.oneoff': 'False',
  };
  return container(`${project}-${service}-${number}`, { ...compose, ...labels }, rest);
}

/** The graph of these containers, as the source builds it, and all of its problems as lines. */
export function graphOf(
  containers: readonly EngineContainer[],
  ingress: Ingress = { rules: [], problems: [] },
) {
  const { revision, processes } = assemble(containers, ingress, new LabelReader(BUILT_IN));
  const { links, problems } = buildGraph(revision, processes.pids, {
    ...(processes.servers ? { servers: processes.servers } : {}),
  });
  const lines = [...revision.problems, ...problems].map(
    ({ severity, file, pointer, message }) =>
      `${severity} ${file}${pointer && `:${pointer}`}: ${message}`,
  );
  return { revision, processes, links, lines };
}
