/*
 * Commands of the daemon, one record each, run as they are read.
 *
 * Everything in a record is taken for an attack until it was looked at: its length, the number of its descriptors, the
 * numbers and lengths in it. What is no command has no effect. A descriptor may be of anything; who has it finds out.
 */
#include "dgram.h"
#include "lease.h"
#include "look.h"
#include "provider.h"
#include "ring.h"
#include "tcp.h"
#include "transfer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ERRNO_MAX 4095u
#define COMMANDS_MAX (4 * PVX_LINKS_MAX) /* more than a daemon sends at a time */
#define LINK_FLAGS (PVX_LINK_FDS | PVX_LINK_LIMITED | PVX_LINK_PROXY_1 | PVX_LINK_PROXY_2)

void complain(const char *what)
{
	static bool said;
	struct pollfd room = { .fd = 2, .events = POLLOUT };
	char text[256];
	int length = snprintf(text, sizeof(text), "pvx-relay: %s.\n", what);

	if (length >= (int)sizeof(text))
		length = sizeof(text) - 1;
	if (said || poll(&room, 1, 0) <= 0 || !(room.revents & POLLOUT)) /* whoever reads it may not */
		return;
	said = write(2, text, (size_t)length) > 0;
}

static void drop_owed(struct relay *relay)
{
	free(relay->owed.side[0]);
	free(relay->owed.side[1]);
	memset(&relay->owed, 0, sizeof(relay->owed));
}

static void hello(struct relay *relay, struct command *command)
{
	uint32_t incarnation = command->head.conn;
	struct list *node;

	if (command->head.mode != PVX_RELAY_VERSION) {
		relay_emit(relay, PVX_EVENT_WELCOME, NULL, incarnation, -1, PVX_RELAY_VERSION);
		return;
	}
	relay->greeted = true;
	relay->timed = command->head.flags & PVX_HELLO_TIMES;
	drop_owed(relay);
	events_drop(relay);
	for (node = relay->links.next; node != &relay->links; node = node->next)
		list_entry(node, struct link, node)->watched = false;
	relay_emit(relay, PVX_EVENT_WELCOME, NULL, incarnation, relay->counters_fd, PVX_RELAY_VERSION);
	for (node = relay->links.next; node != &relay->links; node = node->next)
		relay_emit(relay, PVX_EVENT_STANDING, list_entry(node, struct link, node), 0, -1, 0);
	relay_emit(relay, PVX_EVENT_COMPLETE, NULL, incarnation, -1, 0);
	for (node = relay->links.next; node != &relay->links; node = node->next)
		provider_ask_again(list_entry(node, struct link, node));
}

static struct access *access_of(const struct command *command)
{
	uint32_t flags = command->head.flags;
	struct access *access = calloc(1, sizeof(*access));

	if (!access)
		return NULL;
	access->limited = flags & PVX_LINK_LIMITED;
	access->proxy = flags & PVX_LINK_PROXY_1 ? 1 : flags & PVX_LINK_PROXY_2 ? 2 : 0;
	(void)tcp_access_rules(access, (const uint8_t *)command->data, command->head.data_length); /* `unfit` has tried it */
	return access;
}

static void new_link(struct relay *relay, struct command *command)
{
	const struct pvx_command *head = &command->head;
	struct access *access = NULL;
	struct link *link = NULL;

	if (!(head->flags & ~PVX_LINK_FDS) || (access = access_of(command)))
		link = link_new(relay, head->link);
	if (!link) {
		free(access);
		relay_emit(relay, PVX_EVENT_GONE, &(struct link){ .number = head->link }, 0, -1, 0);
		return;
	}
	link->access = access;
	link->type = (int)head->mode;
	link->fds = head->flags & PVX_LINK_FDS;
	link->patience_ms = head->ms;
	link->max_conns = head->most;
	link->memory_max = head->bytes;
	link->consumer = head->other;
}

static void note(struct link *link, struct command *command)
{
	link_note(link, command->data, command->head.data_length);
}

static void owe(struct link *link, struct command *command)
{
	struct relay *relay = link->relay;
	struct backlog **owed = &relay->owed.side[command->head.mode];
	size_t before;

	if (relay->owed.link != link->number || relay->owed.conn != command->head.conn)
		drop_owed(relay);
	relay->owed.link = link->number;
	relay->owed.conn = command->head.conn;
	before = *owed ? (*owed)->length : 0;
	if (before + command->head.data_length > PVX_OWED_MAX ||
	    !backlog_append(owed, command->data, command->head.data_length))
		relay->owed.lost = true;
}

