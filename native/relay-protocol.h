/*
 * The conversation between the daemon and pvx-relay.
 *
 * One SOCK_SEQPACKET pair carries it, which outlives both: each may be another process than the one that began (see
 * PVX_RELAY_HELLO and PVX_EVENT_BORN). A command is one record: this fixed layout, then the request for the broker that it
 * carries, then data. It has no answer of its own; what comes of it is said by events. A record of events is one event or
 * more, back to back, each with its data behind it. Descriptors that are sent are the receiver's.
 *
 * A link is known by a number, which the daemon picks: one that no link has. It is the place of the link's counters, too,
 * and free again after PVX_EVENT_GONE. A command for a link that is gone has no effect and no event of its own: GONE is
 * the answer to all that waited for one.
 *
 * A record that is no command (of another length than it says, with too few or too many descriptors, a LINK of a number
 * in use) has no effect, and its descriptors are closed. Requests are PVX_OP_CONNECT_UNIX, _TCP or _BUS, nothing else.
 * The relay ends when nobody has the other end of the pair any more.
 *
 * A relay of another build is handed the links by the one before it as the commands that make them (relay/handover.c):
 * LINK, COUNTED, LISTEN.
 *
 * src/relay/protocol.ts mirrors this file; a unit test compares the two.
 */
#ifndef PVX_RELAY_PROTOCOL_H
#define PVX_RELAY_PROTOCOL_H

#include <stdint.h>

#define PVX_RELAY_VERSION 2u
#define PVX_LINKS_MAX 16384u       /* links at once; numbers are below it */
#define PVX_NOTE_MAX 16384u        /* bytes of a link's note */
#define PVX_COMMAND_DATA_MAX 65536u
#define PVX_COMMAND_FDS_MAX 2u
#define PVX_LABEL_MAX 256u
#define PVX_OWED_MAX (16u * 1024u * 1024u) /* bytes that one side of a JOIN may be owed */
#define PVX_EVENTS_SIZE_MAX 65536u /* of one record */
#define PVX_EVENTS_FDS_MAX 32u     /* with one record */

