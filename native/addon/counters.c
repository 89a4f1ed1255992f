/*
 * The counters of pvx-relay's links, mapped for reading: ../relay-protocol.h says what they mean. JavaScript is given
 * copies only, so that nothing that it does with them reaches the mapping.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../relay-protocol.h"
#include "napi.h"

#define VALUES (sizeof(struct pvx_counters) / sizeof(uint64_t))

static void collect(napi_env env, void *mapping, void *hint)
{
	(void)env;
	(void)hint;
	munmap(mapping, PVX_COUNTERS_SIZE);
}

/* countersMap(fd) -> mapping, or null: it can't be mapped. Takes the descriptor. Memory that could shrink is refused: who
 * reads what is no more is killed. */
static napi_value map(napi_env env, napi_callback_info info)
{
	napi_value external = NULL;
	void *mapping = MAP_FAILED;
	struct stat stat;
	int seals;
	int32_t fd;

	NAPI_OK(env, pvx_argument(env, info, &fd));
	seals = fcntl(fd, F_GET_SEALS);
	if (seals >= 0 && seals & F_SEAL_SHRINK && fstat(fd, &stat) == 0 && stat.st_size >= (off_t)PVX_COUNTERS_SIZE)
		mapping = mmap(NULL, PVX_COUNTERS_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (mapping != MAP_FAILED && napi_create_external(env, mapping, collect, NULL, &external) != napi_ok)
		munmap(mapping, PVX_COUNTERS_SIZE);
	if (!external)
		napi_get_null(env, &external);
	return external;
}

struct wanted {
	const void *mapping;
	uint32_t link;
	double *values;
};

/* The arguments (mapping, link, Float64Array of that length). */
static napi_status wanted(napi_env env, napi_callback_info info, size_t length, struct wanted *wanted)
{
	napi_typedarray_type type;
	napi_value argv[3];
	size_t argc = 3, given;
	void *mapping, *values;
	napi_status status = napi_get_cb_info(env, info, &argc, argv, NULL, NULL);

	if (status == napi_ok)
		status = napi_get_value_external(env, argv[0], &mapping);
	if (status == napi_ok)
		status = napi_get_value_uint32(env, argv[1], &wanted->link);
	if (status == napi_ok)
		status = napi_get_typedarray_info(env, argv[2], &type, &given, &values, NULL, NULL);
	if (status != napi_ok)
		return status;
	wanted->mapping = mapping;
	wanted->values = values;
	return wanted->link < PVX_LINKS_MAX && type == napi_float64_array && given == length ? napi_ok : napi_invalid_arg;
}

/* timesRead(mapping, link, Float64Array). */
static napi_value read_times(napi_env env, napi_callback_info info)
{
	const size_t length = sizeof(struct pvx_times) / sizeof(uint64_t);
	const _Atomic uint64_t *times;
	struct wanted of;

	NAPI_OK(env, wanted(env, info, length, &of));
	times = (const _Atomic uint64_t *)((const struct pvx_times *)((const struct pvx_counters *)of.mapping + PVX_LINKS_MAX) +
					   of.link);
	for (size_t i = 0; i < length; i++)
		of.values[i] = (double)atomic_load_explicit(&times[i], memory_order_acquire);
	return pvx_undefined(env);
}

/* countersRead(mapping, link, Float64Array): the last member first, so that what it tells of is in the others. The JOINs
 * of `active` come behind all. */
static napi_value read_counters(napi_env env, napi_callback_info info)
{
	const _Atomic uint64_t *counters;
	struct wanted of;

	NAPI_OK(env, wanted(env, info, VALUES + 1, &of));
	counters = (const _Atomic uint64_t *)((const struct pvx_counters *)of.mapping + of.link);
	for (size_t i = VALUES; i-- > 0;) {
		uint64_t value = atomic_load_explicit(&counters[i], memory_order_acquire);

		of.values[i] = i > 0 ? (double)value : (double)(value % PVX_COUNTED_JOIN);
		of.values[VALUES] = (double)(value / PVX_COUNTED_JOIN);
	}
	return pvx_undefined(env);
}

void counters_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "countersMap", map);
	pvx_export(env, exports, "countersRead", read_counters);
	pvx_export(env, exports, "timesRead", read_times);
}
