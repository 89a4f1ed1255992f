/*
 * The client of HTTP: the same small request over and over, one under way a connection, each kept alive. An answer
 * is whole when as many bytes as the far end was asked for have come behind its head.
 */
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024u
#define SAMPLES_MAX (1u << 22)
#define BODY 64u
#define ANSWER_MAX 4096u
#define PATIENCE_S 20u

static const char request[] = "GET /64 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: load\r\nAccept: */*\r\n\r\n";

static struct asker {
	int fd;
	unsigned received;
	uint64_t sent_at;
	char answer[ANSWER_MAX + 1];
} askers[CONNECTIONS_MAX];

static void ask(struct asker *asker)
{
	asker->received = 0;
	asker->sent_at = now_ns();
	if (send(asker->fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1)
		fail("send");
}

static bool whole(struct asker *asker)
{
	ssize_t n = recv(asker->fd, asker->answer + asker->received, ANSWER_MAX - asker->received, MSG_DONTWAIT);
	char *body;

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0)
		fail("an answer");
	asker->received += (unsigned)n;
	asker->answer[asker->received] = 0;
	if (strncmp(asker->answer, "HTTP/1.1 200", 12) != 0) {
		errno = EPROTO;
		fail(asker->answer);
	}
	body = strstr(asker->answer, "\r\n\r\n");
	return body && asker->received - (unsigned)(body + 4 - asker->answer) >= BODY;
}

/* DIR NAME, or - PORT; CONNECTIONS MS */
int run_requests(char **argv)
{
	unsigned count = number(argv[2]), ms = number(argv[3]), samples = 0;
	uint32_t *took = malloc(SAMPLES_MAX * sizeof(*took));
	uint64_t began, deadline, at, measured;
	const char *name = go_to(argv[0], argv[1]);
	int epoll = make_epoll();

	if (!took || count > CONNECTIONS_MAX)
		fail("connections");
	alarm(ms / 1000 + PATIENCE_S);
	for (unsigned i = 0; i < count; i++) {
		askers[i].fd = must_connect(name);
		watch(epoll, askers[i].fd, EPOLLIN, i);
		ask(&askers[i]);
	}
	began = measured = now_ns();
	deadline = began + (uint64_t)ms * 1000000u;
	for (at = began; at < deadline && samples < SAMPLES_MAX - CONNECTIONS_MAX;) {
		struct epoll_event events[CONNECTIONS_MAX];
		int n = epoll_wait(epoll, events, CONNECTIONS_MAX, 1000);

		for (int i = 0; i < n; i++) {
			struct asker *asker = &askers[events[i].data.u64];

			if (!whole(asker))
				continue;
			at = now_ns();
			/* The first fifth is for the proxy to make its own connections in. */
			if (at < began + (deadline - began) / 5) {
				measured = at;
				samples = 0;
			} else {
				took[samples++] = (uint32_t)(at - asker->sent_at);
			}
			ask(asker);
		}
	}
	print_latencies("answers", took, samples, at - measured);
	return 0;
}
