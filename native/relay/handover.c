/*
 * The links of this relay given to one of another build, and taken from the one before.
 *
 * What is given is what makes a link anew: its settings, what it has counted, its listener with the way to its provider
 * and its note. They are written as the daemon's commands, and run as those are. A link without a listener stays, and so
 * do connections, datagrams under way, and clients that were accepted and wait.
 *
 *              Z                        C                      the daemon has left, and the last connection ended;
 *   SERVING ------> FROZEN        any -----> LEFT (frozen) ---> or its time is over: the end
 *      ^              |
 *      '------ T -----'
 *
 * A listener is shared until C: who is frozen leaves its clients in the backlog, to whichever of the two goes on. Whoever
 * was handed something begins frozen. So nobody is lost, whether the successor is given up or not.
 *
 * The stream:  HELLO with PVX_BETWEEN_VERSIONS as its mode,  (LINK, COUNTED, LISTEN)...,  a length of 0
 * Each command has its length in front of it, in four bytes; the listener comes no later than its LISTEN. It is written as
 * far as the successor reads, link by link, and nothing waits for that.
 */
#include "tcp.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "../handover.h"

#define DRAIN_S 3600u
#define COMMAND_MAX (sizeof(struct pvx_command) + sizeof(struct pvx_request) + PVX_COMMAND_DATA_MAX)

_Static_assert(sizeof(struct rule) == PVX_RULE_SIZE && offsetof(struct rule, address) == 2, "rules as in a command");

/* What is being written. */
static struct {
	struct source stream; /* owned */
	uint32_t next; /* 0: the beginning; then each number of a link, and one; then the end */
	int listener;  /* goes with the first byte; the link's; -1: none does */
	size_t offset, length;
	char bytes[3 * (sizeof(uint32_t) + sizeof(struct pvx_command)) + PVX_RULES_MAX * PVX_RULE_SIZE +
		   sizeof(struct pvx_counters) + sizeof(struct pvx_request) + PVX_NOTE_MAX];
} out = { .stream = { .kind = KIND_SUCCESSOR, .fd = -1 } };

static void append(const void *bytes, size_t length)
{
	memcpy(out.bytes + out.length, bytes, length);
	out.length += length;
}

static void append_command(struct pvx_command head, const struct pvx_request *request, const void *data, size_t length)
{
	uint32_t whole;

	head.request_length = request ? sizeof(*request) : 0;
	head.data_length = (uint32_t)length;
	whole = (uint32_t)(sizeof(head) + head.request_length + length);
	append(&whole, sizeof(whole));
	append(&head, sizeof(head));
	if (request)
		append(request, sizeof(*request));
	if (data)
		append(data, length);
}

static void append_link(struct link *link)
{
	const struct access *access = link->access;
	struct pvx_command made = { .op = PVX_RELAY_LINK, .link = link->number, .mode = (uint32_t)link->type,
				    .flags = link->fds ? PVX_LINK_FDS : 0, .ms = link->patience_ms, .most = link->max_conns,
				    .other = link->consumer, .bytes = link->memory_max };
	struct pvx_command counted = { .op = PVX_RELAY_COUNTED, .link = link->number, .mode = (uint32_t)link->last_errno };
	struct pvx_command listens = { .op = PVX_RELAY_LISTEN, .link = link->number, .mode = link->mode };

	if (access && access->limited)
		made.flags |= PVX_LINK_LIMITED;
	if (access && access->proxy)
		made.flags |= access->proxy == 1 ? PVX_LINK_PROXY_1 : PVX_LINK_PROXY_2;
	append_command(made, NULL, access ? access->rules : NULL, access ? access->nrules * PVX_RULE_SIZE : 0);
	append_command(counted, NULL, link->counters, sizeof(*link->counters));
	append_command(listens, link->upstream, link->note, link->note_length);
	out.listener = link->listener.fd;
	link->given = true;
}

/* What is to be written next. False: that was all. */
static bool fill(struct relay *relay)
{
	struct pvx_command hello = { .op = PVX_RELAY_HELLO, .mode = PVX_BETWEEN_VERSIONS };
	uint32_t end = 0;

	out.offset = out.length = 0;
	out.listener = -1;
	if (out.next > PVX_LINKS_MAX + 1)
		return false;
	if (out.next == 0)
		append_command(hello, NULL, NULL, 0);
	for (; out.next > 0 && out.next <= PVX_LINKS_MAX && out.length == 0; out.next++) {
		struct link *link = relay->numbered[out.next - 1];

		if (link && link->listener.fd >= 0 && !link->draining) {
			append_link(link);
			return true; /* and this number once more, should it not be sent */
		}
	}
	if (out.next == PVX_LINKS_MAX + 1)
		append(&end, sizeof(end));
	return true;
}

static void stop_giving(struct relay *relay)
{
	relay_close(relay, &out.stream, false);
	out.offset = out.length = 0;
}

