/*
 * A connection from the moment that both of its sides have their descriptor until it is closed. How it
 * comes by its provider is in provider.c. An idle connection is this struct and nothing else.
 */
#include "lease.h"
#include "look.h"
#include "provider.h"
#include "tcp.h"
#include "transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#define TURNS 8 /* moves of one direction before others have their turn */

static void side_init(struct side *side, struct conn *conn)
{
	side->source = (struct source){ .kind = KIND_SIDE, .fd = -1 };
	side->conn = conn;
}

static void side_prepare(struct conn *conn, struct side *side)
{
	int on = 1, large = RELAY_SCRATCH;

	if (conn->link->type == SOCK_SEQPACKET) {
		/* A record of no bytes carries a time; the end of the stream does not (record.c). */
		setsockopt(side->source.fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on));
		setsockopt(side->source.fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large)); /* else EMSGSIZE */
	} else if (side->local || !conn->accepted || side != &conn->side[0]) {
		keep_urgent(side->source.fd); /* else it has that from its listener */
	}
	side->readable = side->writable = true;
	side->unregistered = true;
}

void conn_count(struct link *link)
{
	counter_add(&link->counters->active, 1);
	counter_add(&link->counters->total, 1);
}

struct conn *conn_new(struct link *link)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->link = link;
	list_init(&conn->node);
	list_init(&conn->ready);
	list_init(&conn->tick);
	side_init(&conn->side[0], conn);
	side_init(&conn->side[1], conn);
	list_add_tail(&link->conns, &conn->node);
	link->nconns++;
	link->relay->nconns++;
	conn->id = ++link->next_conn;
	conn->since = relay_now_us();
	return conn;
}

void conn_schedule(struct conn *conn)
{
	if (list_empty(&conn->ready))
		list_add_tail(&conn->link->relay->ready, &conn->ready);
}

void conn_joined(struct conn *conn)
{
	conn->state = CONN_JOINED;
	list_del(&conn->tick);
	free(conn->request); /* an idle connection keeps nothing that it does not need */
	conn->request = NULL;
	for (int i = 0; i < 2; i++)
		side_prepare(conn, &conn->side[i]);
	if (conn->link->fault)
		fault_joined(conn);
	/* A provider that was reached a moment ago has said nothing yet, as a rule: an event will tell. */
	conn->side[1].readable = !conn->accepted;
	conn_schedule(conn);
}

void conn_given(struct conn *conn)
{
	for (int i = 0; i < 2; i++) {
		int domain = socket_domain(conn->side[i].source.fd);

		if (domain < 0) {
			conn_close(conn, PVX_REASON_ERROR);
			return;
		}
		conn->side[i].local = domain == AF_UNIX;
	}
	conn_joined(conn);
}

static bool owed(const struct side *side)
{
	return side->backlog || side->pipe;
}

/* Nearly all that is closed is one of the two that need no look at all, or a unix stream whose queue is empty. */
static void close_side(struct conn *conn, struct side *side, bool joined)
{
	struct link *link = conn->link;
	bool alone = conn->accepted && side == &conn->side[0], harmless = side->empty;

	if (!harmless && joined && !conn->transfer)
		harmless = !side->local || (link->type == SOCK_STREAM && closing_stream(side->source.fd));
	if (harmless)
		relay_close(link->relay, &side->source, alone);
	else
		relay_unwatch(link->relay, &side->source, link->closing, conn->transfer != NULL);
}

void conn_close(struct conn *conn, enum pvx_reason reason)
{
	struct link *link = conn->link;
	bool joined = conn->state == CONN_JOINED;

	if (conn->state == CONN_DEAD)
		return;
	if (link->watched && !conn->transfer && reason < PVX_REASON_COUNT)
		relay_ended(link, reason, look_ended(conn));
	provider_forget(conn);
	fault_forget(conn);
	conn->state = CONN_DEAD;
	for (int i = 0; i < 2; i++) {
		if (reason == PVX_REASON_RESET && !owed(&conn->side[i]))
			tcp_break(conn->side[i].source.fd);
		side_drop(&conn->side[i]);
		share_settle(link, &conn->side[i].fds_ahead);
		memory_forget(&conn->side[i]);
		way_forget(&conn->side[i]);
		close_side(conn, &conn->side[i], joined);
	}
	list_del(&conn->node);
	list_del(&conn->ready);
	list_del(&conn->tick);
	list_add_tail(&link->relay->dead, &conn->node);
	link->nconns--;
	link->relay->nconns--;
	if (conn->transfer) {
		transfer_report(conn);
	} else {
		counter_add(&link->counters->active, -1);
		if (reason < PVX_REASON_COUNT)
			counter_add(&link->counters->closes[reason], 1);
	}
	if (link->acceptable && !link->draining)
		link_accept(link);
	link_maybe_gone(link);
}

void conn_free(struct conn *conn)
{
	list_del(&conn->node);
	free(conn->label);
	free(conn->request);
	free(conn->transfer);
	free(conn);
}

