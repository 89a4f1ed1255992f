/*
 * A fault that somebody wants, to see how an application bears a bad provider: what the provider says comes late, bytes
 * come slowly, connections break off or are refused.
 *
 * Nothing is kept here for it. What is to come later stays where it is, in the socket that it was sent to, and is read
 * later: so memory is bounded and senders are held up as by any slow peer, the order is kept, and once the fault has
 * ended all that waited is read at once.
 *
 *   delay    what the provider has said when it is looked at is read so much later; what it says meanwhile waits for
 *            the next look
 *   rate     of each connection and each direction: credit that grows with time, in bytes * ms
 *   reset    of each connection that is joined meanwhile, the plan has after how many bytes of the provider's it breaks
 *            off, or at the end of what that says, if it says less; of datagrams, which are dropped
 *   refuse   a client is closed as soon as it is accepted, a datagram is dropped
 */
#include "lease.h"
#include "tcp.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define NEVER UINT32_MAX
#define BYTE 1000 /* of credit: a second has as many ms */
#define WAIT_MS 20u      /* for credit, at least: a byte at a time would be as many wake-ups */
#define BURST_MS 50u     /* credit is not saved for longer */

struct credit {
	uint64_t at; /* when it was looked at last; 0: never */
	int64_t left;
};

struct fault {
	struct lease lease; /* the first: it is freed as that */
	uint32_t delay_ms;
	uint64_t rate; /* bytes a second; 0: as they come */
	bool refuse;
	struct credit datagrams;
	uint32_t next, nplan; /* of connections that are joined */
	uint32_t plan[];
};

/* A connection of a link that has a fault. */
struct trouble {
	struct list node; /* in relay.faults.waiting while it does */
	struct conn *conn;
	uint64_t wake_at;
	uint64_t due;   /* when what the provider has said is to be read; 0: it was not looked at */
	uint32_t quota; /* bytes of that, that are left */
	uint32_t reset_at; /* after so many bytes of the provider's; NEVER */
	struct credit credit[2]; /* as side[] */
};

void fault_forget(struct conn *conn)
{
	if (!conn->trouble)
		return;
	list_del(&conn->trouble->node);
	free(conn->trouble);
	conn->trouble = NULL;
}

void fault_end(struct link *link)
{
	struct fault *fault = link->fault;

	if (!fault)
		return;
	link->fault = NULL;
	for (struct list *node = link->conns.next; node != &link->conns; node = node->next) {
		struct conn *conn = list_entry(node, struct conn, node);

		if (!conn->trouble)
			continue;
		fault_forget(conn);
		conn_schedule(conn); /* what waited is read */
	}
	lease_end(&fault->lease);
}

void fault_begin(struct link *link, struct command *command)
{
	const struct pvx_command *head = &command->head;
	struct fault *fault = command->fd[0] >= 0 ? calloc(1, sizeof(*fault) + head->data_length) : NULL;

	fault_end(link);
	if (!fault)
		return; /* the daemon reads the end of it, as its descriptor is closed */
	fault->delay_ms = head->ms;
	fault->rate = head->bytes;
	fault->refuse = head->flags & PVX_FAULT_REFUSE;
	fault->nplan = head->data_length / sizeof(*fault->plan);
	memcpy(fault->plan, command->data, head->data_length);
	if (!lease_begin(&fault->lease, link, KIND_FAULT, command->fd[0])) {
		free(fault);
		return;
	}
	command->fd[0] = -1;
	link->fault = fault;
}

void fault_event(struct source *source, uint32_t events)
{
	if (source->fd >= 0 && lease_ended(events))
		fault_end(((struct fault *)source)->lease.link);
}

/* Bytes that may pass now. */
static size_t credit_room(struct credit *credit, uint64_t rate, uint64_t now)
{
	int64_t most = rate * BURST_MS > BYTE ? (int64_t)(rate * BURST_MS) : BYTE;

	credit->left = credit->at == 0 ? most : credit->left + (int64_t)((now - credit->at) * rate);
	if (credit->left > most)
		credit->left = most;
	credit->at = now;
	return credit->left < BYTE ? 0 : (size_t)(credit->left / BYTE);
}

static void credit_use(struct credit *credit, size_t length)
{
	credit->left -= (int64_t)length * BYTE;
}

static enum move wait_until(struct trouble *trouble, uint64_t at)
{
	struct relay *relay = trouble->conn->link->relay;

	list_del(&trouble->node);
	if (list_empty(&relay->faults.waiting) || at < relay->faults.wake_at)
		relay->faults.wake_at = at;
	list_add_tail(&relay->faults.waiting, &trouble->node);
	trouble->wake_at = at;
	return MOVE_WAIT;
}

static struct trouble *trouble_of(struct conn *conn)
{
	if (!conn->trouble && !conn->transfer && (conn->trouble = calloc(1, sizeof(*conn->trouble)))) {
		conn->trouble->conn = conn;
		conn->trouble->reset_at = NEVER;
		list_init(&conn->trouble->node);
	}
	return conn->trouble;
}

