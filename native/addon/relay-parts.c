/*
 * Small parts of the relay: the scratch buffer, control messages, what a side is owed, the pool of pipes.
 */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIPES_KEPT 4
#define GUARD 65536u /* a page, of whatever size */

/* RELAY_SCRATCH bytes, and behind them a page that nobody can write (relay-pump.c says why). NULL: no memory. */
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

void scratch_free(char *scratch)
{
	if (scratch)
		munmap(scratch, RELAY_SCRATCH + GUARD);
}

/* Collects every descriptor of a control message before anybody looks at anything else. */
uint32_t control_fds(struct msghdr *message, int *fds)
{
	uint32_t nfds = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t length;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		length = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < length; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (nfds < RELAY_FDS_MAX)
				fds[nfds++] = fd;
			else
				close(fd);
		}
	}
	return nfds;
}

ssize_t receive_bytes(int fd, void *data, size_t length, struct closing *closing)
{
	char control[CMSG_SPACE(sizeof(int) * RELAY_FDS_MAX) + CMSG_SPACE(64)];
	struct iovec iov = { .iov_base = data, .iov_len = length };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fds[RELAY_FDS_MAX];
	uint32_t nfds;

	if (n < 0 || message.msg_controllen == 0)
		return n;
	nfds = control_fds(&message, fds);
	if (nfds > 0 && closing_full(closing)) {
		n = -1;
		errno = ETOOMANYREFS;
	}
	closing_take(closing, fds, nfds); /* keeps errno */
	return n;
}

/* `buffer` has CMSG_SPACE(sizeof(int) * RELAY_FDS_MAX) bytes. */
void control_put(struct msghdr *message, void *buffer, const int *fds, uint32_t nfds)
{
	struct cmsghdr *c;

	if (nfds == 0)
		return;
	message->msg_control = buffer;
	message->msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
	memset(buffer, 0, message->msg_controllen);
	c = CMSG_FIRSTHDR(message);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
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

/* An empty pipe, NULL when there is none to be had: the caller copies then. */
struct pipe *pipe_get(struct relay *relay)
{
	struct pipe *pipe;

	if (!list_empty(&relay->pipes)) {
		pipe = list_entry(relay->pipes.next, struct pipe, node);
		list_del(&pipe->node);
		relay->npipes--;
		return pipe;
	}
	pipe = calloc(1, sizeof(*pipe));
	if (!pipe)
		return NULL;
	if (pipe2(pipe->fd, O_NONBLOCK | O_CLOEXEC) < 0) {
		free(pipe);
		return NULL;
	}
	(void)fcntl(pipe->fd[0], F_SETPIPE_SZ, RELAY_PIPE); /* smaller works too */
	list_init(&pipe->node);
	return pipe;
}

static void pipe_free(struct pipe *pipe)
{
	close(pipe->fd[0]);
	close(pipe->fd[1]);
	free(pipe);
}

/* Takes the pipe back: into the pool if it is empty and the pool is not full. */
void pipe_put(struct relay *relay, struct pipe *pipe)
{
	if (pipe->length == 0 && relay->npipes < PIPES_KEPT) {
		list_add_tail(&relay->pipes, &pipe->node);
		relay->npipes++;
		return;
	}
	pipe_free(pipe);
}

/* At the end of the relay: those that nobody uses. */
void pipes_free(struct relay *relay)
{
	if (relay->pipe)
		pipe_free(relay->pipe);
	while (!list_empty(&relay->pipes)) {
		struct pipe *pipe = list_entry(relay->pipes.next, struct pipe, node);

		list_del(&pipe->node);
		pipe_free(pipe);
	}
}
