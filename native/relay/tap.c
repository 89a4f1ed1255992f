/*
 * A tap: a copy of what passes on a link, for the daemon, from the moment that it asks until it closes its end.
 *
 * Each read that was made for a receiver is written to the daemon's socket as one record or more, before the receiver
 * gets it; but what a provider answers to datagrams, once it was sent (reply.c). Nothing waits for the daemon: what its
 * socket has no room for is left out, counted, and told with the next record that fits. A link that is tapped is not
 * spliced, for then nobody has its bytes (pump.c); one that is not costs a look at a pointer for each read.
 */
#include "lease.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

struct tap {
	struct lease lease; /* the first: it is freed as that */
	uint64_t dropped;   /* bytes that were left out, and not told of */
	bool waits;         /* an event will say that there is room again */
};

static uint64_t microseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

void tap_end(struct link *link)
{
	struct tap *tap = link->tap;

	if (!tap)
		return;
	link->tap = NULL;
	lease_end(&tap->lease);
}

/* False: there is no room for it, or nobody who would read it. */
static bool tell(struct tap *tap, struct pvx_tapped *head, const void *bytes)
{
	struct iovec iov[2] = { { .iov_base = head, .iov_len = sizeof(*head) },
				{ .iov_base = (void *)bytes, .iov_len = head->length } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	head->dropped = tap->dropped;
	if (sendmsg(tap->lease.source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EPIPE || errno == ECONNRESET)
			tap_end(tap->lease.link);
		return false;
	}
	tap->dropped = 0;
	return true;
}

void tap_begin(struct link *link, struct command *command)
{
	struct tap *tap = command->fd[0] >= 0 ? calloc(1, sizeof(*tap)) : NULL;

	tap_end(link);
	if (!tap)
		return; /* the daemon reads the end of it, as its descriptor is closed */
	if (!lease_begin(&tap->lease, link, KIND_TAP, command->fd[0])) {
		free(tap);
		return;
	}
	command->fd[0] = -1;
	link->tap = tap;
	(void)tell(tap, &(struct pvx_tapped){ .time = microseconds() }, NULL);
}

void tap_stop(struct link *link, struct command *command)
{
	relay_report(PVX_EVENT_UNTAPPED, link, command->head.conn, 0, link->tap ? link->tap->dropped : 0);
	tap_end(link);
}

void tap_take(struct link *link, uint32_t conn, bool to_consumer, const void *bytes, size_t length, uint32_t nfds)
{
	struct tap *tap = link->tap;
	size_t at = 0;

	do {
		size_t left = length - at;
		struct pvx_tapped head = { .conn = conn, .to_consumer = to_consumer, .nfds = at == 0 ? nfds : 0,
					   .length = (uint32_t)(left < PVX_TAPPED_MAX ? left : PVX_TAPPED_MAX),
					   .time = microseconds() };

		if (!tell(tap, &head, (const char *)bytes + at)) {
			tap->dropped += left; /* it is freed at the end of the round, whatever has ended it */
			if (link->tap && !tap->waits)
				tap->waits = lease_rearm(&tap->lease, true);
			return;
		}
		at += head.length;
	} while (at < length);
}

void tap_event(struct source *source, uint32_t events)
{
	struct tap *tap = (struct tap *)source;
	struct pvx_tapped head = { .time = microseconds() };

	if (source->fd < 0)
		return;
	if (lease_ended(events)) {
		tap_end(tap->lease.link);
	} else if (tap->waits) {
		tap->waits = false;
		if (tap->dropped > 0 && !tell(tap, &head, NULL) && tap->lease.link->tap == tap)
			tap->waits = true; /* it is still asked for */
		else if (source->fd >= 0)
			lease_rearm(&tap->lease, false);
	}
}
