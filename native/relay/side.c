/*
 * The receiving side of a connection: what is sent to it at once, and what it is owed while it is blocked.
 */
#include "lease.h"
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define FDS_AHEAD 512u /* sent to one receiver that has not read them */

struct backlog *backlog_new(const void *bytes, size_t length, const int *fds, uint32_t nfds)
{
	size_t padded = (length + sizeof(int) - 1) & ~(sizeof(int) - 1);
	struct backlog *backlog = malloc(sizeof(*backlog) + padded + nfds * sizeof(int));

	if (!backlog)
		return NULL;
	*backlog = (struct backlog){ .length = length, .nfds = nfds, .fds = (int *)(backlog->data + padded) };
	memcpy(backlog->data, bytes, length);
	if (nfds > 0)
		memcpy(backlog->fds, fds, nfds * sizeof(int));
	return backlog;
}

bool backlog_append(struct backlog **backlog, const void *bytes, size_t length)
{
	size_t before = *backlog ? (*backlog)->length : 0;
	struct backlog *grown = realloc(*backlog, sizeof(*grown) + before + length);

	if (!grown)
		return false;
	*grown = (struct backlog){ .length = before + length };
	memcpy(grown->data + before, bytes, length);
	*backlog = grown;
	return true;
}

void side_drop(struct side *side)
{
	if (side->backlog) {
		side->conn->link->relay->held -= side->backlog->nfds;
		closing_take(side->conn->link->closing, side->backlog->fds, side->backlog->nfds);
		free(side->backlog);
		side->backlog = NULL;
	}
	if (side->pipe) {
		pipe_put(side->conn->link->relay, side->pipe);
		side->pipe = NULL;
	}
}

/* `to` takes no more: what is left for it is dropped and `from` learns it at its next write. An error that no peer can
 * have made ends the connection, for both. */
enum move side_broken(struct side *from, struct side *to, int error)
{
	if (from->conn->transfer)
		from->conn->transfer->outcome = PVX_MOVED_SINK;
	if (error != EPIPE && error != ECONNRESET) {
		conn_close(from->conn, PVX_REASON_ERROR);
		return MOVE_END;
	}
	side_drop(to);
	to->shut = true;
	from->eof = true;
	from->readable = false;
	from->conn->reset = true;
	if (!from->conn->transfer)
		shutdown(from->source.fd, SHUT_RD);
	return MOVE_WAIT;
}

static enum move blocked(struct side *to, int error)
{
	struct conn *conn = to->conn;

	to->writable = false;
	if (error == EAGAIN && !to->watched) {
		to->watched = relay_rearm(conn->link->relay, &to->source, SIDE_EVENTS | EPOLLOUT);
		if (!to->watched)
			conn_later(conn);
	} else if (error != EAGAIN) {
		/* ETOOMANYREFS and the like: no event will tell the end of it, a tick tries again. It may well be
		 * writable, and to be told so again and again would keep us busy. */
		conn_later(conn);
	}
	return MOVE_WAIT;
}

/* Each read of a unix socket is an event for its writer. */
enum move side_wait(struct side *to)
{
	if (!to->watched)
		to->watched = relay_rearm(to->conn->link->relay, &to->source, SIDE_EVENTS | EPOLLOUT);
	if (!to->watched)
		conn_later(to->conn);
	return MOVE_WAIT;
}

static void sent(struct side *to, size_t n)
{
	struct conn *conn = to->conn;

	counter_add(&conn->link->counters->bytes[to == &conn->side[0]], (int64_t)n);
	conn->bytes[to == &conn->side[0]] += n;
	if (conn->transfer)
		transfer_sent(conn->transfer, n);
}

/*
 * Whether descriptors may be read for `to`: only when it can take them at once, and has not left too many
 * unread. Those that wait in our table, or in the kernel on our account, are taken from limits that all
 * connections share; in their sender's socket they cost nobody but the sender.
 */
enum move side_fds_room(struct side *to)
{
	struct pollfd room = { .fd = to->source.fd, .events = POLLOUT };
	struct link *link = to->conn->link;

	if (poll(&room, 1, 0) == 0)
		return blocked(to, EAGAIN);
	if (link->relay->held > RELAY_HELD_MAX || closing_full(link->closing))
		return blocked(to, ETOOMANYREFS);
	if (to->fds_ahead >= FDS_AHEAD && share_unread(link, to->source.fd, &to->fds_ahead))
		return blocked(to, ETOOMANYREFS);
	return share_left(link) ? MOVE_AGAIN : blocked(to, ETOOMANYREFS);
}

