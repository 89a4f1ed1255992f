/*
 * The far end. It sends back what comes. A connection whose first byte is SINK_BYTE is a bulk stream: that is
 * dropped, and closed at its end, so that the client knows when its last byte was read.
 */
#include "load.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER (256u * 1024u)
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
	watch_own(epoll, fd);
}

static void take(int epoll, int fd)
{
	add(epoll, fd, FRESH);
}

static void echo(int fd)
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

static void serve(int epoll, int fd, uint32_t events)
{
	(void)events;
	if (kinds[fd] == LISTENER)
		accept_all(epoll, fd, take);
	else
		echo(fd);
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
	serve_until_stdin_ends(epoll, serve);
	return 0;
}
