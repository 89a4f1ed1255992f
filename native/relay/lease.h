/* What the daemon wants of a link for a while, and what becomes of what passes meanwhile. */
#ifndef PVX_RELAY_LEASE_H
#define PVX_RELAY_LEASE_H

#include "relay.h"

/* lease.c */
struct lease {
	struct source source; /* the daemon's socket; the first, as of whatever has a lease as its first */
	struct list node;     /* in relay.dead_leases, once it has ended */
	struct link *link;
};
/* Takes the descriptor. False: there is no room to watch it, and it is not taken. */
bool lease_begin(struct lease *, struct link *, enum relay_kind, int fd);
bool lease_rearm(struct lease *, bool room); /* events say that there is room again, or not; false: none can */
bool lease_ended(uint32_t events);           /* the daemon has closed its end */
void lease_end(struct lease *);              /* whatever has it is freed at the end of the round */
void lease_bury(struct relay *);

/* tap.c */
void tap_begin(struct link *, struct command *);
void tap_stop(struct link *, struct command *);
void tap_end(struct link *);
void tap_event(struct source *, uint32_t events);
/* Of a link that is tapped: so much was read of the connection, for its consumer or its provider. */
void tap_take(struct link *, uint32_t conn, bool to_consumer, const void *bytes, size_t length, uint32_t nfds);

/* fault.c */
void fault_begin(struct link *, struct command *);
void fault_end(struct link *);
void fault_event(struct source *, uint32_t events);
/* Of a link that has a fault: how much may be read of that side now. MOVE_WAIT: it is tried again in time. */
enum move fault_room(struct side *from, size_t *most);
void fault_passed(struct side *from, size_t length); /* so much was read */
void fault_joined(struct conn *);
void fault_forget(struct conn *);        /* it is closed */
bool fault_refuses(struct link *);       /* a client */
bool fault_may_read(struct link *);      /* a datagram */
bool fault_drops(struct link *, size_t length);  /* the one that was read */
bool fault_answers(struct link *, uint64_t *due); /* `due`: of the answer that waits, 0 where none did */
int fault_wait(const struct relay *, int timeout); /* milliseconds that may be waited for events, -1: for ever */
void fault_wake(struct relay *);

#endif
