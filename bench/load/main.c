/* Entry and what all modes share. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 4096

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

void enter(const char *dir)
{
	if (chdir(dir) < 0)
		fail(dir);
}

const char *go_to(const char *dir, const char *name)
{
	static char address[32];

	if (strcmp(dir, "-") != 0) {
		enter(dir);
		return name;
	}
	snprintf(address, sizeof(address), "127.0.0.1:%u", number(name));
	return address;
}

unsigned number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value == 0 || value > 1000000) {
		errno = EINVAL;
		fail(text);
	}
	return (unsigned)value;
}

void name_of(char *name, size_t size, const char *prefix, unsigned index)
{
	snprintf(name, size, "%s%u", prefix, index);
}

union address {
	struct sockaddr any;
	struct sockaddr_un path;
	struct sockaddr_in four;
};

/* A path, or IPv4:PORT. */
static union address address_of(const char *name)
{
	union address address = { .path = { .sun_family = AF_UNIX } };
	const char *colon = strchr(name, ':');
	char ip[INET_ADDRSTRLEN] = "";

	if (colon && (size_t)(colon - name) < sizeof(ip)) {
		memcpy(ip, name, (size_t)(colon - name));
		address.four = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)number(colon + 1)) };
		if (inet_pton(AF_INET, ip, &address.four.sin_addr) != 1)
			fail(name);
		return address;
	}
	strncpy(address.path.sun_path, name, sizeof(address.path.sun_path) - 1);
	return address;
}

static socklen_t size_of(const union address *address)
{
	return address->any.sa_family == AF_UNIX ? sizeof(address->path) : sizeof(address->four);
}

int try_connect(const char *name)
{
	union address address = address_of(name);
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error, yes = 1;

	if (fd < 0)
		fail("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)); /* nothing to a unix socket */
	if (connect(fd, &address.any, size_of(&address)) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int must_connect(const char *name)
{
	int fd = try_connect(name);

	if (fd < 0)
		fail(name);
	return fd;
}

int must_listen(const char *name)
{
	union address address = address_of(name);
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int yes = 1;

	unlink(name);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)); /* inherited by those that are accepted */
	if (fd < 0 || bind(fd, &address.any, size_of(&address)) < 0 || listen(fd, BACKLOG) < 0)
		fail(name);
	return fd;
}

int make_epoll(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0)
		fail("epoll_create1");
	return epoll;
}

void watch(int epoll, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		fail("epoll_ctl");
}

int watch_all(const int *fds, unsigned count, uint32_t events)
{
	int epoll = make_epoll();

	for (unsigned i = 0; i < count; i++)
		watch(epoll, fds[i], events, i);
	return epoll;
}

void round_trip(int fd)
{
	char byte = 'x';

	if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1)
		fail("round trip");
}

void ready(void)
{
	puts("ready");
	fflush(stdout);
}

void until_stdin_ends(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int arguments; /* -1: one or more */
		int (*run)(char **argv);
	} modes[] = {
		{ "server", 3, run_server }, { "bulk", 4, run_bulk }, { "pingpong", 4, run_pingpong },
		{ "connrate", 4, run_connrate }, { "hold", 3, run_hold }, { "usable", 3, run_usable },
		{ "contain", 0, run_contain }, { "exec", -1, run_exec }, { "http", 2, run_http },
		{ "requests", 4, run_requests },
		{ "dbus-service", 2, run_dbus_service }, { "dbus-calls", 4, run_dbus_calls },
	};
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(*modes); i++) {
		int given = argc - 2;

		if (strcmp(argv[1], modes[i].name) == 0 && (modes[i].arguments < 0 ? given > 0 : given == modes[i].arguments))
			return modes[i].run(argv + 2);
	}
	fputs("load: wrong usage, see bench/load/load.h\n", stderr);
	return 2;
}
