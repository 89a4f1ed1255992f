/*
 * A stream, one direction: bytes in order, descriptors with the very byte that they were sent with.
 *
 * The kernel keeps a message's descriptors with its first byte, but a read may return plain bytes that
 * came before and that byte in one piece. So descriptors are looked for first: MSG_PEEK without a control
 * buffer says MSG_CTRUNC when there are some, among the bytes looked at or (the kernel walks on, copying
 * nothing) behind them. Bytes known to be plain go by copy, or by splice when there are many; a byte with
 * descriptors is always read as the first of its read.
 *
 * What a blocked receiver is owed waits in its backlog or its pipe, and nothing more is read for it:
 * that is the back-pressure, and the bound.
 */
#include "lease.h"
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD 65536u               /* a page, of whatever size */
#define COPY_LENGTH (64u * 1024u) /* a read that is worth its system call */

/* RELAY_SCRATCH bytes, and behind them a page that nobody can write (plain_prefix says why). NULL: no memory. */
char *scratch_new(void)
{
	char *scratch = mmap(NULL, RELAY_SCRATCH + GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (scratch == MAP_FAILED)
		return NULL;
	if (mprotect(scratch, RELAY_SCRATCH, PROT_READ | PROT_WRITE) == 0)
		return scratch;
	munmap(scratch, RELAY_SCRATCH + GUARD);
	return NULL;
}

static ssize_t peek(int fd, char *buffer, size_t length, bool *has_fds)
{
	struct iovec iov = { .iov_base = buffer, .iov_len = length };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);

	*has_fds = n > 0 && (message.msg_flags & MSG_CTRUNC);
	return n;
}

/*
 * How many bytes precede the first that carries descriptors; called when there is one in the queue. `n` were
 * peeked without reaching the end of RELAY_PEEK, or as many.
 *
 * A peek ends with the message that carries descriptors, and a message that can't be copied whole counts as not
 * copied at all (unix_stream_read_generic of the kernel). So the first peek tells where that message ends, and a
 * second one, with room for a byte less before a page that can't be written, ends where it begins. -1: errno says why.
 */
static ssize_t plain_prefix(int fd, struct relay *relay, ssize_t n)
{
	bool has_fds;

	if (n == (ssize_t)RELAY_PEEK)
		n = peek(fd, relay->scratch, RELAY_SCRATCH, &has_fds);
	if (n == (ssize_t)RELAY_SCRATCH)
		return RELAY_PEEK; /* no message is that long: its end is near, its beginning far behind this */
	if (n <= 0)
		return n;
	n = peek(fd, relay->scratch + RELAY_SCRATCH - (n - 1), (size_t)n, &has_fds);
	return n < 0 && errno == EFAULT ? 0 : n;
}

/* Nothing more will be read from `from`: `to` is told once all that was read has been passed on. */
static enum move at_eof(struct side *from, struct side *to)
{
	const struct transfer *transfer = from->conn->transfer;

	from->eof = true;
	from->readable = false;
	if (!to->shut && !to->backlog && !to->pipe) {
		if (transfer ? transfer->end : !from->gone) /* else both are closed at the end of this turn, which says the same */
			shutdown(to->source.fd, SHUT_WR);
		to->shut = true;
	}
	return MOVE_WAIT;
}

static enum move read_failed(struct side *from, struct side *to, int error)
{
	if (error == EAGAIN) {
		from->readable = false;
		return MOVE_WAIT;
	}
	if (error == EINTR || (transient(error) && error != ETOOMANYREFS))
		from->readable = true; /* it is still there, whatever was taken for granted */
	if (error == EINTR)
		return MOVE_AGAIN;
	if (transient(error) && error != ETOOMANYREFS) {
		conn_later(from->conn); /* no event tells when the kernel has memory again */
		return MOVE_WAIT;
	}
	from->conn->reset = true;
	if (from->conn->transfer)
		from->conn->transfer->outcome = PVX_MOVED_SOURCE;
	return at_eof(from, to);
}

/* A read of `from` said that it has ended. */
static enum move ended(struct side *from, struct side *to)
{
	from->empty = true;
	if (from->conn->transfer)
		from->conn->transfer->outcome = PVX_MOVED_EOF;
	return at_eof(from, to);
}

/* At most `length` bytes, all of them plain, without a copy. */
static enum move move_spliced(struct side *from, struct side *to, size_t length)
{
	struct relay *relay = to->conn->link->relay;
	ssize_t n;

	if (!relay->pipe && !(relay->pipe = pipe_get(relay)))
		return MOVE_END;
	n = splice(from->source.fd, NULL, relay->pipe->fd[1], NULL, transfer_room(from, length),
		   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n < 0 && errno != EAGAIN && !transient(errno)) {
		from->no_splice = true; /* a read shows whether it is the splice that does not work, or the socket */
		return MOVE_END;
	}
	if (n < 0)
		return read_failed(from, to, errno);
	if (n == 0)
		return ended(from, to);
	transfer_read(from, (size_t)n);
	memory_read(to, (size_t)n);
	from->plenty = (size_t)n >= RELAY_PEEK;
	relay->pipe->length = (size_t)n;
	to->pipe = relay->pipe;
	relay->pipe = NULL;
	return side_flush(to);
}

