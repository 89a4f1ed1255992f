/* Datagrams: flows, and what dgram.c, send.c and reply.c do with them. */
#ifndef PVX_RELAY_DGRAM_H
#define PVX_RELAY_DGRAM_H

#include "relay.h"

#define FLOW_IDLE_MS 60000
#define FLOW_QUEUE 64u /* datagrams of a flow that the broker may be asked to send at once */

struct flow {
	struct source source; /* towards the provider; -1 while it connects */
	struct list node;     /* in link.flows, least recently used first */
	struct link *link;
	struct backlog *held; /* the datagram that waits; link.held points here then */
	struct pvx_request *request; /* owned: how to connect, where each flow has to ask; else the link's is used */
	struct sockaddr_un address;
	socklen_t length;
	struct ucred who; /* sent to us from there, as the kernel says */
	uint32_t id;      /* how the daemon knows it, where it has to ask */
	uint32_t slot, send_slot, reply_slot; /* of requests under way: for a provider, to send, to send a reply */
	int queue[2];  /* what is written to [0] the broker takes from [1]; -1: none yet */
	uint32_t first, queued, lengths[FLOW_QUEUE]; /* a ring, of what is in there */
	uint32_t fds_ahead, reply_nfds; /* share.c; of the reply that is being sent, */
	size_t reply_length;            /* and its bytes */
	uint64_t deadline, idle_at, retry_at, due; /* fault.c has the last */
	uint64_t since, bytes[2]; /* as of a connection, but in milliseconds */
	bool readable; /* a reply may be there: an event said so, and no look has found none since */
	bool asked;  /* the daemon, for the request; until it answers, or the request is of no use any more */
	bool woken;  /* there was room, after the broker was asked to send; until it is asked again */
	bool moving; /* to another provider, once the broker has sent what it was asked to */
};

const struct pvx_request *flow_request(const struct flow *); /* how its provider is reached; NULL: not known yet */
struct flow *flow_of(struct link *, const struct sockaddr_un *, socklen_t length, const struct ucred *);
void flow_free(struct flow *);
void flow_disconnect(struct flow *);
void flow_drop(struct flow *, enum pvx_reason); /* all that waits in it for the provider */
void flow_connect(struct flow *); /* asks for its provider, or the daemon how to ask, if that is not under way */
/* Sends what the flow holds. False: it still holds it. */
bool flow_send(struct flow *);
void flow_flush(struct flow *); /* has the broker send what is queued */
void dgram_replies(struct flow *);
void dgram_readable(struct link *);
void dgram_listen(struct link *);
void dgram_flow_event(struct source *, uint32_t events);
void dgram_tick(struct link *, uint64_t now);
void dgram_retarget(struct link *);
void dgram_resolve(struct link *, struct command *); /* takes its request where it is for a flow */
void dgram_ask_again(struct link *); /* the daemon, for all that wait for its answer */
void dgram_close(struct link *);
void dgram_bury(struct relay *);

#endif
