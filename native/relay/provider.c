/*
 * How a connection gets its provider: parked until it is known, asked for through the broker, joined.
 *
 * A parked client is accepted but not read: what it sends waits in its own socket buffer, and so does an
 * early end of stream. While a provider can't be reached, one connection of its link tries for all of them.
 */
#include "dgram.h"
#include "lease.h"
#include "provider.h"
#include "ring.h"
#include "tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static void park(struct conn *conn, uint64_t retry_at)
{
	conn->state = CONN_PARKED;
	conn->retry_at = retry_at;
	conn_tick_wanted(conn);
}

static void park_for_a_tick(struct conn *conn)
{
	park(conn, relay_now() + RELAY_TICK_MS);
}

void provider_wanted(struct link *link, int client)
{
	struct conn *conn;

	if (link->fault && fault_refuses(link)) {
		counter_add(&link->counters->total, 1);
		counter_add(&link->counters->closes[PVX_REASON_REFUSED], 1);
		tcp_break(client);
		closing_socket(link->closing, client, false);
		return;
	}
	conn = conn_new(link);
	if (!conn) {
		counter_add(&link->counters->closes[PVX_REASON_ERROR], 1);
		closing_socket(link->closing, client, false);
		return;
	}
	conn_count(link);
	conn->side[0].source.fd = client;
	conn->side[0].local = link->local;
	conn->accepted = true;
	conn->deadline = relay_now() + link->patience_ms;
	if (ring_suspected(link))
		park_for_a_tick(conn);
	else
		provider_try(conn);
}

void provider_retry(struct link *link)
{
	link->unlucky = false;
	for (struct list *node = link->conns.next; node != &link->conns; node = node->next) {
		struct conn *conn = list_entry(node, struct conn, node);

		if (conn->state == CONN_PARKED) {
			conn->retry_at = 0;
			conn_schedule(conn);
		}
	}
}

static void connected(struct conn *conn, int fd)
{
	if (ring_closed(conn->link, fd)) {
		closing_socket(conn->link->closing, fd, false);
		conn_close(conn, PVX_REASON_REFUSED);
		return;
	}
	link_upstream_result(conn->link, 0);
	if (conn->link->unlucky)
		provider_retry(conn->link);
	conn->side[1].local = !conn->tcp;
	conn->side[1].source.fd = fd;
	if (conn->link->access && conn->link->access->proxy) {
		conn->side[1].backlog = tcp_proxy_header(conn->link, conn->side[0].source.fd);
		if (!conn->side[1].backlog) {
			conn_close(conn, PVX_REASON_ERROR);
			return;
		}
	}
	counters_time(conn->link, conn->since);
	conn_joined(conn);
}

static void not_connected(struct conn *conn, int error)
{
	switch (error) {
	case EAGAIN: /* full backlog */
	case EBUSY:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
		conn->link->unlucky = true;
		park_for_a_tick(conn);
		break;
	case ESRCH: /* the container is gone: who and where its successor is must be asked anew */
	case ESTALE:
	case EBADF:
		free(conn->request);
		conn->request = NULL;
		conn->asked = false;
		/* fall through */
	case ENOENT: /* not there yet, or not again yet */
	case ECONNREFUSED:
	case ECONNRESET: /* these are of TCP: its network is not up yet, its queue is full, our ports are all in use */
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ETIMEDOUT:
	case EADDRNOTAVAIL:
		conn->link->unlucky = true;
		link_upstream_result(conn->link, error);
		park_for_a_tick(conn);
		break;
	default:
		link_upstream_result(conn->link, error);
		conn_close(conn, PVX_REASON_REFUSED);
	}
}

/* Its handshake takes longer than the broker's answer: an event, or the deadline, ends the wait. Takes the
 * descriptor unless it fails. */
static bool shake(struct conn *conn, int fd)
{
	conn->side[1].source.fd = fd;
	conn->shaking = relay_watch(conn->link->relay, &conn->side[1].source, EPOLLOUT) == 0;
	if (!conn->shaking)
		conn->side[1].source.fd = -1;
	return conn->shaking;
}