static enum move move_copied(struct side *from, struct side *to, size_t length)
{
	struct link *link = from->conn->link;
	char *data = link->relay->scratch;
	ssize_t n;

	length = transfer_room(from, length);
	if (from->local && !link->fds)
		n = receive_bytes(from->source.fd, data, length, link->closing); /* where only bytes pass, the rest is dropped */
	else
		n = recv(from->source.fd, data, length, MSG_DONTWAIT);

	if (n < 0)
		return read_failed(from, to, errno);
	if (n == 0)
		return ended(from, to);
	transfer_read(from, (size_t)n);
	from->plenty = (size_t)n == length;
	/* A short read of a stream has emptied it: the next byte brings its own event. */
	if (!from->plenty && !from->read_to_end)
		from->readable = false;
	return side_send(from, to, (size_t)n, NULL, 0);
}

/*
 * How many bytes of the queue are worth a splice and known to be plain, 0 for none. A splice drops descriptors: by this
 * thread, which may have to wait for that. The length first: descriptors that come later come behind it.
 */
static size_t plain_queue(struct side *from)
{
	int queued = 0;

	if (!from->local)
		return RELAY_PIPE;
	if (ioctl(from->source.fd, SIOCINQ, &queued) < 0 || queued <= (int)RELAY_PEEK || queue_has_fds(from->source.fd))
		return 0;
	return (size_t)queued;
}

static enum move move_with_fds(struct side *from, struct side *to, size_t length)
{
	char control[CONTROL_RECEIVED_SIZE];
	struct iovec iov = { .iov_base = to->conn->link->relay->scratch, .iov_len = length };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	int fds[MESSAGE_FDS_MAX];
	enum move room = side_fds_room(to);
	uint32_t nfds;
	ssize_t n;

	if (room != MOVE_AGAIN)
		return room;
	n = recvmsg(from->source.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return read_failed(from, to, errno);
	nfds = control_fds(&message, fds);
	if (message.msg_flags & MSG_CTRUNC) {
		/* Our descriptor table is full: some are lost, and nobody may go on as if they were not. */
		closing_take(from->conn->link->closing, fds, nfds);
		conn_close(from->conn, PVX_REASON_TRUNCATED);
		return MOVE_END;
	}
	return side_send(from, to, (size_t)n, fds, nfds);
}

static size_t at_most(size_t one, size_t other)
{
	return one < other ? one : other;
}

enum move pump_stream(struct side *from, struct side *to)
{
	struct relay *relay = from->conn->link->relay;
	enum move move = side_flush(to);
	size_t plain, most = SIZE_MAX;
	bool has_fds;
	enum room room;
	ssize_t n;

	if (move == MOVE_WAIT)
		memory_blocked(to);
	if (move != MOVE_AGAIN)
		return move;
	if (from->eof)
		return at_eof(from, to);
	if (!from->readable)
		return MOVE_WAIT;
	room = memory_room(to);
	if (room == ROOM_NONE)
		return side_wait(to);
	if (from->conn->link->fault && (move = fault_room(from, &most)) != MOVE_AGAIN)
		return move;
	if (from->plenty && room == ROOM_FREE && most == SIZE_MAX) {
		/* What did not fit into one read is worth a splice, or a longer read. One that can't be spliced is in no race. */
		bool can_splice = !from->no_splice && !to->no_splice && !from->conn->link->tap;

		if (from->local != to->local && !(from->local && from->conn->link->fds) && (!can_splice || way_copies(from)))
			return move_copied(from, to, COPY_LENGTH);
		plain = can_splice ? plain_queue(from) : 0;
		if (plain > 0 && (move = move_spliced(from, to, plain)) != MOVE_END)
			return move;
	}
	if (!from->conn->link->fds)
		return move_copied(from, to, at_most(RELAY_PEEK, most));
	n = peek(from->source.fd, relay->scratch, RELAY_PEEK, &has_fds);
	if (n < 0)
		return read_failed(from, to, errno);
	if (n == 0)
		return ended(from, to);
	if (has_fds) {
		n = plain_prefix(from->source.fd, relay, n);
		if (n < 0)
			return read_failed(from, to, errno);
		plain = (size_t)n;
		if (room == ROOM_LITTLE && plain > RELAY_PEEK)
			plain = RELAY_PEEK;
		return plain ? move_copied(from, to, at_most(plain, most)) :
			       move_with_fds(from, to, at_most(room == ROOM_FREE ? RELAY_SCRATCH : RELAY_PEEK, most));
	}
	if (n == (ssize_t)RELAY_PEEK || (size_t)n > most)
		return move_copied(from, to, at_most((size_t)n, most));
	/* Fewer than asked for, and no descriptors behind them: that is all there is. */
	if (!from->read_to_end)
		from->readable = false;
	move = move_copied(from, to, (size_t)n);
	from->plenty = false;
	return move;
}
