/*
 * The JavaScript face of the relay's links. src/relay/relay.ts is its only caller; src/relay/native.ts has the types.
 *
 * Calls append a command and wake the thread; they never wait for it. A descriptor that a call takes is closed where
 * the call fails, too.
 */
#include "napi.h"
#include "relay-ring.h"
#include "relay-tcp.h"
#include "relay-transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static const char *const reasons[REASON_COUNT] = { "eof",      "reset",     "no-provider", "refused",
						   "detached", "truncated", "not-allowed", "error" };

static void add_link(struct relay *relay, struct command *command)
{
	list_add_tail(&relay->links, &command->link->node);
	relay->nlinks++;
}

static void finalize_link(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	link_unref(data);
}

/* linkNew(relay, number, type, fds, patienceMs, maxConnections, consumerHandle, closing, memory) -> link */
static napi_value new_link(napi_env env, napi_callback_info info)
{
	uint32_t number, patience, most, consumer;
	struct relay *relay;
	struct link *link;
	struct closing *closing;
	napi_value argv[9], external;
	size_t argc = 9;
	int64_t memory;
	int32_t type;
	bool fds;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_value_external(env, argv[0], (void **)&relay));
	NAPI_OK(env, napi_get_value_uint32(env, argv[1], &number));
	NAPI_OK(env, napi_get_value_int32(env, argv[2], &type));
	NAPI_OK(env, napi_get_value_bool(env, argv[3], &fds));
	NAPI_OK(env, napi_get_value_uint32(env, argv[4], &patience));
	NAPI_OK(env, napi_get_value_uint32(env, argv[5], &most));
	NAPI_OK(env, napi_get_value_uint32(env, argv[6], &consumer));
	closing = account_get(env, argv[7]);
	NAPI_OK(env, napi_get_value_int64(env, argv[8], &memory));
	if (relay->stopped)
		return pvx_throw_errno(env, "relay", ESHUTDOWN);
	link = link_new(relay, number, closing ? closing : relay->closing);
	if (!link)
		return pvx_throw_errno(env, "relay", ENOMEM);
	link->type = type;
	link->fds = fds;
	link->patience_ms = patience;
	link->max_conns = most;
	link->memory_max = (uint64_t)memory;
	link->consumer = consumer;
	if (napi_create_external(env, link, finalize_link, NULL, &external) != napi_ok) {
		ring_remove(link);
		link_unref(link);
		link_unref(link); /* the relay's, which never hears of it */
		return pvx_throw_errno(env, "relay", ENOMEM);
	}
	command_submit(relay, command_new(add_link, link));
	return external;
}

/* The link that a call is about, its first argument. NULL: an exception is pending. */
static struct link *link_of(napi_env env, napi_callback_info info, napi_value *argv, size_t argc)
{
	struct link *link = NULL;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_value_external(env, argv[0], (void **)&link));
	return link;
}

