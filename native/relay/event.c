/*
 * What the daemon is told: events queue up here and are sent at the end of each round, as many in a record as fit.
 *
 * Nothing waits for the daemon. While it does not read, or there is none, its channel is full, and events stay in the
 * queue: links that hand it their clients accept nobody then (relay_crowded), so those wait where they cost nobody but
 * themselves. What can be said again later is dropped at EVENTS_MAX; beginnings and ends, of which there is one each,
 * always find room, and commands, which bring them about, are read only while there are fewer (events_room).
 *
 * A note goes from its link into the record, so that a queue is small whatever it tells of.
 */
#include "look.h"
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 65536u
#define EVENTS_MANY 256u
#define EVENTS_KEPT 1024u /* room for so many is kept when all were sent */

bool relay_crowded(const struct relay *relay)
{
	return relay->nevents >= EVENTS_MANY;
}

bool events_room(const struct relay *relay)
{
	return relay->nevents < EVENTS_MAX;
}

static const struct link *link_of(const struct relay *relay, const struct event *event)
{
	return relay->numbered[event->link];
}

/* Its descriptor is the daemon's, or nobody's, from here on. Whoever has the other end may be the last who has ours in a
 * moment, and there may be descriptors of others in its queue: not so with TCP. */
static void settle(struct relay *relay, const struct event *event)
{
	const struct link *link = link_of(relay, event);

	free(event->said);
	if (event->fd < 0 || event->type == PVX_EVENT_WELCOME)
		return;
	if (link && ring_is_ip(link))
		close(event->fd);
	else
		closing_take(link ? link->closing : relay->closing, &event->fd, 1);
}

static bool passes(uint32_t type)
{
	return type == PVX_EVENT_PENDING || type == PVX_EVENT_HANDED || type == PVX_EVENT_UPSTREAM ||
	       type == PVX_EVENT_FULL || type == PVX_EVENT_ENDED;
}

static void put(struct relay *relay, struct event event)
{
	if (relay->nevents == relay->events_capacity && (events_room(relay) || !passes(event.type))) {
		uint32_t capacity = relay->events_capacity ? relay->events_capacity * 2 : 64;
		struct event *grown = realloc(relay->events, capacity * sizeof(*grown));

		if (grown) {
			relay->events = grown;
			relay->events_capacity = capacity;
		}
	}
	if (relay->nevents < relay->events_capacity)
		relay->events[relay->nevents++] = event;
	else
		settle(relay, &event);
}

void relay_emit(struct relay *relay, enum pvx_event_type type, const struct link *link, uint32_t conn, int fd, int error)
{
	put(relay, (struct event){ .type = type, .link = link ? link->number : 0, .conn = conn, .error = (uint32_t)error,
				   .fd = fd });
}

void relay_ended(const struct link *link, enum pvx_reason reason, struct said *said)
{
	put(link->relay, (struct event){ .type = PVX_EVENT_ENDED, .link = link->number, .error = reason, .fd = -1,
					 .said = said });
}

void relay_report(enum pvx_event_type type, const struct link *link, uint32_t conn, int outcome, uint64_t bytes)
{
	put(link->relay, (struct event){ .type = type, .link = link->number, .conn = conn, .error = (uint32_t)outcome,
					 .bytes = bytes, .fd = -1 });
}

/* The first `n` are over. */
static void drop_first(struct relay *relay, uint32_t n)
{
	relay->nevents -= n;
	if (relay->nevents > 0) {
		memmove(relay->events, relay->events + n, relay->nevents * sizeof(*relay->events));
	} else if (relay->events_capacity > EVENTS_KEPT) {
		free(relay->events);
		relay->events = NULL;
		relay->events_capacity = 0;
	}
}

void events_drop(struct relay *relay)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < relay->nevents; i++)
		if (relay->events[i].type == PVX_EVENT_HANDED || relay->events[i].type == PVX_EVENT_BORN)
			relay->events[kept++] = relay->events[i];
		else
			settle(relay, &relay->events[i]);
	relay->nevents = kept;
}

