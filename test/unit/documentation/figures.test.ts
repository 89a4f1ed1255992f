/**
 * Figures that a page repeats of the code: each sentence holds the value that the constant has. `{}` is where the value
 * stands, in the unit that is given.
 */
import { describe, expect, test } from 'vitest';
import { DEFAULT_LIMITS } from '../../../src/http1/limits.js';
import { textOf } from './pages.js';

const KiB = 1024;
const MiB = 1024 * 1024;
const SECOND = 1_000;

type Row = readonly [sentence: string, source: string, name: string, unit?: number];

const FIGURES: Readonly<Record<string, readonly Row[]>> = {
  'docs/control-socket.md': [
    ['| connections | {} |', 'src/status/server.ts', 'MAX_CONNECTIONS'],
    [
      '| listeners of `/events`, of `/uses`, of `/connections/ends`, of `/tap`, of `/fault` | 16, {}, 4, 4, 16 |',
      'src/status/observers.ts',
      'MAX_LISTENERS',
    ],
    [
      '| listeners of `/events`, of `/uses`, of `/connections/ends`, of `/tap`, of `/fault` | 16, 4, {}, 4, 16 |',
      'src/status/connections.ts',
      'MAX_LISTENERS',
    ],
    ['| a body, which no request needs | {} KiB', 'src/status/server.ts', 'MAX_BODY', KiB],
    ['does not read its answer | {} s', 'src/status/server.ts', 'STALLED_MS', SECOND / 2],
    ['After {} kinds', 'src/status/observers.ts', 'MAX_KINDS'],
    ['is a {}th of the time since the last news', 'src/graph/look-interval.ts', 'PATIENCE'],
    ['looks are close together, {} ms apart', 'src/graph/look-interval.ts', 'FIRST_MS'],
  ],
  'docs/seeing.md': [
    ['| events that are kept | {} |', 'src/web/wire.ts', 'MAX_OCCURRENCES'],
    ['that are shown | {} |', 'src/web/wire.ts', 'MAX_CONNECTIONS'],
  ],
  'docs/appengine.md': [
    ['At {} MiB a file becomes', 'src/runtime/log-file.ts', 'LIMIT', MiB],
    ['a body over {} MiB', 'src/runtime/control-socket.ts', 'MAX_BODY', MiB],
    ['at most its `timeout` ({} s)', 'src/runtime/container-settings.ts', 'DEFAULT_TIMEOUT'],
    ['doubling up to {} s', 'src/runtime/daemon-supervisor.ts', 'MAX_WAIT_MS', SECOND],
  ],
  'docs/dbus.md': [
    [
      'A line of the authentication may have {} KiB',
      'src/plugins/dbus/sasl-line.ts',
      'MAX_LINE',
      KiB,
    ],
    ['a client has {} s', 'src/plugins/dbus/connections.ts', 'PATIENCE_MS', SECOND],
    ['{} calls that wait for an answer', 'src/plugins/dbus/replies.ts', 'MAX_ASKED'],
    [
      '{} match rules that are told apart',
      'src/plugins/dbus/policy-filter.ts',
      'MAX_SUBSCRIPTIONS',
    ],
    ['{} names of the bus', 'src/plugins/dbus/name-tracker.ts', 'MAX_NAMES'],
    ['{} descriptors that wait', 'src/plugins/dbus/message-session.ts', 'MAX_FDS'],
    ['{} clients at a time that the bus', 'src/plugins/dbus/connections.ts', 'MAX_LINK_SLOTS'],
    ['its even share of {} where', 'src/plugins/dbus/connections.ts', 'BUS_SLOTS'],
    ['at most {} of a link before', 'src/plugins/dbus/work-budget.ts', 'WORK'],
    ['broken, over {} MiB', 'src/plugins/dbus/header.ts', 'MAX_MESSAGE', MiB],
    ['after {} s, doubling up to 30 s', 'src/host/verification.ts', 'AGAIN_FIRST_MS', SECOND],
    ['after 1 s, doubling up to {} s', 'src/host/verification.ts', 'AGAIN_MOST_MS', SECOND],
  ],
  'docs/hosted-bus.md': [
    ['nobody owns the name within {} s', 'src/plugins/dbus/activation.ts', 'PATIENCE_MS', SECOND],
    ['may have waiting ({} calls', 'src/plugins/dbus/activation.ts', 'MAX_HELD'],
    ['calls, {} KiB)', 'src/plugins/dbus/activation.ts', 'MAX_HELD_BYTES', KiB],
    ['after 100 ms, doubling up to {} s', 'native/bus/child.c', 'MOST_MS', SECOND],
    ['then after {} ms', 'native/bus/child.c', 'FIRST_MS'],
  ],
  'docs/devices.md': [
    ['At most {} clients a link', 'src/plugins/device/descriptor-server.ts', 'MAX_CLIENTS'],
    ['| `drm` | {} |', 'native/broker/broker.h', 'DRM_MAJOR'],
    ['| `input` | {} |', 'native/broker/broker.h', 'INPUT_MAJOR'],
  ],
  'docs/ingress.md': [
    ['looked at every {} s', 'src/plugins/ingress/certificates.ts', 'LOOK_MS', SECOND],
    ['up to {} streams at once', 'src/plugins/ingress/http2-front.ts', 'MAX_STREAMS'],
    ['"interval": {},', 'src/plugins/ingress/health.ts', 'INTERVAL_S'],
    ['"timeout": {}}', 'src/plugins/ingress/health.ts', 'TIMEOUT_S'],
    ['bodies of {} KiB and more', 'src/http1/handover.ts', 'WORTH_HANDING_OVER', KiB],
    ['made within the last {} s', 'native/relay/ring.c', 'REMEMBERED_MS', SECOND],
  ],
  'docs/rest.md': [
    ['those of {} KiB and more', 'src/http1/handover.ts', 'WORTH_HANDING_OVER', KiB],
    ['which then has {} s to answer', 'src/http1/exchange.ts', 'ABANDONED_MS', SECOND],
    ['says more than {} times', 'src/http1/request-head.ts', 'MAX_PASSED_ON'],
    ['passed on by links more than {} times', 'src/http1/request-head.ts', 'MAX_PASSED_ON'],
    ['`Retry-After: {}`', 'src/http1/exchange.ts', 'RETRY_AFTER_S'],
  ],
  'docs/tcp.md': [
    ['backlog of the kernel ({})', 'native/broker/tcp.c', 'BACKLOG'],
    ['up to every {} s', 'src/kernel/back-off.ts', 'MOST_MS', SECOND],
    ['tried again, after {} ms', 'src/kernel/back-off.ts', 'FIRST_MS'],
  ],
  'docs/wayland.md': [
    ['Strings over {} bytes', 'src/plugins/wayland/compositor.ts', 'MAX_ID'],
    ['answer within {} s', 'src/plugins/wayland/client.ts', 'ANSWER_MS', SECOND],
  ],
  'docs/plugins.md': [
    ['has not settled within {} s', 'src/plugins/outside.ts', 'ATTACH_MS', SECOND],
  ],
  'docs/security.md': [
    ['({} containers,', 'native/protocol.h', 'PVX_CONTAINERS_MAX'],
    ['{} sockets and nodes,', 'native/protocol.h', 'PVX_PLANTS_MAX'],
    ['{} opened devices)', 'native/protocol.h', 'PVX_GRANTS_MAX'],
    ['only while its receiver has less than {} KiB', 'native/relay/relay.h', 'RELAY_PEEK', KiB],
    ['started as needed, {} at most', 'native/closer.c', 'most_threads'],
    ['While {} descriptors of a container wait', 'native/closer.h', 'CLOSING_MAX'],
    ['The broker has {} such threads', 'native/broker/foreign.c', 'CLOSERS'],
    ['Over all containers {} may wait', 'native/broker/foreign.c', 'WAITING_MAX'],
    ['within {} s. Files in file systems', 'native/broker/main.c', 'LAST_MS', SECOND],
  ],
};

