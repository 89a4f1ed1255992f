/* Clients that keep their connections: bulk streams and ping-pong. */
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BULK_WRITE (64u * 1024u)
#define MESSAGE 64u
#define CONNECTIONS_MAX 64u
#define SAMPLES_MAX 4000000u
#define PATIENCE_S 30u /* beyond the time asked for: then the subject hangs and the run fails */

static void connect_all(char **argv, int *fds, unsigned count)
{
	if (count > CONNECTIONS_MAX) {
		errno = E2BIG;
		fail("connections");
	}
	enter(argv[0]);
	for (unsigned i = 0; i < count; i++)
		fds[i] = must_connect(argv[1]);
}

/* Writes until the socket takes no more. */
static uint64_t fill(int fd, const char *data)
{
	uint64_t sent = 0;
	ssize_t n;

	while ((n = send(fd, data, BULK_WRITE, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) {
		sent += (uint64_t)n;
		if (n < (ssize_t)BULK_WRITE || sent >= 16 * BULK_WRITE)
			return sent;
	}
	if (n < 0 && errno != EAGAIN)
		fail("send");
	return sent;
}

/* DIR NAME STREAMS MS */
int run_bulk(char **argv)
{
	static char data[BULK_WRITE] = { SINK_BYTE };
	int fds[CONNECTIONS_MAX], epoll;
	unsigned count = number(argv[2]), ms = number(argv[3]);
	uint64_t began, deadline, bytes = 0;

	alarm(ms / 1000 + PATIENCE_S);
	connect_all(argv, fds, count);
	epoll = watch_all(fds, count, EPOLLOUT);
	began = now_ns();
	deadline = began + (uint64_t)ms * 1000000u;
	while (now_ns() < deadline) {
		struct epoll_event events[CONNECTIONS_MAX];
		int n = epoll_wait(epoll, events, CONNECTIONS_MAX, 1000);

		for (int i = 0; i < n; i++)
			bytes += fill(fds[events[i].data.u64], data);
	}
	for (unsigned i = 0; i < count; i++)
		shutdown(fds[i], SHUT_WR);
	for (unsigned i = 0; i < count; i++) {
		char byte;

		if (recv(fds[i], &byte, 1, 0) != 0)
			fail("end of stream");
	}
	printf("{\"bytes\":%" PRIu64 ",\"ns\":%" PRIu64 "}\n", bytes, now_ns() - began);
	return 0;
}

struct pinger {
	int fd;
	unsigned received;
	uint64_t sent_at;
};

static void ping(struct pinger *pinger)
{
	static const char message[MESSAGE];

	pinger->received = 0;
	pinger->sent_at = now_ns();
	if (send(pinger->fd, message, MESSAGE, MSG_NOSIGNAL) != MESSAGE)
		fail("send");
}

/* True when the whole message is back. */
static bool pong(struct pinger *pinger, int flags)
{
	char message[MESSAGE];
	ssize_t n = recv(pinger->fd, message, MESSAGE - pinger->received, flags);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0)
		fail("recv");
	pinger->received += (unsigned)n;
	return pinger->received == MESSAGE;
}

/* DIR NAME CONNECTIONS MS */
int run_pingpong(char **argv)
{
	int fds[CONNECTIONS_MAX], epoll;
	unsigned count = number(argv[2]), ms = number(argv[3]), samples = 0;
	uint32_t *took = malloc(SAMPLES_MAX * sizeof(*took));
	struct pinger pingers[CONNECTIONS_MAX];
	uint64_t began, deadline, at;

	if (!took)
		fail("malloc");
	alarm(ms / 1000 + PATIENCE_S);
	connect_all(argv, fds, count);
	epoll = watch_all(fds, count, EPOLLIN);
	for (unsigned i = 0; i < count; i++)
		round_trip(fds[i]); /* the proxy's own connection is made: not measured here */
	began = now_ns();
	deadline = began + (uint64_t)ms * 1000000u;
	for (unsigned i = 0; i < count; i++) {
		pingers[i].fd = fds[i];
		ping(&pingers[i]);
	}
	for (at = began; at < deadline && samples < SAMPLES_MAX - CONNECTIONS_MAX;) {
		struct epoll_event events[CONNECTIONS_MAX] = { { .data.u64 = 0 } };
		/* A single connection just reads and waits in that. */
		int n = count == 1 ? 1 : epoll_wait(epoll, events, CONNECTIONS_MAX, 1000);

		for (int i = 0; i < n; i++) {
			struct pinger *pinger = &pingers[events[i].data.u64];

			if (!pong(pinger, count == 1 ? 0 : MSG_DONTWAIT))
				continue;
			at = now_ns();
			took[samples++] = (uint32_t)(at - pinger->sent_at);
			ping(pinger);
		}
	}
	print_latencies("roundtrips", took, samples, at - began);
	return 0;
}
