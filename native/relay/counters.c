/*
 * What has passed, link by link, in memory that the daemon maps: it reads the counters without asking, and a successor of
 * it finds them as they are. It can't write there, whatever it does with the descriptor, nor make the memory smaller.
 */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 16
#endif

/* The same memory, to be read. A kernel that seals it against writers can do without, and without /proc. */
static int reading(int memory, bool sealed)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return sealed ? memory : -1;
	close(memory);
	return fd;
}

int counters_init(struct relay *relay)
{
	int memory = memfd_create("pvx-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	bool sealed;

	if (memory < 0 && errno == EINVAL) /* before Linux 6.3 */
		memory = memfd_create("pvx-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memory < 0 || fchmod(memory, 0400) < 0 || ftruncate(memory, PVX_COUNTERS_SIZE) < 0)
		return errno;
	relay->counters = mmap(NULL, PVX_COUNTERS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (relay->counters == MAP_FAILED || fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return errno;
	relay->times = (struct pvx_times *)(relay->counters + PVX_LINKS_MAX);
	sealed = fcntl(memory, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0; /* since Linux 5.1 */
	relay->counters_fd = reading(memory, sealed);
	return relay->counters_fd < 0 ? errno : 0;
}

struct pvx_counters *counters_reset(struct relay *relay, uint32_t number)
{
	struct pvx_counters *counters = &relay->counters[number];

	*counters = (struct pvx_counters){ .links = counters->links };
	if (relay->timed)
		relay->times[number] = (struct pvx_times){ 0 };
	counter_add(&counters->links, 1);
	return counters;
}

void counters_time(struct link *link, uint64_t since)
{
	static const uint64_t bounds[PVX_TIMES_COUNTS - 1] = { PVX_TIMES_BOUNDS };
	struct pvx_times *times = &link->relay->times[link->number];
	uint64_t took;
	size_t i = 0;

	if (!link->relay->timed)
		return;
	took = relay_now_us() - since;
	while (i < PVX_TIMES_COUNTS - 1 && took > bounds[i])
		i++;
	counter_add(&times->counts[i], 1);
	counter_add(&times->sum, (int64_t)took);
}
