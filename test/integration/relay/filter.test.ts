/** The filter of pvx-relay. */
import { relaySources } from '../../support/compile.js';
import { describeFilter } from '../../support/filter/filter.js';

describeFilter('pvx-relay', {
  sources: relaySources(),
  calls: 'relay-calls.c',
  letThrough: [
    ...['tgkill itself', 'a thread', 'mmap', 'mprotect', 'ioctl of a queue', 'fcntl of a pipe'],
    ...['setsockopt', 'socketpair'],
  ],
  refusedAnyway: ['io_uring_setup', 'bpf', 'userfaultfd'],
});