enum pvx_relay_op {
	/* mode = PVX_RELAY_VERSION, conn = incarnation of the daemon, which has just started, flags = PVX_HELLO_* -> WELCOME,
	 * then STANDING for each link that is not gone, then COMPLETE. Commands before the first one are dropped. To one of another version
	 * WELCOME is all, and the relay goes on as if it had not come */
	PVX_RELAY_HELLO = 1,
	/* A new link (-> GONE where there is no memory for it). mode = SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM; flags = PVX_LINK_*; ms = patience; most = connections
	 * at once; other = the broker's handle of the consumer; bytes = memory for receivers that do not read;
	 * data = PVX_RULE_SIZE bytes for each network that may connect (PVX_LINK_LIMITED) */
	PVX_RELAY_LINK = 2,
	/* One descriptor: the listener. mode = enum pvx_accept_mode; the request reaches the provider (none: wait for
	 * RETARGET); data = the new note of the link. A link that listens already closes its old listener */
	PVX_RELAY_LISTEN = 3,
	/* The request that reaches the provider from now on, or none: connections wait */
	PVX_RELAY_RETARGET = 4,
	/* conn of PENDING; its request, or none: it is refused */
	PVX_RELAY_RESOLVE = 5,
	/* Closes the listener; connections go on -> STOPPED */
	PVX_RELAY_STOP = 6,
	/* Closes the listener, and what is left of the connections after ms -> GONE */
	PVX_RELAY_CLOSE = 7,
	/* data = the new note of the link, for the daemon's successors; the relay does not read it */
	PVX_RELAY_NOTE = 8,
	/* conn = number of the next JOIN, on this link, mode = side (0 the consumer, 1 the provider), data = what that side is
	 * sent before anything else. Several add up, to PVX_OWED_MAX; of more, the JOIN closes both ends. There is one JOIN at
	 * a time that anything is owed to: OWED for another one drops what came before */
	PVX_RELAY_OWED = 9,
	/* Two descriptors: consumer, provider; conn = a number; data = a label. They are one connection of the link from now
	 * on */
	PVX_RELAY_JOIN = 10,
	/* Two descriptors: source, sink; conn = a number; bytes = how many, UINT64_MAX for all until the end; flags =
	 * PVX_TRANSFER_*; ms, other = milliseconds that the sink, the source may be waited for (0: for ever) -> MOVED */
	PVX_RELAY_TRANSFER = 11,
	/* conn of a TRANSFER -> MOVED, soon */
	PVX_RELAY_CANCEL = 12,
	/* One descriptor: a connection of the daemon's own that has reached the link's provider; conn = a number; other = the
	 * link whose listener it is served on -> LED */
	PVX_RELAY_LED = 13,
	/* Of the relay before, never of the daemon: data = struct pvx_counters, of which `active` and `links` mean nothing;
	 * mode = errno of the last attempt to reach the provider */
	PVX_RELAY_COUNTED = 14,
	/* conn = a number; other: connections above this number -> LISTED */
	PVX_RELAY_LIST = 15,
	/* mode = 1: ENDED is said of each connection from now on, 0: no more; a daemon that comes begins with 0 */
	PVX_RELAY_WATCH = 16,
	/* One descriptor: a SEQPACKET socket, into which a struct pvx_tapped is written at once (conn = 0), and for
	 * each read from now on, until nobody has its other end, or UNTAP, or the next TAP of the link. A link that goes closes it */
	PVX_RELAY_TAP = 17,
	/* conn = a number -> UNTAPPED; the socket of TAP is closed */
	PVX_RELAY_UNTAP = 18,
	/* One descriptor: a socket. Until nobody has its other end, or the next FAULT of the link: ms = how late the
	 * provider's bytes are read; bytes = how many a second pass of each connection, each way (0: all); flags =
	 * PVX_FAULT_*; data = a uint32_t for each connection that is joined, in their order and again from the first: after
	 * how many of the provider's bytes it breaks off, UINT32_MAX: never. Of datagrams, those that it does not say that of
	 * are dropped */
	PVX_RELAY_FAULT = 19,
};

#define PVX_HELLO_TIMES 1u /* struct pvx_times is kept; as long as no daemon asks for it, it is neither written nor there */

enum pvx_accept_mode {
	PVX_ACCEPT_FORWARD, /* connected to by the link's request, and joined */
	PVX_ACCEPT_ASK,     /* the same, but the request is asked for (PENDING) */
	PVX_ACCEPT_HAND,    /* the daemon's (HANDED) */
};

#define PVX_LINK_FDS 1u     /* descriptors are passed on */
#define PVX_LINK_LIMITED 2u /* to the networks in data; none of them: nobody */
#define PVX_LINK_PROXY_1 4u /* the provider is sent a header of the PROXY protocol, of this version, first */
#define PVX_LINK_PROXY_2 8u
#define PVX_RULE_SIZE 18u   /* 4 or 6, length of the prefix in bits, 16 bytes of address */
#define PVX_RULES_MAX 64u

#define PVX_FAULT_REFUSE 1u /* clients are closed at once, datagrams dropped */
#define PVX_FAULT_RATE_MAX 1000000000u
#define PVX_PLAN_MAX 1000u

#define PVX_TRANSFER_TO_PROVIDER 1u /* counted as such; otherwise as to the consumer */
#define PVX_TRANSFER_END 2u         /* the sink is told of the end by a half-close */

struct pvx_command {
	uint32_t op;   /* enum pvx_relay_op */
	uint32_t link; /* its number */
	uint32_t conn;
	uint32_t mode;
	uint32_t flags;
	uint32_t ms;
	uint32_t most;
	uint32_t other;
	uint64_t bytes;
	uint32_t request_length; /* 0, or that of a struct pvx_request, which follows */
	uint32_t data_length;    /* of what follows behind it */
};

