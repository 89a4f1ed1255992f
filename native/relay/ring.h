/* Where a link's connections lead to, as far as that is another link: ring.c. */
#ifndef PVX_RELAY_RING_H
#define PVX_RELAY_RING_H

#include "relay.h"

void ring_forget(struct link *); /* it is gone */
/* The link has its listener, or has none any more. */
void ring_listens(struct link *);
bool ring_is_ip(const struct link *); /* its last listener */
/* The link's provider was reached through `fd`, which stays the caller's. `listener`: the link whose listener it is
 * served on, itself in general. The others of a ring are told. */
enum pvx_ring ring_led(struct link *, struct link *listener, int fd);
/* The same for a link of the relay's own: it would close a ring (EDEADLK), and the link is told, too. */
bool ring_closed(struct link *, int fd);

/* Its clients are tried for with the next tick; those that have gone are not. */
static inline bool ring_suspected(const struct link *link)
{
	return link->ring.closes || link->ring.member;
}
bool ring_gone(const struct link *, int client); /* of a suspected link; `client` stays the caller's */

#endif
