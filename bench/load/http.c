/*
 * The far end of HTTP: answers as little as can be. `GET /N` gets N bytes, everything else an empty answer once its
 * body, counted or in chunks that end as they do, has come. A request's head has to come in one piece, as it does.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER (256u * 1024u)
#define EVENTS 64
#define FDS_MAX (1 << 16)
#define TURNS 16

static char buffer[BUFFER + 1];
static char filler[BUFFER];

static struct peer {
	bool listener;
	bool chunked;
	uint64_t to_read;  /* of a body */
	uint64_t to_write; /* of an answer */
	char tail[5];	   /* of a chunked body: its end is seen by what comes last */
} peers[FDS_MAX];

static void drop(int fd)
{
	close(fd);
	peers[fd] = (struct peer){ 0 };
}

static void send_more(int epoll, int fd)
{
	struct peer *peer = &peers[fd];

	while (peer->to_write > 0) {
		size_t count = peer->to_write < BUFFER ? (size_t)peer->to_write : BUFFER;
		ssize_t n = send(fd, filler, count, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			drop(fd);
			return;
		}
		peer->to_write -= (uint64_t)n;
	}
	struct epoll_event event = { .events = EPOLLIN | (peer->to_write ? EPOLLOUT : 0), .data.u64 = (uint64_t)fd };
	epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

static void answer(int epoll, int fd, uint64_t size)
{
	char head[96];
	int length = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n", (unsigned long long)size);
	bool small = size <= 1024;

	if (small) {
		char message[2048];

		memcpy(message, head, (size_t)length);
		memcpy(message + length, filler, (size_t)size);
		send(fd, message, (size_t)length + size, MSG_NOSIGNAL);
		return;
	}
	send(fd, head, (size_t)length, MSG_NOSIGNAL);
	peers[fd].to_write = size;
	send_more(epoll, fd);
}

/* One head at `at`; returns behind what was used. */
static char *take_request(int epoll, int fd, char *at, char *to)
{
	struct peer *peer = &peers[fd];
	char *end = strstr(at, "\r\n\r\n");
	uint64_t length = 0;

	if (!end)
		return to;
	end += 4;
	for (char *line = strchr(at, '\n'); line && line + 1 < end - 2; line = strchr(line + 1, '\n')) {
		if (strncasecmp(line + 1, "content-length:", 15) == 0)
			length = strtoull(line + 16, NULL, 10);
		if (strncasecmp(line + 1, "transfer-encoding:", 18) == 0)
			peer->chunked = true;
	}
	if (strncmp(at, "GET /", 5) == 0) {
		answer(epoll, fd, strtoull(at + 5, NULL, 10));
		return end;
	}
	if (peer->chunked) {
		memset(peer->tail, 0, sizeof(peer->tail));
		peer->to_read = 1;
		return end;
	}
	peer->to_read = length;
	if (length == 0)
		answer(epoll, fd, 0);
	return end;
}

static char *take_body(int epoll, int fd, char *at, char *to)
{
	struct peer *peer = &peers[fd];
	uint64_t count = (uint64_t)(to - at);

	if (peer->chunked) {
		for (char *byte = count > 5 ? to - 5 : at; byte < to; byte++) {
			memmove(peer->tail, peer->tail + 1, 4);
			peer->tail[4] = *byte;
		}
		if (memcmp(peer->tail, "0\r\n\r\n", 5) == 0) {
			peer->chunked = false;
			peer->to_read = 0;
			answer(epoll, fd, 0);
		}
		return to;
	}
	if (count > peer->to_read)
		count = peer->to_read;
	peer->to_read -= count;
	if (peer->to_read == 0)
		answer(epoll, fd, 0);
	return at + count;
}

static void serve(int epoll, int fd)
{
	for (int turn = 0; turn < TURNS; turn++) {
		ssize_t n = recv(fd, buffer, BUFFER, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			drop(fd);
			return;
		}
		buffer[n] = 0;
		for (char *at = buffer, *to = buffer + n; at < to;)
			at = peers[fd].to_read ? take_body(epoll, fd, at, to) : take_request(epoll, fd, at, to);
		if (n < (ssize_t)BUFFER)
			return;
	}
}

static int listen_at(const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	address.sin_port = htons((uint16_t)number(port));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4096) < 0)
		fail(port);
	return fd;
}

/* DIR NAME, or "-" PORT */
int run_http(char **argv)
{
	int epoll = make_epoll();
	int listener;

	memset(filler, 'x', sizeof(filler));
	if (strcmp(argv[0], "-") == 0) {
		listener = listen_at(argv[1]);
	} else {
		enter(argv[0]);
		listener = must_listen(argv[1]);
	}
	peers[listener].listener = true;
	watch(epoll, listener, EPOLLIN, (uint64_t)listener);
	watch(epoll, STDIN_FILENO, EPOLLIN, STDIN_FILENO);
	ready();
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)events[i].data.u64;

			if (fd == STDIN_FILENO)
				return 0;
			if (peers[fd].listener) {
				int made;

				while ((made = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
					peers[made] = (struct peer){ 0 };
					watch(epoll, made, EPOLLIN, (uint64_t)made);
				}
			} else {
				if (events[i].events & EPOLLOUT)
					send_more(epoll, fd);
				if (events[i].events & (EPOLLIN | EPOLLHUP))
					serve(epoll, fd);
			}
		}
	}
}
