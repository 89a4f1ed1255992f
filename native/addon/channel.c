/*
 * FdChannel: a unix stream or seqpacket socket that reads and writes bytes with descriptors, on the event
 * loop of JavaScript. src/relay/channel.ts is its only caller and keeps the queue of what can't be sent yet.
 *
 * Every descriptor of a message is collected before anything is looked at; a control message that was cut
 * short is an error, for what was lost can't be known.
 *
 * All channels are in one epoll set, which is one handle of the loop, made with the first of them. libuv ends the
 * process where the kernel has no memory or no watch left for a descriptor (uv__io_poll); here that is an errno. One
 * that was watched once stays in the set, so that it can be again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "../protocol.h"
#include "../message.h"
#include "napi.h"

#define CHUNK 65536u
#define RECORD (PVX_DATA_MAX + sizeof(struct pvx_reply)) /* the largest record that our broker sends */

#define BATCH 128

struct channel {
	napi_env env;
	napi_ref callback;
	napi_async_context context;
	struct closing *closing; /* counted reference; on whose account what comes is closed. NULL: trusted */
	int fd; /* owned; -1 once closed or released */
	uint32_t events; /* of epoll(7), that it waits for */
	uint32_t limit; /* bytes that one read may take; 0: all that there is room for */
	bool watched;   /* in the set */
	bool running;   /* JavaScript is called, and may close it */
	bool closed, collected; /* freed when both: its end and the garbage collector may each come last */
};

static struct {
	uv_poll_t poll;
	int epoll;        /* 0: not made yet */
	uint32_t waiting; /* channels that wait for something: as long as there are any, the process lives */
	struct epoll_event ready[BATCH];
	int n, at; /* of this round */
} set;

static char chunk[RECORD > CHUNK ? RECORD : CHUNK];

static void channel_free(struct channel *c)
{
	if (c->closing)
		closing_unref(c->closing);
	free(c);
}

static void call(struct channel *c, const char *what, napi_value data, napi_value fds, int error)
{
	napi_value argv[4];

	napi_create_string_utf8(c->env, what, NAPI_AUTO_LENGTH, &argv[0]);
	argv[1] = data ? data : pvx_undefined(c->env);
	argv[2] = fds ? fds : pvx_undefined(c->env);
	argv[3] = pvx_number(c->env, error);
	pvx_call(c->env, c->context, c->callback, 4, argv);
}