void conn_event(struct side *side, uint32_t events)
{
	struct conn *conn = side->conn;

	if (conn->shaking)
		provider_event(conn);
	if (conn->state != CONN_JOINED)
		return;
	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		side->readable = true;
	if (events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		side->read_to_end = true;
	if (events & EPOLLHUP)
		side->gone = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		side->writable = true;
	if ((events & EPOLLOUT) && !owed(side) && !side->paced) {
		/* A receiver that reads in time would wake us each time that it does. */
		side->watched = !relay_rearm(conn->link->relay, &side->source, SIDE_EVENTS);
	}
	conn_schedule(conn);
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

void conn_tick_wanted(struct conn *conn)
{
	if (list_empty(&conn->tick))
		list_add_tail(&conn->link->relay->tick_conns, &conn->tick);
}

void conn_later(struct conn *conn)
{
	if (conn->throttled)
		return;
	conn->throttled = true;
	conn_tick_wanted(conn);
}

/* All was passed on. Descriptors that are still to be read count against us for as long, so the connection is
 * kept until then: else each of many that come and go could leave some behind. Its ends see it closed. */
static void end(struct conn *conn, enum pvx_reason reason)
{
	bool unread = false;

	for (int i = 0; i < 2; i++)
		unread |= share_unread(conn->link, conn->side[i].source.fd, &conn->side[i].fds_ahead);
	if (!unread) {
		conn_close(conn, reason);
		return;
	}
	for (int i = 0; i < 2; i++)
		shutdown(conn->side[i].source.fd, SHUT_RDWR);
	conn_later(conn);
}

/* Ends the connection when there is nobody left to whom anything could be passed on. */
static bool finished(struct conn *conn)
{
	struct side *side = conn->side;

	if (side[0].shut && side[1].shut && !owed(&side[0]) && !owed(&side[1])) {
		end(conn, conn->reset ? PVX_REASON_RESET : PVX_REASON_EOF);
		return true;
	}
	for (int i = 0; i < 2; i++) {
		/* All that it said has been passed on, and what the other says would reach nobody. */
		if (side[i].gone && side[i].eof && side[!i].shut && !owed(&side[!i])) {
			end(conn, conn->reset || owed(&side[i]) ? PVX_REASON_RESET : PVX_REASON_EOF);
			return true;
		}
	}
	return false;
}

/* Where the kernel has no room for a side in the epoll set, each tick takes it for ready, and tries again. */
static void sides_register(struct conn *conn)
{
	for (int i = 0; i < 2; i++) {
		struct side *side = &conn->side[i];

		if (!side->unregistered)
			continue;
		side->unregistered = relay_watch(conn->link->relay, &side->source, SIDE_EVENTS) < 0;
		if (!side->unregistered)
			continue;
		side->readable |= !side->eof;
		side->writable = true;
		conn_later(conn);
	}
}

void conn_run(struct conn *conn)
{
	bool more;

	if (conn->state == CONN_PARKED) {
		provider_try(conn);
		return;
	}
	if (conn->state != CONN_JOINED)
		return;
	sides_register(conn);
	if (conn->transfer) {
		more = run_direction(conn, &conn->side[conn->transfer->from], &conn->side[!conn->transfer->from]);
		if (conn->state == CONN_JOINED && !transfer_finished(conn) && more)
			conn_schedule(conn);
		return;
	}
	more = run_direction(conn, &conn->side[0], &conn->side[1]);
	if (conn->state == CONN_JOINED)
		more |= run_direction(conn, &conn->side[1], &conn->side[0]);
	if (conn->state == CONN_JOINED && !finished(conn) && more)
		conn_schedule(conn);
}

void conn_tick(struct conn *conn, uint64_t now)
{
	if (conn->state == CONN_JOINED) {
		if (conn->throttled) {
			/* Held up by a limit of the kernel that no event announces the end of (side.c, end). */
			conn->throttled = false;
			conn->side[0].writable = conn->side[1].writable = true;
			conn_schedule(conn);
		}
		if (conn->transfer && transfer_timed(conn->transfer))
			transfer_tick(conn, now);
		else
			list_del(&conn->tick);
	} else if (now >= conn->deadline) {
		conn_close(conn, PVX_REASON_NO_PROVIDER);
	} else if (conn->state == CONN_PARKED && now >= conn->retry_at) {
		conn_schedule(conn);
	}
}

static struct label *label_of(const struct command *command)
{
	uint32_t length = command->head.data_length;
	struct label *label = length > 0 ? malloc(sizeof(*label) + length) : NULL;

	if (label) {
		label->length = length;
		memcpy(label->text, command->data, length);
	}
	return label;
}

/* With what each side is owed by now. */
void conn_join(struct link *link, struct command *command)
{
	struct relay *relay = link->relay;
	bool owed_here = relay->owed.link == link->number && relay->owed.conn == command->head.conn;
	bool whole = command->fd[0] >= 0 && command->fd[1] >= 0 && !(owed_here && relay->owed.lost) && !link->draining;
	struct conn *conn = whole ? conn_new(link) : NULL;
	int on = 1;

	counter_add(&link->counters->active, (int64_t)PVX_COUNTED_JOIN + (conn != NULL));
	if (!conn) {
		if (!link->draining)
			counter_add(&link->counters->closes[PVX_REASON_ERROR], 1);
		return;
	}
	conn->label = label_of(command);
	for (int i = 0; i < 2; i++) {
		ioctl(command->fd[i], FIONBIO, &on); /* a splice would wait otherwise, and everybody with it */
		conn->side[i].source.fd = command->fd[i];
		command->fd[i] = -1;
		if (!owed_here || !relay->owed.side[i])
			continue;
		memory_read(&conn->side[i], relay->owed.side[i]->length);
		conn->side[i].backlog = relay->owed.side[i];
		relay->owed.side[i] = NULL;
	}
	conn_given(conn);
}
