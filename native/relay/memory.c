/*
 * Kernel memory that a link's connections hold: bytes that were read for receivers who have not read them.
 *
 * Each connection is bounded by its send queue and what its receiver is owed; thousands together are not. So a link has a
 * limit. Over half of it, a connection is read from RELAY_PEEK bytes at a time (or one record), and only when its receiver
 * has little before it: whoever reads goes on, whoever does not holds little. Over the limit the link accepts nobody:
 * further clients wait in the backlog of its listener, where they cost what they would without us.
 *
 *   free --half--> paced --limit--> full
 *   free <--read or closed-- paced <--read or closed-- full
 *
 * What a receiver has before it, we have to look at; and who is waited for has to be told of by an event, as a link of
 * which all streams wait for a tick would crawl. Each read of a unix socket is one for its writer. Of TCP only a full send
 * buffer makes one, so there the buffers are made small instead.
 *
 * Nobody tells us when bytes are read. Our counts are therefore of what was sent since a receiver's queue was last
 * looked at, each message taken for the most that it may cost, and the kernel is asked only where they seem to be many.
 * And where more comes by TCP for a receiver that is blocked: what a sender has in its own unix socket is on its account,
 * but a stream of TCP that was fast has a receive buffer of megabytes here, which is filled while nothing is read.
 */
#include "relay.h"

#include <linux/sock_diag.h>

#define OVERHEAD 1024u            /* of a message in a queue */
#define LOOK_AFTER (256u * 1024u) /* about what a queue holds: counted further, it would be wrong */
#define LOOKS_PER_MS 4u           /* a hundredth of our time, or less */
#define SHARES 16u                /* of a connection's part of the limit: its four buffers are a quarter of it */
#define BUFFER_LEAST (256u * 1024u) /* of TCP: with less, a segment of the loopback device would wait for room */
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

static uint64_t half_of(const struct link *link)
{
	return link->memory_max / 2;
}

/*
 * Gives the buffers of a TCP socket their share where a link holds much and the one that was looked at is larger; and a
 * larger share once fewer connections are there. What is in a buffer stays, and what comes meanwhile is sent again. The
 * kernel leaves such a buffer as it is, on a long way too, so this is not done before there is need.
 */
static void fit(struct side *side, uint32_t buffer)
{
	const struct link *link = side->conn->link;
	uint64_t share = link->memory_max / SHARES / link->nconns;
	bool crowded = link->memory > half_of(link);
	int bytes;

	if (share < BUFFER_LEAST)
		share = BUFFER_LEAST;
	if (share > INT32_MAX)
		share = INT32_MAX;
	if (!(crowded && buffer > share) && !(side->share > 0 && share / 2 >= side->share))
		return;
	side->share = (uint32_t)share;
	bytes = (int)(share / 2); /* the kernel doubles it (socket(7)) */
	setsockopt(side->source.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	setsockopt(side->source.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* Counts anew what there is for `to`, and says how much of it is in its socket. */
static uint32_t look(struct side *to)
{
	struct side *from = side_other(to);
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
	if (!to->local)
		fit(to, theirs[SK_MEMINFO_SNDBUF]);
	if (!from->local)
		fit(from, ours[SK_MEMINFO_RCVBUF]);
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

void memory_blocked(struct side *to)
{
	if (!side_other(to)->local)
		look(to);
}

enum room memory_room(struct side *to)
{
	struct link *link = to->conn->link;
	uint64_t half = half_of(link);
	uint32_t queued = 0;

	if (link->memory > half)
		queued = look(to);
	if (!more_than(link, half)) {
		pace(to, false);
		return ROOM_FREE;
	}
	pace(to, to->local && queued > RELAY_PEEK);
	return to->paced ? ROOM_NONE : ROOM_LITTLE;
}

void memory_tick(struct link *link)
{
	if (link->paced == 0 || more_than(link, half_of(link)))
		return;
	for (struct list *node = link->conns.next; node != &link->conns; node = node->next) {
		struct conn *conn = list_entry(node, struct conn, node);

		if (conn->side[0].paced || conn->side[1].paced)
			conn_schedule(conn);
	}
}
