/*
 * Datagrams: one socket in the consumer, one flow a client that sends to it.
 *
 * A flow is a socket of its own towards the provider, so that a reply finds its way back: it leaves
 * through the consumer's socket, the only one that a client which connected would accept it from. Clients
 * without an address share a flow and get no replies, as on any datagram socket.
 *
 * One datagram at a time is held, while its flow connects or its queue (send.c) is full; the others wait in
 * the kernel's queue and their senders block: back-pressure. A reply is looked at, sent, and only then taken from its
 * queue; one whose client is gone is dropped (error).
 *
 * A datagram whose provider does not come within the link's patience is dropped and counted (no-provider), and from
 * then on the provider is away: each datagram has one attempt, and is dropped if that fails, until one succeeds.
 * Whoever sends has waited once, and is not held up again.
 */
#include "dgram.h"
#include "lease.h"
#include "look.h"
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define NOBODY 65534u
#define ATTEMPT_MS 200 /* for the one attempt of a datagram whose provider is away */

/* What the client or provider could send can be passed on, within the kernel's own limit: else EMSGSIZE. */
static void enlarge(int fd)
{
	int large = RELAY_SCRATCH;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
}

/* Its socket goes, and what was under way through it is nobody's. */
void flow_disconnect(struct flow *flow)
{
	struct relay *relay = flow->link->relay;

	if (flow->slot)
		broker_forget(relay, flow->slot);
	if (flow->send_slot)
		broker_forget(relay, flow->send_slot);
	if (flow->reply_slot)
		broker_forget(relay, flow->reply_slot);
	flow->slot = flow->send_slot = flow->reply_slot = 0;
	flow->readable = flow->moving = false;
	share_settle(flow->link, &flow->fds_ahead);
	relay_unwatch(relay, &flow->source, flow->link->closing, false);
}

void flow_free(struct flow *flow)
{
	struct link *link = flow->link;

	if (link->watched)
		relay_ended(link, PVX_REASON_EOF, look_flow_ended(flow));
	flow_drop(flow, PVX_REASON_DETACHED);
	flow_disconnect(flow);
	if (flow->queue[0] >= 0) {
		close(flow->queue[0]);
		closing_take(link->closing, &flow->queue[1], 1); /* the broker may be at it still */
	}
	list_del(&flow->node);
	list_add_tail(&link->relay->dead_flows, &flow->node);
	link->nflows--;
	link->relay->nconns--;
	counter_add(&link->counters->active, -1);
}

/* Memory goes only when no event of the round can point at it any more. */
void dgram_bury(struct relay *relay)
{
	while (!list_empty(&relay->dead_flows)) {
		struct flow *flow = list_entry(relay->dead_flows.next, struct flow, node);

		list_del(&flow->node);
		free(flow->request);
		free(flow);
	}
}

void dgram_close(struct link *link)
{
	share_settle(link, &link->fds_replied);
	while (!list_empty(&link->flows))
		flow_free(list_entry(link->flows.next, struct flow, node));
}

static struct flow *find(struct link *link, const struct sockaddr_un *address, socklen_t length, const struct ucred *who)
{
	struct list *node;

	for (node = link->flows.prev; node != &link->flows; node = node->prev) {
		struct flow *flow = list_entry(node, struct flow, node);

		if (flow->length == length && memcmp(&flow->address, address, length) == 0 &&
		    flow->who.uid == who->uid && flow->who.gid == who->gid)
			return flow;
	}
	return NULL;
}

/* Of the flows that nothing waits in, that which was idle longest; where there is none, of all. */
static struct flow *least_needed(struct link *link)
{
	for (struct list *node = link->flows.next; node != &link->flows; node = node->next) {
		struct flow *flow = list_entry(node, struct flow, node);

		if (!flow->held && flow->queued == 0)
			return flow;
	}
	return list_entry(link->flows.next, struct flow, node);
}

const struct pvx_request *flow_request(const struct flow *flow)
{
	return flow->request ? flow->request : flow->link->upstream;
}

/* NULL: no memory. */
struct flow *flow_of(struct link *link, const struct sockaddr_un *address, socklen_t length, const struct ucred *who)
{
	struct flow *flow = find(link, address, length, who);