/** The value of a constant as its source has it: a number, or a product of numbers. */
function figureOf(source: string, name: string): number {
  const found = new RegExp(`(?:\\b${name}(?:: \\w+)? = |#define ${name}\\s+\\(?)([\\d_u* ]+)`).exec(
    textOf(source),
  );
  if (!found) throw new Error(`${source} has no ${name}`);
  return (found[1] as string)
    .split('*')
    .map((part) => Number(part.replace(/[_u ]/g, '')))
    .reduce((product, part) => product * part);
}

describe.each(Object.entries(FIGURES))('%s', (page, rows) => {
  const text = textOf(page).replace(/\s+/g, ' ');

  const figures = rows.map(([sentence, source, name, unit = 1]) => ({
    sentence,
    source,
    name,
    unit,
  }));
  test.each(figures)('says: $sentence', ({ sentence, source, name, unit }) => {
    const value = (figureOf(source, name) / unit).toLocaleString('en');
    expect(text).toContain(sentence.replace('{}', value));
  });
});

test('docs/rest.md has the limits of a link', () => {
  const [, shown = '{}'] = /"limits": (\{[^}]*\})/.exec(textOf('docs/rest.md')) ?? [];
  const { head, fields, connections, headMs, idleMs } = DEFAULT_LIMITS;
  expect(JSON.parse(shown)).toEqual({
    ...{ head, headers: fields, connections },
    ...{ head_timeout: headMs / SECOND, idle_timeout: idleMs / SECOND },
  });
});
