/** Holds what was asked of a link for a while (`POST /tap`): it lasts as long as the connection does. */
import { DAEMON_ENDS } from '../status/leases.js';
import type { ControlClient, Got } from './control-client.js';
import type { Output } from './output.js';

interface LeaseHolder {
  readonly stdout: Output;
  /** It is in effect, as the daemon describes it. */
  onBegin(begun: unknown): void;
  /** What it tells in between. One that throws ends it, with what was thrown as the error. */
  onData(value: unknown): void;
}

/** Resolves when it is over, with why: the daemon's word, or that SIGINT came or nobody reads any more. */
export async function holdLease(
  client: ControlClient,
  path: string,
  { stdout, onBegin, onData }: LeaseHolder,
): Promise<Got<string>> {
  let end!: (result: Got<string>) => void;
  const over = new Promise<Got<string>>((resolve) => {
    end = resolve;
  });
  const lost = () => end({ ok: false, error: 'The daemon has ended.' });
  const stop = () => end({ ok: true, value: 'It was ended' });
  const take = (value: unknown) => {
    const { begin, end: ended } = Object(value) as { begin?: unknown; end?: { reason: string } };
    if (ended?.reason === DAEMON_ENDS) lost();
    else if (ended) end({ ok: true, value: `It is over, as ${ended.reason}` });
    else if (begin) onBegin(begin);
    else onData(value);
  };
  const onValue = (value: unknown) => {
    try {
      take(value);
    } catch (thrown) {
      end({ ok: false, error: `It was ended: ${(thrown as Error).message}.` });
    }
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  stdout.on('error', stop);
  const opened = await client.data(path, onValue, lost, 'POST');
  const result = opened.ok ? await over : opened;
  process.off('SIGINT', stop);
  process.off('SIGTERM', stop);
  if (opened.ok) opened.value();
  return result;
}
