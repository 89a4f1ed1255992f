/* Clients that are about connecting: how often, how many, from when on. */
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 64u
#define PATIENCE_S 30u
#define USABLE_S 120u
#define POLL_NS 500000

static void begin(int epoll, const char *name, unsigned client, int *fds)
{
	fds[client] = must_connect(name);
	if (send(fds[client], "x", 1, MSG_NOSIGNAL) != 1)
		fail("send");
	watch(epoll, fds[client], EPOLLIN, client);
}

/* DIR NAME CLIENTS MS */
int run_connrate(char **argv)
{
	unsigned clients = number(argv[2]), ms = number(argv[3]), open = clients;
	int fds[CLIENTS_MAX], epoll = make_epoll();
	uint64_t began, deadline, done = 0;

	if (clients > CLIENTS_MAX) {
		errno = E2BIG;
		fail("clients");
	}
	alarm(ms / 1000 + PATIENCE_S);
	enter(argv[0]);
	began = now_ns();
	deadline = began + (uint64_t)ms * 1000000u;
	for (unsigned i = 0; i < clients; i++)
		begin(epoll, argv[1], i, fds);
	while (open > 0) {
		struct epoll_event events[CLIENTS_MAX];
		int n = epoll_wait(epoll, events, CLIENTS_MAX, 1000);

		for (int i = 0; i < n; i++) {
			unsigned client = (unsigned)events[i].data.u64;
			char byte;

			if (recv(fds[client], &byte, 1, MSG_DONTWAIT) != 1)
				fail("recv");
			close(fds[client]);
			done++;
			if (now_ns() < deadline)
				begin(epoll, argv[1], client, fds);
			else
				open--;
		}
	}
	printf("{\"connections\":%" PRIu64 ",\"ns\":%" PRIu64 "}\n", done, now_ns() - began);
	return 0;
}

/* DIR NAME CONNECTIONS */
int run_hold(char **argv)
{
	unsigned count = number(argv[2]);

	enter(argv[0]);
	for (unsigned i = 0; i < count; i++)
		round_trip(must_connect(argv[1])); /* held until we end */
	ready();
	until_stdin_ends();
	return 0;
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
}

static bool answers(const char *name)
{
	struct timeval limit = { .tv_sec = 5 };
	int fd = try_connect(name);
	char byte = 'x';
	bool ok;

	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	ok = send(fd, &byte, 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1;
	close(fd);
	return ok;
}

/* DIR PREFIX COUNT */
int run_usable(char **argv)
{
	unsigned count = number(argv[2]);

	alarm(USABLE_S);
	ready();
	while (chdir(argv[0]) < 0) /* made with the first of the sockets, perhaps */
		pause_a_little();
	for (unsigned i = 0; i < count; i++) {
		char name[64];

		name_of(name, sizeof(name), argv[1], i);
		while (!answers(name))
			pause_a_little();
	}
	printf("{\"at\":%" PRIu64 "}\n", now_ns());
	return 0;
}