/* Of the plan's places the next one, in the order in which they are asked for. */
static uint32_t next_of(struct fault *fault)
{
	return fault->nplan > 0 ? fault->plan[fault->next++ % fault->nplan] : NEVER;
}

void fault_joined(struct conn *conn)
{
	struct trouble *trouble = trouble_of(conn);

	if (trouble)
		trouble->reset_at = next_of(conn->link->fault);
}

/* Whether what the provider has said is to be read by now, `queued` bytes and perhaps its end. */
static bool is_due(const struct fault *fault, struct trouble *trouble, uint32_t queued, uint64_t now)
{
	if (fault->delay_ms == 0)
		return true;
	if (trouble->due == 0 || (now >= trouble->due && trouble->quota == 0)) {
		trouble->due = now + fault->delay_ms;
		trouble->quota = queued > 0 ? queued : 1;
	}
	return now >= trouble->due;
}

static size_t at_most(size_t one, size_t other)
{
	return one < other ? one : other;
}

/* The same as fault_room, of what the provider says. */
static enum move answer_room(struct side *from, struct trouble *trouble, size_t *most, uint64_t now)
{
	const struct fault *fault = from->conn->link->fault;
	uint64_t passed = from->conn->bytes[1];
	int queued = 0;

	(void)ioctl(from->source.fd, SIOCINQ, &queued);
	if (queued <= 0 && !from->read_to_end) {
		trouble->due = 0; /* nothing is there, as a read will say */
		return MOVE_AGAIN;
	}
	if (!is_due(fault, trouble, (uint32_t)queued, now))
		return wait_until(trouble, trouble->due);
	if (trouble->reset_at != NEVER && (trouble->reset_at <= passed || queued <= 0)) {
		conn_close(from->conn, PVX_REASON_RESET);
		return MOVE_END;
	}
	if (fault->delay_ms > 0)
		*most = at_most(*most, trouble->quota);
	if (trouble->reset_at != NEVER)
		*most = at_most(*most, trouble->reset_at - passed);
	return MOVE_AGAIN;
}

enum move fault_room(struct side *from, size_t *most)
{
	struct conn *conn = from->conn;
	const struct fault *fault = conn->link->fault;
	struct trouble *trouble = trouble_of(conn);
	bool answers = from == &conn->side[1];
	uint64_t now = relay_now();

	*most = SIZE_MAX;
	if (!trouble)
		return MOVE_AGAIN; /* no memory: it is spared */
	if (answers) {
		enum move move = answer_room(from, trouble, most, now);

		if (move != MOVE_AGAIN)
			return move;
	}
	if (fault->rate > 0) {
		struct credit *credit = &trouble->credit[answers];
		size_t room = credit_room(credit, fault->rate, now);
		uint64_t wait_ms = room > 0 ? 0 : (uint64_t)(BYTE - credit->left) / fault->rate + 1;

		if (room == 0)
			return wait_until(trouble, now + (wait_ms > WAIT_MS ? wait_ms : WAIT_MS));
		*most = at_most(*most, room);
	}
	return MOVE_AGAIN;
}

void fault_passed(struct side *from, size_t length)
{
	struct trouble *trouble = from->conn->trouble;

	if (!trouble)
		return;
	trouble->quota -= (uint32_t)at_most(trouble->quota, length);
	credit_use(&trouble->credit[from == &from->conn->side[1]], length);
}

bool fault_refuses(struct link *link)
{
	return link->fault->refuse;
}

bool fault_may_read(struct link *link)
{
	struct fault *fault = link->fault;

	return fault->rate == 0 || credit_room(&fault->datagrams, fault->rate, relay_now()) > 0;
}

bool fault_drops(struct link *link, size_t length)
{
	credit_use(&link->fault->datagrams, length);
	return link->fault->refuse || next_of(link->fault) != NEVER;
}

bool fault_answers(struct link *link, uint64_t *due)
{
	uint64_t now = relay_now();

	if (*due == 0)
		*due = now + link->fault->delay_ms;
	return now >= *due;
}

int fault_wait(const struct relay *relay, int timeout)
{
	uint64_t now = relay_now(), left = relay->faults.wake_at > now ? relay->faults.wake_at - now : 0;

	if (list_empty(&relay->faults.waiting) || (timeout >= 0 && (uint64_t)timeout < left))
		return timeout;
	return left < INT32_MAX ? (int)left : INT32_MAX;
}

void fault_wake(struct relay *relay)
{
	uint64_t now = list_empty(&relay->faults.waiting) ? 0 : relay_now(), next = UINT64_MAX;

	if (list_empty(&relay->faults.waiting) || now < relay->faults.wake_at)
		return;
	for (struct list *node = relay->faults.waiting.next, *after; node != &relay->faults.waiting; node = after) {
		struct trouble *trouble = list_entry(node, struct trouble, node);

		after = node->next;
		if (trouble->wake_at > now) {
			if (trouble->wake_at < next)
				next = trouble->wake_at;
			continue;
		}
		list_del(node);
		conn_schedule(trouble->conn);
	}
	relay->faults.wake_at = next;
}
