/*
 * A transfer: exactly so many bytes, or all until the end, from one descriptor to another, once, and then a
 * report. It is a connection of which one direction runs and whose descriptors are duplicates: those of
 * JavaScript are neither closed nor shut down, and what comes after the last byte is still to be read from them.
 *
 * Nothing is read that was not asked for. Bytes that were read and found no way out, because the sink broke or
 * the transfer was cancelled, are lost: then the two ends are out of step, and are for the caller to close.
 */
#include "transfer.h"

#include <stdlib.h>
#include <unistd.h>

static struct side *source_of(struct conn *conn)
{
	return &conn->side[conn->transfer->from];
}

static struct side *sink_of(struct conn *conn)
{
	return &conn->side[!conn->transfer->from];
}

/* command: fd[0] = source, fd[1] = sink, transfer, conn = its number */
void transfer_begin(struct relay *relay, struct command *command)
{
	struct link *link = command->link;
	struct conn *conn = link->draining ? NULL : conn_new(link);

	if (!conn) {
		for (int i = 0; i < 2; i++)
			closing_socket(link->closing, command->fd[i], true);
		relay_report(relay, link, command->conn, MOVED_CANCELLED, 0);
		return;
	}
	conn->id = command->conn; /* it is part of a connection that is counted where it belongs */
	conn->transfer = command->transfer;
	command->transfer = NULL;
	source_of(conn)->source.fd = command->fd[0];
	sink_of(conn)->source.fd = command->fd[1];
	source_of(conn)->plenty = conn->transfer->left > RELAY_PEEK;
	conn_joined(conn);
	if (transfer_timed(conn->transfer)) {
		conn->transfer->moved_at = relay_now();
		conn_tick_wanted(conn);
	}
}

/* command: conn = its number */
void transfer_cancel(struct relay *relay, struct command *command)
{
	struct list *node, *conns = &command->link->conns;

	(void)relay;
	for (node = conns->next; node != conns; node = node->next) {
		struct conn *conn = list_entry(node, struct conn, node);

		if (conn->transfer && conn->id == command->conn) {
			conn_close(conn, REASON_DETACHED);
			return;
		}
	}
}

bool transfer_timed(const struct transfer *transfer)
{
	return transfer->idle_ms > 0 || transfer->silence_ms > 0;
}

size_t transfer_room(const struct side *from, size_t length)
{
	const struct transfer *transfer = from->conn->transfer;

	return transfer && transfer->left < length ? (size_t)transfer->left : length;
}

void transfer_read(struct side *from, size_t length)
{
	struct transfer *transfer = from->conn->transfer;

	if (!transfer)
		return;
	if (transfer->left == UINT64_MAX)
		return;
	transfer->left -= length;
	if (transfer->left > 0)
		return;
	transfer->outcome = MOVED_ALL;
	from->eof = true;
	from->readable = false;
}

void transfer_sent(struct transfer *transfer, size_t length)
{
	transfer->moved += length;
	transfer->busy = true;
}

bool transfer_finished(struct conn *conn)
{
	struct side *sink = sink_of(conn);
	bool owed = sink->backlog || sink->pipe;

	/* The sink is gone: nobody has to wait for the source to say something first. */
	if (sink->gone && (owed || !source_of(conn)->eof))
		conn->transfer->outcome = MOVED_SINK;
	else if (owed || !sink->shut)
		return false;
	conn_close(conn, REASON_EOF);
	return true;
}

void transfer_tick(struct conn *conn, uint64_t now)
{
	struct transfer *transfer = conn->transfer;
	bool owed = sink_of(conn)->backlog || sink_of(conn)->pipe || sink_of(conn)->paced;
	uint32_t patience = owed ? transfer->idle_ms : transfer->silence_ms;

	if (transfer->busy)
		transfer->moved_at = now;
	transfer->busy = false;
	if (patience == 0 || now - transfer->moved_at < patience)
		return;
	transfer->outcome = owed ? MOVED_IDLE : MOVED_SILENT;
	conn_close(conn, REASON_EOF);
}

void transfer_report(struct conn *conn)
{
	relay_report(conn->link->relay, conn->link, conn->id, (int)conn->transfer->outcome, conn->transfer->moved);
}
