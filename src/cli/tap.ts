/**
 * `pv-xconnect tap CONSUMER SERVICE`: what passes on a link, as root, for a while: as lines, as JSON, or as a file for
 * Wireshark. The daemon sends bytes as they came; what they say is found out here, where it costs no link anything.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { printable } from '../manifest/text.js';
import { Decoding, type Shown, type Told } from '../tap/decoding.js';
import { pcapBegin, pcapPacket } from '../tap/pcapng.js';
import { shownJson, shownText } from '../tap/text.js';
import { ControlClient } from './control-client.js';
import { holdLease } from './lease.js';
import type { Output } from './output.js';

export interface TapOptions {
  readonly consumer: string;
  readonly service: string;
  /** The daemon's control socket. */
  readonly control: string;
  /** How long, in milliseconds. */
  readonly for: number;
  readonly json: boolean;
  /** A file to be written, in place of what is printed. */
  readonly pcap?: string;
}

/** Where it is shown. */
interface Sink {
  show(shown: Shown, lost: number): void;
  lost(bytes: number): void;
  close(): void;
}

/** Exit code: 0; 1 if it can't be tapped, or the daemon ends. SIGINT ends it early. */
export async function tapCommand(
  options: TapOptions,
  { stdout, stderr }: { readonly stdout: Output; readonly stderr: Output },
): Promise<number> {
  const { consumer, service } = options;
  const say = (sentence: string) => stderr.write(`pv-xconnect: ${printable(sentence)}\n`);
  const fail = (sentence: string) => {
    say(sentence);
    return 1;
  };
  const client = new ControlClient(options.control);
  const asked = new URLSearchParams({ consumer, name: service });
  const got = await client.get(`/links?${asked}`);
  if (!got.ok) return fail(got.error);
  const [link] = got.value as readonly { readonly type: string }[];
  if (!link) return fail(`${consumer} has no link to ${service}: see pv-xconnect graph.`);
  let sink: Sink;
  try {
    sink =
      options.pcap === undefined ? printed(options.json, stdout) : filed(options.pcap, options);
  } catch (thrown) {
    return fail(`${options.pcap} can not be written: ${(thrown as Error).message}.`);
  }
  const decoding = new Decoding(link.type);
  let [shown, lost, untold] = [0, 0, 0];
  const show = (all: readonly Shown[]) => {
    for (const one of all) {
      sink.show(one, untold);
      untold = 0;
    }
  };
  const onData = (told: Told | { readonly lost: number }) => {
    if ('lost' in told) {
      show(decoding.rest());
      sink.lost(told.lost);
      lost += told.lost;
      untold += told.lost;
    } else {
      shown += Buffer.byteLength(told.bytes, 'base64');
      show(decoding.take(told));
    }
  };
  asked.set('for', String(options.for / 1_000));
  const until = `for ${options.for / 1_000} s, or until Ctrl-C`;
  const ended = await holdLease(client, `/tap?${asked}`, {
    stdout,
    onBegin: () => say(`${consumer} → ${service} is tapped ${until}.`),
    onData: (value) => onData(value as Told | { readonly lost: number }),
  });
  try {
    show(decoding.rest());
    sink.close();
  } catch (thrown) {
    return fail(`${options.pcap} can not be written: ${(thrown as Error).message}.`);
  }
  if (!ended.ok) return fail(ended.error);
  const left = lost > 0 ? `, ${lost} more were left out, for this was read too slowly` : '';
  say(`${ended.value}: ${shown} bytes were shown${left}.`);
  return 0;
}

function printed(json: boolean, stdout: Output): Sink {
  return {
    show: (shown) => stdout.write(json ? shownJson(shown) : shownText(shown)),
    lost: (bytes) => {
      const text = `${bytes} bytes were left out: this was read too slowly.\n`;
      stdout.write(json ? `${JSON.stringify({ lost: bytes })}\n` : text);
    },
    close: () => undefined,
  };
}

/** Nobody else may read what passed. Throws where the file can't be written. */
function filed(path: string, { consumer, service }: TapOptions): Sink {
  const file = openSync(path, 'w', 0o600);
  writeAll(file, pcapBegin(`${consumer} → ${service}`));
  return {
    show: (shown, lost) => writeAll(file, pcapPacket(shown, lost)),
    lost: () => undefined,
    close: () => closeSync(file),
  };
}

function writeAll(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}
