/* Where a link's connections lead to, as far as that is another link: relay-ring.c. */
#ifndef PVX_RELAY_RING_H
#define PVX_RELAY_RING_H

#include "relay.h"

/* As src/relay/relay.ts has it. */
enum ring {
	RING_NONE,   /* what was reached ends somewhere, for all that is known */
	RING_MEMBER, /* it was reached, but there is no end behind it */
	RING_CLOSED  /* it leads back to the link: not a byte may be sent there */
};

void ring_init(struct relay *);
/* Whatever is in the ring's list is referred to by the relay. Any thread. */
void ring_add(struct link *);
void ring_remove(struct link *);
/* The link has its listener, or has none any more. */
void ring_listens(struct link *);
/* The link's provider was reached through `fd`, which stays the caller's. `listener`: the link whose listener it is
 * served on, itself in general. The others of a ring are told. Any thread. */
enum ring ring_led(struct link *, const struct link *listener, int fd);
/* The same for a link of the relay's own: it would close a ring (EDEADLK), and the link is told, too. */
bool ring_closed(struct link *, int fd);

/* Its clients are tried for with the next tick; those that have gone are not. */
static inline bool ring_suspected(const struct link *link)
{
	return atomic_load(&link->ring.closes) || atomic_load(&link->ring.member);
}
bool ring_gone(const struct link *, int client); /* of a suspected link; `client` stays the caller's */

#endif
