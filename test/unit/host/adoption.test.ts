/** What a daemon takes over of what an earlier one left standing, and what it ends. */
import { describe, expect, it, vi } from 'vitest';
import type { Link } from '../../../src/graph/link.js';
import {
  Adoption,
  decodeNote,
  encodeNote,
  noteOf,
  type Stood,
  sharedNoteOf,
} from '../../../src/host/adoption.js';
import { Container } from '../../../src/host/containers.js';
import { createLogger } from '../../../src/kernel/log.js';
import { ok } from '../../../src/kernel/result.js';
import type { StandingLink } from '../../../src/relay/relay.js';
import type { RelayLink } from '../../../src/relay/relay-link.js';
import { unixLink } from '../../support/link.js';

const DRAIN_MS = 5_000;
/** A plant whose removal has no answer. */
const HANGS = 13;
const OPTIONS = { type: 'stream', fds: true };
const CONSUMER = new Container('app', 11, 3, 1);

function standing(number: number, note: Buffer, errno = 0): StandingLink {
  return { number, listens: true, drains: false, errno, note };
}

function ofLink(number: number, link: Link, stood?: Stood, part = 'forward'): StandingLink {
  const note = noteOf(link, CONSUMER, part, OPTIONS);
  return standing(number, encodeNote(stood ? { ...note, stood } : note));
}

/** An adoption whose relay and broker write down what they are told. */
function stand(...left: StandingLink[]) {
  const did: string[] = [];
  const relay = {
    adopt: ({ number }: StandingLink) => {
      const link: Pick<RelayLink, 'stop' | 'close'> = {
        stop: async () => void did.push(`stop ${number}`),
        close: async (drainMs) => void did.push(`close ${number} after ${drainMs}`),
      };
      return link as RelayLink;
    },
    forget: async ({ number }: StandingLink, drainMs: number) =>
      void did.push(`close ${number} after ${drainMs}`),
  };
  const broker = {
    keep: async (plant: number) => {
      did.push(`keep ${plant}`);
      return ok(undefined);
    },
    remove: async (plant: number) => {
      did.push(`remove ${plant}`);
      return plant === HANGS ? new Promise<never>(() => {}) : ok(undefined);
    },
    sweep: async () => {
      did.push('sweep');
      return ok(undefined);
    },
  };
  const log = createLogger('silent');
  const adoption = new Adoption({ relay, broker, log, drainMs: DRAIN_MS });
  adoption.load(left);
  return { adoption, did };
}

describe('a link that is as it was', () => {
  it('goes on: nothing of it is ended', async () => {
    const { adoption, did } = stand(ofLink(1, unixLink(), { plant: 9 }));
    const claim = await adoption.claim(unixLink({ providerPid: 4711 }), CONSUMER);
    const adopted = claim.take('forward', OPTIONS, {});
    expect(adopted).toMatchObject({ stood: { plant: 9 }, errno: 0 });
    await claim.rest();
    adoption.prune([unixLink()]);
    await adoption.finish();
    expect(did).toEqual(['sweep']);
  });

  it('is taken over once', async () => {
    const { adoption } = stand(ofLink(1, unixLink()));
    const claim = await adoption.claim(unixLink(), CONSUMER);
    expect(claim.take('forward', OPTIONS, {})).not.toBeNull();
    expect(claim.take('forward', OPTIONS, {})).toBeNull();
    const second = await adoption.claim(unixLink(), CONSUMER);
    expect(second.take('forward', OPTIONS, {})).toBeNull();
  });

  it('does not go on with other limits, and the connections that it has may end by themselves', async () => {
    const { adoption, did } = stand(ofLink(1, unixLink(), { plant: 9 }));
    const claim = await adoption.claim(unixLink(), CONSUMER);
    expect(claim.take('forward', { ...OPTIONS, fds: false }, {})).toBeNull();
    await claim.rest();
    expect(did).toEqual(['stop 1', `close 1 after ${DRAIN_MS}`, 'remove 9']);
  });

  it('tells why its provider could not be reached', async () => {
    const note = encodeNote(noteOf(unixLink(), CONSUMER, 'forward', OPTIONS));
    const { adoption } = stand(standing(1, note, 13));
    const claim = await adoption.claim(unixLink(), CONSUMER);
    expect(claim.take('forward', OPTIONS, {})?.errno).toBe(13);
  });
});

describe('a link that an earlier daemon had closed', () => {
  const drains = { ...ofLink(1, unixLink()), listens: false, drains: true };

  it('is left to drain, also where one of its identity stands: that one is taken over', async () => {
    const { adoption, did } = stand(drains, ofLink(2, unixLink(), { plant: 9 }));
    const claim = await adoption.claim(unixLink(), CONSUMER);
    expect(claim.take('forward', OPTIONS, {})?.stood).toEqual({ plant: 9 });
    await claim.rest();
    adoption.prune([unixLink()]);
    await adoption.finish();
    expect(did).toEqual(['sweep']);
  });

  it('does not come back with its link', async () => {
    const { adoption, did } = stand(drains);
    const claim = await adoption.claim(unixLink(), CONSUMER);
    expect(claim.take('forward', OPTIONS, {})).toBeNull();
    await claim.rest();
    expect(did).toEqual([]);
  });
});

