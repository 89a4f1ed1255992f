/*
 * Stream sockets on the event loop of JavaScript, many at a time: one epoll set, one call into JavaScript a
 * round. src/relay/byte-channel.ts is the only caller and keeps all state; this only says "try again".
 *
 * Every socket is watched once, edge-triggered, for everything. What an event says is a hint, never a fact:
 * a descriptor's number may be another socket's by the time that JavaScript hears of it, and trying finds out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

#include "napi.h"

#define BATCH 128
#define WATCHED (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

struct poller {
	uv_poll_t poll;
	napi_env env;
	napi_ref callback, events_ref;
	napi_async_context context;
	int32_t *events; /* JavaScript's memory, held by events_ref: descriptor and epoll bits, BATCH times */
	int epoll;       /* owned */
};

static void on_poll(uv_poll_t *poll, int status, int what)
{
	struct poller *p = poll->data;
	struct epoll_event ready[BATCH];
	napi_value count;
	napi_handle_scope scope;
	int n = epoll_wait(p->epoll, ready, BATCH, 0);

	(void)status;
	(void)what;
	if (n <= 0)
		return;
	for (int i = 0; i < n; i++) {
		p->events[2 * i] = ready[i].data.fd;
		p->events[2 * i + 1] = (int32_t)(ready[i].events & 0x7fffffffu);
	}
	napi_open_handle_scope(p->env, &scope);
	count = pvx_number(p->env, n);
	pvx_call(p->env, p->context, p->callback, 1, &count);
	napi_close_handle_scope(p->env, scope);
}

/* Of JavaScript's array and callback, which `forget` frees. 0, or an errno: then neither is kept. */
static int keep(struct poller *p, napi_value events, napi_value callback)
{
	napi_value name;

	if (napi_create_string_utf8(p->env, "pvx-poller", NAPI_AUTO_LENGTH, &name) != napi_ok ||
	    napi_async_init(p->env, NULL, name, &p->context) != napi_ok)
		return ENOMEM;
	if (napi_create_reference(p->env, events, 1, &p->events_ref) == napi_ok) {
		if (napi_create_reference(p->env, callback, 1, &p->callback) == napi_ok)
			return 0;
		napi_delete_reference(p->env, p->events_ref);
	}
	napi_async_destroy(p->env, p->context);
	return EINVAL;
}

static void forget(struct poller *p)
{
	napi_delete_reference(p->env, p->events_ref);
	napi_delete_reference(p->env, p->callback);
	napi_async_destroy(p->env, p->context);
}

/* 0 or an errno. */
static int watch(struct poller *p, uv_loop_t *loop)
{
	int error;

	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll < 0)
		return errno;
	error = -uv_poll_init(loop, &p->poll, p->epoll);
	if (error) {
		close(p->epoll);
		return error;
	}
	p->poll.data = p;
	uv_poll_start(&p->poll, UV_READABLE, on_poll);
	uv_unref((uv_handle_t *)&p->poll);
	return 0;
}

/* pollerOpen(Int32Array of 2 * BATCH, callback) -> poller, which lives as long as the process.
 * callback(count): that many pairs are in the array. */
static napi_value open_poller(napi_env env, napi_callback_info info)
{
	napi_value argv[2], external;
	napi_typedarray_type type;
	struct poller *p;
	uv_loop_t *loop;
	size_t argc = 2, length;
	void *events;
	int error;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_typedarray_info(env, argv[0], &type, &length, &events, NULL, NULL));
	if (type != napi_int32_array || length != 2 * BATCH)
		return pvx_throw_errno(env, "poller", EINVAL);
	NAPI_OK(env, napi_get_uv_event_loop(env, &loop));
	p = calloc(1, sizeof(*p));
	if (!p)
		return pvx_throw_errno(env, "poller", ENOMEM);
	p->env = env;
	p->events = events;
	error = napi_create_external(env, p, NULL, NULL, &external) == napi_ok ? keep(p, argv[0], argv[1]) : ENOMEM;
	if (!error && (error = watch(p, loop)))
		forget(p);
	if (error) {
		free(p); /* nobody gets the external */
		return pvx_throw_errno(env, "poller", error);
	}
	return external;
}

static struct poller *poller_and_number(napi_env env, napi_callback_info info, int32_t *number)
{
	struct poller *p = NULL;
	napi_value argv[2];
	size_t argc = 2;

	if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc < 2 ||
	    napi_get_value_external(env, argv[0], (void **)&p) != napi_ok ||
	    napi_get_value_int32(env, argv[1], number) != napi_ok) {
		napi_throw_type_error(env, NULL, "pvx: bad argument");
		return NULL;
	}
	return p;
}

/* pollerAdd(poller, fd) -> 0 or -errno. The descriptor stays the caller's; it is non-blocking from here on. */
static napi_value add(napi_env env, napi_callback_info info)
{
	struct epoll_event event = { .events = WATCHED };
	int32_t fd;
	struct poller *p = poller_and_number(env, info, &fd);
	int flags;

	if (!p)
		return NULL;
	event.data.fd = fd;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return pvx_number(env, -errno);
	keep_urgent(fd);
	return pvx_number(env, 0);
}

/* pollerRemove(poller, fd) */
static napi_value remove_fd(napi_env env, napi_callback_info info)
{
	int32_t fd;
	struct poller *p = poller_and_number(env, info, &fd);

	if (p)
		epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, NULL);
	return pvx_undefined(env);
}

/* pollerHold(poller, 1 | 0): whether the process lives on for its sockets */
static napi_value hold(napi_env env, napi_callback_info info)
{
	int32_t held;
	struct poller *p = poller_and_number(env, info, &held);

	if (p && held)
		uv_ref((uv_handle_t *)&p->poll);
	else if (p)
		uv_unref((uv_handle_t *)&p->poll);
	return pvx_undefined(env);
}

void poller_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "pollerOpen", open_poller);
	pvx_export(env, exports, "pollerAdd", add);
	pvx_export(env, exports, "pollerRemove", remove_fd);
	pvx_export(env, exports, "pollerHold", hold);
}
