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

#define SIZE (PVX_LINKS_MAX * sizeof(struct pvx_counters))
#define VALUES (sizeof(struct pvx_counters) / sizeof(uint64_t))

static void collect(napi_env env, void *mapping, void *hint)
{
	(void)env;
	(void)hint;
	munmap(mapping, SIZE);
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
	if (seals >= 0 && seals & F_SEAL_SHRINK && fstat(fd, &stat) == 0 && stat.st_size >= (off_t)SIZE)
		mapping = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (mapping != MAP_FAILED && napi_create_external(env, mapping, collect, NULL, &external) != napi_ok)
		munmap(mapping, SIZE);
	if (!external)
		napi_get_null(env, &external);
	return external;
}

/* countersRead(mapping, link, Float64Array): the last member first, so that what it tells of is in the others. The JOINs
 * of `active` come behind all. */
static napi_value read_counters(napi_env env, napi_callback_info info)
{
	const _Atomic uint64_t *counters;
	napi_typedarray_type type;
	napi_value argv[3];
	size_t argc = 3, length;
	void *mapping, *values;
	uint32_t link;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_value_external(env, argv[0], &mapping));
	NAPI_OK(env, napi_get_value_uint32(env, argv[1], &link));
	NAPI_OK(env, napi_get_typedarray_info(env, argv[2], &type, &length, &values, NULL, NULL));
	NAPI_OK(env, link < PVX_LINKS_MAX && type == napi_float64_array && length == VALUES + 1 ? napi_ok : napi_invalid_arg);
	counters = (const _Atomic uint64_t *)((const struct pvx_counters *)mapping + link);
	for (size_t i = VALUES; i-- > 0;) {
		uint64_t value = atomic_load_explicit(&counters[i], memory_order_acquire);

		((double *)values)[i] = i > 0 ? (double)value : (double)(value % PVX_COUNTED_JOIN);
		((double *)values)[VALUES] = (double)(value / PVX_COUNTED_JOIN);
	}
	return pvx_undefined(env);
}

void counters_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "countersMap", map);
	pvx_export(env, exports, "countersRead", read_counters);
}
