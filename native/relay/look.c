/*
 * What connections a link has, for somebody who wants to see them: since when, what passed, who is at the consumer's end.
 *
 * A list is put together when it is sent, page by page, and each connection keeps but what it needs for that. The
 * process is as the kernel's credentials have it: whoever connected, which may have given the socket to another one.
 */
#include "dgram.h"
#include "look.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* Who connected, or from where. */
static void describe_peer(int fd, struct pvx_open *open)
{
	union {
		struct sockaddr any;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
	} address = { 0 };
	socklen_t length = sizeof(address);
	struct ucred who;

	if (fd < 0 || getpeername(fd, &address.any, &length) < 0)
		return;
	if (address.any.sa_family == AF_INET) {
		open->family = 4;
		open->port = ntohs(address.four.sin_port);
		memcpy(open->address, &address.four.sin_addr, 4);
	} else if (address.any.sa_family == AF_INET6) {
		open->family = 6;
		open->port = ntohs(address.six.sin6_port);
		memcpy(open->address, &address.six.sin6_addr, 16);
	} else {
		length = sizeof(who);
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) < 0)
			return;
		open->pid = (uint32_t)who.pid;
		open->uid = who.uid;
		open->gid = who.gid;
	}
}

static struct pvx_open describe(const struct conn *conn)
{
	struct pvx_open open = { .conn = conn->id, .joined = conn->state == CONN_JOINED, .since = conn->since / 1000,
				 .bytes = { conn->bytes[0], conn->bytes[1] },
				 .label_length = conn->label ? conn->label->length : 0 };

	describe_peer(conn->side[0].source.fd, &open);
	return open;
}

static struct pvx_open describe_flow(const struct flow *flow)
{
	return (struct pvx_open){ .conn = flow->id, .joined = flow->source.fd >= 0, .since = flow->since,
				  .bytes = { flow->bytes[0], flow->bytes[1] }, .pid = (uint32_t)flow->who.pid,
				  .uid = flow->who.uid, .gid = flow->who.gid };
}

static size_t append(char *into, const struct pvx_open *open, const struct label *label)
{
	memcpy(into, open, sizeof(*open));
	if (label)
		memcpy(into + sizeof(*open), label->text, label->length);
	return sizeof(*open) + open->label_length;
}

size_t look_list(const struct link *link, uint32_t after, char *into, size_t room, bool *more)
{
	size_t length = 0, most = room - sizeof(struct pvx_open) - PVX_LABEL_MAX;
	const struct list *node;

	*more = false;
	for (node = link->conns.next; node != &link->conns; node = node->next) {
		const struct conn *conn = list_entry(node, struct conn, node);
		struct pvx_open open;

		if (conn->transfer || conn->id <= after)
			continue;
		if (length > most) {
			*more = true;
			break;
		}
		open = describe(conn);
		length += append(into + length, &open, conn->label);
	}
	/* There are RELAY_FLOWS_MAX of these, which fit into one page. */
	for (node = link->flows.next; node != &link->flows; node = node->next) {
		const struct flow *flow = list_entry(node, struct flow, node);
		struct pvx_open open;

		if (flow->id <= after || length > most)
			continue;
		open = describe_flow(flow);
		length += append(into + length, &open, NULL);
	}
	return length;
}

struct said *look_ended(const struct conn *conn)
{
	struct pvx_open open = describe(conn);
	struct said *said = malloc(sizeof(*said) + sizeof(open) + open.label_length);

	if (said)
		said->length = (uint32_t)append(said->data, &open, conn->label);
	return said;
}

struct said *look_flow_ended(const struct flow *flow)
{
	struct pvx_open open = describe_flow(flow);
	struct said *said = malloc(sizeof(*said) + sizeof(open));

	if (said)
		said->length = (uint32_t)append(said->data, &open, NULL);
	return said;
}

void look_answer(struct link *link, struct command *command)
{
	relay_emit(link->relay, PVX_EVENT_LISTED, link, command->head.conn, -1, (int)command->head.other);
}

void look_watch(struct link *link, struct command *command)
{
	link->watched = command->head.mode;
}
