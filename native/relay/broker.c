/*
 * The relay's own channel to pvx-broker: one request a connection, answered in any order.
 *
 * An id is a number of this process and the slot; the one before us may have asked, too, and its answers are nobody's.
 * Slots bound what is under way. Whoever asked may be gone when the answer comes: then its descriptor is
 * closed. A channel that ended is reported once; every request is then answered with EPIPE.
 */
#include "relay.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH 16 /* answers that are read at once */

static void fail_all(struct relay *relay)
{
	if (relay->broker.fd < 0)
		return;
	relay_unwatch(relay, &relay->broker, relay->closing, false);
	relay_emit(relay, PVX_EVENT_BROKER, NULL, 0, -1, EPIPE);
	for (uint32_t i = 0; i < RELAY_INFLIGHT; i++) {
		struct inflight slot = relay->inflight[i];

		relay->inflight[i] = (struct inflight){ 0 };
		if (slot.owner)
			slot.answer(slot.owner, -1, EPIPE, 0);
		if (slot.busy)
			closing_unref(slot.closing);
	}
}

uint32_t broker_ask(struct link *link, const struct pvx_request *request, const int *fds, uint32_t nfds, void *owner,
		    broker_answer *answer)
{
	struct relay *relay = link->relay;
	char control[CONTROL_SIZE];
	struct pvx_request copy;
	struct iovec iov = { .iov_base = &copy, .iov_len = sizeof(copy) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	uint32_t i;

	if (relay->broker.fd < 0 || !relay->broker_writable)
		return 0;
	for (i = 0; i < RELAY_INFLIGHT && relay->inflight[i].busy; i++)
		;
	if (i == RELAY_INFLIGHT)
		return 0;
	copy = *request;
	copy.id = relay->broker_ids | i;
	control_put(&message, control, fds, nfds);
	if (sendmsg(relay->broker.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EAGAIN) {
			relay->broker_writable = false;
			relay_rearm(relay, &relay->broker, EPOLLIN | EPOLLOUT);
		} else if (errno == EPIPE || errno == ECONNRESET)
			fail_all(relay);
		return 0;
	}
	relay->inflight[i] = (struct inflight){ .owner = owner, .closing = closing_ref(link->closing),
						 .answer = answer, .busy = true };
	return i + 1;
}

void broker_forget(struct relay *relay, uint32_t slot)
{
	relay->inflight[slot - 1].owner = NULL;
}

static void take(struct relay *relay, const struct pvx_reply *reply, struct msghdr *message, size_t length)
{
	uint32_t i = reply->id & (RELAY_INFLIGHT - 1), nfds;
	int fds[MESSAGE_FDS_MAX], fd = -1, error = (int)reply->error;
	struct inflight slot;

	nfds = control_fds(message, fds);
	if (length != sizeof(*reply) || reply->id != (relay->broker_ids | i) || !relay->inflight[i].busy) {
		closing_take(relay->closing, fds, nfds);
		return;
	}
	slot = relay->inflight[i];
	relay->inflight[i] = (struct inflight){ 0 };
	if (nfds > 0 && slot.owner) {
		fd = fds[0];
		closing_take(slot.closing, fds + 1, nfds - 1);
	} else {
		closing_take(slot.closing, fds, nfds);
		if (error == 0 && nfds == 0)
			error = message->msg_flags & MSG_CTRUNC ? EMFILE : 0; /* our own table is full */
	}
	if (slot.owner)
		slot.answer(slot.owner, fd, error, reply->value);
	closing_unref(slot.closing);
}

/* True: more may be there. */
static bool receive(struct relay *relay)
{
	static char control[BATCH][CONTROL_SIZE];
	static struct pvx_reply replies[BATCH];
	static struct iovec iov[BATCH];
	struct mmsghdr messages[BATCH];
	int n;

	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ .iov_base = &replies[i], .iov_len = sizeof(replies[i]) };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1, .msg_control = control[i],
						       .msg_controllen = sizeof(control[i]) };
	}
	n = recvmmsg(relay->broker.fd, messages, BATCH, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (n < 0 && transient(errno)) {
		relay_rearm(relay, &relay->broker, EPOLLIN | EPOLLOUT); /* it is still there: the next round tries again */
		relay->broker_writable = false;
		return false;
	}
	for (int i = 0; i < n; i++) {
		if (messages[i].msg_len == 0) /* its end: no record is empty */
			n = 0;
		else
			take(relay, &replies[i], &messages[i].msg_hdr, messages[i].msg_len);
	}
	if (n <= 0)
		fail_all(relay);
	return n == BATCH;
}

void broker_event(struct relay *relay, uint32_t events)
{
	struct list *node;

	if (!relay->broker_writable && (events & EPOLLOUT)) {
		relay->broker_writable = true;
		relay_rearm(relay, &relay->broker, EPOLLIN); /* it would be an event for each request that it reads */
	}
	while (relay->broker.fd >= 0 && receive(relay))
		;
	/* Room again: those that found the channel full go first, in the order that they came. */
	for (node = relay->tick_conns.next; node != &relay->tick_conns; node = node->next) {
		struct conn *conn = list_entry(node, struct conn, tick);

		if (conn->state == CONN_PARKED && conn->retry_at == 0)
			conn_schedule(conn);
	}
}
