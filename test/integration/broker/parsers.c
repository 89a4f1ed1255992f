/*
 * The broker's parsers of what the kernel says of a process, for a test to feed: they read a folder that stands in for
 * /proc/PID. A line of input is a uid; the answer is what the folder's files made of it.
 */
#include "../../../native/broker/container.c"

int main(int argc, char **argv)
{
	int proc = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	uint32_t inside, outside;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (scanf("%u", &inside) == 1) {
		struct idmap map;
		uint64_t ticks = 0;
		int start = start_time(proc, &ticks), error = idmap_read(proc, "uid_map", &map);

		outside = 0;
		if (!error)
			error = idmap_outside(&map, inside, &outside);
		printf("%d %llu %d %u %u\n", start, (unsigned long long)ticks, error, outside,
		       error ? 0 : idmap_inside(&map, outside));
	}
	return 0;
}
