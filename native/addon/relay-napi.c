/*
 * The JavaScript face of the relay itself: started, heard of, stopped. src/relay/relay.ts is its only caller;
 * src/relay/native.ts has the types.
 *
 * Reports come in batches: one call of the callback with all that has gathered.
 */
#include "napi.h"
#include "relay-ring.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const char *const event_names[] = { "pending", "handed", "upstream", "full", "gone", "broker", "stopped", "moved" };

void relay_notify(struct relay *relay)
{
	napi_call_threadsafe_function(relay->notify, NULL, napi_tsfn_nonblocking);
}

/* In the JavaScript thread: callback(events). Descriptors in them are JavaScript's from here on. */
static void deliver(napi_env env, napi_value callback, void *context, void *data)
{
	struct relay *relay = context;
	napi_value list, global, result;
	struct event *events;
	uint32_t n;

	(void)data;
	pthread_mutex_lock(&relay->lock);
	events = relay->events;
	n = relay->nevents;
	relay->events = NULL;
	relay->nevents = relay->events_capacity = 0;
	relay->signalled = false;
	pthread_mutex_unlock(&relay->lock);
	if (!env) {
		for (uint32_t i = 0; i < n; i++)
			if (events[i].fd >= 0)
				closing_take(relay->closing, &events[i].fd, 1);
		free(events);
		return;
	}
	napi_create_array_with_length(env, n, &list);
	for (uint32_t i = 0; i < n; i++) {
		napi_value event, type;

		napi_create_object(env, &event);
		napi_create_string_utf8(env, event_names[events[i].type], NAPI_AUTO_LENGTH, &type);
		pvx_set(env, event, "type", type);
		pvx_set(env, event, "link", pvx_number(env, events[i].link));
		pvx_set(env, event, "conn", pvx_number(env, events[i].conn));
		account_put(&events[i].fd, 1, NULL);
		pvx_set(env, event, "fd", pvx_number(env, events[i].fd));
		pvx_set(env, event, "errno", pvx_number(env, events[i].error));
		pvx_set(env, event, "bytes", pvx_number(env, (double)events[i].bytes));
		napi_set_element(env, list, i, event);
	}
	free(events);
	napi_get_global(env, &global);
	napi_call_function(env, global, callback, 1, &list, &result);
}

/* Signals are for the main thread, which waits for them. */
static int start_thread(struct relay *relay)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&relay->thread, NULL, relay_main, relay);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

/* Gives back what it has, but the struct itself: links point at it, and a report may be on its way. */
static void release(struct relay *relay)
{
	int fds[] = { relay->wake.fd, relay->epoll };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	closing_socket(relay->closing, relay->broker.fd, false);
	scratch_free(relay->scratch);
	relay->scratch = NULL;
}

/* relayStart(brokerFd, callback) -> relay. Takes the descriptor (-1: none), and makes it close-on-exec. */
static napi_value start(napi_env env, napi_callback_info info)
{
	napi_value argv[2], name, external;
	struct relay *relay;
	size_t argc = 2;
	int broker, error = 0;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_value_int32(env, argv[0], &broker));
	account_put(&broker, 1, NULL);
	relay = calloc(1, sizeof(*relay));
	if (!relay || !(relay->scratch = scratch_new()) || !(relay->closing = closing_new())) {
		if (relay)
			scratch_free(relay->scratch);
		free(relay);
		if (broker >= 0)
			close(broker);
		return pvx_throw_errno(env, "relay", ENOMEM);
	}
	if (broker >= 0)
		fcntl(broker, F_SETFD, FD_CLOEXEC);
	list_init(&relay->links);
	list_init(&relay->ready);
	list_init(&relay->tick_conns);
	list_init(&relay->tick_links);
	list_init(&relay->pipes);
	list_init(&relay->dead);
	list_init(&relay->dead_flows);
	list_init(&relay->dead_links);
	list_init(&relay->commands);
	pthread_mutex_init(&relay->lock, NULL);
	ring_init(relay);
	relay->epoll = epoll_create1(EPOLL_CLOEXEC);
	relay->wake = (struct source){ .kind = KIND_WAKE, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	relay->broker = (struct source){ .kind = KIND_BROKER, .fd = broker };
	relay->broker_writable = true;
	napi_create_string_utf8(env, "pvx-relay", NAPI_AUTO_LENGTH, &name);
	if (relay->epoll < 0 || relay->wake.fd < 0 || relay_watch(relay, &relay->wake, EPOLLIN) < 0 ||
	    (broker >= 0 && relay_watch(relay, &relay->broker, EPOLLIN) < 0))
		error = errno;
	else if (napi_create_threadsafe_function(env, argv[1], NULL, name, 0, 1, NULL, NULL, relay, deliver,
						 &relay->notify) != napi_ok)
		error = EINVAL;
	else if ((error = start_thread(relay)))
		napi_release_threadsafe_function(relay->notify, napi_tsfn_abort);
	if (error) {
		release(relay);
		closing_unref(relay->closing);
		if (!relay->notify)
			free(relay);
		return pvx_throw_errno(env, "relay", error);
	}
	napi_unref_threadsafe_function(env, relay->notify);
	napi_create_external(env, relay, NULL, NULL, &external);
	return external;
}

static void stop_relay(struct relay *relay, struct command *command)
{
	(void)command;
	relay->stopping = true;
}

/* relayStop(relay): closes everything and waits for the thread. Commands have no effect after this. */
static napi_value stop(napi_env env, napi_callback_info info)
{
	struct relay *relay;
	napi_value argv[1];
	size_t argc = 1;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	NAPI_OK(env, napi_get_value_external(env, argv[0], (void **)&relay));
	if (relay->stopped)
		return pvx_undefined(env);
	command_submit(relay, command_new(stop_relay, NULL));
	pthread_join(relay->thread, NULL);
	relay->stopped = true;
	commands_cancel(relay);
	napi_release_threadsafe_function(relay->notify, napi_tsfn_abort);
	release(relay);
	return pvx_undefined(env);
}

void relay_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "relayStart", start);
	pvx_export(env, exports, "relayStop", stop);
}
