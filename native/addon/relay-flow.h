/* Datagrams: flows, and what relay-dgram.c, relay-flow.c and relay-reply.c do with them. */
#ifndef PVX_RELAY_FLOW_H
#define PVX_RELAY_FLOW_H

#include "relay.h"

#define FLOW_IDLE_MS 60000

struct flow {
	struct source source; /* towards the provider; -1 while it connects */
	struct list node;     /* in link.flows, least recently used first */
	struct link *link;
	struct backlog *held; /* the datagram that waits; link.held points here then */
	struct sockaddr_un address;
	socklen_t length;
	struct ucred who; /* sent to us from there, as the kernel says */
	uint32_t slot, reply_slot; /* of requests under way: for a provider, to send a reply */
	uint32_t fds_ahead, reply_nfds; /* relay-share.c; of the reply that is being sent, */
	size_t reply_length;            /* and its bytes */
	uint64_t deadline, idle_at, retry_at;
	bool readable;
};

struct flow *flow_of(struct link *, const struct sockaddr_un *, socklen_t length, const struct ucred *);
void flow_free(struct flow *);
void flow_disconnect(struct flow *);
void dgram_replies(struct flow *);
void dgram_readable(struct link *);
void dgram_listen(struct link *);
void dgram_connected(struct flow *, int fd, int error);
void dgram_flow_event(struct source *, uint32_t events);
void dgram_tick(struct link *, uint64_t now);
void dgram_retarget(struct link *);
void dgram_close(struct link *);
void dgram_bury(struct relay *);

#endif
