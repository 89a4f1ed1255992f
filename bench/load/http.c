/*
 * The far end of HTTP: answers as little as can be. `GET /N` gets N bytes, everything else an empty answer once its
 * body, counted or in chunks that end as they do, has come. A request's head has to come in one piece, as it does.
 */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER (256u * 1024u)
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

static void receive(int epoll, int fd)
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

static void add(int epoll, int fd, bool listener)
{
	if (fd >= FDS_MAX) {
		errno = EMFILE;
		fail("accept");
	}
	peers[fd] = (struct peer){ .listener = listener };
	watch_own(epoll, fd);
}

static void take(int epoll, int fd)
{
	add(epoll, fd, false);
}

static void serve(int epoll, int fd, uint32_t events)
{
	if (peers[fd].listener) {
		accept_all(epoll, fd, take);
		return;
	}
	if (events & EPOLLOUT)
		send_more(epoll, fd);
	if (events & (EPOLLIN | EPOLLHUP))
		receive(epoll, fd);
}

/* DIR NAME, or "-" PORT */
int run_http(char **argv)
{
	int epoll = make_epoll();

	memset(filler, 'x', sizeof(filler));
	add(epoll, must_listen(go_to(argv[0], argv[1])), true);
	serve_until_stdin_ends(epoll, serve);
	return 0;
}