	if (flow)
		return flow;
	if (link->nflows == RELAY_FLOWS_MAX)
		flow_free(least_needed(link));
	flow = calloc(1, sizeof(*flow));
	if (!flow)
		return NULL;
	flow->source = (struct source){ .kind = KIND_FLOW, .fd = -1 };
	flow->link = link;
	flow->id = ++link->next_conn;
	flow->since = relay_now();
	flow->queue[0] = flow->queue[1] = -1;
	flow->length = length;
	flow->who = *who;
	memcpy(&flow->address, address, length);
	list_add_tail(&link->flows, &flow->node);
	link->nflows++;
	link->relay->nconns++;
	link_tick_wanted(link);
	counter_add(&link->counters->active, 1);
	counter_add(&link->counters->total, 1);
	return flow;
}

void dgram_listen(struct link *link)
{
	int on = 1;

	enlarge(link->listener.fd);
	setsockopt(link->listener.fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

/* The provider did not come in time. */
static void given_up(struct flow *flow)
{
	flow->link->away = true;
	flow_drop(flow, PVX_REASON_NO_PROVIDER);
}

static void connected(void *owner, int fd, int error, uint32_t value)
{
	struct flow *flow = owner;
	struct link *link = flow->link;

	(void)value;
	flow->slot = 0;
	if (fd >= 0 && ring_closed(link, fd)) {
		closing_socket(link->closing, fd, false);
		flow_drop(flow, PVX_REASON_REFUSED);
		dgram_readable(link);
		return;
	}
	link_upstream_result(link, error);
	if (error == ESRCH || error == ESTALE || error == EBADF) {
		/* The container is gone: who and where its successor is must be asked anew. */
		free(flow->request);
		flow->request = NULL;
		flow->asked = false;
	}
	if (fd >= 0) {
		flow->source.fd = fd;
		enlarge(fd);
		if (relay_watch(link->relay, &flow->source, EPOLLIN | EPOLLOUT) == 0) {
			link->away = false;
			flow_flush(flow);
			if (flow->held && flow_send(flow))
				dgram_readable(link);
			return;
		}
		closing_take(link->closing, &fd, 1);
		flow->source.fd = -1;
	}
	if (!link->away && relay_now() < flow->deadline)
		return; /* dgram_tick tries again until then */
	given_up(flow);
	dgram_readable(link);
}

void flow_connect(struct flow *flow)
{
	struct link *link = flow->link;
	const struct pvx_request *request = flow_request(flow);

	if (flow->slot)
		return;
	flow->retry_at = relay_now() + RELAY_TICK_MS;
	if (!request && link->mode == PVX_ACCEPT_ASK && !flow->asked) {
		relay_emit(link->relay, PVX_EVENT_PENDING, link, flow->id, -1, 0);
		flow->asked = true;
	}
	if (request)
		flow->slot = broker_ask(link, request, NULL, 0, flow, connected);
}

/* For the first datagram of a flow that is not connected. */
static void flow_begin(struct flow *flow)
{
	flow_connect(flow);
	if (flow->link->away && !flow->slot && !flow->asked)
		given_up(flow); /* there is nowhere to try */
}

void dgram_ask_again(struct link *link)
{
	for (struct list *node = link->flows.next; node != &link->flows; node = node->next) {
		struct flow *flow = list_entry(node, struct flow, node);

		if (flow->asked && !flow_request(flow))
			relay_emit(link->relay, PVX_EVENT_PENDING, link, flow->id, -1, 0);
	}
}

void dgram_resolve(struct link *link, struct command *command)
{
	struct list *node;

	for (node = link->flows.next; node != &link->flows; node = node->next) {
		struct flow *flow = list_entry(node, struct flow, node);

		if (flow->id != command->head.conn)
			continue;
		flow->asked = false;
		free(flow->request);
		flow->request = command->request;
		command->request = NULL;
		if (flow->request && flow->source.fd < 0) {
			flow_connect(flow);
		} else if (!flow->request && link->away) {
			given_up(flow);
			dgram_readable(link);
		}
		return; /* refused, it is asked for again by dgram_tick until the deadline */
	}
}

/* Takes fds. */
static bool hold(struct flow *flow, const char *data, size_t length, const int *fds, uint32_t nfds)
{
	flow->held = backlog_new(data, length, fds, nfds);
	if (!flow->held) {
		closing_take(flow->link->closing, fds, nfds);
		return false;
	}
	flow->link->held = flow;
	flow->deadline = relay_now() + (flow->link->away ? ATTEMPT_MS : flow->link->patience_ms);
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

	for (int turn = 0; link->listener.fd >= 0 && !link->held && !relay->frozen; turn++) {
		char control[CONTROL_RECEIVED_SIZE];
		struct iovec iov = { .iov_base = relay->scratch, .iov_len = RELAY_SCRATCH };
		struct sockaddr_un address = { 0 };
		struct msghdr message = { .msg_name = &address, .msg_namelen = sizeof(address), .msg_iov = &iov, .msg_iovlen = 1,
					  .msg_control = control, .msg_controllen = sizeof(control) };
		int fds[MESSAGE_FDS_MAX];
		struct flow *flow;
		struct ucred who;
		uint32_t nfds;
		ssize_t n;

		if (turn == RELAY_BATCH) { /* others first */
			if (!relay_rearm(relay, &link->listener, EPOLLIN))
				link_accept_later(link);
			return;
		}
		if (closing_full(link->closing) || (link->fault && !fault_may_read(link))) {
			link_accept_later(link);
			return;
		}
		n = recvmsg(link->listener.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			link_accept_later(link);
		if (n < 0)
			return;
		if (message.msg_namelen > sizeof(address))
			message.msg_namelen = sizeof(address); /* unix(7): a path of 108 bytes counts one more */
		nfds = control_fds(&message, fds);
		who = sender(&message);
		if (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
			closing_take(link->closing, fds, nfds);
			counter_add(&link->counters->closes[PVX_REASON_TRUNCATED], 1);
			continue;
		}
		if (link->fault && fault_drops(link, (size_t)n)) {
			closing_take(link->closing, fds, nfds);
			counter_add(&link->counters->closes[fault_refuses(link) ? PVX_REASON_REFUSED : PVX_REASON_RESET], 1);
			continue;
		}
		flow = flow_of(link, &address, message.msg_namelen, &who);
		if (!flow)
			closing_take(link->closing, fds, nfds);
		if (!flow || !hold(flow, relay->scratch, (size_t)n, fds, nfds)) {
			counter_add(&link->counters->closes[PVX_REASON_ERROR], 1);
			continue;
		}
		if (link->tap)
			tap_take(link, flow->id, false, relay->scratch, (size_t)n, nfds);
		flow->idle_at = relay_now() + FLOW_IDLE_MS;
		list_del(&flow->node);
		list_add_tail(&link->flows, &flow->node);
		if (flow->source.fd >= 0)
			flow_send(flow);
		else
			flow_begin(flow);
	}
}

/* Everybody to the new provider; what waits goes there too. */
void dgram_retarget(struct link *link)
{
	struct list *node, *next;

	for (node = link->flows.next; node != &link->flows; node = next) {
		struct flow *flow = list_entry(node, struct flow, node);

		next = node->next;
		if (flow->send_slot) {
			flow->moving = true;
		} else if (flow->held || flow->queued > 0) {
			flow_disconnect(flow);
			flow_connect(flow);
		} else {
			flow_free(flow);
		}
	}
}

void dgram_flow_event(struct source *source, uint32_t events)
{
	struct flow *flow = (struct flow *)source;

	if (flow->source.fd < 0)
		return;
	if (events & EPOLLIN) {
		flow->readable = true;
		dgram_replies(flow);
	}
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		flow_flush(flow);
}

void dgram_tick(struct link *link, uint64_t now)
{
	struct list *node, *next;
	bool resume = false, waits;

	for (node = link->flows.next; node != &link->flows; node = next) {
		struct flow *flow = list_entry(node, struct flow, node);

		next = node->next;
		if (flow->readable)
			dgram_replies(flow);
		waits = flow->held || flow->queued > 0;
		if (waits && flow->source.fd < 0 && now >= flow->deadline) {
			given_up(flow);
			resume = true;
		} else if (waits && now >= flow->retry_at) {
			if (flow->source.fd < 0)
				flow_connect(flow);
			else if (flow->held)
				resume |= flow_send(flow);
			flow_flush(flow);
		} else if (!waits && !flow->slot && now >= flow->idle_at) {
			flow_free(flow);
		}
	}
	if (resume)
		dgram_readable(link);
}