void handover_go_on(struct relay *relay)
{
	while (out.stream.fd >= 0) {
		ssize_t n;

		if (out.offset == out.length && !fill(relay)) {
			stop_giving(relay);
			return;
		}
		n = handover_send(out.stream.fd, out.bytes + out.offset, out.length - out.offset, &out.listener,
				  out.offset == 0 && out.listener >= 0, MSG_DONTWAIT);
		if (n < 0 && transient(errno)) {
			if (out.offset == 0)
				out.length = 0; /* the link may be gone, or another, when there is room */
			if (errno != EAGAIN)
				relay->events_later = true;
			return;
		}
		if (n < 0) { /* the successor is gone */
			stop_giving(relay);
			return;
		}
		out.offset += (size_t)n;
		if (out.offset == out.length)
			out.next++;
	}
}

/* Takes the stream. All that the daemon has said before is done first. */
static void give(struct relay *relay, int stream)
{
	stop_giving(relay);
	if (stream < 0)
		return;
	commands_read(relay);
	out.next = 0;
	out.stream.fd = stream;
	if (relay_watch(relay, &out.stream, EPOLLOUT) < 0)
		relay->events_later = true; /* the tick goes on with it */
	handover_go_on(relay);
}

static void thaw(struct relay *relay)
{
	struct list *node, *next;

	relay->frozen = false;
	for (node = relay->links.next; node != &relay->links; node = next) {
		struct link *link = list_entry(node, struct link, node);

		next = node->next;
		link_resume(link);
	}
}

static void leave(struct relay *relay, uint32_t seconds)
{
	struct list *node, *next;

	relay->left = relay->frozen = true;
	relay->leave_at = relay_now() + 1000 * (uint64_t)(seconds == UINT32_MAX ? DRAIN_S : seconds);
	stop_giving(relay);
	for (node = relay->links.next; node != &relay->links; node = next) {
		next = node->next;
		link_give_up(list_entry(node, struct link, node));
	}
}

void handover_heard(struct relay *relay)
{
	struct handover_word word;
	int heard = 0;

	while (relay->supervisor.fd >= 0 && (heard = handover_hear(MSG_DONTWAIT, &word)) > 0) {
		if (handover_is(&word, 'H') && !relay->left) {
			give(relay, word.fd);
			continue;
		}
		if (handover_is(&word, 'Z'))
			relay->frozen = true;
		else if (word.letter == 'T' && !relay->left)
			thaw(relay);
		else if (word.letter == 'C' && !relay->left)
			leave(relay, word.number);
		if (word.fd >= 0)
			closing_take(relay->closing, &word.fd, 1);
	}
	if (relay->supervisor.fd >= 0 && heard < 0)
		relay_close(relay, &relay->supervisor, false);
}

void handover_daemon_gone(struct relay *relay)
{
	if (!relay->left)
		_exit(0);
	relay_close(relay, &relay->daemon, false);
}

int handover_wait(const struct relay *relay)
{
	uint64_t now;

	if (!relay->left)
		return -1;
	now = relay_now();
	return relay->leave_at > now ? (int)(relay->leave_at - now < INT32_MAX ? relay->leave_at - now : INT32_MAX) : 0;
}

void handover_end(struct relay *relay)
{
	if (relay->left && ((relay->daemon.fd < 0 && relay->nconns == 0) || relay_now() >= relay->leave_at))
		_exit(0);
}

/* One command. `*ended`: it was the end in its place. */
static const char *take_one(struct relay *relay, struct handover_input *input, bool first, bool *ended)
{
	static union {
		struct pvx_command head;
		char bytes[COMMAND_MAX];
	} record;
	const char *wrong;
	uint32_t length, nfds;
	int fds[PVX_COMMAND_FDS_MAX];

	if ((wrong = handover_read(input, &length, sizeof(length))))
		return wrong;
	*ended = length == 0;
	if (*ended)
		return first ? "it does not begin with HELLO" : input->nfds > 0 ? "it has too many descriptors" : NULL;
	if (length < sizeof(record.head) || length > sizeof(record))
		return "a length is none of a command";
	if ((wrong = handover_read(input, &record, length)))
		return wrong;
	if (first)
		return record.head.op != PVX_RELAY_HELLO || length != sizeof(record.head) ? "it does not begin with HELLO" :
		       record.head.mode != PVX_BETWEEN_VERSIONS		       ? "it is of another version" :
											 NULL;
	nfds = command_fds(&record.head);
	if (!handover_fds(input, fds, nfds))
		return "a descriptor is missing";
	return command_take_over(relay, &record, length, fds, nfds);
}

const char *handover_take(struct relay *relay)
{
	static struct handover_input input = { .stream = HANDOVER_INPUT };
	const char *wrong = NULL;
	bool ended = false;

	relay->frozen = true;
	for (bool first = true; !ended && !wrong; first = false)
		wrong = take_one(relay, &input, first, &ended);
	if (wrong)
		return wrong;
	close(HANDOVER_INPUT);
	if (relay->supervisor.fd >= 0)
		handover_say('h');
	return NULL;
}