static void readable(struct channel *c)
{
	char control[CONTROL_RECEIVED_SIZE];
	size_t length = c->limit && c->limit < sizeof(chunk) ? c->limit : sizeof(chunk);
	struct iovec iov = { .iov_base = chunk, .iov_len = length };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	ssize_t n = recvmsg(c->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	napi_value data, list = NULL;
	int fds[MESSAGE_FDS_MAX];
	uint32_t nfds;

	if (n < 0 && transient(errno))
		return; /* the set is level-triggered: it is said again */
	if (n < 0) {
		call(c, "end", NULL, NULL, errno);
		return;
	}
	nfds = control_fds(&message, fds);
	account_put(fds, nfds, c->closing);
	if (message.msg_flags & MSG_TRUNC || (nfds > 0 && c->closing && closing_full(c->closing))) {
		for (uint32_t i = 0; i < nfds; i++)
			account_close(fds[i]);
		call(c, "end", NULL, NULL, message.msg_flags & MSG_TRUNC ? EMSGSIZE : ETOOMANYREFS);
		return;
	}
	if (n == 0 && nfds == 0) {
		call(c, "end", NULL, NULL, 0);
		return;
	}
	if (napi_create_buffer_copy(c->env, (size_t)n, chunk, NULL, &data) != napi_ok ||
	    napi_create_array_with_length(c->env, nfds, &list) != napi_ok) {
		napi_get_and_clear_last_exception(c->env, &data); /* of the memory that there is not */
		for (uint32_t i = 0; i < nfds; i++)
			account_close(fds[i]);
		call(c, "end", NULL, NULL, ENOMEM); /* what was read is lost */
		return;
	}
	for (uint32_t i = 0; i < nfds; i++)
		napi_set_element(c->env, list, i, pvx_number(c->env, fds[i]));
	/* With a cut control message the bytes still arrive: the caller decides what their loss means. */
	call(c, "data", data, list, message.msg_flags & MSG_CTRUNC ? EMFILE : 0);
}

/* 0, or an errno: then nothing of JavaScript's is kept. */
static int keep_callback(struct channel *c, napi_value callback)
{
	napi_value name;

	if (napi_create_string_utf8(c->env, "pvx-channel", NAPI_AUTO_LENGTH, &name) != napi_ok ||
	    napi_async_init(c->env, NULL, name, &c->context) != napi_ok)
		return ENOMEM;
	if (napi_create_reference(c->env, callback, 1, &c->callback) == napi_ok)
		return 0;
	napi_async_destroy(c->env, c->context);
	return EINVAL;
}

/* Frees what JavaScript gave: its callback may hold the channel itself. */
static void finish(struct channel *c)
{
	napi_delete_reference(c->env, c->callback);
	napi_async_destroy(c->env, c->context);
	c->closed = true;
	if (c->collected)
		channel_free(c);
}

static void dispatch(struct channel *c, uint32_t events)
{
	napi_handle_scope scope;

	/* Of a peer that left bytes unread, say: what it sent is still to be read, and the call that finds nothing more
	 * names the error. */
	if (events & (EPOLLERR | EPOLLHUP))
		events |= EPOLLIN | EPOLLOUT;
	events &= c->events;
	if (!events)
		return;
	c->running = true;
	napi_open_handle_scope(c->env, &scope);
	if (events & EPOLLIN)
		readable(c);
	if ((events & EPOLLOUT) && c->fd >= 0)
		call(c, "writable", NULL, NULL, 0);
	napi_close_handle_scope(c->env, scope);
	c->running = false;
	if (c->fd < 0)
		finish(c);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	(void)poll;
	(void)status;
	(void)events;
	set.n = epoll_wait(set.epoll, set.ready, BATCH, 0);
	for (set.at = 0; set.at < set.n; set.at++)
		if (set.ready[set.at].data.ptr)
			dispatch(set.ready[set.at].data.ptr, set.ready[set.at].events);
	set.n = 0;
}

/* 0 or an errno. */
static int set_init(uv_loop_t *loop)
{
	int error;

	if (set.epoll > 0)
		return 0;
	set.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (set.epoll < 0)
		error = errno;
	else if (!(error = -uv_poll_init(loop, &set.poll, set.epoll))) {
		uv_poll_start(&set.poll, UV_READABLE, on_ready);
		uv_unref((uv_handle_t *)&set.poll);
		return 0;
	} else {
		close(set.epoll);
	}
	set.epoll = 0;
	return error;
}

static void set_waits(struct channel *c, uint32_t events)
{
	if (!c->events && events && set.waiting++ == 0)
		uv_ref((uv_handle_t *)&set.poll);
	if (c->events && !events && --set.waiting == 0)
		uv_unref((uv_handle_t *)&set.poll);
	c->events = events;
}

/* 0 or an errno: ENOSPC or ENOMEM pass. Only the first time can it fail. */
static int set_watch(struct channel *c, uint32_t events)
{
	/* Who waits for nothing hears of a hang-up once, and not in each round. */
	struct epoll_event event = { .events = events ? events : EPOLLET, .data.ptr = c };

	if (!c->watched && !events)
		return 0;
	if (epoll_ctl(set.epoll, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &event) < 0)
		return errno;
	c->watched = true;
	set_waits(c, events);
	return 0;
}

/* Somebody else may have the same open file, which then stays open: it is taken out by hand. */
static void set_forget(struct channel *c, int fd)
{
	set_waits(c, 0);
	if (c->watched)
		epoll_ctl(set.epoll, EPOLL_CTL_DEL, fd, NULL);
	for (int i = set.at + 1; i < set.n; i++)
		if (set.ready[i].data.ptr == c)
			set.ready[i].data.ptr = NULL;
}

static struct channel *get(napi_env env, napi_callback_info info, napi_value *argv, size_t argc)
{
	struct channel *c = NULL;
	size_t given = argc;

	if (napi_get_cb_info(env, info, &given, argv, NULL, NULL) != napi_ok || given < argc ||
	    napi_get_value_external(env, argv[0], (void **)&c) != napi_ok) {
		napi_throw_type_error(env, NULL, "pvx: bad argument");
		return NULL;
	}
	return c;
}

static void collect(napi_env env, void *data, void *hint)
{
	struct channel *c = data;

	(void)env;
	(void)hint;
	c->collected = true;
	if (c->closed)
		channel_free(c);
}

/* channelOpen(fd, callback, account) -> channel. Takes the descriptor, also where it fails; makes it non-blocking and
 * close-on-exec. Nothing is called back before it is watched.
 * What comes through it is closed on that account, and so is itself; undefined: it comes from nobody to guard against.
 * callback('data', Buffer, fds[], errno) | ('end', , , errno) | ('writable') */
static napi_value open_channel(napi_env env, napi_callback_info info)
{
	napi_value argv[3], external;
	struct closing *closing;
	struct channel *c;
	uv_loop_t *loop;
	size_t argc = 3;
	int32_t fd;
	int error;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_uv_event_loop(env, &loop));
	NAPI_OK(env, napi_get_value_int32(env, argv[0], &fd));
	closing = account_get(env, argv[2]);
	account_put(&fd, 1, closing);
	c = calloc(1, sizeof(*c));
	error = c ? set_init(loop) : ENOMEM;
	if (!error) {
		*c = (struct channel){ .env = env, .fd = fd, .closing = closing ? closing_ref(closing) : NULL };
		error = keep_callback(c, argv[1]);
	}
	if (!error && napi_create_external(env, c, collect, NULL, &external) != napi_ok) {
		c->collected = true;
		finish(c); /* with the channel */
		c = NULL;
		error = ENOMEM;
	}
	if (error) {
		if (c)
			channel_free(c);
		account_close_socket(fd, false);
		return pvx_throw_errno(env, "channel", error);
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	keep_urgent(fd);
	return external;
}

/* channelSend(channel, Buffer, fds[]) -> bytes sent, or -errno. The descriptors stay the caller's. */
static napi_value send_channel(napi_env env, napi_callback_info info)
{
	char control[CONTROL_SIZE];
	struct msghdr message = { 0 };
	int fds[MESSAGE_FDS_MAX];
	struct channel *c;
	struct iovec iov;
	napi_value argv[3];
	uint32_t nfds = 0;
	ssize_t n;

	c = get(env, info, argv, 3);
	if (!c)
		return NULL;
	NAPI_OK(env, napi_get_buffer_info(env, argv[1], &iov.iov_base, &iov.iov_len));
	NAPI_OK(env, napi_get_array_length(env, argv[2], &nfds));
	if (c->fd < 0)
		return pvx_number(env, -EBADF);
	if (nfds > MESSAGE_FDS_MAX)
		return pvx_number(env, -EINVAL);
	for (uint32_t i = 0; i < nfds; i++) {
		napi_value element;

		NAPI_OK(env, napi_get_element(env, argv[2], i, &element));
		NAPI_OK(env, napi_get_value_int32(env, element, &fds[i]));
	}
	message.msg_iov = &iov;
	message.msg_iovlen = 1;
	control_put(&message, control, fds, nfds);
	do
		n = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return pvx_number(env, n < 0 ? -errno : (double)n);
}

/* channelWatch(channel, readable, writable, limit) -> 0 or -errno: one read takes at most `limit` bytes, 0: as many as
 * it can */
static napi_value watch(napi_env env, napi_callback_info info)
{
	napi_value argv[4];
	struct channel *c = get(env, info, argv, 4);
	bool want_read, want_write;

	if (!c)
		return NULL;
	NAPI_OK(env, napi_get_value_bool(env, argv[1], &want_read));
	NAPI_OK(env, napi_get_value_bool(env, argv[2], &want_write));
	NAPI_OK(env, napi_get_value_uint32(env, argv[3], &c->limit));
	if (c->fd < 0)
		return pvx_number(env, 0);
	return pvx_number(env, -set_watch(c, (want_read ? EPOLLIN : 0) | (want_write ? EPOLLOUT : 0)));
}

/* channelUnread(channel) -> what its peer has not read yet: 0 for nothing, else more than the bytes alone */
static napi_value unread(napi_env env, napi_callback_info info)
{
	napi_value argv[1];
	struct channel *c = get(env, info, argv, 1);
	int waiting = 0;

	if (c && c->fd >= 0)
		ioctl(c->fd, SIOCOUTQ, &waiting);
	return pvx_number(env, waiting);
}

/* channelRelease(channel) -> fd, the caller's now (-1: closed before), still on its account. Nothing is called back any
 * more. */
static napi_value release(napi_env env, napi_callback_info info)
{
	napi_value argv[1];
	struct channel *c = get(env, info, argv, 1);
	int fd;

	if (!c)
		return NULL;
	fd = c->fd;
	c->fd = -1;
	if (fd >= 0) {
		set_forget(c, fd);
		if (!c->running)
			finish(c);
	}
	return pvx_number(env, fd);
}

/* channelShutdown(channel): no more will be sent */
static napi_value shutdown_channel(napi_env env, napi_callback_info info)
{
	napi_value argv[1];
	struct channel *c = get(env, info, argv, 1);

	if (c && c->fd >= 0)
		shutdown(c->fd, SHUT_WR);
	return pvx_undefined(env);
}

void channel_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "channelOpen", open_channel);
	pvx_export(env, exports, "channelSend", send_channel);
	pvx_export(env, exports, "channelWatch", watch);
	pvx_export(env, exports, "channelUnread", unread);
	pvx_export(env, exports, "channelRelease", release);
	pvx_export(env, exports, "channelShutdown", shutdown_channel);
}
