/*
 * The relay's thread: waits for events, runs commands, and ticks every 50 ms while somebody waits.
 *
 * Every descriptor is registered once, edge-triggered, for reading and writing; what an edge said is kept
 * as a flag until a system call says otherwise. So a blocked side costs nothing while it is blocked, and
 * a peer that hung up cannot make the loop spin.
 */
#include "dgram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 65536u /* reports that JavaScript has not fetched yet */
#define EVENTS_MANY 256u

uint64_t relay_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

int relay_watch(struct relay *relay, struct source *source, uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLET, .data.ptr = source };

	return epoll_ctl(relay->epoll, EPOLL_CTL_ADD, source->fd, &event) < 0 ? -errno : 0;
}

bool relay_rearm(struct relay *relay, struct source *source, uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLET, .data.ptr = source };

	return epoll_ctl(relay->epoll, EPOLL_CTL_MOD, source->fd, &event) == 0;
}

/* Closing alone would not do: while anybody else (the broker, a child between fork and exec) still has the
 * same open file, it stays in the set, and its events would name memory that is gone. */
void relay_unwatch(struct relay *relay, struct source *source, struct closing *closing, bool shared)
{
	if (source->fd < 0)
		return;
	epoll_ctl(relay->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	if (closing)
		closing_socket(closing, source->fd, shared);
	else
		close(source->fd);
	source->fd = -1;
}

bool relay_crowded(struct relay *relay)
{
	bool crowded;

	pthread_mutex_lock(&relay->lock);
	crowded = relay->nevents >= EVENTS_MANY;
	pthread_mutex_unlock(&relay->lock);
	return crowded;
}

/* Queues a report for JavaScript; the end of something that JavaScript began, of which there is one each, always
 * finds room. Its descriptor goes along and is closed here if it can't. */
static void emit(struct relay *relay, const struct link *link, struct event event)
{
	bool signal = false, kept = false;

	pthread_mutex_lock(&relay->lock);
	if (relay->nevents == relay->events_capacity && (relay->events_capacity < EVENTS_MAX || event.type >= EVENT_GONE)) {
		uint32_t capacity = relay->events_capacity ? relay->events_capacity * 2 : 64;
		struct event *grown = realloc(relay->events, capacity * sizeof(*grown));

		if (grown) {
			relay->events = grown;
			relay->events_capacity = capacity;
		}
	}
	if (relay->nevents < relay->events_capacity) {
		relay->events[relay->nevents++] = event;
		kept = true;
		signal = !relay->signalled;
		relay->signalled = true;
	}
	pthread_mutex_unlock(&relay->lock);
	if (!kept && event.fd >= 0)
		closing_socket(link->closing, event.fd, false);
	if (signal)
		relay_notify(relay);
}

void relay_emit(struct relay *relay, enum event_type type, const struct link *link, uint32_t conn, int fd, int error)
{
	emit(relay, link, (struct event){ .type = type, .link = link ? link->number : 0, .conn = conn, .fd = fd, .error = error });
}

void relay_report(struct relay *relay, const struct link *link, uint32_t conn, int outcome, uint64_t bytes)
{
	emit(relay, link, (struct event){ .type = EVENT_MOVED, .link = link->number, .conn = conn, .fd = -1, .error = outcome,
				    .bytes = bytes });
}

static void dispatch(struct relay *relay, struct source *source, uint32_t events)
{
	switch (source->kind) {
	case KIND_WAKE:
		commands_run(relay);
		break;
	case KIND_BROKER:
		broker_event(relay, events);
		break;
	case KIND_LISTENER: {
		struct link *link = (struct link *)source;

		link->acceptable = true;
		if (link->type == SOCK_DGRAM)
			dgram_readable(link);
		else
			link_accept(link);
		break;
	}
	case KIND_SIDE:
		conn_event((struct side *)source, events);
		break;
	case KIND_FLOW:
		dgram_flow_event(source, events);
		break;
	}
}

/* Moves everything to `turn`. From there one at a time goes back to where it was, and then has its turn:
 * whatever that one does to the others, none is missed and none is met twice. */
static void take_turns(struct list *all, struct list *turn)
{
	list_init(turn);
	while (!list_empty(all)) {
		struct list *node = all->next;

		list_del(node);
		list_add_tail(turn, node);
	}
}

static struct list *next_turn(struct list *turn, struct list *back)
{
	struct list *node = turn->next;

	if (list_empty(turn))
		return NULL;
	list_del(node);
	if (back)
		list_add_tail(back, node);
	return node;
}

static void tick(struct relay *relay)
{
	uint64_t now = relay_now();
	struct list turn, *node;

	take_turns(&relay->tick_conns, &turn);
	while ((node = next_turn(&turn, &relay->tick_conns)))
		conn_tick(list_entry(node, struct conn, tick), now);
	take_turns(&relay->tick_links, &turn);
	while ((node = next_turn(&turn, &relay->tick_links)))
		link_tick(list_entry(node, struct link, tick), now);
}

/* Memory is freed here only, when no event of this round can point at it any more. */
static void bury(struct relay *relay)
{
	dgram_bury(relay);
	while (!list_empty(&relay->dead))
		conn_free(list_entry(relay->dead.next, struct conn, node));
	while (!list_empty(&relay->dead_links)) {
		struct link *link = list_entry(relay->dead_links.next, struct link, node);

		list_del(&link->node);
		link_unref(link);
	}
}

void *relay_main(void *argument)
{
	struct relay *relay = argument;
	struct epoll_event events[256];
	uint64_t ticked = relay_now();

	share_init(relay);
	while (!relay->stopping) {
		bool waiting = !list_empty(&relay->tick_conns) || !list_empty(&relay->tick_links);
		int timeout = !list_empty(&relay->ready) ? 0 : waiting ? RELAY_TICK_MS : -1;
		int n = epoll_wait(relay->epoll, events, 256, timeout);

		for (int i = 0; i < n; i++)
			dispatch(relay, events[i].data.ptr, events[i].events);
		/* One turn for each that has work: those that still have some queue up again behind the others. */
		struct list turn, *node;

		take_turns(&relay->ready, &turn);
		while ((node = next_turn(&turn, NULL)))
			conn_run(list_entry(node, struct conn, ready));
		if (waiting && relay_now() - ticked >= RELAY_TICK_MS) {
			ticked = relay_now();
			tick(relay);
		}
		bury(relay);
	}
	while (!list_empty(&relay->links)) {
		struct link *link = list_entry(relay->links.next, struct link, node);

		link->draining = true;
		dgram_close(link);
		while (!list_empty(&link->conns))
			conn_close(list_entry(link->conns.next, struct conn, node), REASON_DETACHED);
		link_maybe_gone(link);
	}
	bury(relay);
	pipes_free(relay);
	return NULL;
}
