/*
 * Records in and out, and what the child says. Nothing here is sized by a peer: a record is read into one buffer
 * and goes straight into the file that it is for.
 */
#include "bus.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define UIDS_MAX (16u * 1024u * 1024u) /* of role uids that are read back */

void say(enum record type, bool more, const void *data, size_t length)
{
	char head[RECORD_HEAD] = { (char)type, more };
	struct iovec iov[2] = { { .iov_base = head, .iov_len = sizeof(head) },
				{ .iov_base = (void *)data, .iov_len = length } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
	bool is_news = type == RECORD_LOG || type == RECORD_UP || type == RECORD_DOWN; /* nobody may be there to read them */
	int flags = MSG_NOSIGNAL | (is_news ? MSG_DONTWAIT : 0);

	while (sendmsg(CHANNEL, &message, flags) < 0 && errno == EINTR)
		;
}

/* A file as records; no data where it can't be read. */
static void say_file(enum record type, int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char data[RECORD_MAX - RECORD_HEAD];
	size_t total = 0;
	ssize_t n;

	while (fd >= 0 && total < UIDS_MAX && (n = read(fd, data, sizeof(data))) > 0) {
		say(type, true, data, (size_t)n);
		total += (size_t)n;
	}
	CLOSE_FD(fd);
	say(type, false, NULL, 0);
}

/* The request that is coming in: where its data goes. */
static struct {
	enum record type; /* 0: none */
	struct writer writer;
} incoming;

static void add(const struct bus *bus, enum record type, const char *data, size_t length)
{
	if (incoming.type && incoming.type != type) {
		incoming.writer.error = EBADMSG;
		return;
	}
	if (!incoming.type && type == RECORD_UIDS)
		writer_begin(&incoming.writer, bus->store, UIDS_FILE);
	else if (!incoming.type && type == RECORD_CONFIG)
		writer_begin(&incoming.writer, bus->folder, CONFIG_FILE);
	else if (!incoming.type)
		incoming.writer = (struct writer){ .fd = -1, .error = type == RECORD_USERS ? 0 : EOPNOTSUPP };
	incoming.type = type;
	if (incoming.writer.fd >= 0)
		writer_add(&incoming.writer, data, length);
}

static int finish(struct bus *bus, const char *data, size_t length)
{
	int error;

	switch (incoming.type) {
	case RECORD_UIDS:
		error = writer_commit(&incoming.writer, bus->store, UIDS_FILE);
		return error ? error : file_copy(bus->store, UIDS_FILE, UIDS_COPY_FILE);
	case RECORD_CONFIG:
		error = writer_commit(&incoming.writer, bus->folder, CONFIG_FILE);
		if (!error)
			child_reload(bus);
		return error;
	case RECORD_USERS:
		return incoming.writer.error ? incoming.writer.error : users_add(bus, data, length);
	default:
		return incoming.writer.error;
	}
}

/* Somebody is new at the other end. A request of its predecessor may have come in half. False: it is of a version that
 * is not understood here. */
static bool begin(struct bus *bus, const char *data, size_t length)
{
	uint32_t version = 0, error = 0;

	memcpy(&version, data, length == sizeof(version) ? length : 0);
	if (version != PVX_BETWEEN_VERSIONS)
		error = EPROTO;
	if (incoming.type) {
		incoming.writer.error = ECANCELED;
		finish(bus, NULL, 0);
		incoming.type = 0;
	}
	say(RECORD_BEGIN, false, &error, sizeof(error));
	if (error)
		return false;
	say_file(RECORD_UIDS, bus->store, UIDS_FILE);
	say_file(RECORD_COPY, bus->store, UIDS_COPY_FILE);
	return true;
}

/* False: the channel has ended. */
static bool receive(struct bus *bus)
{
	static char record[RECORD_MAX];
	static bool begun;
	const char *data = record + RECORD_HEAD;
	ssize_t n = recv(CHANNEL, record, sizeof(record), MSG_DONTWAIT);
	size_t length;
	uint32_t error;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n < (ssize_t)RECORD_HEAD)
		return false;
	length = (size_t)n - RECORD_HEAD;
	if (record[0] == RECORD_BEGIN)
		begun = begin(bus, data, length);
	if (record[0] == RECORD_BEGIN || !begun)
		return true;
	add(bus, (enum record)record[0], data, length);
	if (record[1])
		return true;
	error = (uint32_t)finish(bus, data, length);
	incoming.type = 0;
	say((enum record)record[0], false, &error, sizeof(error));
	return true;
}

static void reap(struct bus *bus)
{
	char text[512];
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != bus->child)
			continue;
		child_ended(bus, status, text, sizeof(text));
		say(RECORD_DOWN, false, text, strlen(text));
	}
}

/* Whatever it prints there is its address, which we know: that it prints it means that it listens. */
static void listening(struct bus *bus)
{
	char address[512];

	if (read(bus->address, address, sizeof(address)) > 0)
		say(RECORD_UP, false, NULL, 0);
	CLOSE_FD(bus->address);
}

static void complaints(struct bus *bus)
{
	char text[4096];
	ssize_t n = read(bus->errors, text, sizeof(text));

	if (n > 0)
		say(RECORD_LOG, false, text, (size_t)n);
	else if (n == 0)
		CLOSE_FD(bus->errors);
}

static void signalled(struct bus *bus, int signals)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof(info)) == sizeof(info))
		;
	reap(bus);
}

int loop(struct bus *bus, int signals)
{
	bool going = true;

	say(RECORD_STARTED, false, NULL, 0);
	while (going) {
		struct pollfd fds[] = { { .fd = CHANNEL, .events = POLLIN },
					{ .fd = signals, .events = POLLIN },
					{ .fd = bus->address, .events = POLLIN },
					{ .fd = bus->errors, .events = POLLIN } };

		if (poll(fds, sizeof(fds) / sizeof(*fds), child_wait(bus, now_ms())) < 0 && errno != EINTR)
			return errno;
		if (fds[3].revents)
			complaints(bus);
		if (fds[2].revents)
			listening(bus);
		if (fds[1].revents)
			signalled(bus, signals);
		if (fds[0].revents)
			going = receive(bus);
		child_tick(bus, now_ms());
	}
	return 0;
}
