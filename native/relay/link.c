/*
 * A link of the relay: a listener (perhaps), how its provider is reached, what has passed.
 *
 * It lives until its listener is closed and its last connection is gone; then the daemon is told, and its number is free
 * at once, its memory at the end of the round.
 */
#include "dgram.h"
#include "lease.h"
#include "provider.h"
#include "ring.h"
#include "tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ACCEPT_PAUSE_MS 100
#define TELL_AGAIN_MS 1000

struct link *link_new(struct relay *relay, uint32_t number)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link || !(link->closing = closing_new())) {
		free(link);
		return NULL;
	}
	link->relay = relay;
	link->number = number;
	link->counters = counters_reset(relay, number);
	link->listener = (struct source){ .kind = KIND_LISTENER, .fd = -1 };
	list_init(&link->tick);
	list_init(&link->conns);
	list_init(&link->flows);
	list_add_tail(&relay->links, &link->node);
	relay->numbered[number] = link;
	relay->nlinks++;
	return link;
}

void link_free(struct link *link)
{
	list_del(&link->node);
	free(link->upstream);
	free(link->access);
	free(link->note);
	closing_unref(link->closing);
	free(link);
}

void link_note(struct link *link, const char *note, uint32_t length)
{
	char *copy = length > 0 ? malloc(length) : NULL;

	if (copy)
		memcpy(copy, note, length);
	free(link->note);
	link->note = copy;
	link->note_length = copy ? length : 0;
}

static void close_listener(struct link *link)
{
	relay_unwatch(link->relay, &link->listener, link->closing, link->given);
	link->given = false;
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

		if (link->accept_at || link->relay->frozen || link_active(link) >= link->max_conns)
			return; /* resumed by link_tick, link_resume or by a connection that ends */
		if (closing_full(link->closing) || memory_full(link)) {
			link_accept_later(link); /* and each could bring more */
			return;
		}
		if (n == RELAY_BATCH) {
			if (!relay_rearm(link->relay, &link->listener, EPOLLIN)) /* others first */
				link_accept_later(link);
			return;
		}
		if (link->mode == PVX_ACCEPT_HAND && relay_crowded(link->relay)) {
			link_accept_later(link); /* the daemon has not taken the last ones yet */
			return;
		}
		client = tcp_accept(link);
		if (client < 0) {
			if (errno == EAGAIN) {
				link->acceptable = false;
			} else if (errno == EPERM) {
				counter_add(&link->counters->closes[PVX_REASON_NOT_ALLOWED], 1);
			} else if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO) {
				link_accept_later(link); /* a limit, or trouble of the network that accept(2) says will pass */
			}
			continue;
		}
		if (link->mode == PVX_ACCEPT_HAND && !ring_suspected(link)) {
			counter_add(&link->counters->total, 1);
			relay_emit(link->relay, PVX_EVENT_HANDED, link, 0, client, 0);
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

	if (error == 0 && link->ring.member)
		return; /* it was reached, but there is no end behind it */
	if (link->draining || (link->last_errno == error && (!error || now < link->tell_at)))
		return;
	link->last_errno = error;
	link->tell_at = now + TELL_AGAIN_MS;
	relay_emit(link->relay, PVX_EVENT_UPSTREAM, link, 0, -1, error);
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
	ring_forget(link);
	tap_end(link);
	fault_end(link);
	link->relay->nlinks--;
	link->relay->numbered[link->number] = NULL;
	list_add_tail(&link->relay->dead_links, &link->node);
	relay_emit(link->relay, PVX_EVENT_GONE, link, 0, -1, 0);
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
		link_resume(link);
	}
	if (link->type == SOCK_DGRAM)
		dgram_tick(link, now);
	memory_tick(link);
	if (link->drain_at && now >= link->drain_at) {
		while (!list_empty(&link->conns))
			conn_close(list_entry(link->conns.next, struct conn, node), PVX_REASON_DETACHED);
		link_maybe_gone(link);
	}
	if (!needs_tick(link))
		list_del(&link->tick);
}

void link_resume(struct link *link)
{
	if (link->type == SOCK_DGRAM)
		dgram_readable(link);
	else
		link_accept(link);
}

/* Answers to datagrams leave through the listener, so where there are any it is only read no more. */
void link_give_up(struct link *link)
{
	link->given = true;
	if (link->type == SOCK_DGRAM && link->nflows > 0)
		epoll_ctl(link->relay->epoll, EPOLL_CTL_DEL, link->listener.fd, NULL);
	else
		close_listener(link);
}

static void stop(struct link *link)
{
	dgram_close(link);
	close_listener(link);
}

static void take_upstream(struct link *link, struct command *command)
{
	free(link->upstream);
	link->upstream = command->request;
	command->request = NULL;
	provider_retry(link);
}

void link_listen(struct link *link, struct command *command)
{
	int on = 1, domain;

	if (link->draining)
		return;
	if (command->fd[0] < 0) {
		complain("there is no descriptor left for a listener");
		return;
	}
	stop(link);
	link->listener.fd = command->fd[0];
	command->fd[0] = -1;
	ioctl(link->listener.fd, FIONBIO, &on);
	domain = socket_domain(link->listener.fd);
	link->local = domain != AF_INET && domain != AF_INET6; /* what is not known is closed with care */
	if (!link->local)
		keep_urgent(link->listener.fd); /* of TCP, those that are accepted inherit it */
	link->mode = (enum pvx_accept_mode)command->head.mode;
	link_note(link, command->data, command->head.data_length);
	take_upstream(link, command);
	ring_listens(link);
	if (link->type == SOCK_DGRAM)
		dgram_listen(link);
	link->unregistered = true;
	link_register(link);
}

static bool is_same(const struct pvx_request *one, const struct pvx_request *other)
{
	return one && other ? memcmp(one, other, sizeof(*one)) == 0 : one == other;
}

/* Connections that wait try it at once. Flows stay where they are if that is where they are to go: a provider's answer
 * may be on its way. */
void link_retarget(struct link *link, struct command *command)
{
	bool elsewhere = !is_same(link->upstream, command->request);

	take_upstream(link, command);
	if (elsewhere && link->type == SOCK_DGRAM)
		dgram_retarget(link);
}

/* The listener goes, and the daemon is told when its address is free; connections stay. */
void link_stop(struct link *link, struct command *command)
{
	(void)command;
	stop(link);
	relay_emit(link->relay, PVX_EVENT_STOPPED, link, 0, -1, 0);
}

void link_close(struct link *link, struct command *command)
{
	uint32_t drain_ms = command->head.ms;
	struct list *node, *next;

	stop(link);
	link->draining = true;
	/* Whoever still waits for its provider will not meet it any more. */
	for (node = link->conns.next; node != &link->conns; node = next) {
		struct conn *conn = list_entry(node, struct conn, node);

		next = node->next;
		if (drain_ms == 0 || conn->state != CONN_JOINED)
			conn_close(conn, PVX_REASON_DETACHED);
	}
	if (!list_empty(&link->conns)) {
		link->drain_at = relay_now() + drain_ms;
		link_tick_wanted(link);
	}
	link_maybe_gone(link);
}
