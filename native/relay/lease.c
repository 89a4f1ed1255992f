/*
 * What the daemon wants of a link for as long as it keeps the other end of a socket: a tap, a fault. So nothing of it
 * outlives the daemon that asked for it, whatever becomes of that one.
 */
#include "lease.h"

#include <stdlib.h>
#include <sys/epoll.h>

#define LEASE_EVENTS (EPOLLRDHUP | EPOLLHUP | EPOLLERR)

bool lease_begin(struct lease *lease, struct link *link, enum relay_kind kind, int fd)
{
	lease->source = (struct source){ .kind = kind, .fd = fd };
	lease->link = link;
	list_init(&lease->node);
	return relay_watch(link->relay, &lease->source, LEASE_EVENTS) == 0;
}

bool lease_rearm(struct lease *lease, bool room)
{
	return relay_rearm(lease->link->relay, &lease->source, LEASE_EVENTS | (room ? EPOLLOUT : 0));
}

bool lease_ended(uint32_t events)
{
	return events & LEASE_EVENTS;
}

void lease_end(struct lease *lease)
{
	relay_close(lease->link->relay, &lease->source, false);
	list_add_tail(&lease->link->relay->dead_leases, &lease->node);
}

void lease_bury(struct relay *relay)
{
	while (!list_empty(&relay->dead_leases)) {
		struct lease *lease = list_entry(relay->dead_leases.next, struct lease, node);

		list_del(&lease->node);
		free(lease);
	}
}
