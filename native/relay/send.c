/*
 * Datagrams on their way from a flow to the provider.
 *
 * A receiver that asks (SO_PASSCRED, unix(7)) is told by the kernel who sends, and what it is told has to be the link's
 * user: only the broker can say that. So datagrams are written to a queue of the flow's, and the broker is asked to
 * send what is in there, as many as have come by then; nothing but their number passes through the request.
 *
 *   none queued --queue--> asked --0, all sent--> none queued
 *                           ^  |---0, more came meanwhile: asked again
 *                           |  '---no room there---> waits: an event of the socket, or the tick, asks again
 *                           '---the provider went: connected anew, and asked again---'
 */
#include "dgram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static bool queue_open(struct flow *flow)
{
	int large = RELAY_SCRATCH;

	if (flow->queue[0] >= 0)
		return true;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, flow->queue) < 0) {
		flow->queue[0] = flow->queue[1] = -1;
		return false;
	}
	setsockopt(flow->queue[0], SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
	return true;
}

/* What is at the head of the queue is no more. Whether it was sent is the caller's to know. */
static uint32_t unqueue(struct flow *flow)
{
	uint32_t length = flow->lengths[flow->first];

	flow->first = (flow->first + 1) % FLOW_QUEUE;
	flow->queued--;
	memory_unqueued(flow->link, length);
	return length;
}

static void drop_first(struct flow *flow, enum pvx_reason reason)
{
	struct link *link = flow->link;

	(void)receive_bytes(flow->queue[1], link->relay->scratch, RELAY_SCRATCH, link->closing);
	unqueue(flow);
	counter_add(&link->counters->closes[reason], 1);
}

void flow_drop(struct flow *flow, enum pvx_reason reason)
{
	struct link *link = flow->link;

	while (flow->queued > 0)
		drop_first(flow, reason);
	if (!flow->held)
		return;
	counter_add(&link->counters->closes[reason], 1);
	closing_take(link->closing, flow->held->fds, flow->held->nfds);
	free(flow->held);
	flow->held = NULL;
	link->held = NULL;
}

static void sent(void *owner, int fd, int error, uint32_t count)
{
	struct flow *flow = owner;
	struct link *link = flow->link;

	closing_take(link->closing, &fd, 1);
	flow->send_slot = 0;
	if (flow->moving && error != EMSGSIZE)
		error = ECONNRESET;
	for (uint32_t i = 0; i < count && flow->queued > 0; i++) {
		uint32_t length = unqueue(flow);

		counter_add(&link->counters->bytes[0], length);
		flow->bytes[0] += length;
	}
	if (error == EMSGSIZE) {
		drop_first(flow, PVX_REASON_TRUNCATED);
	} else if (transient(error) && !(error == EAGAIN && flow->woken)) {
		/* An event tells when there is room, and of the limits none does: the tick asks again. */
		flow->retry_at = relay_now() + RELAY_TICK_MS;
		return;
	} else if (error && error != EAGAIN) {
		/* The provider went: a new socket to the next one, for the same client. */
		flow_disconnect(flow);
		flow->deadline = relay_now() + link->patience_ms;
		flow_connect(flow);
		return;
	}
	if (flow->held && !flow_send(flow))
		return;
	flow_flush(flow);
	if (!link->held)
		dgram_readable(link);
}

void flow_flush(struct flow *flow)
{
	const struct pvx_request *to = flow_request(flow);
	struct pvx_request request = { .op = PVX_OP_SEND_DGRAMS, .arg = flow->queued,
				       .from = flow->link->consumer };
	int fds[2] = { flow->source.fd, flow->queue[1] };

	if (flow->send_slot)
		flow->woken = true;
	if (flow->queued == 0 || flow->send_slot || flow->source.fd < 0 || !to)
		return;
	request.container = to->container;
	request.uid = to->uid;
	request.gid = to->gid;
	flow->woken = false;
	flow->send_slot = broker_ask(flow->link, &request, fds, 2, flow, sent);
	if (!flow->send_slot)
		flow->retry_at = relay_now() + RELAY_TICK_MS;
}

bool flow_send(struct flow *flow)
{
	char control[CONTROL_SIZE];
	struct backlog *held = flow->held;
	struct iovec iov = { .iov_base = held->data, .iov_len = held->length };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct link *link = flow->link;
	ssize_t n;

	if (flow->queued == FLOW_QUEUE || memory_full(link) || (held->nfds > 0 && !share_left(link)) || !queue_open(flow))
		return false;
	control_put(&message, control, held->fds, held->nfds);
	n = sendmsg(flow->queue[0], &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EMSGSIZE)
		return false;
	if (n >= 0) {
		flow->lengths[(flow->first + flow->queued++) % FLOW_QUEUE] = (uint32_t)n;
		memory_queued(link, (size_t)n);
		share_sent(link, &flow->fds_ahead, held->nfds);
	} else {
		counter_add(&link->counters->closes[PVX_REASON_TRUNCATED], 1);
	}
	closing_take(link->closing, held->fds, held->nfds);
	free(held);
	flow->held = NULL;
	link->held = NULL;
	if (!flow->send_slot)
		flow_flush(flow);
	return true;
}