describe('a link that changed', () => {
  it('ends what is as it was before, and takes over what is as it is now', async () => {
    const before = unixLink({ mode: 'dgram' });
    const { adoption, did } = stand(ofLink(1, before), ofLink(2, unixLink(), { plant: 9 }));
    const claim = await adoption.claim(unixLink(), CONSUMER);
    expect(claim.take('forward', OPTIONS, {})?.stood).toEqual({ plant: 9 });
    expect(did).toEqual(['stop 1', `close 1 after ${DRAIN_MS}`]);
  });

  it('has left its target before it is made anew; its connections have their drain time', async () => {
    const { adoption, did } = stand(ofLink(1, unixLink(), { plant: 9 }), ofLink(2, unixLink()));
    const claim = await adoption.claim(unixLink({ mode: 'dgram' }), CONSUMER);
    expect(claim.take('forward', OPTIONS, {})).toBeNull();
    expect(did).toContain('remove 9');
    expect(did).toContain(`close 1 after ${DRAIN_MS}`);
    expect(did).toContain(`close 2 after ${DRAIN_MS}`);
  });

  it('ends its connections at once where its consumer may do something else now', async () => {
    const { adoption, did } = stand(ofLink(1, unixLink()));
    await adoption.claim(unixLink({ role: 'guest' }), CONSUMER);
    expect(did).toEqual(['stop 1', 'close 1 after 0']);
  });

  it('ends them at once, too, where its consumer is another process', async () => {
    const { adoption, did } = stand(ofLink(1, unixLink()));
    await adoption.claim(unixLink(), new Container('app', 11, 4, 2));
    expect(did).toEqual(['stop 1', 'close 1 after 0']);
  });
});

describe('links that changed their targets with each other', () => {
  it('have both left them before one of them is made anew', async () => {
    const [one, two] = [
      unixLink({ name: 'one', target: '/a' }),
      unixLink({ name: 'two', target: '/b' }),
    ];
    const { adoption, did } = stand(ofLink(1, one, { plant: 1 }), ofLink(2, two, { plant: 2 }));
    const swapped = { ...one, target: '/b' };
    adoption.prune([swapped, { ...two, target: '/a' }]);
    await adoption.claim(swapped, CONSUMER);
    expect(did).toEqual(expect.arrayContaining(['remove 1', 'stop 1', 'remove 2', 'stop 2']));
  });
});

describe('what no link of the graph wants', () => {
  it('stands until there is a graph', () => {
    expect(stand(ofLink(1, unixLink())).did).toEqual([]);
  });

  it('is ended by the first graph, and by its end what its links could not take over', async () => {
    const [gone, kept] = [unixLink({ name: 'gone' }), unixLink({ name: 'kept' })];
    const { adoption, did } = stand(ofLink(1, gone, { plant: 1 }), ofLink(2, kept, { plant: 2 }));
    adoption.prune([kept]);
    await expect.poll(() => did).toEqual(['stop 1', `close 1 after ${DRAIN_MS}`, 'remove 1']);
    await adoption.finish();
    expect(did.slice(3)).toEqual(['stop 2', `close 2 after ${DRAIN_MS}`, 'remove 2', 'sweep']);
  });

  it('hangs in its container: its connections end all the same, and the rest is swept away', async () => {
    vi.useFakeTimers();
    const { adoption, did } = stand(ofLink(1, unixLink(), { plant: HANGS }));
    adoption.prune([]);
    const finished = adoption.finish();
    await vi.advanceTimersByTimeAsync(60_000);
    vi.useRealTimers();
    await finished;
    expect(did).toEqual(['stop 1', `close 1 after ${DRAIN_MS}`, `remove ${HANGS}`, 'sweep']);
  });

  it('is ended with its connections where the link is not allowed any more', async () => {
    const { adoption, did } = stand(ofLink(1, unixLink()));
    adoption.prune([unixLink({ error: { code: 'not-allowed', message: 'No.' } })]);
    await expect.poll(() => did).toEqual(['stop 1', 'close 1 after 0']);
  });

  it('may be shared by links, which say so when they come: it is left for the end', async () => {
    const shared = encodeNote(sharedNoteOf('shared app ::1 80', CONSUMER, 'hand', OPTIONS));
    const { adoption, did } = stand(standing(1, shared), standing(2, shared));
    adoption.prune([]);
    const claim = await adoption.claimShared('shared app ::1 80', CONSUMER);
    expect(claim.take('hand', OPTIONS, {})).not.toBeNull();
    await adoption.finish();
    expect(did).toEqual(['sweep']);
  });

  it('is shared, of a consumer that is another process now: its address is free before it is claimed', async () => {
    const shared = encodeNote(sharedNoteOf('shared app ::1 80', CONSUMER, 'hand', OPTIONS));
    const { adoption, did } = stand(standing(1, shared));
    const again = new Container('app', 12, 4, 2);
    const claim = await adoption.claimShared('shared app ::1 80', again);
    expect(claim.take('hand', OPTIONS, {})).toBeNull();
    expect(did).toEqual(['stop 1', 'close 1 after 0']);
  });

  it('nobody can know by its note: it is ended before anything else', () => {
    expect(stand(standing(1, Buffer.from('{}'))).did).toEqual([`close 1 after ${DRAIN_MS}`]);
  });
});

describe('a note', () => {
  const note = noteOf(unixLink(), CONSUMER, 'forward', OPTIONS);

  it.each<Stood>([{ plant: 7 }, { network: 2n ** 63n }])(
    'is read as it was written: %o',
    (stood) => {
      expect(decodeNote(encodeNote({ ...note, stood }))).toEqual({ ...note, stood });
      expect(decodeNote(encodeNote(note))).toEqual(note);
    },
  );

  it.each(['', 'null', '[]', '{"id":1}', '{"id":"a","part":"b","options":"c","digest":{}}'])(
    'that says %s is none',
    (text) => {
      expect(decodeNote(Buffer.from(text))).toBeNull();
    },
  );
});