/* linkRestrict(link, limited, rules, proxyVersion): before linkListen. `rules`: RULE_SIZE bytes each. */
static napi_value restrict_to(napi_env env, napi_callback_info info)
{
	struct access *access;
	napi_value argv[4];
	struct link *link = link_of(env, info, argv, 4);
	size_t length;
	uint32_t proxy;
	bool limited;
	void *rules;

	if (!link)
		return NULL;
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

static napi_value submit(napi_env env, struct command *command)
{
	command_submit(command->link->relay, command);
	return pvx_undefined(env);
}

/* A request's bytes as src/broker/protocol.ts lays them out, or NULL for null. False: it is neither, or no memory. */
static bool get_request(napi_env env, napi_value value, struct pvx_request **request)
{
	napi_valuetype kind;
	size_t length;
	void *data;

	*request = NULL;
	if (napi_typeof(env, value, &kind) != napi_ok)
		return false;
	if (kind == napi_null)
		return true;
	if (napi_get_buffer_info(env, value, &data, &length) != napi_ok || length != sizeof(**request))
		return false;
	*request = malloc(sizeof(**request));
	if (*request)
		memcpy(*request, data, length);
	return *request != NULL;
}

/* linkListen(link, listener, mode, upstream): takes the listener. `mode`: enum accept_mode */
static napi_value listen_to(napi_env env, napi_callback_info info)
{
	struct pvx_request *upstream;
	struct command *command;
	napi_value argv[4];
	struct link *link = link_of(env, info, argv, 4);
	uint32_t mode;
	int32_t fd;

	if (!link)
		return NULL;
	NAPI_OK(env, napi_get_value_int32(env, argv[1], &fd));
	account_put(&fd, 1, NULL); /* the relay's, and on the link's from here on */
	if (napi_get_value_uint32(env, argv[2], &mode) != napi_ok || mode > ACCEPT_HAND ||
	    !get_request(env, argv[3], &upstream)) {
		closing_socket(link->closing, fd, false);
		NAPI_OK(env, napi_invalid_arg);
	}
	command = command_new(link_listen, link);
	command->fd[0] = fd;
	command->mode = (enum accept_mode)mode;
	command->request = upstream;
	return submit(env, command);
}

/* linkRetarget(link, upstream) */
static napi_value retarget(napi_env env, napi_callback_info info)
{
	struct pvx_request *upstream;
	struct command *command;
	napi_value argv[2];
	struct link *link = link_of(env, info, argv, 2);

	if (!link)
		return NULL;
	NAPI_OK(env, get_request(env, argv[1], &upstream) ? napi_ok : napi_invalid_arg);
	command = command_new(link_retarget, link);
	command->request = upstream;
	return submit(env, command);
}

/* linkResolve(link, connection, request | null): what EVENT_PENDING asked */
static napi_value resolve(napi_env env, napi_callback_info info)
{
	struct pvx_request *request;
	struct command *command;
	napi_value argv[3];
	struct link *link = link_of(env, info, argv, 3);
	uint32_t conn;

	if (!link)
		return NULL;
	NAPI_OK(env, napi_get_value_uint32(env, argv[1], &conn));
	NAPI_OK(env, get_request(env, argv[2], &request) ? napi_ok : napi_invalid_arg);
	command = command_new(provider_resolve, link);
	command->conn = conn;
	command->request = request;
	return submit(env, command);
}

/* linkStopListening(link) */
static napi_value stop_listening(napi_env env, napi_callback_info info)
{
	napi_value argv[1];
	struct link *link = link_of(env, info, argv, 1);

	if (!link)
		return NULL;
	return submit(env, command_new(link_stop, link));
}

/* linkClose(link, drainMs) */
static napi_value close_link(napi_env env, napi_callback_info info)
{
	struct command *command;
	napi_value argv[2];
	struct link *link = link_of(env, info, argv, 2);
	uint32_t drain_ms;

	if (!link)
		return NULL;
	NAPI_OK(env, napi_get_value_uint32(env, argv[1], &drain_ms));
	command = command_new(link_close, link);
	command->drain_ms = drain_ms;
	return submit(env, command);
}

/* False: it is no buffer, or there is no memory. `*owed` stays NULL for no bytes. */
static bool get_owed(napi_env env, napi_value value, struct backlog **owed)
{
	size_t length;
	void *bytes;

	*owed = NULL;
	if (napi_get_buffer_info(env, value, &bytes, &length) != napi_ok)
		return false;
	if (length == 0)
		return true;
	*owed = backlog_new(bytes, length, NULL, 0);
	return *owed != NULL;
}

/* linkJoin(link, consumerFd, providerFd, toConsumer, toProvider): takes the descriptors; the buffers are what each
 * side is sent first. */
static napi_value join(napi_env env, napi_callback_info info)
{
	struct command *command;
	napi_value argv[5];
	struct link *link = link_of(env, info, argv, 5);
	bool right;

	if (!link)
		return NULL;
	command = command_new(conn_join, link);
	right = napi_get_value_int32(env, argv[1], &command->fd[0]) == napi_ok;
	right &= napi_get_value_int32(env, argv[2], &command->fd[1]) == napi_ok;
	account_put(command->fd, 2, NULL); /* the relay's, and on the link's from here on */
	if (!right || !get_owed(env, argv[3], &command->owed[0]) || !get_owed(env, argv[4], &command->owed[1])) {
		command_cancel(command);
		NAPI_OK(env, napi_invalid_arg);
	}
	if (!link->relay->stopped)
		conn_count(link); /* at once: the next one may be one too many */
	return submit(env, command);
}

/* linkTransfer(link, number, source, sink, bytes, towardsProvider, end, idleMs, silenceMs) -> 0, or an errno: then
 * there is no report. The descriptors stay the caller's; bytes is infinite where all is meant. */
static napi_value transfer(napi_env env, napi_callback_info info)
{
	struct transfer *moves;
	struct command *command;
	napi_value argv[9];
	struct link *link = link_of(env, info, argv, 9);
	uint32_t number, idle_ms, silence_ms;
	bool to_provider, end;
	int32_t fd[2];
	double bytes;

	if (!link)
		return NULL;
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
	moves = calloc(1, sizeof(*moves));
	if (!moves)
		return pvx_number(env, ENOMEM);
	*moves = (struct transfer){ .left = bytes < 0x1p63 ? (uint64_t)bytes : UINT64_MAX, .idle_ms = idle_ms,
				    .silence_ms = silence_ms,
				    .from = to_provider ? 0 : 1, .end = end, .outcome = MOVED_CANCELLED };
	command = command_new(transfer_begin, link);
	command->transfer = moves;
	command->conn = number;
	for (int i = 0; i < 2; i++) {
		command->fd[i] = fcntl(fd[i], F_DUPFD_CLOEXEC, 3);
		if (command->fd[i] < 0) {
			int error = errno;

			command_cancel(command);
			return pvx_number(env, error);
		}
	}
	command_submit(link->relay, command);
	return pvx_number(env, 0);
}

/* linkCancel(link, transfer): its number */
static napi_value cancel(napi_env env, napi_callback_info info)
{
	struct command *command;
	napi_value argv[2];
	struct link *link = link_of(env, info, argv, 2);
	uint32_t number;

	if (!link)
		return NULL;
	NAPI_OK(env, napi_get_value_uint32(env, argv[1], &number));
	command = command_new(transfer_cancel, link);
	command->conn = number;
	return submit(env, command);
}

/* linkLed(link, listener, fd) -> enum ring: a connection of JavaScript's own has reached the link's provider, see
 * ring_led. The descriptor stays JavaScript's. */
static napi_value led(napi_env env, napi_callback_info info)
{
	struct link *listener;
	napi_value argv[3];
	struct link *link = link_of(env, info, argv, 3);
	int fd;

	if (!link)
		return NULL;
	NAPI_OK(env, napi_get_value_external(env, argv[1], (void **)&listener));
	NAPI_OK(env, napi_get_value_int32(env, argv[2], &fd));
	return pvx_number(env, link->relay->stopped ? RING_NONE : ring_led(link, listener, fd));
}

/* linkStats(link) -> {active, total, toProvider, toConsumer, closes: {reason: n}} */
static napi_value stats(napi_env env, napi_callback_info info)
{
	napi_value argv[1], result, closes;
	struct link *link = link_of(env, info, argv, 1);

	if (!link)
		return NULL;
	napi_create_object(env, &result);
	napi_create_object(env, &closes);
	pvx_set(env, result, "active", pvx_number(env, (double)atomic_load(&link->active)));
	pvx_set(env, result, "total", pvx_number(env, (double)atomic_load(&link->total)));
	pvx_set(env, result, "toProvider", pvx_number(env, (double)atomic_load(&link->bytes[0])));
	pvx_set(env, result, "toConsumer", pvx_number(env, (double)atomic_load(&link->bytes[1])));
	for (int i = 0; i < REASON_COUNT; i++)
		pvx_set(env, closes, reasons[i], pvx_number(env, (double)atomic_load(&link->closes[i])));
	pvx_set(env, result, "closes", closes);
	return result;
}

void link_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "linkNew", new_link);
	pvx_export(env, exports, "linkRestrict", restrict_to);
	pvx_export(env, exports, "linkListen", listen_to);
	pvx_export(env, exports, "linkRetarget", retarget);
	pvx_export(env, exports, "linkResolve", resolve);
	pvx_export(env, exports, "linkStopListening", stop_listening);
	pvx_export(env, exports, "linkClose", close_link);
	pvx_export(env, exports, "linkJoin", join);
	pvx_export(env, exports, "linkTransfer", transfer);
	pvx_export(env, exports, "linkCancel", cancel);
	pvx_export(env, exports, "linkLed", led);
	pvx_export(env, exports, "linkStats", stats);
}
