/*
 * Commands from JavaScript to the relay's thread: appended here, run there, in the order that they came.
 *
 * A command to a relay that was stopped has no effect; the descriptors in it are closed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "napi.h"
#include "relay-napi.h"
#include "relay-transfer.h"

struct command *command_new(void (*run)(struct relay *, struct command *), struct link *link)
{
	struct command *command = calloc(1, sizeof(*command));

	if (!command)
		abort();
	list_init(&command->node);
	command->run = run;
	command->link = link;
	command->fd[0] = command->fd[1] = -1;
	if (link)
		atomic_fetch_add(&link->refs, 1);
	return command;
}

void command_submit(struct relay *relay, struct command *command)
{
	uint64_t one = 1;

	pthread_mutex_lock(&relay->lock);
	list_add_tail(&relay->commands, &command->node);
	pthread_mutex_unlock(&relay->lock);
	while (write(relay->wake.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* A request's bytes as src/broker/protocol.ts lays them out, or NULL for null. */
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

/* relayCommand(link, name, a, b, request): 'listen' fd mode upstream | 'retarget' 0 0 upstream | 'stop' |
 * 'close' drainMs | 'resolve' conn 0 request | 'cancel' transfer. Takes descriptors. */
napi_value command_call(napi_env env, napi_callback_info info)
{
	static const struct {
		const char *name;
		void (*run)(struct relay *, struct command *);
		int fds; /* how many of a and b are descriptors */
	} commands[] = { { "listen", link_listen, 1 }, { "retarget", link_retarget, 0 },
			 { "stop", link_stop, 0 },     { "close", link_close, 0 },
			 { "resolve", provider_resolve, 0 }, { "cancel", transfer_cancel, 0 } };
	struct pvx_request *request;
	napi_value argv[5];
	struct link *link;
	size_t argc = 5;
	char name[16];
	int32_t a, b;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_value_external(env, argv[0], (void **)&link));
	NAPI_OK(env, napi_get_value_string_utf8(env, argv[1], name, sizeof(name), NULL));
	NAPI_OK(env, napi_get_value_int32(env, argv[2], &a));
	NAPI_OK(env, napi_get_value_int32(env, argv[3], &b));
	if (!get_request(env, argv[4], &request)) {
		napi_throw_type_error(env, NULL, "pvx: not a request");
		return NULL;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		struct command *c;

		if (strcmp(commands[i].name, name) != 0)
			continue;
		if (link->relay->stopped) {
			closing_socket(link->closing, commands[i].fds ? a : -1, false);
			free(request);
			return pvx_undefined(env);
		}
		c = command_new(commands[i].run, link);
		c->request = request;
		c->fd[0] = a;
		c->fd[1] = b;
		c->mode = (enum accept_mode)b;
		c->conn = (uint32_t)a;
		c->drain_ms = (uint32_t)a;
		command_submit(link->relay, c);
		return pvx_undefined(env);
	}
	free(request);
	napi_throw_type_error(env, NULL, "pvx: no such command");
	return NULL;
}
