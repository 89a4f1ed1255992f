/*
 * A link of the relay: a listener (perhaps), how its provider is reached, what has passed.
 *
 * It lives until its listener is closed and its last connection is gone; then JavaScript is told (`gone`)
 * and the memory goes with the last reference, which may be JavaScript's own for the counters.
 */
#include "dgram.h"
#include "ring.h"
#include "tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ACCEPT_PAUSE_MS 100
#define TELL_AGAIN_MS 1000

struct link *link_new(struct relay *relay, uint32_t number, struct closing *closing)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->relay = relay;
	link->number = number;
	link->closing = closing_ref(closing);
	link->listener = (struct source){ .kind = KIND_LISTENER, .fd = -1 };
	list_init(&link->node);
	list_init(&link->tick);
	list_init(&link->ring.node);
	list_init(&link->conns);
	list_init(&link->flows);
	atomic_init(&link->refs, 2); /* the relay's and JavaScript's */
	ring_add(link);
	return link;
}

void link_unref(struct link *link)
{
	if (atomic_fetch_sub(&link->refs, 1) != 1)
		return;
	free(link->upstream);
	free(link->access);
	closing_unref(link->closing);
	free(link);
}

static void close_listener(struct link *link)
{
	relay_unwatch(link->relay, &link->listener, link->closing, false);
	ring_listens(link);
	link->accept_at = 0;
}

void link_tick_wanted(struct link *link)
{
	if (list_empty(&link->tick))
		list_add_tail(&link->relay->tick_links, &link->tick);
}

/* What link_tick does something about, now or later. */
static bool needs_tick(const struct link *link)
{
	return link->accept_at || link->drain_at || link->nflows > 0 || link->paced > 0;
}

void link_accept_later(struct link *link)
{
	if (link->accept_at)
		return;
	link->accept_at = relay_now() + ACCEPT_PAUSE_MS;
	link_tick_wanted(link);
}

/* Accepts what waits, as long as the link may have more connections. */
void link_accept(struct link *link)
{
	for (int n = 0; link->acceptable && link->listener.fd >= 0; n++) {
		int client;

		if (link->accept_at || atomic_load(&link->active) >= link->max_conns)
			return; /* resumed by link_tick or by a connection that ends */
		if (closing_full(link->closing) || memory_full(link)) {
			link_accept_later(link); /* and each could bring more */
			return;
		}
		if (n == RELAY_BATCH) {
			if (!relay_rearm(link->relay, &link->listener, EPOLLIN)) /* others first */
				link_accept_later(link);
			return;
		}
		if (link->mode == ACCEPT_HAND && relay_crowded(link->relay)) {
			link_accept_later(link); /* JavaScript has not taken the last ones yet */
			return;
		}
		client = tcp_accept(link);
		if (client < 0) {
			if (errno == EAGAIN) {
				link->acceptable = false;
			} else if (errno == EPERM) {
				atomic_fetch_add(&link->closes[REASON_NOT_ALLOWED], 1);
			} else if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO) {
				link_accept_later(link); /* a limit, or trouble of the network that accept(2) says will pass */
			}
			continue;
		}
		if (link->mode == ACCEPT_HAND && !ring_suspected(link)) {
			atomic_fetch_add(&link->total, 1);
			relay_emit(link->relay, EVENT_HANDED, link, 0, client, 0);
		} else {
			provider_wanted(link, client);
		}
	}
}

/* Reports a change of luck with the provider, and that it is still bad, once in a while: whoever is told may have had
 * reason to hope meanwhile. */
void link_upstream_result(struct link *link, int error)
{
	uint64_t now = error ? relay_now() : 0;

	if (error == 0 && atomic_load(&link->ring.member))
		return; /* it was reached, but there is no end behind it */
	if (link->draining || (link->last_errno == error && (!error || now < link->tell_at)))
		return;
	link->last_errno = error;
	link->tell_at = now + TELL_AGAIN_MS;
	relay_emit(link->relay, EVENT_UPSTREAM, link, 0, -1, error);
}

void link_maybe_gone(struct link *link)
{
	if (!link->draining || link->gone || !list_empty(&link->conns))
		return;
	link->drain_at = 0;
	link->gone = true;
	close_listener(link);
	list_del(&link->node);
	list_del(&link->tick);
	ring_remove(link);
	link->relay->nlinks--;
	list_add_tail(&link->relay->dead_links, &link->node); /* the relay's reference goes at the end of the round */
	relay_emit(link->relay, EVENT_GONE, link, 0, -1, 0);
}

/* Where the kernel has no room for its listener in the epoll set, every pause looks at it. */
static void link_register(struct link *link)
{
	if (!link->unregistered || link->listener.fd < 0)
		return;
	link->unregistered = relay_watch(link->relay, &link->listener, EPOLLIN) < 0;
	link->acceptable = true;
	if (link->unregistered)
		link_accept_later(link);
}

void link_tick(struct link *link, uint64_t now)
{
	if (link->accept_at && now >= link->accept_at) {
		link->accept_at = 0;
		link_register(link);
		if (link->type == SOCK_DGRAM)
			dgram_readable(link);
		else
			link_accept(link);
	}
	if (link->type == SOCK_DGRAM)
		dgram_tick(link, now);
	memory_tick(link);
	if (link->drain_at && now >= link->drain_at) {
		while (!list_empty(&link->conns))
			conn_close(list_entry(link->conns.next, struct conn, node), REASON_DETACHED);
		link_maybe_gone(link);
	}
	if (!needs_tick(link))
		list_del(&link->tick);
}

/* command: fd[0] = listener, mode, request = upstream or NULL */
void link_listen(struct relay *relay, struct command *command)
{
	struct link *link = command->link;

	if (link->draining || link->listener.fd >= 0) {
		closing_socket(link->closing, command->fd[0], false);
		return;
	}
	link->listener.fd = command->fd[0];
	link->mode = command->mode;
	free(link->upstream);
	link->upstream = command->request;
	command->request = NULL;
	ring_listens(link);
	if (link->type == SOCK_DGRAM)
		dgram_listen(link);
	(void)relay;
	link->unregistered = true;
	link_register(link);
}

/* command: request = the new upstream or NULL; connections that wait try it at once */
void link_retarget(struct relay *relay, struct command *command)
{
	struct link *link = command->link;

	(void)relay;
	free(link->upstream);
	link->upstream = command->request;
	command->request = NULL;
	provider_retry(link);
	if (link->type == SOCK_DGRAM)
		dgram_retarget(link);
}

static void stop(struct link *link)
{
	dgram_close(link);
	close_listener(link);
}

/* The listener goes, and JavaScript is told when its address is free; connections stay. */
void link_stop(struct relay *relay, struct command *command)
{
	stop(command->link);
	relay_emit(relay, EVENT_STOPPED, command->link, 0, -1, 0);
}

/* command: drain_ms = how long connections may go on */
void link_close(struct relay *relay, struct command *command)
{
	struct link *link = command->link;
	struct list *node, *next;

	(void)relay;
	if (link->gone)
		return;
	stop(link);
	link->draining = true;
	/* Whoever still waits for its provider will not meet it any more. */
	for (node = link->conns.next; node != &link->conns; node = next) {
		struct conn *conn = list_entry(node, struct conn, node);

		next = node->next;
		if (command->drain_ms == 0 || conn->state != CONN_JOINED)
			conn_close(conn, REASON_DETACHED);
	}
	if (!list_empty(&link->conns)) {
		link->drain_at = relay_now() + command->drain_ms;
		link_tick_wanted(link);
	}
	link_maybe_gone(link);
}
