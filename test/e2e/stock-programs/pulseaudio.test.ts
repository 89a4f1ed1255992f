/**
 * PulseAudio: pactl, paplay and parec at their server through a unix link, let in by a cookie. By their user it would
 * not let them in: on a stream, the user that it is told with a message (SCM_CREDENTIALS) is the daemon's.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TestContainer } from '../../support/container.js';
import { has } from '../../support/requirements.js';
import { someBytes } from '../../support/some-bytes.js';
import { eventually } from '../../support/wait.js';
import { USER, useStockPair } from './support.js';

const SOCKET = '/run/pulse/native';
const FORMAT = 'rate=44100 format=s16le channels=2';
const RAW = `--raw ${FORMAT.replaceAll(/(\w+=)/g, '--$1')}`;
/** Half a second of noise, louder than silence from its first sample on. */
const SOUND = someBytes(88_200).map((byte) => byte | 1);

describe.runIf(['pulseaudio', 'pactl'].every(has))('PulseAudio through a unix link', () => {
  const pair = useStockPair({ name: 'sound', socket: SOCKET, target: SOCKET });
  const ask = (script: string) =>
    `export PULSE_SERVER=unix:${SOCKET} PULSE_COOKIE=/tmp/cookie; ${script}`;

  beforeAll(async () => {
    for (const { rootDir } of [pair.provider, pair.consumer]) {
      writeFileSync(join(rootDir, 'tmp/cookie'), someBytes(256));
      writeFileSync(join(rootDir, 'tmp/sound'), SOUND);
    }
    await pair.provider.exec(['install', '-d', '-o', USER.name, '/run/pulse']);
    pair.serve(`
      export HOME=/tmp XDG_RUNTIME_DIR=/run/pulse
      exec pulseaudio -n --exit-idle-time=-1 --use-pid-file=no \\
        --load="module-null-sink sink_name=null norewinds=true ${FORMAT}" \\
        --load="module-native-protocol-unix socket=${SOCKET} auth-cookie=/tmp/cookie"`);
    await eventually(async () => {
      expect((await pair.sh(pair.provider, ask('pactl info'))).code).toBe(0);
    });
    await pair.establish();
  });

  test('says what it is and has', async () => {
    const { direct, through } = await pair.both(
      ask(
        'pactl info | grep -v "Client Index"; pactl list short modules; pactl list sinks | grep -v Latency:',
      ),
    );
    expect(direct.output).toContain('Default Sink: null\n');
    expect(through).toEqual(direct);
  });

  test('does as it is told, and tells who waits for events', async () => {
    const heard: string[] = [];
    for (const container of [pair.provider, pair.consumer]) {
      const events = pair.session(container, ask('exec pactl subscribe'));
      let told = '';
      const isTold = (async () => {
        while (!told.includes('on sink')) told = await events.line();
      })();
      // It says nothing when it has begun to listen.
      while (!told.includes('on sink')) {
        const { output } = await pair.sh(
          container,
          ask(`pactl set-sink-volume null 40%; pactl get-sink-volume null
            pactl set-sink-volume null 100%; pactl get-sink-volume null`),
        );
        expect(output).toMatch(/^Volume:.* 40% .*Volume:.* 100% /s);
      }
      await isTold;
      heard.push(told);
      events.kill();
    }
    expect(heard).toEqual(["Event 'change' on sink #0", "Event 'change' on sink #0"]);
  });

  /** What was heard of the sound, without the silence around it. */
  async function heardOf(container: TestContainer): Promise<Buffer> {
    const recorder = pair.sh(
      container,
      ask(`timeout -s INT 20 parec -d null.monitor ${RAW} --latency-msec=20 > /tmp/heard`),
    );
    const path = join(container.rootDir, 'tmp/heard');
    await eventually(() => expect(readFileSync(path).length).toBeGreaterThan(0));
    expect((await pair.sh(container, ask(`paplay ${RAW} /tmp/sound`))).code).toBe(0);
    const heard = await eventually(() => {
      const all = readFileSync(path);
      const first = all.findIndex((byte) => byte !== 0);
      expect(first).toBeGreaterThanOrEqual(0);
      expect(all.length).toBeGreaterThanOrEqual(first + SOUND.length);
      return all.subarray(first, first + SOUND.length);
    });
    await pair.sh(container, 'pkill -INT parec');
    await recorder;
    return heard;
  }

  test('plays and records a sound, sample by sample', async () => {
    const direct = await heardOf(pair.provider);
    expect(direct.equals(SOUND)).toBe(true);
    expect((await heardOf(pair.consumer)).equals(SOUND)).toBe(true);
  });
});
