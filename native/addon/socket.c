/*
 * Calls on one socket, for JavaScript that holds its descriptor: they never wait, and return what the kernel said. The
 * descriptor stays the caller's; those that a peer sends along are closed where nobody waits for it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <uv.h>

#include "../message.h"
#include "napi.h"

/* socketPair(type) -> [fd, fd], both the caller's, close-on-exec */
static napi_value socket_pair(napi_env env, napi_callback_info info)
{
	napi_value list;
	int32_t type;
	int fds[2];

	NAPI_OK(env, pvx_argument(env, info, &type));
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
		return pvx_throw_errno(env, "socketpair", errno);
	napi_create_array_with_length(env, 2, &list);
	napi_set_element(env, list, 0, pvx_number(env, fds[0]));
	napi_set_element(env, list, 1, pvx_number(env, fds[1]));
	return list;
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

/* socketAddress(fd) -> {ip, port} of the other end | undefined: not an IP socket, or not connected */
static napi_value socket_address(napi_env env, napi_callback_info info)
{
	union {
		struct sockaddr any;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
	} address = { 0 };
	socklen_t length = sizeof(address);
	char text[INET6_ADDRSTRLEN];
	napi_value argv[1], object, ip;
	const void *bytes;
	size_t argc = 1;
	int32_t fd;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_value_int32(env, argv[0], &fd));
	if (getpeername(fd, &address.any, &length) < 0)
		return pvx_undefined(env);
	if (address.any.sa_family == AF_INET)
		bytes = &address.four.sin_addr;
	else if (address.any.sa_family == AF_INET6)
		bytes = &address.six.sin6_addr;
	else
		return pvx_undefined(env);
	inet_ntop(address.any.sa_family, bytes, text, sizeof(text));
	napi_create_object(env, &object);
	napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &ip);
	pvx_set(env, object, "ip", ip);
	pvx_set(env, object, "port", pvx_number(env, ntohs(address.four.sin_port)));
	return object;
}

/* socketState(fd) -> errno: 0 connected, EINPROGRESS, or why not */
static napi_value socket_state(napi_env env, napi_callback_info info)
{
	int32_t fd;

	NAPI_OK(env, pvx_argument(env, info, &fd));
	return pvx_number(env, tcp_shaken(fd));
}

void socket_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "socketPair", socket_pair);
	pvx_export(env, exports, "isTransient", is_transient);
	pvx_export(env, exports, "socketReserve", socket_reserve);
	pvx_export(env, exports, "socketAccept", socket_accept);
	pvx_export(env, exports, "socketRead", socket_read);
	pvx_export(env, exports, "socketWrite", socket_write);
	pvx_export(env, exports, "socketShutdown", socket_shutdown);
	pvx_export(env, exports, "socketAddress", socket_address);
	pvx_export(env, exports, "socketState", socket_state);
}
