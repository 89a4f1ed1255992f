/* Shorthand for Node-API: arguments in, values out. An argument of the wrong kind throws a TypeError. */
#ifndef PVX_NAPI_H
#define PVX_NAPI_H

#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>

#include "../closer.h"

#define NAPI_OK(env, call)                                                    \
	do {                                                                  \
		if ((call) != napi_ok) {                                      \
			napi_throw_type_error((env), NULL, "pvx: bad argument"); \
			return NULL;                                          \
		}                                                             \
	} while (0)

/* Of a call that takes one number. */
napi_status pvx_argument(napi_env, napi_callback_info, int32_t *);
napi_value pvx_number(napi_env, double);
napi_value pvx_undefined(napi_env);
void pvx_set(napi_env, napi_value object, const char *key, napi_value value);
napi_value pvx_throw_errno(napi_env, const char *what, int error);
/* Calls back from the event loop. What is thrown there is an uncaught exception. */
void pvx_call(napi_env, napi_async_context, napi_ref callback, size_t argc, const napi_value *argv);
void pvx_export(napi_env, napi_value exports, const char *name, napi_callback);

/* closing-napi.c, JavaScript's thread alone: on whose account a descriptor is closed from now on (NULL: nobody's);
 * refers to it. */
void account_put(const int *fds, uint32_t n, struct closing *);
struct closing *account_of(int fd);                /* never NULL; the table's reference */
void account_close(int fd);                        /* takes the descriptor, whatever it is */
void account_close_socket(int fd, bool shared);    /* takes a socket of ours, see closing_socket */
struct closing *account_get(napi_env, napi_value); /* JavaScript's; NULL: undefined */

void closing_exports(napi_env, napi_value exports);
void counters_exports(napi_env, napi_value exports);
void socket_exports(napi_env, napi_value exports);
void channel_exports(napi_env, napi_value exports);
void process_exports(napi_env, napi_value exports);
void poller_exports(napi_env, napi_value exports);
void probe_exports(napi_env, napi_value exports);

#endif
