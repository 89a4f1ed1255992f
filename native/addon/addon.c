/*
 * pvx.node: what TypeScript can't do by itself. Descriptors travel as numbers; who owns one is said where
 * a function takes or returns it.
 */
#include "napi.h"

#include <stdio.h>
#include <string.h>

napi_status pvx_argument(napi_env env, napi_callback_info info, int32_t *number)
{
	napi_value argv[1];
	size_t argc = 1;
	napi_status status = napi_get_cb_info(env, info, &argc, argv, NULL, NULL);

	return status == napi_ok ? napi_get_value_int32(env, argv[0], number) : status;
}

napi_value pvx_number(napi_env env, double number)
{
	napi_value value = NULL;

	napi_create_double(env, number, &value);
	return value;
}

napi_value pvx_undefined(napi_env env)
{
	napi_value value = NULL;

	napi_get_undefined(env, &value);
	return value;
}

void pvx_set(napi_env env, napi_value object, const char *key, napi_value value)
{
	napi_set_named_property(env, object, key, value);
}

napi_value pvx_throw_errno(napi_env env, const char *what, int error)
{
	char message[128];

	snprintf(message, sizeof(message), "%s: %s", what, strerror(error));
	napi_throw_error(env, strerrorname_np(error), message);
	return NULL;
}

void pvx_call(napi_env env, napi_async_context context, napi_ref callback, size_t argc, const napi_value *argv)
{
	napi_value function, receiver, result;

	napi_get_reference_value(env, callback, &function);
	napi_get_global(env, &receiver);
	if (napi_make_callback(env, context, receiver, function, argc, argv, &result) == napi_pending_exception) {
		napi_value error;

		napi_get_and_clear_last_exception(env, &error);
		napi_fatal_exception(env, error);
	}
}

void pvx_export(napi_env env, napi_value exports, const char *name, napi_callback callback)
{
	napi_value function = NULL;

	napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, NULL, &function);
	pvx_set(env, exports, name, function);
}

NAPI_MODULE_INIT()
{
	closing_exports(env, exports);
	counters_exports(env, exports);
	socket_exports(env, exports);
	channel_exports(env, exports);
	process_exports(env, exports);
	poller_exports(env, exports);
	probe_exports(env, exports);
	return exports;
}
