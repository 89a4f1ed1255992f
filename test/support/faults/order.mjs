/** What faults.c is told: the next failure of a system call. */
import { openSync, readSync, writeSync } from 'node:fs';
import { constants } from 'node:os';

/** As faults.c numbers them. */
const CALLS = ['', 'recvmsg', 'recv', 'sendmsg', 'send', 'splice', 'accept4', 'epoll_ctl', 'pipe2'];
CALLS.push('ioctl', 'getsockopt', 'read');
const ERRNO = { ETOOMANYREFS: 109, ...constants.errno };
const THREADS = { relay: 0, javascript: 1 };
/** Which of the calls from now on fails, one after the other. */
const NTH = [1, 2, 3, 4, 5, 6, 7, 8, 10, 13];
const STUCK_MS = 5_000;

const file = openSync(process.env.FAULTS, 'r+');

function arm(words) {
  writeSync(file, Buffer.from(new Uint32Array(words).buffer), 0, 4 * words.length, 0);
}

/** How many failed. */
function disarm() {
  const words = new Uint32Array(5);
  readSync(file, words, 0, 20, 0);
  arm([0, 0, 0, 0, 0]);
  return words[3];
}

function within(what) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve('stuck'), STUCK_MS);
  });
  return Promise.race([what, late]).finally(() => clearTimeout(timer));
}

/**
 * Has each call of `table` (its name: errnos) fail in that thread while `traffic` runs, which resolves to whether each
 * of its parts came through whole, and then runs once more without. Prints a line of JSON for each failure that left
 * something stuck, or ended what it may not end. Resolves to how many calls failed.
 */
export async function tryAll(thread, table, mayEnd, traffic) {
  let faults = 0;
  for (const [call, errnos] of Object.entries(table)) {
    for (const errno of errnos) {
      for (const nth of NTH) {
        arm([CALLS.indexOf(call), nth, ERRNO[errno], 0, THREADS[thread]]);
        const first = await within(traffic());
        faults += disarm();
        const then = await within(traffic());
        const isWanting =
          first === 'stuck' ||
          (!mayEnd && first.includes(false)) ||
          then === 'stuck' ||
          then.includes(false);
        if (isWanting) console.log(JSON.stringify({ call, errno, nth, first, then }));
      }
    }
  }
  return faults;
}
