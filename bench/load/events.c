/* What the far ends have in common: many connections at once in one thread, each watched by its own descriptor. */
#include "load.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 64

void watch_own(int epoll, int fd)
{
	watch(epoll, fd, EPOLLIN, (uint64_t)fd);
}

void accept_all(int epoll, int listener, void (*take)(int epoll, int fd))
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		take(epoll, fd);
	if (errno != EAGAIN && errno != ECONNABORTED)
		fail("accept");
}

void serve_until_stdin_ends(int epoll, void (*serve)(int epoll, int fd, uint32_t events))
{
	watch_own(epoll, STDIN_FILENO);
	ready();
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)events[i].data.u64;

			if (fd == STDIN_FILENO)
				return;
			serve(epoll, fd, events[i].events);
		}
	}
}