static void join(struct link *link, struct command *command)
{
	conn_join(link, command);
	drop_owed(link->relay);
}

static void led(struct link *link, struct command *command)
{
	const struct pvx_command *head = &command->head;
	struct link *listener = head->other < PVX_LINKS_MAX ? link->relay->numbered[head->other] : NULL;
	bool known = listener && command->fd[0] >= 0;
	enum pvx_ring ring = known ? ring_led(link, listener, command->fd[0]) : PVX_RING_NONE;

	relay_emit(link->relay, PVX_EVENT_LED, link, head->conn, -1, (int)ring);
}

/* What has passed before us. */
static void counted(struct link *link, struct command *command)
{
	struct pvx_counters *ours = link->counters, before;

	memcpy(&before, command->data, sizeof(before));
	counter_add(&ours->total, (int64_t)before.total);
	for (size_t i = 0; i < 2; i++)
		counter_add(&ours->bytes[i], (int64_t)before.bytes[i]);
	for (size_t i = 0; i < PVX_REASON_COUNT; i++)
		counter_add(&ours->closes[i], (int64_t)before.closes[i]);
	link->last_errno = (int)command->head.mode;
}

/* Whose command it may be. */
enum giver { DAEMON = 1, PREDECESSOR = 2 };
#define BOTH (DAEMON | PREDECESSOR)

static const struct {
	const char *name;
	unsigned givers;
	uint32_t fds;      /* that there are, */
	bool request;      /* may be */
	uint32_t data_max; /* in bytes */
	void (*run)(struct link *, struct command *);
} ops[] = {
	[PVX_RELAY_HELLO] = { "HELLO", DAEMON, 0, false, 0, NULL },
	[PVX_RELAY_LINK] = { "LINK", BOTH, 0, false, PVX_RULES_MAX * PVX_RULE_SIZE, NULL },
	[PVX_RELAY_LISTEN] = { "LISTEN", BOTH, 1, true, PVX_NOTE_MAX, link_listen },
	[PVX_RELAY_RETARGET] = { "RETARGET", DAEMON, 0, true, 0, link_retarget },
	[PVX_RELAY_RESOLVE] = { "RESOLVE", DAEMON, 0, true, 0, provider_resolve },
	[PVX_RELAY_STOP] = { "STOP", DAEMON, 0, false, 0, link_stop },
	[PVX_RELAY_CLOSE] = { "CLOSE", DAEMON, 0, false, 0, link_close },
	[PVX_RELAY_NOTE] = { "NOTE", DAEMON, 0, false, PVX_NOTE_MAX, note },
	[PVX_RELAY_OWED] = { "OWED", DAEMON, 0, false, PVX_COMMAND_DATA_MAX, owe },
	[PVX_RELAY_JOIN] = { "JOIN", DAEMON, 2, false, PVX_LABEL_MAX, join },
	[PVX_RELAY_TRANSFER] = { "TRANSFER", DAEMON, 2, false, 0, transfer_begin },
	[PVX_RELAY_CANCEL] = { "CANCEL", DAEMON, 0, false, 0, transfer_cancel },
	[PVX_RELAY_LED] = { "LED", DAEMON, 1, false, 0, led },
	[PVX_RELAY_COUNTED] = { "COUNTED", PREDECESSOR, 0, false, sizeof(struct pvx_counters), counted },
	[PVX_RELAY_LIST] = { "LIST", DAEMON, 0, false, 0, look_answer },
	[PVX_RELAY_WATCH] = { "WATCH", DAEMON, 0, false, 0, look_watch },
	[PVX_RELAY_TAP] = { "TAP", DAEMON, 1, false, 0, tap_begin },
	[PVX_RELAY_UNTAP] = { "UNTAP", DAEMON, 0, false, 0, tap_stop },
	[PVX_RELAY_FAULT] = { "FAULT", DAEMON, 1, false, PVX_PLAN_MAX * sizeof(uint32_t), fault_begin },
};

static bool connects(const struct pvx_request *request)
{
	return request->op == PVX_OP_CONNECT_UNIX || request->op == PVX_OP_CONNECT_TCP || request->op == PVX_OP_CONNECT_BUS;
}

