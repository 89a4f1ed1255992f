/*
 * A connection: parked until its provider is known, connecting through the broker, joined, closed.
 *
 * A parked client is accepted but not read: what it sends waits in its own socket buffer, and so does an
 * early end of stream. An idle connection is this struct and nothing else.
 */
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unistd.h>

#define TURNS 8 /* moves of one direction before others have their turn */

static void side_init(struct side *side, struct conn *conn, int fd)
{
	side->source = (struct source){ .kind = KIND_SIDE, .fd = fd };
	side->conn = conn;
}

static bool side_watch(struct conn *conn, struct side *side)
{
	if (conn->link->type == SOCK_SEQPACKET) {
		/* A record of no bytes carries a time; the end of the stream does not (relay-record.c). */
		int on = 1, large = RELAY_SCRATCH;

		setsockopt(side->source.fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on));
		setsockopt(side->source.fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large)); /* else EMSGSIZE */
	}
	side->readable = side->writable = true;
	return relay_watch(conn->link->relay, &side->source, EPOLLIN | EPOLLOUT | EPOLLRDHUP) == 0;
}

static struct conn *conn_alloc(struct link *link)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->link = link;
	atomic_fetch_add(&link->refs, 1);
	list_init(&conn->node);
	list_init(&conn->ready);
	list_init(&conn->parked);
	side_init(&conn->side[0], conn, -1);
	side_init(&conn->side[1], conn, -1);
	list_add_tail(&link->conns, &conn->node);
	conn->id = ++link->next_conn;
	atomic_fetch_add(&link->active, 1);
	atomic_fetch_add(&link->total, 1);
	return conn;
}

/* Takes the client. */
struct conn *conn_new(struct link *link, int client)
{
	struct conn *conn = conn_alloc(link);

	if (!conn) {
		close(client);
		return NULL;
	}
	conn->side[0].source.fd = client;
	conn->deadline = relay_now() + link->patience_ms;
	conn->state = CONN_PARKED;
	conn_run(conn);
	return conn;
}

void conn_schedule(struct conn *conn)
{
	if (list_empty(&conn->ready))
		list_add_tail(&conn->link->relay->ready, &conn->ready);
}

void conn_park(struct conn *conn)
{
	conn->state = CONN_PARKED;
	conn->retry_at = relay_now() + RELAY_TICK_MS;
	if (list_empty(&conn->parked))
		list_add_tail(&conn->link->relay->parked, &conn->parked);
}

void conn_close(struct conn *conn, enum reason reason)
{
	struct link *link = conn->link;

	if (conn->state == CONN_DEAD)
		return;
	if (conn->slot)
		broker_forget(link->relay, conn->slot);
	conn->slot = 0;
	conn->state = CONN_DEAD;
	for (int i = 0; i < 2; i++) {
		side_drop(&conn->side[i]);
		if (conn->side[i].source.fd >= 0)
			close(conn->side[i].source.fd);
		conn->side[i].source.fd = -1;
	}
	list_del(&conn->node);
	list_del(&conn->ready);
	list_del(&conn->parked);
	list_add_tail(&link->relay->dead, &conn->node);
	atomic_fetch_sub(&link->active, 1);
	atomic_fetch_add(&link->closes[reason], 1);
	if (link->acceptable && !link->draining)
		link_accept(link);
	link_maybe_gone(link);
}

void conn_free(struct conn *conn)
{
	list_del(&conn->node);
	free(conn->request);
	link_unref(conn->link);
	free(conn);
}

void conn_event(struct side *side, uint32_t events)
{
	struct conn *conn = side->conn;

	if (conn->state != CONN_JOINED)
		return;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		side->readable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		side->hangup = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		side->writable = true;
	conn_schedule(conn);
}

static void joined(struct conn *conn)
{
	conn->state = CONN_JOINED;
	list_del(&conn->parked);
	free(conn->request); /* an idle connection keeps nothing that it does not need */
	conn->request = NULL;
	if (!side_watch(conn, &conn->side[0]) || !side_watch(conn, &conn->side[1])) {
		conn_close(conn, REASON_ERROR);
		return;
	}
	conn_schedule(conn);
}

static void answered(void *owner, int fd, int error)
{
	struct conn *conn = owner;

	conn->slot = 0;
	conn_connected(conn, fd, error);
}

