/*
 * Kernel memory that a link's connections hold: bytes that were read for receivers who have not read them.
 *
 * Each connection is bounded by its send queue and what its receiver is owed; thousands together are not. So a link has a
 * limit. Over half of it, a connection is read from only when its receiver has next to nothing before it, and then
 * RELAY_PEEK bytes at a time (or one record): whoever reads goes on, whoever does not holds little. Over the limit the
 * link accepts nobody: further clients wait in the backlog of its listener, where they cost what they would without us.
 *
 *   free --half--> paced --limit--> full
 *   free <--read or closed-- paced <--read or closed-- full
 *
 * Nobody tells us when bytes are read. Our counts are therefore of what was sent since a receiver's queue was last
 * looked at, each message taken for the most that it may cost, and the kernel is asked only where they seem to be many.
 */
#include "relay.h"

#include <linux/sock_diag.h>

#define OVERHEAD 1024u            /* of a message in a queue */
#define LOOK_AFTER (256u * 1024u) /* about what a queue holds: counted further, it would be wrong */
#define LOOKS_PER_MS 4u           /* a hundredth of our time, or less */
#define TELL_AGAIN_MS 600000u

/* The kernel rounds a message's memory up, to twice its bytes at most (truesize of sk_buff). */
static uint32_t cost(size_t length)
{
	return (uint32_t)(2 * length) + OVERHEAD;
}

static void put(struct side *to, uint32_t measured)
{
	to->conn->link->memory += (uint64_t)measured - to->measured - to->sent;
	to->measured = measured;
	to->sent = 0;
}

/* Counts anew what there is for `to`, and says how much of it is in its socket. */
static uint32_t look(struct side *to)
{
	const struct side *from = &to->conn->side[to == &to->conn->side[0]];
	uint32_t theirs[SK_MEMINFO_VARS] = { 0 }, ours[SK_MEMINFO_VARS] = { 0 }, queued;
	socklen_t length = sizeof(theirs);
	size_t owed = to->pipe ? to->pipe->length : 0;

	if (to->backlog)
		owed += to->backlog->length - to->backlog->offset;
	/* A unix socket's queue is on its writer's account; TCP has one at each end, and the end that sends to us is fed by
	 * another machine. Where the kernel can't say, it is nothing: a broken socket holds nothing for long. */
	(void)getsockopt(to->source.fd, SOL_SOCKET, SO_MEMINFO, theirs, &length);
	queued = theirs[SK_MEMINFO_WMEM_ALLOC] > theirs[SK_MEMINFO_WMEM_QUEUED] ? theirs[SK_MEMINFO_WMEM_ALLOC] :
										  theirs[SK_MEMINFO_WMEM_QUEUED];
	length = sizeof(ours);
	if (!from->local)
		(void)getsockopt(from->source.fd, SOL_SOCKET, SO_MEMINFO, ours, &length);
	put(to, queued + (uint32_t)owed + ours[SK_MEMINFO_RMEM_ALLOC]);
	return queued;
}

void memory_read(struct side *to, size_t length)
{
	if (to->sent >= LOOK_AFTER)
		look(to);
	to->sent += cost(length);
	to->conn->link->memory += cost(length);
}

static void pace(struct side *to, bool paced)
{
	struct link *link = to->conn->link;

	if (to->paced == paced)
		return;
	to->paced = paced;
	if (!paced) {
		link->paced--;
	} else if (link->paced++ == 0) {
		link_tick_wanted(link);
	}
}

void memory_forget(struct side *to)
{
	put(to, 0);
	pace(to, false);
}

void memory_queued(struct link *link, size_t length)
{
	link->memory += cost(length);
}

void memory_unqueued(struct link *link, size_t length)
{
	link->memory -= cost(length);
}

/* Whether the link holds more than so much, by a look at each of its connections if need be; not too often. */
static bool more_than(struct link *link, uint64_t most)
{
	uint64_t now;

	if (link->memory <= most)
		return false;
	now = relay_now();
	if (now < link->look_at)
		return true;
	link->look_at = now + RELAY_TICK_MS + link_active(link) / LOOKS_PER_MS;
	for (struct list *node = link->conns.next; node != &link->conns; node = node->next) {
		struct conn *conn = list_entry(node, struct conn, node);

		for (int i = 0; i < 2 && conn->state == CONN_JOINED; i++)
			look(&conn->side[i]);
	}
	return link->memory > most;
}

bool memory_full(struct link *link)
{
	uint64_t now;

	if (!more_than(link, link->memory_max))
		return false;
	now = relay_now();
	if (now >= link->tell_full_at) {
		link->tell_full_at = now + TELL_AGAIN_MS;
		relay_emit(link->relay, PVX_EVENT_FULL, link, 0, -1, 0);
	}
	return true;
}

enum room memory_room(struct side *to)
{
	struct link *link = to->conn->link;
	uint64_t half = link->memory_max / 2;
	uint32_t queued = 0;

	if (link->memory > half)
		queued = look(to);
	if (!more_than(link, half)) {
		pace(to, false);
		return ROOM_FREE;
	}
	pace(to, queued > RELAY_PEEK);
	return to->paced ? ROOM_NONE : ROOM_LITTLE;
}

void memory_tick(struct link *link)
{
	if (link->paced == 0 || more_than(link, link->memory_max / 2))
		return;
	for (struct list *node = link->conns.next; node != &link->conns; node = node->next) {
		struct conn *conn = list_entry(node, struct conn, node);

		if (conn->side[0].paced || conn->side[1].paced)
			conn_schedule(conn);
	}
}