/* The connections of its link as they are now, into the record. `error` has been the number that they are above. */
static void gather_list(const struct link *link, struct pvx_event *head, char *into, size_t room)
{
	bool more;

	head->data_length = (uint32_t)look_list(link, head->error, into, room, &more);
	head->error = more;
}

/* Event for event into the record, from `first` on. Returns how many are dealt with. */
static uint32_t gather(struct relay *relay, uint32_t first, size_t *length, int *fds, uint32_t *nfds)
{
	uint32_t i;

	for (i = first; i < relay->nevents; i++) {
		const struct event *event = &relay->events[i];
		bool listed = event->type == PVX_EVENT_LISTED;
		const struct link *link = event->type == PVX_EVENT_STANDING || listed ? link_of(relay, event) : NULL;
		const char *data = NULL; /* where it is not in the record already */
		struct pvx_event head = { .type = event->type, .link = event->link, .conn = event->conn,
					  .error = event->error, .bytes = event->bytes, .nfds = event->fd >= 0 };

		if (event->type == PVX_EVENT_STANDING) {
			if (!link)
				continue; /* it has gone since, as the daemon will hear */
			head.conn = (link->listener.fd >= 0 ? PVX_STANDING_LISTENS : 0) |
				    (link->draining ? PVX_STANDING_DRAINS : 0);
			head.error = (uint32_t)link->last_errno;
			head.data_length = link->note_length;
			data = link->note;
		} else if (listed) {
			if (!link)
				continue;
			if (*length > 0) /* a page has a record of its own */
				break;
			gather_list(link, &head, relay->scratch + sizeof(head), PVX_EVENTS_SIZE_MAX - sizeof(head));
		} else if (event->said) {
			head.data_length = event->said->length;
			data = event->said->data;
		}
		if (*length + sizeof(head) + head.data_length > PVX_EVENTS_SIZE_MAX ||
		    *nfds + head.nfds > PVX_EVENTS_FDS_MAX)
			break;
		memcpy(relay->scratch + *length, &head, sizeof(head));
		*length += sizeof(head);
		if (data)
			memcpy(relay->scratch + *length, data, head.data_length);
		*length += head.data_length;
		if (event->fd >= 0)
			fds[(*nfds)++] = event->fd;
	}
	return i - first;
}

/* One record. Returns how many events are over, 0 where it can't be sent now. */
static uint32_t send_some(struct relay *relay, uint32_t first)
{
	char control[CMSG_SPACE(sizeof(int) * PVX_EVENTS_FDS_MAX)];
	struct iovec iov = { .iov_base = relay->scratch };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[PVX_EVENTS_FDS_MAX];
	uint32_t nfds = 0, n = gather(relay, first, &iov.iov_len, fds, &nfds);

	if (iov.iov_len == 0)
		return n;
	control_put(&message, control, fds, nfds);
	if (sendmsg(relay->daemon.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EPIPE || errno == ECONNRESET) {
			handover_daemon_gone(relay);
			return 0;
		}
		if (errno == EAGAIN)
			relay->daemon_writable = false;
		if (errno != EAGAIN || !relay_rearm(relay, &relay->daemon, EPOLLIN | EPOLLOUT))
			relay->events_later = true;
		return 0;
	}
	for (uint32_t i = 0; i < n; i++)
		settle(relay, &relay->events[first + i]);
	return n;
}

void events_flush(struct relay *relay)
{
	uint32_t done = 0, n;

	if (relay->daemon.fd < 0) { /* nobody is to hear them */
		for (uint32_t i = 0; i < relay->nevents; i++)
			settle(relay, &relay->events[i]);
		drop_first(relay, relay->nevents);
	}
	if (relay->nevents == 0 || !relay->daemon_writable || relay->events_later)
		return;
	while (done < relay->nevents && (n = send_some(relay, done)) > 0)
		done += n;
	drop_first(relay, done);
	if (relay->commands_wait && events_room(relay))
		relay->commands_wait = !relay_rearm(relay, &relay->daemon, EPOLLIN | (relay->daemon_writable ? 0 : EPOLLOUT));
}
