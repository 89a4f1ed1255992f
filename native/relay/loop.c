/*
 * The loop: waits for events, runs commands, ticks every 50 ms while somebody waits, sends what the daemon is to hear.
 *
 * Every descriptor is registered once, edge-triggered, for reading and writing; what an edge said is kept
 * as a flag until a system call says otherwise. So a blocked side costs nothing while it is blocked, and
 * a peer that hung up cannot make the loop spin.
 */
#include "dgram.h"
#include "lease.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

uint64_t relay_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t relay_now(void)
{
	return relay_now_us() / 1000;
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
	closing_socket(closing, source->fd, shared);
	source->fd = -1;
}

/* A descriptor that is closed leaves the set when its open file does. */
void relay_close(struct relay *relay, struct source *source, bool alone)
{
	if (source->fd < 0)
		return;
	if (!alone)
		epoll_ctl(relay->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	close(source->fd);
	source->fd = -1;
}

static void dispatch(struct relay *relay, struct source *source, uint32_t events)
{
	switch (source->kind) {
	case KIND_DAEMON:
		commands_event(relay, events);
		break;
	case KIND_BROKER:
		broker_event(relay, events);
		break;
	case KIND_SUPERVISOR:
		handover_heard(relay);
		break;
	case KIND_SUCCESSOR:
		handover_go_on(relay);
		break;
	case KIND_LISTENER: {
		struct link *link = (struct link *)source;

		link->acceptable = true;
		link_resume(link);
		break;
	}
	case KIND_SIDE:
		conn_event((struct side *)source, events);
		break;
	case KIND_FLOW:
		dgram_flow_event(source, events);
		break;
	case KIND_TAP:
		tap_event(source, events);
		break;
	case KIND_FAULT:
		fault_event(source, events);
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

	relay->events_later = false;
	handover_go_on(relay);
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
	lease_bury(relay);
	while (!list_empty(&relay->dead))
		conn_free(list_entry(relay->dead.next, struct conn, node));
	while (!list_empty(&relay->dead_links))
		link_free(list_entry(relay->dead_links.next, struct link, node));
}

_Noreturn void relay_main(struct relay *relay)
{
	struct epoll_event events[256];
	uint64_t ticked = relay_now();

	for (;;) {
		events_flush(relay);

		bool waiting = !list_empty(&relay->tick_conns) || !list_empty(&relay->tick_links) || relay->events_later;
		int timeout = !list_empty(&relay->ready) ? 0 : waiting ? RELAY_TICK_MS : handover_wait(relay);
		int n = epoll_wait(relay->epoll, events, 256, fault_wait(relay, timeout));

		for (int i = 0; i < n; i++)
			dispatch(relay, events[i].data.ptr, events[i].events);
		fault_wake(relay);
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
		handover_end(relay);
	}
}