/* What of it is not as it has to be, whatever it is about; NULL: nothing. `record` has `length` bytes. */
static const char *malformed(enum giver giver, const struct pvx_command *head, size_t length, uint32_t nfds, int flags)
{
	if (length < sizeof(*head) || flags & MSG_TRUNC)
		return "length";
	if (head->op >= sizeof(ops) / sizeof(*ops) || !(ops[head->op].givers & giver))
		return "op";
	if (head->request_length != 0 && (!ops[head->op].request || head->request_length != sizeof(struct pvx_request)))
		return "request";
	if (head->data_length > ops[head->op].data_max)
		return "data";
	if (length != sizeof(*head) + head->request_length + head->data_length)
		return "length";
	if (head->op != PVX_RELAY_HELLO && head->link >= PVX_LINKS_MAX)
		return "link";
	if (nfds > ops[head->op].fds || (nfds < ops[head->op].fds && !(flags & MSG_CTRUNC)))
		return "number of descriptors";
	return NULL;
}

/* The same of what it says. `link`: NULL where there is none of its number, then it is LINK or HELLO. */
static const char *unfit(const struct link *link, const struct command *command)
{
	const struct pvx_command *head = &command->head;
	struct access access;

	if (command->request && !connects(command->request))
		return "request";
	switch (head->op) {
	case PVX_RELAY_HELLO:
		return head->mode == PVX_RELAY_VERSION && head->flags & ~PVX_HELLO_TIMES ? "flags" : NULL;
	case PVX_RELAY_LINK:
		if (link)
			return "link";
		if (head->mode != SOCK_STREAM && head->mode != SOCK_SEQPACKET && head->mode != SOCK_DGRAM)
			return "mode";
		if (head->flags & ~LINK_FLAGS || (head->flags & PVX_LINK_PROXY_1 && head->flags & PVX_LINK_PROXY_2))
			return "flags";
		return tcp_access_rules(&access, (const uint8_t *)command->data, head->data_length) ? NULL : "data";
	case PVX_RELAY_LISTEN:
		return head->mode <= PVX_ACCEPT_HAND ? NULL : "mode";
	case PVX_RELAY_OWED:
		return head->mode > 1 ? "mode" : head->data_length == 0 ? "data" : NULL;
	case PVX_RELAY_COUNTED:
		return head->data_length != sizeof(struct pvx_counters) ? "data" : head->mode > ERRNO_MAX ? "mode" : NULL;
	case PVX_RELAY_WATCH:
		return head->mode > 1 ? "mode" : NULL;
	case PVX_RELAY_FAULT:
		if (head->flags & ~PVX_FAULT_REFUSE)
			return "flags";
		if (head->bytes > PVX_FAULT_RATE_MAX)
			return "bytes";
		return head->data_length % sizeof(uint32_t) ? "data" : NULL;
	case PVX_RELAY_TRANSFER:
		if (link->type != SOCK_STREAM || link->fds)
			return "link";
		if (head->flags & ~(PVX_TRANSFER_TO_PROVIDER | PVX_TRANSFER_END))
			return "flags";
		return head->bytes > 0 ? NULL : "bytes";
	default:
		return NULL;
	}
}

static const char *described(const struct pvx_command *head, size_t length, const char *what)
{
	bool known = length >= sizeof(*head) && head->op < sizeof(ops) / sizeof(*ops) && ops[head->op].name;
	static char text[64];

	snprintf(text, sizeof(text), "%s has a wrong %s", known ? ops[head->op].name : "it", what);
	return text;
}

/* NULL, or what is wrong. */
static const char *run(struct relay *relay, struct link *link, struct command *command)
{
	const char *wrong = unfit(link, command);

	if (wrong)
		return wrong;
	if (command->head.op == PVX_RELAY_HELLO)
		hello(relay, command);
	else if (command->head.op == PVX_RELAY_LINK)
		new_link(relay, command);
	else
		ops[command->head.op].run(link, command);
	return NULL;
}