enum pvx_event_type {
	/* The first event of a relay: no link that was made before exists any more, and no command has an effect until HELLO */
	PVX_EVENT_BORN = 1,
	/* error = PVX_RELAY_VERSION, conn = that of HELLO: a daemon passes over what was meant for the one before it. A
	 * descriptor: the memory of the counters (PVX_COUNTERS_SIZE), to be mapped for reading; sealed against shrinking */
	PVX_EVENT_WELCOME = 2,
	/* link, conn = PVX_STANDING_*, error = errno of the last attempt to reach its provider, data = its note */
	PVX_EVENT_STANDING = 3,
	/* Behind the last STANDING, conn = that of HELLO. PENDING that is said again comes behind it */
	PVX_EVENT_COMPLETE = 4,
	/* conn waits for RESOLVE. Said again to a successor of the daemon */
	PVX_EVENT_PENDING = 5,
	/* A descriptor: a client that was accepted */
	PVX_EVENT_HANDED = 6,
	/* Reaching the provider began to fail with this errno, or (0) began to work */
	PVX_EVENT_UPSTREAM = 7,
	/* The link holds all the memory that it may, and accepts nobody for now */
	PVX_EVENT_FULL = 8,
	/* Its listener is closed */
	PVX_EVENT_STOPPED = 9,
	/* The link and all its connections are closed; its counters stay as they are until the number is used again */
	PVX_EVENT_GONE = 10,
	/* conn of a TRANSFER; error = enum pvx_outcome; bytes = those that the sink was sent */
	PVX_EVENT_MOVED = 11,
	/* conn of a LED; error = enum pvx_ring */
	PVX_EVENT_LED = 12,
	/* The relay's channel to the broker ended */
	PVX_EVENT_BROKER = 13,
	/* conn of a LIST; data = a struct pvx_open each connection, in the order of their numbers, with its label behind it;
	 * error = 1: there are more, above the last of these. Datagrams' clients have no order, and come in the last page */
	PVX_EVENT_LISTED = 14,
	/* error = enum pvx_reason; data = a struct pvx_open as it was at the end, with its label. Lost where the daemon does
	 * not read */
	PVX_EVENT_ENDED = 15,
	/* conn of UNTAP; bytes = those that were left out behind the last record */
	PVX_EVENT_UNTAPPED = 16,
};

#define PVX_STANDING_LISTENS 1u
#define PVX_STANDING_DRAINS 2u /* CLOSE was said: it takes no listener, and ends by itself */

/* Why a connection ended. */
enum pvx_reason {
	PVX_REASON_EOF,         /* both sides finished */
	PVX_REASON_RESET,       /* a side broke off */
	PVX_REASON_NO_PROVIDER, /* the provider did not come within the link's patience */
	PVX_REASON_REFUSED,     /* the plugin or an error that waiting can't mend */
	PVX_REASON_DETACHED,    /* the link left and its drain time was over */
	PVX_REASON_TRUNCATED,   /* descriptors or a record did not fit: nothing may be lost silently */
	PVX_REASON_NOT_ALLOWED, /* its address is none of those that may connect */
	PVX_REASON_ERROR,
	PVX_REASON_COUNT        /* how many; and of one that did not end but became the daemon's */
};

/* How a transfer ended. */
enum pvx_outcome {
	PVX_MOVED_ALL,       /* every byte that was asked for */
	PVX_MOVED_EOF,       /* the source ended first */
	PVX_MOVED_SOURCE,    /* the source broke off */
	PVX_MOVED_SINK,      /* the sink takes no more */
	PVX_MOVED_IDLE,      /* the sink took nothing for too long */
	PVX_MOVED_SILENT,    /* the source said nothing for too long */
	PVX_MOVED_CANCELLED, /* by CANCEL, or the link went */
};