static void answered(void *owner, int fd, int error, uint32_t value)
{
	struct conn *conn = owner;

	(void)value;
	conn->slot = 0;
	if (fd >= 0 && conn->tcp && (error = tcp_shaken(fd))) {
		if (error == EINPROGRESS && shake(conn, fd))
			return;
		close(fd); /* TCP */
		fd = -1;
		if (error == EINPROGRESS)
			error = ENOMEM; /* nobody would tell us of its end */
	}
	conn->link->trying--;
	if (fd >= 0)
		connected(conn, fd);
	else
		not_connected(conn, error);
}

void provider_event(struct conn *conn)
{
	int fd = conn->side[1].source.fd, error = tcp_shaken(fd);

	if (error == EINPROGRESS)
		return;
	epoll_ctl(conn->link->relay->epoll, EPOLL_CTL_DEL, fd, NULL); /* and anew, as what it is from here on */
	conn->side[1].source.fd = -1;
	conn->shaking = false;
	conn->link->trying--;
	if (error) {
		close(fd);
		not_connected(conn, error);
	} else {
		connected(conn, fd);
	}
}

/* It is the daemon's from here on. */
static void hand(struct conn *conn)
{
	int client = conn->side[0].source.fd;

	conn->side[0].source.fd = -1;
	relay_emit(conn->link->relay, PVX_EVENT_HANDED, conn->link, 0, client, 0);
	conn_close(conn, PVX_REASON_COUNT);
}

void provider_try(struct conn *conn)
{
	struct link *link = conn->link;
	const struct pvx_request *request = conn->request ? conn->request : link->upstream;

	if (ring_gone(link, conn->side[0].source.fd)) {
		conn_close(conn, PVX_REASON_REFUSED);
		return;
	}
	if (link->mode == PVX_ACCEPT_HAND) {
		hand(conn);
		return;
	}
	if (link->mode == PVX_ACCEPT_ASK && !conn->request) {
		/* Asked once; its answer (provider_resolve) or the deadline ends the wait. */
		if (!conn->asked)
			relay_emit(link->relay, PVX_EVENT_PENDING, link, conn->id, -1, 0);
		conn->asked = true;
		park_for_a_tick(conn);
		return;
	}
	if (!request || (link->unlucky && link->trying > 0)) {
		park_for_a_tick(conn);
		return;
	}
	conn->slot = broker_ask(link, request, NULL, 0, conn, answered);
	if (!conn->slot) {
		park(conn, 0); /* the channel is full: the very next chance */
		return;
	}
	conn->tcp = request->op == PVX_OP_CONNECT_TCP;
	link->trying++;
	park(conn, 0);
	conn->state = CONN_CONNECTING;
}

/* Whoever is on its way there is not waited for any more. */
void provider_forget(struct conn *conn)
{
	if (conn->slot == 0 && !conn->shaking)
		return;
	if (conn->slot)
		broker_forget(conn->link->relay, conn->slot);
	conn->slot = 0;
	conn->shaking = false;
	conn->link->trying--;
}

void provider_ask_again(struct link *link)
{
	for (struct list *node = link->conns.next; node != &link->conns; node = node->next) {
		struct conn *conn = list_entry(node, struct conn, node);

		if (conn->state == CONN_PARKED && conn->asked && !conn->request)
			relay_emit(link->relay, PVX_EVENT_PENDING, link, conn->id, -1, 0);
	}
	dgram_ask_again(link);
}

/* For a connection, or a flow of datagrams: how to connect, or that it is refused. */
void provider_resolve(struct link *link, struct command *command)
{
	dgram_resolve(link, command);
	for (struct list *node = link->conns.next; node != &link->conns; node = node->next) {
		struct conn *conn = list_entry(node, struct conn, node);

		if (conn->id != command->head.conn || conn->state != CONN_PARKED)
			continue;
		if (!command->request) {
			conn_close(conn, PVX_REASON_REFUSED);
			return;
		}
		free(conn->request);
		conn->request = command->request;
		command->request = NULL;
		provider_try(conn);
		return;
	}
}