/* A record that is well formed, with all of its descriptors; takes them. NULL, or what is wrong. */
static const char *take(struct relay *relay, const char *record, const int *fds, uint32_t nfds)
{
	struct command command = { .fd = { -1, -1 } };
	struct closing *closing = relay->closing;
	const char *wrong = NULL;
	struct link *link = NULL;
	bool begins;

	memcpy(&command.head, record, sizeof(command.head));
	command.data = record + sizeof(command.head) + command.head.request_length;
	for (uint32_t i = 0; i < nfds; i++)
		command.fd[i] = fds[i];
	if (command.head.op != PVX_RELAY_HELLO)
		link = relay->numbered[command.head.link];
	if (link)
		closing = closing_ref(link->closing);
	begins = command.head.op == PVX_RELAY_HELLO || command.head.op == PVX_RELAY_LINK;
	if (link || begins) { /* else it is for a link that is gone */
		if (command.head.request_length > 0 && (command.request = malloc(sizeof(*command.request))))
			memcpy(command.request, record + sizeof(command.head), sizeof(*command.request));
		wrong = run(relay, link, &command);
		free(command.request);
	}
	closing_take(closing, command.fd, PVX_COMMAND_FDS_MAX);
	if (link)
		closing_unref(closing);
	return wrong;
}

uint32_t command_fds(const struct pvx_command *head)
{
	return head->op < sizeof(ops) / sizeof(*ops) ? ops[head->op].fds : 0;
}

const char *command_take_over(struct relay *relay, const void *record, size_t length, const int *fds, uint32_t nfds)
{
	const struct pvx_command *head = record;
	const char *wrong = malformed(PREDECESSOR, head, length, nfds, 0);

	if (!wrong && head->op != PVX_RELAY_LINK && !relay->numbered[head->link])
		wrong = "link";
	if (wrong)
		closing_take(relay->closing, fds, nfds);
	else
		wrong = take(relay, record, fds, nfds);
	if (!wrong && !relay->numbered[head->link])
		return "there is no memory for its links";
	return wrong ? described(head, length, wrong) : NULL;
}

/* False: there is none, for now. */
static bool read_one(struct relay *relay)
{
	static struct {
		struct pvx_command head;
		char rest[sizeof(struct pvx_request) + PVX_COMMAND_DATA_MAX];
	} record;
	char control[CONTROL_RECEIVED_SIZE], text[128];
	struct iovec iov = { .iov_base = &record, .iov_len = sizeof(record) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	ssize_t n = recvmsg(relay->daemon.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct pollfd other = { .fd = relay->daemon.fd, .events = POLLRDHUP };
	int fds[MESSAGE_FDS_MAX];
	const char *wrong;
	uint32_t nfds;

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0 && poll(&other, 1, 0) > 0 && other.revents & (POLLHUP | POLLRDHUP)) {
		handover_daemon_gone(relay);
		return false;
	}
	if (n < 0) {
		relay_rearm(relay, &relay->daemon, EPOLLIN | EPOLLOUT); /* it is still there: the next round tries again */
		return false;
	}
	nfds = control_fds(&message, fds);
	wrong = malformed(DAEMON, &record.head, (size_t)n, nfds, message.msg_flags);
	if (wrong || (record.head.op != PVX_RELAY_HELLO && !relay->greeted))
		closing_take(relay->closing, fds, nfds);
	else
		wrong = take(relay, (const char *)&record, fds, nfds);
	if (wrong) {
		snprintf(text, sizeof(text), "the daemon sent a record that is no command: %s",
			 described(&record.head, (size_t)n, wrong));
		complain(text);
	}
	return true;
}

void commands_read(struct relay *relay)
{
	for (uint32_t n = 0; n < COMMANDS_MAX && relay->daemon.fd >= 0 && events_room(relay) && read_one(relay); n++)
		;
}

void commands_event(struct relay *relay, uint32_t events)
{
	if (relay->daemon.fd < 0)
		return;
	if (!relay->daemon_writable && events & EPOLLOUT) {
		relay->daemon_writable = true;
		relay_rearm(relay, &relay->daemon, EPOLLIN); /* it would be an event for each record that is read */
	}
	for (int n = 0; n < RELAY_BATCH; n++) {
		if (!events_room(relay)) {
			relay->commands_wait = true; /* events_flush goes on with them */
			return;
		}
		if (!read_one(relay))
			return;
	}
	relay_rearm(relay, &relay->daemon, EPOLLIN | (relay->daemon_writable ? 0 : EPOLLOUT)); /* others first */
}
