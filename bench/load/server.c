/*
 * The far end. `echo` sends back what comes; `sink` drops it and closes after the end of the stream, so that
 * a client knows when its last byte was read.
 */
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER (256u * 1024u)
#define EVENTS 64
#define TURNS 16 /* reads of one connection before others have their turn */

/* What epoll hands back: a descriptor and whether it is a listener. */
#define LISTENER ((uint64_t)1 << 32)

static char buffer[BUFFER];

static void accept_all(int epoll, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		watch(epoll, fd, EPOLLIN, (uint64_t)fd);
	if (errno != EAGAIN && errno != ECONNABORTED)
		fail("accept");
}

static void echo(int fd)
{
	ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
		close(fd);
}

static void sink(int fd)
{
	for (int turn = 0; turn < TURNS; turn++) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			close(fd);
			return;
		}
	}
}

/* MODE DIR PREFIX COUNT */
int run_server(char **argv)
{
	void (*serve)(int) = strcmp(argv[0], "sink") == 0 ? sink : echo;
	unsigned count = number(argv[3]);
	int epoll = make_epoll();

	enter(argv[1]);
	for (unsigned i = 0; i < count; i++) {
		char name[64];
		int fd;

		name_of(name, sizeof(name), argv[2], i);
		fd = must_listen(name);
		watch(epoll, fd, EPOLLIN, LISTENER | (uint64_t)fd);
	}
	watch(epoll, STDIN_FILENO, EPOLLIN, STDIN_FILENO);
	ready();
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)(uint32_t)events[i].data.u64;

			if (fd == STDIN_FILENO)
				return 0;
			if (events[i].data.u64 & LISTENER)
				accept_all(epoll, fd);
			else
				serve(fd);
		}
	}
}
