/* counters.c: what has passed, in memory that the daemon reads. */
#ifndef PVX_RELAY_COUNTERS_H
#define PVX_RELAY_COUNTERS_H

#include <stdint.h>

struct link;
struct relay;
struct pvx_counters;

int counters_init(struct relay *); /* 0 or an errno; needs /proc or a kernel that has F_SEAL_FUTURE_WRITE */
struct pvx_counters *counters_reset(struct relay *, uint32_t number);
void counters_time(struct link *, uint64_t since); /* one that was accepted then, in microseconds, has its provider */
static inline void counter_add(uint64_t *counter, int64_t by)
{
	__atomic_store_n(counter, *counter + (uint64_t)by, __ATOMIC_RELEASE); /* we alone write */
}

#endif