void conn_connected(struct conn *conn, int fd, int error)
{
	if (fd >= 0) {
		link_upstream_result(conn->link, 0);
		conn->side[1].source.fd = fd;
		joined(conn);
		return;
	}
	switch (error) {
	case EAGAIN: /* full backlog */
	case EBUSY:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
		conn_park(conn);
		break;
	case ENOENT: /* not there yet, or not again yet */
	case ECONNREFUSED:
	case ESRCH:
	case ESTALE:
	case EBADF:
		link_upstream_result(conn->link, error);
		conn_park(conn);
		break;
	default:
		link_upstream_result(conn->link, error);
		conn_close(conn, REASON_REFUSED);
	}
}

static void try_connect(struct conn *conn)
{
	struct link *link = conn->link;
	const struct pvx_request *request = conn->request ? conn->request : link->upstream;

	if (link->mode == ACCEPT_ASK && !conn->request) {
		/* Asked once; its answer (conn_resolve) or the deadline ends the wait. */
		if (!conn->asked)
			relay_emit(link->relay, EVENT_PENDING, link, conn->id, -1, 0);
		conn->asked = true;
		conn_park(conn);
		return;
	}
	if (!request) {
		conn_park(conn);
		return;
	}
	conn->slot = broker_ask(link->relay, request, NULL, 0, conn, answered);
	if (!conn->slot) {
		conn_park(conn);
		conn->retry_at = 0; /* the channel is full: the very next chance */
		return;
	}
	conn->state = CONN_CONNECTING;
	if (list_empty(&conn->parked))
		list_add_tail(&link->relay->parked, &conn->parked);
}

/* Moves one direction while there is something to move. True: it wants another turn. */
static bool run_direction(struct conn *conn, struct side *from, struct side *to)
{
	for (int turn = 0; turn < TURNS; turn++) {
		enum move move = conn->link->type == SOCK_SEQPACKET ? pump_record(from, to) : pump_stream(from, to);

		if (move != MOVE_AGAIN)
			return false;
		if (conn->state != CONN_JOINED)
			return false;
	}
	return true;
}

void conn_run(struct conn *conn)
{
	bool more;

	if (conn->state == CONN_PARKED) {
		try_connect(conn);
		return;
	}
	if (conn->state != CONN_JOINED)
		return;
	more = run_direction(conn, &conn->side[0], &conn->side[1]);
	if (conn->state == CONN_JOINED)
		more |= run_direction(conn, &conn->side[1], &conn->side[0]);
	if (conn->state != CONN_JOINED)
		return;
	if (conn->side[0].shut && conn->side[1].shut && !conn->side[0].backlog && !conn->side[1].backlog &&
	    !conn->side[0].pipe && !conn->side[1].pipe) {
		conn_close(conn, conn->reset ? REASON_RESET : REASON_EOF);
		return;
	}
	if (more)
		conn_schedule(conn);
}

void conn_tick(struct conn *conn, uint64_t now)
{
	if (conn->state == CONN_JOINED) {
		/* Held up by a limit of the kernel that no event announces the end of (side_send). */
		conn->throttled = false;
		list_del(&conn->parked);
		conn->side[0].writable = conn->side[1].writable = true;
		conn_schedule(conn);
	} else if (now >= conn->deadline) {
		conn_close(conn, REASON_NO_PROVIDER);
	} else if (conn->state == CONN_PARKED && now >= conn->retry_at) {
		conn_schedule(conn);
	}
}

/* command: conn, request = how to connect, or NULL to refuse it */
void conn_resolve(struct relay *relay, struct command *command)
{
	struct list *node;

	(void)relay;
	for (node = command->link->conns.next; node != &command->link->conns; node = node->next) {
		struct conn *conn = list_entry(node, struct conn, node);

		if (conn->id != command->conn || conn->state != CONN_PARKED)
			continue;
		if (!command->request) {
			conn_close(conn, REASON_REFUSED);
			return;
		}
		free(conn->request);
		conn->request = command->request;
		command->request = NULL;
		conn_run(conn);
		return;
	}
}

/* command: fd[0] = consumer, fd[1] = provider */
void conn_join(struct relay *relay, struct command *command)
{
	struct conn *conn = command->link->draining ? NULL : conn_alloc(command->link);

	(void)relay;
	if (!conn) {
		close(command->fd[0]);
		close(command->fd[1]);
		return;
	}
	conn->side[0].source.fd = command->fd[0];
	conn->side[1].source.fd = command->fd[1];
	joined(conn);
}