/* Where a connection to a provider led, as far as that is another link. */
enum pvx_ring {
	PVX_RING_NONE,   /* what was reached ends somewhere, for all that is known */
	PVX_RING_MEMBER, /* it was reached, but there is no end behind it */
	PVX_RING_CLOSED, /* it leads back to the link: not a byte may be sent there */
};

struct pvx_event {
	uint32_t type; /* enum pvx_event_type */
	uint32_t link;
	uint32_t conn;
	uint32_t error;
	uint64_t bytes;
	uint32_t nfds; /* 0 or 1: the next of the record's descriptors is this event's */
	uint32_t data_length;
};

/* One connection: of a client that sends datagrams, its flow. */
struct pvx_open {
	uint32_t conn;         /* its number, of its link */
	uint32_t joined;       /* 0: it waits for the provider */
	uint32_t pid;          /* of who connected, as the kernel says; 0: nobody that we could know */
	uint32_t uid;
	uint32_t gid;
	uint32_t family;       /* of the address: 0 none, 4, 6 */
	uint32_t port;
	uint32_t label_length; /* of what follows */
	uint64_t since;        /* CLOCK_MONOTONIC, in milliseconds */
	uint64_t bytes[2];     /* to the provider, to the consumer */
	uint8_t address[16];
};

/* What a tap says: this, and then the bytes. Of one read there may be several. */
struct pvx_tapped {
	uint32_t conn;        /* its number, of its link; or of the TRANSFER */
	uint32_t to_consumer; /* 0: to the provider */
	uint32_t nfds;        /* descriptors that went with them */
	uint32_t length;      /* of what follows; 0: a record of no bytes, or only `dropped` is to be told */
	uint64_t time;        /* CLOCK_REALTIME, in microseconds */
	uint64_t dropped;     /* bytes of the link that were left out before this, for want of room */
};
#define PVX_TAPPED_MAX 32768u /* bytes with one record */

/*
 * One a link, at the place of its number; written by the relay, read by the daemon at any time.
 *
 * A daemon can't know when the relay has come to a command that it sent, so the counters say it. `links` is counted up
 * with each LINK of this number, behind the zeroing of all others; until it is, they are those of the link before.
 * `active` has the JOIN commands that came, whatever became of them, in its upper half, and changes both at once: what
 * was sent and is not there yet will be one more connection. `total` is without them: the daemon knows how many.
 */
struct pvx_counters {
	uint64_t active; /* PVX_COUNTED_JOIN each that came, and 1 each connection that there is now */
	uint64_t total;  /* that were accepted */
	uint64_t bytes[2]; /* to the provider, to the consumer */
	uint64_t closes[11]; /* by enum pvx_reason */
	uint64_t links;
};
#define PVX_COUNTED_JOIN (UINT64_C(1) << 32)

/*
 * How long it took until connections that were accepted had their provider: one a link, at the place of its number behind
 * the counters of all links, zeroed with those. A connection whose provider was never reached is in none of them.
 */
#define PVX_TIMES_BOUNDS 100, 500, 2500, 10000, 50000, 250000, 1000000, 5000000 /* microseconds; src/kernel/durations.ts */
#define PVX_TIMES_COUNTS 9u /* of those that took so long at most and longer than the bound before; the rest */
struct pvx_times {
	uint64_t counts[PVX_TIMES_COUNTS];
	uint64_t sum; /* microseconds */
};
#define PVX_COUNTERS_SIZE (PVX_LINKS_MAX * (sizeof(struct pvx_counters) + sizeof(struct pvx_times)))

_Static_assert(sizeof(struct pvx_command) == 48, "command layout");
_Static_assert(sizeof(struct pvx_event) == 32, "event layout");
_Static_assert(sizeof(struct pvx_open) == 72, "open layout");
_Static_assert(sizeof(struct pvx_counters) == 128, "counters layout");
_Static_assert(sizeof(struct pvx_tapped) == 32, "tapped layout");
_Static_assert(sizeof(struct pvx_times) == 80, "times layout");
_Static_assert(PVX_REASON_COUNT <= 11, "a counter for each reason");

#endif
