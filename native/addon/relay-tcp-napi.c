/*
 * The JavaScript face of relay-tcp.c and relay-transfer.c, and what JavaScript asks of a single TCP socket.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay-napi.h"
#include "relay-tcp.h"
#include "relay-transfer.h"

/* relayAccess(link, limited, rules, proxyVersion): before the link's 'listen'. `rules`: RULE_SIZE bytes each. */
static napi_value access_call(napi_env env, napi_callback_info info)
{
	struct access *access;
	struct link *link;
	napi_value argv[4];
	size_t argc = 4, length;
	uint32_t proxy;
	bool limited;
	void *rules;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_value_external(env, argv[0], (void **)&link));
	NAPI_OK(env, napi_get_value_bool(env, argv[1], &limited));
	NAPI_OK(env, napi_get_buffer_info(env, argv[2], &rules, &length));
	NAPI_OK(env, napi_get_value_uint32(env, argv[3], &proxy));
	access = calloc(1, sizeof(*access));
	if (!access)
		return pvx_throw_errno(env, "access", ENOMEM);
	access->limited = limited;
	access->proxy = (uint8_t)proxy;
	if (link->access || proxy > 2 || !tcp_access_rules(access, rules, length)) {
		free(access);
		return pvx_throw_errno(env, "access", EINVAL);
	}
	link->access = access; /* its thread looks once it has the listener */
	return pvx_undefined(env);
}

/* relayTransfer(link, number, source, sink, bytes, towardsProvider, end, idleMs, silenceMs) -> 0, or an errno: then
 * there is no report. The descriptors stay the caller's; bytes is infinite where all is meant. */
static napi_value transfer_call(napi_env env, napi_callback_info info)
{
	struct transfer *transfer;
	struct command *command;
	struct link *link;
	napi_value argv[9];
	size_t argc = 9;
	uint32_t number, idle_ms, silence_ms;
	bool to_provider, end;
	int32_t fd[2];
	double bytes;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_value_external(env, argv[0], (void **)&link));
	NAPI_OK(env, napi_get_value_uint32(env, argv[1], &number));
	NAPI_OK(env, napi_get_value_int32(env, argv[2], &fd[0]));
	NAPI_OK(env, napi_get_value_int32(env, argv[3], &fd[1]));
	NAPI_OK(env, napi_get_value_double(env, argv[4], &bytes));
	NAPI_OK(env, napi_get_value_bool(env, argv[5], &to_provider));
	NAPI_OK(env, napi_get_value_bool(env, argv[6], &end));
	NAPI_OK(env, napi_get_value_uint32(env, argv[7], &idle_ms));
	NAPI_OK(env, napi_get_value_uint32(env, argv[8], &silence_ms));
	if (!(bytes >= 1))
		return pvx_number(env, EINVAL);
	if (link->relay->stopped)
		return pvx_number(env, ESHUTDOWN);
	command = command_new(transfer_begin, link);
	command->transfer = transfer = calloc(1, sizeof(*transfer));
	for (int i = 0; i < 2 && transfer; i++)
		command->fd[i] = fcntl(fd[i], F_DUPFD_CLOEXEC, 3);
	if (command->fd[0] < 0 || command->fd[1] < 0) {
		int error = transfer ? errno : ENOMEM;

		if (command->fd[0] >= 0)
			close(command->fd[0]);
		free(transfer);
		free(command);
		link_unref(link);
		return pvx_number(env, error);
	}
	*transfer = (struct transfer){ .left = bytes < 0x1p63 ? (uint64_t)bytes : UINT64_MAX, .idle_ms = idle_ms,
				       .silence_ms = silence_ms,
				       .from = to_provider ? 0 : 1, .end = end, .outcome = MOVED_CANCELLED };
	command->conn = number;
	command_submit(link->relay, command);
	return pvx_number(env, 0);
}

/* False: an exception is pending, or there is no memory. `*owed` stays NULL for no bytes. */
static bool get_owed(napi_env env, napi_value value, struct backlog **owed)
{
	size_t length;
	void *bytes;

	*owed = NULL;
	if (napi_get_buffer_info(env, value, &bytes, &length) != napi_ok)
		return false;
	if (length == 0)
		return true;
	*owed = calloc(1, sizeof(**owed) + length + sizeof(int));
	if (!*owed)
		return false;
	memcpy((*owed)->data, bytes, length);
	(*owed)->length = length;
	(*owed)->fds = (int *)((*owed)->data + ((length + sizeof(int) - 1) & ~(sizeof(int) - 1))); /* none */
	return true;
}

/* relayJoin(link, consumerFd, providerFd, toConsumer, toProvider): takes the descriptors; the buffers are what each
 * side is sent first. */
static napi_value join_call(napi_env env, napi_callback_info info)
{
	struct command *command;
	napi_value argv[5];
	struct link *link;
	size_t argc = 5;
	int32_t fd[2];

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_value_external(env, argv[0], (void **)&link));
	NAPI_OK(env, napi_get_value_int32(env, argv[1], &fd[0]));
	NAPI_OK(env, napi_get_value_int32(env, argv[2], &fd[1]));
	if (link->relay->stopped) {
		for (int i = 0; i < 2; i++)
			closing_socket(link->closing, fd[i], false);
		return pvx_undefined(env);
	}
	account_put(fd, 2, NULL); /* the relay's, and on the link's from here on */
	command = command_new(conn_join, link);
	command->fd[0] = fd[0];
	command->fd[1] = fd[1];
	if (!get_owed(env, argv[3], &command->owed[0]) || !get_owed(env, argv[4], &command->owed[1]))
		abort();
	conn_count(link); /* at once: the next one may be one too many */
	command_submit(link->relay, command);
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

void tcp_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "relayAccess", access_call);
	pvx_export(env, exports, "relayTransfer", transfer_call);
	pvx_export(env, exports, "relayJoin", join_call);
	pvx_export(env, exports, "socketAddress", socket_address);
	pvx_export(env, exports, "socketState", socket_state);
}
