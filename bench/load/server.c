/*
 * The far end. It sends back what comes. A connection whose first byte is SINK_BYTE is a bulk stream: that is
 * dropped, and closed at its end, so that the client knows when its last byte was read.
 */
#include "load.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER (256u * 1024u)
#define EVENTS 64
#define TURNS 16 /* reads of one connection before others have their turn */

#define FDS_MAX (1 << 20)

static char buffer[BUFFER];
static enum kind { FRESH, LISTENER, ECHO, SINK } kinds[FDS_MAX]; /* by descriptor */

static void add(int epoll, int fd, enum kind kind)
{
	if (fd >= FDS_MAX) {
		errno = EMFILE;
		fail("accept");
	}
	kinds[fd] = kind;
	watch(epoll, fd, EPOLLIN, (uint64_t)fd);
}

static void accept_all(int epoll, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		add(epoll, fd, FRESH);
	if (errno != EAGAIN && errno != ECONNABORTED)
		fail("accept");
}

static void serve(int fd)
{
	for (int turn = 0; turn < TURNS; turn++) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			close(fd);
			return;
		}
		if (kinds[fd] == FRESH)
			kinds[fd] = buffer[0] == SINK_BYTE ? SINK : ECHO;
		if (kinds[fd] == SINK)
			continue;
		if (send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
			close(fd);
		return;
	}
}

/* DIR PREFIX COUNT */
int run_server(char **argv)
{
	unsigned count = number(argv[2]);
	int epoll = make_epoll();

	enter(argv[0]);
	for (unsigned i = 0; i < count; i++) {
		char name[64];

		name_of(name, sizeof(name), argv[1], i);
		add(epoll, must_listen(name), LISTENER);
	}
	watch(epoll, STDIN_FILENO, EPOLLIN, STDIN_FILENO);
	ready();
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)events[i].data.u64;

			if (fd == STDIN_FILENO)
				return 0;
			if (kinds[fd] == LISTENER)
				accept_all(epoll, fd);
			else
				serve(fd);
		}
	}
}
