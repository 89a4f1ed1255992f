/*
 * Stream sockets on the event loop of JavaScript, many at a time: one epoll set, one call into JavaScript a
 * round. src/relay/byte-channel.ts is the only caller and keeps all state; this only says "try again".
 *
 * Every socket is watched once, edge-triggered, for everything. What an event says is a hint, never a fact:
 * a descriptor's number may be another socket's by the time that JavaScript hears of it, and trying finds out.
 * Reads and writes never block, and descriptors that a peer sends along are closed where nobody waits for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "napi.h"
#include "relay.h"

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

/* pollerOpen(Int32Array of 2 * BATCH, callback) -> poller, which lives as long as the process.
 * callback(count): that many pairs are in the array. */
static napi_value open_poller(napi_env env, napi_callback_info info)
{
	napi_value argv[2], name, external;
	napi_typedarray_type type;
	struct poller *p;
	uv_loop_t *loop;
	size_t argc = 2, length;
	void *events;

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
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll < 0 || uv_poll_init(loop, &p->poll, p->epoll) < 0) {
		int error = errno;

		if (p->epoll >= 0)
			close(p->epoll);
		free(p);
		return pvx_throw_errno(env, "poller", error);
	}
	p->poll.data = p;
	napi_create_string_utf8(env, "pvx-poller", NAPI_AUTO_LENGTH, &name);
	NAPI_OK(env, napi_async_init(env, NULL, name, &p->context));
	NAPI_OK(env, napi_create_reference(env, argv[0], 1, &p->events_ref));
	NAPI_OK(env, napi_create_reference(env, argv[1], 1, &p->callback));
	uv_poll_start(&p->poll, UV_READABLE, on_poll);
	uv_unref((uv_handle_t *)&p->poll);
	napi_create_external(env, p, NULL, NULL, &external);
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

/* socketRead(fd, Buffer) -> bytes, 0 at the end of the stream, or -errno */
static napi_value socket_read(napi_env env, napi_callback_info info)
{
	napi_value argv[2];
	size_t argc = 2, length;
	void *data;
	int32_t fd;
	ssize_t n;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_value_int32(env, argv[0], &fd));
	NAPI_OK(env, napi_get_buffer_info(env, argv[1], &data, &length));
	do
		n = receive_bytes(fd, data, length, account_of(fd));
	while (n < 0 && errno == EINTR);
	return pvx_number(env, n < 0 ? -errno : (double)n);
}

/* socketWrite(fd, Buffer, from, to) -> bytes, or -errno */
static napi_value socket_write(napi_env env, napi_callback_info info)
{
	napi_value argv[4];
	uint32_t from, to;
	size_t argc = 4, length;
	int32_t fd;
	void *data;
	ssize_t n;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_value_int32(env, argv[0], &fd));
	NAPI_OK(env, napi_get_buffer_info(env, argv[1], &data, &length));
	NAPI_OK(env, napi_get_value_uint32(env, argv[2], &from));
	NAPI_OK(env, napi_get_value_uint32(env, argv[3], &to));
	if (from > to || to > length)
		return pvx_number(env, -EINVAL);
	do
		n = send(fd, (char *)data + from, to - from, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return pvx_number(env, n < 0 ? -errno : (double)n);
}

/* isTransient(errno) -> boolean, see transient */
static napi_value is_transient(napi_env env, napi_callback_info info)
{
	napi_value passes;
	int32_t error;

	NAPI_OK(env, pvx_argument(env, info, &error));
	napi_get_boolean(env, transient(error), &passes);
	return passes;
}

/* socketReserve(fd) -> 0 or -errno: a place in the epoll set of the loop itself, for a socket that Node.js is to have.
 * libuv ends the process where it finds none; this one it takes over, and gives up when the socket is closed. */
static napi_value socket_reserve(napi_env env, napi_callback_info info)
{
	struct epoll_event event = { .events = EPOLLET };
	uv_loop_t *loop;
	int32_t fd;

	NAPI_OK(env, pvx_argument(env, info, &fd));
	NAPI_OK(env, napi_get_uv_event_loop(env, &loop));
	event.data.fd = fd; /* as libuv has it */
	return pvx_number(env, epoll_ctl(uv_backend_fd(loop), EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0);
}

/* socketAccept(fd) -> fd, non-blocking, close-on-exec, the caller's; or -errno */
static napi_value socket_accept(napi_env env, napi_callback_info info)
{
	int32_t fd;

	NAPI_OK(env, pvx_argument(env, info, &fd));
	fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return pvx_number(env, fd < 0 ? -errno : fd);
}

/* socketShutdown(fd): no more will be written */
static napi_value socket_shutdown(napi_env env, napi_callback_info info)
{
	int32_t fd;

	NAPI_OK(env, pvx_argument(env, info, &fd));
	shutdown(fd, SHUT_WR);
	return pvx_undefined(env);
}

void poller_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "pollerOpen", open_poller);
	pvx_export(env, exports, "pollerAdd", add);
	pvx_export(env, exports, "pollerRemove", remove_fd);
	pvx_export(env, exports, "pollerHold", hold);
	pvx_export(env, exports, "isTransient", is_transient);
	pvx_export(env, exports, "socketReserve", socket_reserve);
	pvx_export(env, exports, "socketAccept", socket_accept);
	pvx_export(env, exports, "socketRead", socket_read);
	pvx_export(env, exports, "socketWrite", socket_write);
	pvx_export(env, exports, "socketShutdown", socket_shutdown);
}
