/*
 * Flows of datagrams: found, made, and gone. What moves through them is in relay-dgram.c and relay-reply.c.
 */
#include "relay-flow.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Its socket goes, and what was under way through it is nobody's. */
void flow_disconnect(struct flow *flow)
{
	struct relay *relay = flow->link->relay;

	if (flow->slot)
		broker_forget(relay, flow->slot);
	if (flow->send_slot)
		broker_forget(relay, flow->send_slot);
	if (flow->reply_slot)
		broker_forget(relay, flow->reply_slot);
	flow->slot = flow->send_slot = flow->reply_slot = 0;
	flow->readable = flow->moving = false;
	share_settle(flow->link, &flow->fds_ahead);
	relay_unwatch(relay, &flow->source, flow->link->closing, false);
}

void flow_free(struct flow *flow)
{
	struct link *link = flow->link;

	flow_drop(flow, REASON_DETACHED);
	flow_disconnect(flow);
	if (flow->queue[0] >= 0) {
		close(flow->queue[0]);
		closing_take(link->closing, &flow->queue[1], 1); /* the broker may be at it still */
	}
	list_del(&flow->node);
	list_add_tail(&link->relay->dead_flows, &flow->node);
	if (--link->nflows == 0)
		link->relay->draining--;
	atomic_fetch_sub(&link->active, 1);
}

/* Memory goes only when no event of the round can point at it any more. */
void dgram_bury(struct relay *relay)
{
	while (!list_empty(&relay->dead_flows)) {
		struct flow *flow = list_entry(relay->dead_flows.next, struct flow, node);

		list_del(&flow->node);
		free(flow->request);
		free(flow);
	}
}

void dgram_close(struct link *link)
{
	share_settle(link, &link->fds_replied);
	while (!list_empty(&link->flows))
		flow_free(list_entry(link->flows.next, struct flow, node));
}

static struct flow *find(struct link *link, const struct sockaddr_un *address, socklen_t length, const struct ucred *who)
{
	struct list *node;

	for (node = link->flows.prev; node != &link->flows; node = node->prev) {
		struct flow *flow = list_entry(node, struct flow, node);

		if (flow->length == length && memcmp(&flow->address, address, length) == 0 &&
		    flow->who.uid == who->uid && flow->who.gid == who->gid)
			return flow;
	}
	return NULL;
}

/* Of the flows that nothing waits in, that which was idle longest; where there is none, of all. */
static struct flow *least_needed(struct link *link)
{
	for (struct list *node = link->flows.next; node != &link->flows; node = node->next) {
		struct flow *flow = list_entry(node, struct flow, node);

		if (!flow->held && flow->queued == 0)
			return flow;
	}
	return list_entry(link->flows.next, struct flow, node);
}

const struct pvx_request *flow_request(const struct flow *flow)
{
	return flow->request ? flow->request : flow->link->upstream;
}

/* NULL: no memory. */
struct flow *flow_of(struct link *link, const struct sockaddr_un *address, socklen_t length, const struct ucred *who)
{
	struct flow *flow = find(link, address, length, who);

	if (flow)
		return flow;
	if (link->nflows == RELAY_FLOWS_MAX)
		flow_free(least_needed(link));
	flow = calloc(1, sizeof(*flow));
	if (!flow)
		return NULL;
	flow->source = (struct source){ .kind = KIND_FLOW, .fd = -1 };
	flow->link = link;
	flow->id = ++link->next_conn;
	flow->queue[0] = flow->queue[1] = -1;
	flow->length = length;
	flow->who = *who;
	memcpy(&flow->address, address, length);
	list_add_tail(&link->flows, &flow->node);
	if (link->nflows++ == 0)
		link->relay->draining++;
	atomic_fetch_add(&link->active, 1);
	atomic_fetch_add(&link->total, 1);
	return flow;
}
