/*
 * A transfer: exactly so many bytes, or all until the end, from one descriptor to another, once, and then a
 * report. It is a connection of which one direction runs and whose descriptors are duplicates: those of the
 * daemon are neither closed nor shut down, and what comes after the last byte is still to be read from them.
 *
 * Nothing is read that was not asked for. Bytes that were read and found no way out, because the sink broke or
 * the transfer was cancelled, are lost: then the two ends are out of step, and are for the caller to close.
 */
#include "transfer.h"

#include <stdlib.h>
#include <sys/ioctl.h>

static struct side *source_of(struct conn *conn)
{
	return &conn->side[conn->transfer->from];
}

static struct side *sink_of(struct conn *conn)
{
	return &conn->side[!conn->transfer->from];
}

void transfer_begin(struct link *link, struct command *command)
{
	const struct pvx_command *head = &command->head;
	bool whole = command->fd[0] >= 0 && command->fd[1] >= 0 && !link->draining;
	struct transfer *transfer = whole ? malloc(sizeof(*transfer)) : NULL;
	struct conn *conn = transfer ? conn_new(link) : NULL;
	int on = 1;

	if (!conn) {
		free(transfer);
		relay_report(PVX_EVENT_MOVED, link, head->conn, PVX_MOVED_CANCELLED, 0);
		return;
	}
	*transfer = (struct transfer){ .left = head->bytes, .idle_ms = head->ms, .silence_ms = head->other,
				       .moved_at = relay_now(), .from = !(head->flags & PVX_TRANSFER_TO_PROVIDER),
				       .end = head->flags & PVX_TRANSFER_END, .outcome = PVX_MOVED_CANCELLED };
	conn->id = head->conn; /* it is part of a connection that is counted where it belongs */
	conn->transfer = transfer;
	for (int i = 0; i < 2; i++)
		ioctl(command->fd[i], FIONBIO, &on); /* a splice would wait otherwise, and everybody with it */
	source_of(conn)->source.fd = command->fd[0];
	sink_of(conn)->source.fd = command->fd[1];
	command->fd[0] = command->fd[1] = -1;
	source_of(conn)->plenty = transfer->left > RELAY_PEEK;
	conn_given(conn);
	if (conn->state == CONN_JOINED && transfer_timed(transfer))
		conn_tick_wanted(conn);
}

void transfer_cancel(struct link *link, struct command *command)
{
	for (struct list *node = link->conns.next; node != &link->conns; node = node->next) {
		struct conn *conn = list_entry(node, struct conn, node);

		if (conn->transfer && conn->id == command->head.conn) {
			conn_close(conn, PVX_REASON_DETACHED);
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
	transfer->outcome = PVX_MOVED_ALL;
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
		conn->transfer->outcome = PVX_MOVED_SINK;
	else if (owed || !sink->shut)
		return false;
	conn_close(conn, PVX_REASON_EOF);
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
	transfer->outcome = owed ? PVX_MOVED_IDLE : PVX_MOVED_SILENT;
	conn_close(conn, PVX_REASON_EOF);
}

void transfer_report(struct conn *conn)
{
	relay_report(PVX_EVENT_MOVED, conn->link, conn->id, (int)conn->transfer->outcome, conn->transfer->moved);
}
