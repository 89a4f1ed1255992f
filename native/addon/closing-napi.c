/*
 * Closing as JavaScript does it: never in its own thread, where the descriptor came from others (closer.c).
 *
 * On whose account a descriptor is closed is known by its number, from its arrival on, so that whoever it is passed
 * to does not have to carry that along. What came from nobody in particular is on an account of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "napi.h"

static struct closing **accounts; /* by descriptor; counted references. JavaScript's thread alone */
static uint32_t naccounts;
static struct closing *common;

static struct closing *of_nobody(void)
{
	if (!common && !(common = closing_new()))
		abort();
	return common;
}

void account_put(const int *fds, uint32_t n, struct closing *closing)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t fd = (uint32_t)fds[i];

		if (fds[i] < 0 || (fd >= naccounts && !closing))
			continue;
		if (fd >= naccounts) {
			uint32_t many = fd < 1024 ? 1024 : fd * 2;
			struct closing **grown = realloc(accounts, many * sizeof(*grown));

			if (!grown)
				abort();
			while (naccounts < many)
				grown[naccounts++] = NULL;
			accounts = grown;
		}
		if (closing)
			closing_ref(closing);
		if (accounts[fd])
			closing_unref(accounts[fd]);
		accounts[fd] = closing;
	}
}

struct closing *account_of(int fd)
{
	return fd >= 0 && (uint32_t)fd < naccounts && accounts[fd] ? accounts[fd] : of_nobody();
}

void account_close(int fd)
{
	closing_take(account_of(fd), &fd, 1);
	account_put(&fd, 1, NULL);
}

void account_close_socket(int fd, bool shared)
{
	closing_socket(account_of(fd), fd, shared);
	account_put(&fd, 1, NULL);
}

struct closing *account_get(napi_env env, napi_value value)
{
	struct closing *closing = NULL;

	return napi_get_value_external(env, value, (void **)&closing) == napi_ok ? closing : NULL;
}

static void collect(napi_env env, void *closing, void *hint)
{
	(void)env;
	(void)hint;
	closing_unref(closing);
}

/* closingNew() -> account */
static napi_value new_account(napi_env env, napi_callback_info info)
{
	struct closing *closing = closing_new();
	napi_value external;

	(void)info;
	if (!closing)
		abort();
	napi_create_external(env, closing, collect, NULL, &external);
	return external;
}

/* descriptorsClose(fds[]): takes them. What is no descriptor among them keeps none of the others open. */
static napi_value close_all(napi_env env, napi_callback_info info)
{
	napi_value argv[1];
	size_t argc = 1;
	uint32_t n = 0;
	napi_status status = napi_ok;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_array_length(env, argv[0], &n));
	for (uint32_t i = 0; i < n; i++) {
		napi_value element;
		int32_t fd;

		if (napi_get_element(env, argv[0], i, &element) == napi_ok && napi_get_value_int32(env, element, &fd) == napi_ok)
			account_close(fd);
		else
			status = napi_invalid_arg;
	}
	NAPI_OK(env, status);
	return pvx_undefined(env);
}

/* descriptorDuplicate(fd) -> fd, close-on-exec, the caller's, on the same account; or -errno */
static napi_value duplicate(napi_env env, napi_callback_info info)
{
	int32_t fd, copy;

	NAPI_OK(env, pvx_argument(env, info, &fd));
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return pvx_number(env, -errno);
	account_put(&copy, 1, account_of(fd));
	return pvx_number(env, copy);
}

static napi_value take_socket(napi_env env, napi_callback_info info, bool shared)
{
	int32_t fd;

	NAPI_OK(env, pvx_argument(env, info, &fd));
	account_close_socket(fd, shared);
	return pvx_undefined(env);
}

/* socketClose(fd): takes a socket of ours */
static napi_value close_socket(napi_env env, napi_callback_info info)
{
	return take_socket(env, info, false);
}

/* socketLeave(fd): the same of one that another process has, too, where it goes on */
static napi_value leave_socket(napi_env env, napi_callback_info info)
{
	return take_socket(env, info, true);
}

void closing_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "closingNew", new_account);
	pvx_export(env, exports, "descriptorsClose", close_all);
	pvx_export(env, exports, "descriptorDuplicate", duplicate);
	pvx_export(env, exports, "socketClose", close_socket);
	pvx_export(env, exports, "socketLeave", leave_socket);
}
