/**
 * The feed, as long as the page is open: it is opened again by itself whenever it was lost, soon at first, then at
 * least every 5 s, and at once when the machine is online again or the page is looked at again.
 *
 *                 a picture                 it breaks
 *     connecting ----------> open ----------------------> lost --again--> (as connecting)
 *          '---- 401 ----> refused: the token is another one     503 --> full: too many browsers
 */
import type { Change } from '../wire.js';
import type { Model } from './model.js';

const FIRST_MS = 500;
const MOST_MS = 5_000;

export function openFeed(model: Model): void {
  let source: EventSource | null = null;
  let timer = 0;
  let wait = FIRST_MS;
  /** Counts what was begun: what comes of anything before the last has nothing to say. */
  let turn = 0;

  const open = () => {
    turn++;
    window.clearTimeout(timer);
    source?.close();
    source = new EventSource('/feed');
    source.addEventListener('picture', (event) => {
      wait = FIRST_MS;
      model.apply(JSON.parse(event.data) as Change, true);
      model.setConnection('open');
    });
    source.addEventListener('change', (event) => {
      model.apply(JSON.parse(event.data) as Change, false);
    });
    source.addEventListener('error', () => void lose());
  };

  /** Why can't be seen from an EventSource: the status of another request tells. */
  const lose = async () => {
    source?.close();
    source = null;
    const mine = ++turn;
    const why = await reason();
    if (mine !== turn) return; // it was opened again meanwhile
    model.setConnection(why);
    window.clearTimeout(timer);
    timer = window.setTimeout(open, wait);
    wait = Math.min(MOST_MS, wait * 2);
  };

  const again = () => {
    if (!source && !document.hidden) open();
  };
  window.addEventListener('online', again);
  document.addEventListener('visibilitychange', again);
  open();
}

async function reason(): Promise<'lost' | 'full' | 'refused'> {
  const abort = new AbortController();
  try {
    const { status } = await fetch('/feed', { signal: abort.signal, cache: 'no-store' });
    return status === 401 || status === 421 ? 'refused' : status === 503 ? 'full' : 'lost';
  } catch {
    return 'lost';
  } finally {
    abort.abort();
  }
}
