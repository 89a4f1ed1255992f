/** Random graphs, failures, hangs and deaths: in the end what is attached is what is desired. */
import { expect, vi } from 'vitest';
import type { Link } from '../../../src/graph/link.js';
import { Mesh } from '../../../src/mesh/mesh.js';
import { unixLink } from '../../support/link.js';
import { fc, property } from '../../support/property.js';
import { ModelAttacher } from './model-attacher.js';

const TARGETS = ['/a', '/b', '/c'];
const PIDS = [100, 101];

const link = fc.record({
  target: fc.constantFrom(...TARGETS),
  consumerPid: fc.constantFrom(0, ...PIDS),
  providerPid: fc.constantFrom(0, 200, 201),
  role: fc.constantFrom('any', 'operator'),
  socket: fc.constantFrom('/s', '/t'),
});

const event = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('graph'), links: fc.array(link) }) },
  fc.record({ do: fc.constant('die'), pid: fc.constantFrom(...PIDS), again: fc.boolean() }),
  fc.record({ do: fc.constant('fail'), target: fc.constantFrom(...TARGETS) }),
  fc.record({ do: fc.constant('mend') }),
  fc.record({ do: fc.constant('hang'), target: fc.constantFrom(...TARGETS) }),
  fc.record({ do: fc.constant('busy'), busy: fc.boolean() }),
  fc.record({ do: fc.constant('time'), ms: fc.constantFrom(0, 1, 150, 6_000, 11_000) }),
);
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

function apply(happening: Event, attacher: ModelAttacher): void {
  if ('pid' in happening) attacher.die(happening.pid, happening.again);
  else if (happening.do === 'fail' && 'target' in happening) {
    const failure = { code: 'target-occupied', message: 'No.' } as const;
    attacher.failures.set(`consumer${happening.target}`, failure);
  } else if (happening.do === 'hang' && 'target' in happening) {
    attacher.hanging.add(`consumer${happening.target}`);
  } else if ('busy' in happening) attacher.busy = happening.busy;
  else if (happening.do === 'mend') attacher.failures.clear();
}

/** The first of each identity, whose consumer runs. */
function expected(links: readonly Link[]): Map<string, Link> {
  const first = new Map<string, Link>();
  for (const one of links) if (!first.has(one.target)) first.set(one.target, one);
  return new Map([...first].filter(([, { consumerPid }]) => consumerPid > 0));
}

property(
  'whatever happens, in the end the attached links are the desired ones, each once',
  async (holds) => {
    vi.useFakeTimers();
    await holds(
      fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (happenings) => {
        const attacher = new ModelAttacher();
        for (const pid of PIDS) attacher.generations.set(pid, pid);
        const mesh = new Mesh(attacher, { drainMs: 5_000 });
        let desired: Link[] = [];
        let stamp = 0;
        for (const happening of happenings) {
          if ('links' in happening) {
            desired = happening.links.map((fields) => unixLink(fields));
            mesh.reconcile({ links: desired, stamp: ++stamp });
          } else apply(happening, attacher);
          await vi.advanceTimersByTimeAsync('ms' in happening ? happening.ms : 0);
        }
        // Everything is well again.
        attacher.failures.clear();
        for (const pid of PIDS) {
          if (!attacher.generations.has(pid)) attacher.generations.set(pid, pid + 5_000);
        }
        for (const where of [...attacher.hanging]) attacher.release(where);
        await vi.advanceTimersByTimeAsync(90_000);

        const want = expected(desired);
        const have = new Map([...attacher.planted.values()].map((it) => [it.link.target, it]));
        expect([...have.keys()].sort()).toEqual([...want.keys()].sort());
        for (const [target, { role, socket, consumerPid, providerPid }] of want) {
          const now = have.get(target);
          expect(now?.link).toMatchObject({ role, socket, consumerPid });
          expect((now?.retargeted.at(-1) ?? now?.link)?.providerPid).toBe(providerPid);
          expect(now?.consumerGeneration).toBe(attacher.generation(consumerPid));
        }
        expect(attacher.complaints).toEqual([]);
        await Promise.all([mesh.close(), vi.advanceTimersByTimeAsync(10_000)]);
        expect(mesh.size).toBe(0);
        expect(attacher.planted.size).toBe(0);
      }),
      { runs: 300 },
    );
    vi.useRealTimers();
  },
);
