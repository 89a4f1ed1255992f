/*
 * Datagrams: one socket in the consumer, one flow a client that sends to it.
 *
 * A flow is a socket of its own towards the provider, so that a reply finds its way back: it leaves
 * through the consumer's socket, the only one that a client which connected would accept it from. Clients
 * without an address share a flow and get no replies, as on any datagram socket.
 *
 * One datagram at a time is held, while its flow connects or its provider is slow; the others wait in the
 * kernel's queue and their senders block: back-pressure. A reply is looked at, sent, and only then taken
 * from its queue. A datagram whose provider does not come within the link's patience is dropped and counted
 * (no-provider), and so is a reply whose client is gone (error).
 */
#include "relay-flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define NOBODY 65534u

/* What the client or provider could send can be passed on, within the kernel's own limit: else EMSGSIZE. */
static void enlarge(int fd)
{
	int large = RELAY_SCRATCH;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
}

void dgram_listen(struct link *link)
{
	int on = 1;

	enlarge(link->listener.fd);
	setsockopt(link->listener.fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

static void flow_connect(struct flow *flow)
{
	struct link *link = flow->link;

	if (flow->slot || !link->upstream)
		return;
	flow->slot = broker_ask(link, link->upstream, NULL, 0, flow, (broker_answer *)dgram_connected);
	flow->retry_at = relay_now() + RELAY_TICK_MS;
}

/* Sends what the flow holds. False: it still holds it. */
static bool flow_send(struct flow *flow)
{
	char control[CMSG_SPACE(sizeof(int) * RELAY_FDS_MAX)];
	struct backlog *held = flow->held;
	struct iovec iov = { .iov_base = held->data, .iov_len = held->length };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (held->nfds > 0 && !share_left(flow->link))
		return false;
	control_put(&message, control, held->fds, held->nfds);
	n = sendmsg(flow->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EMSGSIZE) {
		if (errno != EAGAIN && errno != ENOBUFS && errno != ETOOMANYREFS && errno != EINTR) {
			/* The provider went: a new socket to the next one, for the same client. */
			flow_disconnect(flow);
			flow_connect(flow);
		}
		return false;
	}
	if (n >= 0) {
		atomic_fetch_add(&flow->link->bytes[0], (uint64_t)n);
		share_sent(flow->link, &flow->fds_ahead, held->nfds);
	} else {
		atomic_fetch_add(&flow->link->closes[REASON_TRUNCATED], 1);
	}
	closing_take(flow->link->closing, held->fds, held->nfds);
	free(held);
	flow->held = NULL;
	flow->link->held = NULL;
	return true;
}

/* Takes fds. */
static bool hold(struct flow *flow, const char *data, size_t length, const int *fds, uint32_t nfds)
{
	size_t padded = (length + sizeof(int) - 1) & ~(sizeof(int) - 1);
	struct backlog *held = malloc(sizeof(*held) + padded + (nfds + 1) * sizeof(int));

	if (!held) {
		closing_take(flow->link->closing, fds, nfds);
		return false;
	}
	*held = (struct backlog){ .length = length, .nfds = nfds };
	held->fds = (int *)(held->data + padded);
	memcpy(held->data, data, length);
	if (nfds)
		memcpy(held->fds, fds, nfds * sizeof(int));
	flow->held = held;
	flow->link->held = flow;
	flow->deadline = relay_now() + flow->link->patience_ms;
	return true;
}

static struct ucred sender(struct msghdr *message)
{
	struct ucred who = { .uid = NOBODY, .gid = NOBODY };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&who, CMSG_DATA(c), sizeof(who));
	return who;
}

void dgram_readable(struct link *link)
{
	struct relay *relay = link->relay;

	for (int turn = 0; link->listener.fd >= 0 && !link->held; turn++) {
		char control[CMSG_SPACE(sizeof(int) * RELAY_FDS_MAX) + CMSG_SPACE(64)];
		struct iovec iov = { .iov_base = relay->scratch, .iov_len = RELAY_SCRATCH };
		struct sockaddr_un address = { 0 };
		struct msghdr message = { .msg_name = &address, .msg_namelen = sizeof(address), .msg_iov = &iov, .msg_iovlen = 1,
					  .msg_control = control, .msg_controllen = sizeof(control) };
		int fds[RELAY_FDS_MAX];
		struct flow *flow;
		struct ucred who;
		uint32_t nfds;
		ssize_t n;

		if (turn == RELAY_BATCH) {
			relay_rearm(relay, &link->listener, EPOLLIN); /* others first */
			return;
		}
		if (closing_full(link->closing)) {
			link_accept_later(link);
			return;
		}
		n = recvmsg(link->listener.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		if (message.msg_namelen > sizeof(address))
			message.msg_namelen = sizeof(address); /* unix(7): a path of 108 bytes counts one more */
		nfds = control_fds(&message, fds);
		who = sender(&message);
		if (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
			closing_take(link->closing, fds, nfds);
			atomic_fetch_add(&link->closes[REASON_TRUNCATED], 1);
			continue;
		}
		flow = flow_of(link, &address, message.msg_namelen, &who);
		if (!flow)
			closing_take(link->closing, fds, nfds);
		if (!flow || !hold(flow, relay->scratch, (size_t)n, fds, nfds)) {
			atomic_fetch_add(&link->closes[REASON_ERROR], 1);
			continue;
		}
		flow->idle_at = relay_now() + FLOW_IDLE_MS;
		list_del(&flow->node);
		list_add_tail(&link->flows, &flow->node);
		if (flow->source.fd < 0)
			flow_connect(flow);
		else
			flow_send(flow);
	}
}

/* Everybody to the new provider; the datagram that waits goes there too. */
void dgram_retarget(struct link *link)
{
	struct flow *waiting = link->held;
	struct list *node, *next;

	for (node = link->flows.next; node != &link->flows; node = next) {
		struct flow *flow = list_entry(node, struct flow, node);

		next = node->next;
		if (flow != waiting)
			flow_free(flow);
	}
	if (!waiting)
		return;
	flow_disconnect(waiting);
	flow_connect(waiting);
}

void dgram_connected(struct flow *flow, int fd, int error)
{
	struct link *link = flow->link;

	flow->slot = 0;
	link_upstream_result(link, error);
	if (fd < 0)
		return; /* dgram_tick tries again until the deadline */
	flow->source.fd = fd;
	enlarge(fd);
	if (relay_watch(link->relay, &flow->source, EPOLLIN | EPOLLOUT) < 0) {
		closing_take(link->closing, &fd, 1);
		flow->source.fd = -1;
		return;
	}
	if (flow->held && flow_send(flow))
		dgram_readable(link);
}

void dgram_flow_event(struct source *source, uint32_t events)
{
	struct flow *flow = (struct flow *)source;
	struct link *link = flow->link;

	if (flow->source.fd < 0)
		return;
	if (events & EPOLLIN) {
		flow->readable = true;
		dgram_replies(flow);
	}
	if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) && flow->held && flow_send(flow))
		dgram_readable(link);
}

void dgram_tick(struct link *link, uint64_t now)
{
	struct list *node, *next;
	bool resume = false;

	for (node = link->flows.next; node != &link->flows; node = next) {
		struct flow *flow = list_entry(node, struct flow, node);

		next = node->next;
		if (flow->readable)
			dgram_replies(flow);
		if (flow->held && now >= flow->deadline) {
			atomic_fetch_add(&link->closes[REASON_NO_PROVIDER], 1);
			flow_free(flow);
			resume = true;
		} else if (flow->held && flow->source.fd >= 0) {
			resume |= flow_send(flow);
		} else if (flow->held && now >= flow->retry_at) {
			flow_connect(flow);
		} else if (!flow->held && !flow->slot && now >= flow->idle_at) {
			flow_free(flow);
		}
	}
	if (resume)
		dgram_readable(link);
}
