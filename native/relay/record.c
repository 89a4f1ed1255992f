/*
 * Seqpacket, one direction: record for record, with its descriptors, also a record of no bytes.
 *
 * A record of no bytes and the end of the stream both read as 0. They are told apart by SO_TIMESTAMP,
 * which conn.c sets: the kernel stamps a record, and there is nothing to stamp at the end.
 */
#include "lease.h"

#include <errno.h>
#include <unistd.h>

enum move pump_record(struct side *from, struct side *to)
{
	char control[CONTROL_RECEIVED_SIZE];
	struct iovec iov = { .iov_base = from->conn->link->relay->scratch, .iov_len = RELAY_SCRATCH };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	enum move move = side_flush(to);
	int fds[MESSAGE_FDS_MAX];
	uint32_t nfds;
	size_t most;
	ssize_t n;

	if (move != MOVE_AGAIN)
		return move;
	if (from->eof) {
		if (!to->shut)
			shutdown(to->source.fd, SHUT_WR);
		to->shut = true;
		return MOVE_WAIT;
	}
	if (!from->readable)
		return MOVE_WAIT;
	if (memory_room(to) == ROOM_NONE)
		return side_wait(to);
	if (from->conn->link->fault && (move = fault_room(from, &most)) != MOVE_AGAIN) /* a record is not cut */
		return move;
	move = side_fds_room(to); /* there is no telling whether it has any before it is read */
	if (move != MOVE_AGAIN)
		return move;
	n = recvmsg(from->source.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && errno == EAGAIN) {
		from->readable = false;
		return MOVE_WAIT;
	}
	if (n < 0 && errno == EINTR)
		return MOVE_AGAIN;
	if (n < 0 && transient(errno)) {
		conn_later(from->conn);
		return MOVE_WAIT;
	}
	if (n < 0 || (n == 0 && message.msg_controllen == 0)) {
		from->conn->reset |= n < 0;
		from->eof = true;
		from->empty = n == 0;
		return MOVE_AGAIN;
	}
	nfds = control_fds(&message, fds);
	if (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
		closing_take(from->conn->link->closing, fds, nfds);
		conn_close(from->conn, PVX_REASON_TRUNCATED);
		return MOVE_END;
	}
	return side_send(from, to, (size_t)n, fds, nfds);
}
