/* The result of a measurement that timed each of its turns. */
#include "load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

void print_latencies(const char *what, uint32_t *took, unsigned samples, uint64_t ns)
{
	qsort(took, samples, sizeof(*took), ascending);
	printf("{\"%s\":%u,\"ns\":%" PRIu64 ",\"p50\":%u,\"p99\":%u}\n", what, samples, ns,
	       samples ? took[samples / 2] : 0, samples ? took[samples - samples / 100 - 1] : 0);
}