static ssize_t send_with_fds(int fd, char *data, size_t length, const int *fds, uint32_t nfds)
{
	char control[CONTROL_SIZE];
	struct iovec iov = { .iov_base = data, .iov_len = length };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds == 0)
		return send(fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT); /* less for the kernel to look at */
	control_put(&message, control, fds, nfds);
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Sends the first `length` bytes of the scratch buffer; takes `fds`. What does not fit becomes backlog. */
enum move side_send(struct side *from, struct side *to, size_t length, const int *fds, uint32_t nfds)
{
	char *data = to->conn->link->relay->scratch;
	ssize_t n;

	if (to->conn->link->tap)
		tap_take(to->conn->link, to->conn->id, to == &to->conn->side[0], data, length, nfds);
	if (to->conn->link->fault)
		fault_passed(from, length);
	memory_read(to, length);
	n = send_with_fds(to->source.fd, data, length, fds, nfds);
	if (n < 0 && !transient(errno)) {
		int error = errno;

		closing_take(to->conn->link->closing, fds, nfds);
		return side_broken(from, to, error);
	}
	if (n >= 0) {
		sent(to, (size_t)n);
		closing_take(to->conn->link->closing, fds, nfds);
		share_sent(to->conn->link, &to->fds_ahead, nfds);
		nfds = 0;
	}
	if (n < (ssize_t)length) {
		size_t done = n > 0 ? (size_t)n : 0;
		int error = n < 0 ? errno : EAGAIN;

		to->backlog = backlog_new(data + done, length - done, fds, nfds);
		if (!to->backlog) {
			closing_take(to->conn->link->closing, fds, nfds);
			conn_close(to->conn, PVX_REASON_ERROR);
			return MOVE_END;
		}
		to->conn->link->relay->held += nfds;
		return blocked(to, error);
	}
	return MOVE_AGAIN;
}

static enum move flush_pipe(struct side *from, struct side *to)
{
	struct pipe *pipe = to->pipe;

	while (pipe->length > 0) {
		ssize_t n = splice(pipe->fd[0], NULL, to->source.fd, NULL, pipe->length, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

		if (n > 0) {
			pipe->length -= (size_t)n;
			sent(to, (size_t)n);
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else if (n < 0 && transient(errno)) {
			return blocked(to, errno);
		} else if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
			return side_broken(from, to, errno);
		} else {
			/* It can't be spliced to: what is in the pipe is copied, and what comes later is, too. */
			enum move move;

			to->no_splice = true;
			n = read(pipe->fd[0], to->conn->link->relay->scratch, RELAY_SCRATCH);
			if (n <= 0)
				return side_broken(from, to, EIO);
			pipe->length -= (size_t)n;
			move = side_send(from, to, (size_t)n, NULL, 0);
			if (move != MOVE_AGAIN || to->pipe != pipe)
				return move;
		}
	}
	to->pipe = NULL;
	pipe_put(to->conn->link->relay, pipe);
	return MOVE_AGAIN;
}

/* Pays what `to` is owed. MOVE_AGAIN: nothing is owed any more. */
enum move side_flush(struct side *to)
{
	struct conn *conn = to->conn;
	struct side *from = side_other(to);
	struct backlog *left = to->backlog;

	if (!to->writable && (left || to->pipe))
		return MOVE_WAIT;
	if (left) {
		ssize_t n = send_with_fds(to->source.fd, left->data + left->offset, left->length - left->offset,
					  left->fds, left->nfds);

		if (n < 0)
			return transient(errno) ? blocked(to, errno) : side_broken(from, to, errno);
		sent(to, (size_t)n);
		closing_take(conn->link->closing, left->fds, left->nfds);
		share_sent(conn->link, &to->fds_ahead, left->nfds);
		conn->link->relay->held -= left->nfds;
		left->nfds = 0;
		left->offset += (size_t)n;
		if (left->offset < left->length)
			return blocked(to, EAGAIN);
		to->backlog = NULL;
		free(left);
	}
	return to->pipe ? flush_pipe(from, to) : MOVE_AGAIN;
}
