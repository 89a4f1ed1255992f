/*
 * Both ends of D-Bus calls, over a bus: a service that answers every call with an empty reply, and a client that
 * keeps so many under way. Each message is one send, as libraries do it. Only what is ours to read is read:
 * little-endian, well-formed, from a bus.
 */
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUS "org.freedesktop.DBus"
#define SERVICE "org.example.Bench"
#define CALL 1
#define REPLY 2
#define ERROR 3
#define REPLY_SERIAL 5
#define DESTINATION 6
#define SENDER 7
#define PATIENCE_S 30u

struct message {
	uint8_t data[512];
	size_t length;
};

struct stream {
	int fd;
	size_t filled, at;
	uint8_t data[256 * 1024];
};

static struct stream in;
static uint32_t serial;

static size_t aligned(size_t at)
{
	return (at + 7) & ~(size_t)7;
}

static uint32_t word(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_word(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void begin(struct message *m, uint8_t type)
{
	memset(m, 0, sizeof(*m));
	m->data[0] = 'l';
	m->data[1] = type;
	m->data[3] = 1;
	m->length = 16;
}

static void field(struct message *m, uint8_t code, char type, const char *text, uint32_t value)
{
	uint8_t *at;

	m->length = aligned(m->length);
	at = m->data + m->length;
	at[0] = code;
	at[1] = 1;
	at[2] = (uint8_t)type;
	put_word(at + 4, text ? (uint32_t)strlen(text) : value);
	if (text && type == 'g') {
		at[4] = (uint8_t)strlen(text);
		strcpy((char *)at + 5, text);
		m->length += 5 + strlen(text) + 1;
		return;
	}
	if (text)
		strcpy((char *)at + 8, text);
	m->length += 8 + (text ? strlen(text) + 1 : 0);
}

/* Ends the header; `name`: a body of this string and a number. */
static void finish(struct message *m, const char *name)
{
	put_word(m->data + 12, (uint32_t)m->length - 16);
	put_word(m->data + 8, ++serial);
	m->length = aligned(m->length);
	if (name) {
		size_t length = strlen(name), numbers = (4 + length + 1 + 3) & ~(size_t)3;

		put_word(m->data + 4, (uint32_t)numbers + 4);
		put_word(m->data + m->length, (uint32_t)length);
		strcpy((char *)m->data + m->length + 4, name);
		m->length += numbers + 4;
	}
}

static void give(const struct message *m)
{
	if (send(in.fd, m->data, m->length, MSG_NOSIGNAL) != (ssize_t)m->length)
		fail("send");
}

static void call(const char *name, const char *path, const char *member, const char *argument)
{
	struct message m;

	begin(&m, CALL);
	field(&m, 1, 'o', path, 0);
	field(&m, 2, 's', name, 0);
	field(&m, 3, 's', member, 0);
	field(&m, DESTINATION, 's', name, 0);
	if (argument)
		field(&m, 8, 'g', "su", 0);
	finish(&m, argument);
	give(&m);
}

/* Bytes of the message that stands at `at`; 0: it is not all there. */
static size_t whole(size_t at)
{
	size_t length;

	if (in.filled - at < 16)
		return 0;
	length = aligned(16 + word(in.data + at + 12)) + word(in.data + at + 4);
	return in.filled - at < length ? 0 : length;
}

/* The next message, valid until the next call. */
static const uint8_t *take(void)
{
	size_t length;

	while ((length = whole(in.at)) == 0) {
		ssize_t n;

		memmove(in.data, in.data + in.at, in.filled - in.at);
		in.filled -= in.at;
		in.at = 0;
		n = recv(in.fd, in.data + in.filled, sizeof(in.data) - in.filled, 0);
		if (n <= 0)
			fail("recv");
		in.filled += (size_t)n;
	}
	in.at += length;
	return in.data + in.at - length;
}

/* The field's value (a string's 4 bytes of length first); NULL: it has none. */
static const uint8_t *value_of(const uint8_t *message, uint8_t code)
{
	const uint8_t *at = message + 16, *end = at + word(message + 12);

	while (at < end) {
		const uint8_t *value = at + 4;

		if (at[0] == code)
			return value;
		at = value + (at[2] == 'g' ? (size_t)value[0] + 2 : at[2] == 'u' ? 4 : word(value) + 5u);
		at = message + aligned((size_t)(at - message));
	}
	return NULL;
}

static void await_reply(void)
{
	for (;;) {
		const uint8_t *message = take();

		if (message[1] == ERROR)
			errno = EACCES, fail("call");
		if (message[1] == REPLY)
			return;
	}
}

static void say(const char *text, size_t length)
{
	if (send(in.fd, text, length, MSG_NOSIGNAL) < 0)
		fail("send");
}

static void enter_bus(char **argv)
{
	char uid[16], line[256];
	size_t length = 0;

	enter(argv[0]);
	in.fd = must_connect(argv[1]);
	say("\0AUTH EXTERNAL ", 15);
	snprintf(uid, sizeof(uid), "%u", getuid());
	for (const char *digit = uid; *digit; digit++)
		length += (size_t)snprintf(line + length, sizeof(line) - length, "%02x", (unsigned)*digit);
	say(line, length);
	say("\r\n", 2);
	for (length = 0; length == 0 || line[length - 1] != '\n'; length++)
		if (length == sizeof(line) || recv(in.fd, line + length, 1, 0) != 1)
			fail("authentication");
	say("BEGIN\r\n", 7);
	call(BUS, "/org/freedesktop/DBus", "Hello", NULL);
	await_reply();
}

/* DIR NAME */
int run_dbus_service(char **argv)
{
	enter_bus(argv);
	call(BUS, "/org/freedesktop/DBus", "RequestName", SERVICE);
	await_reply();
	ready();
	for (;;) {
		const uint8_t *message = take();
		struct message m;

		if (message[1] != CALL)
			continue;
		begin(&m, REPLY);
		field(&m, REPLY_SERIAL, 'u', NULL, word(message + 8));
		field(&m, DESTINATION, 's', (const char *)value_of(message, SENDER) + 4, 0);
		finish(&m, NULL);
		give(&m);
	}
}

/* DIR NAME CALLS MS */
int run_dbus_calls(char **argv)
{
	unsigned under_way = number(argv[2]), ms = number(argv[3]);
	uint64_t began, deadline, answers = 0;

	alarm(ms / 1000 + PATIENCE_S);
	enter_bus(argv);
	began = now_ns();
	deadline = began + (uint64_t)ms * 1000000u;
	for (unsigned i = 0; i < under_way; i++)
		call(SERVICE, "/org/example/Bench", "Ping", NULL);
	while (under_way > 0) {
		await_reply();
		answers++;
		if (now_ns() < deadline)
			call(SERVICE, "/org/example/Bench", "Ping", NULL);
		else
			under_way--;
	}
	printf("{\"answers\":%" PRIu64 ",\"ns\":%" PRIu64 "}\n", answers, now_ns() - began);
	return 0;
}
