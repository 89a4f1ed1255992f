/*
 * Descriptors that we sent and their receivers have not read yet.
 *
 * The kernel counts them against the sender's user and refuses more than a process may have open (unix(7),
 * ETOOMANYREFS); all links are one user. So half of what there may be is shared out, as much to each link; of the other
 * half a link may have an eighth of what all together have left. However many of them take what they can, the rest have
 * their own.
 *
 * Nobody tells us when they are read. Our counts are therefore of what was sent since a receiver was last seen
 * to have read all, and the kernel is asked only where they seem to be too many.
 */
#include "dgram.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#define SHARES 8

void share_init(struct relay *relay)
{
	struct rlimit limit = { .rlim_cur = 1024 };

	getrlimit(RLIMIT_NOFILE, &limit);
	relay->fds_limit = limit.rlim_cur < INT32_MAX ? (uint32_t)limit.rlim_cur : INT32_MAX;
}

void share_sent(struct link *link, uint32_t *ahead, uint32_t nfds)
{
	*ahead += nfds;
	link->fds_ahead += nfds;
	link->relay->fds_ahead += nfds;
}

void share_settle(struct link *link, uint32_t *ahead)
{
	link->fds_ahead -= *ahead;
	link->relay->fds_ahead -= *ahead;
	*ahead = 0;
}

bool share_unread(struct link *link, int fd, uint32_t *ahead)
{
	int unread = 0;

	if (*ahead > 0 && ioctl(fd, SIOCOUTQ, &unread) == 0 && unread > 0)
		return true;
	share_settle(link, ahead);
	return false;
}

static bool has_share(const struct link *link)
{
	const struct relay *relay = link->relay;

	uint32_t half = relay->fds_limit / 2;

	return link->fds_ahead < half / (relay->nlinks + 1) ||
	       (relay->fds_ahead < half && link->fds_ahead < (half - relay->fds_ahead) / SHARES);
}

static void recount(struct link *link)
{
	for (struct list *node = link->conns.next; node != &link->conns; node = node->next)
		for (int i = 0; i < 2; i++) {
			struct side *side = &list_entry(node, struct conn, node)->side[i];

			share_unread(link, side->source.fd, &side->fds_ahead);
		}
	for (struct list *node = link->flows.next; node != &link->flows; node = node->next) {
		struct flow *flow = list_entry(node, struct flow, node);

		share_unread(link, flow->source.fd, &flow->fds_ahead);
	}
	share_unread(link, link->listener.fd, &link->fds_replied);
}

bool share_left(struct link *link)
{
	struct relay *relay = link->relay;
	uint64_t now;

	if (has_share(link))
		return true;
	now = relay_now();
	if (now < relay->recount_at)
		return false;
	relay->recount_at = now + RELAY_TICK_MS;
	for (struct list *node = relay->links.next; node != &relay->links; node = node->next)
		recount(list_entry(node, struct link, node));
	return has_share(link);
}
