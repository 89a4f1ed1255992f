/* Where a link's connections lead to, as far as that is another link: relay-ring.c. */
#ifndef PVX_RELAY_RING_H
#define PVX_RELAY_RING_H

#include "relay.h"

/* The link has its listener. */
void ring_listens(struct link *);
/* Its provider was reached through `fd`, and that would close a ring: EDEADLK. */
bool ring_closed(struct link *, int fd);

/* Its clients are tried for with the next tick; those that have gone are not. */
static inline bool ring_suspected(const struct link *link)
{
	return link->ring.closes || link->ring.member;
}
bool ring_gone(const struct link *, int client);

#endif
