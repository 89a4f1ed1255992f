/*
 * pvx-relay: joins pairs of descriptors and moves what they say. It has no rights: what it works with it is given, by the
 * daemon (relay-protocol.h), by pvx-broker, which it asks to connect to providers (protocol.h), and by accept(2).
 *
 * It outlives the daemon: while there is none, links go on as they were told to, and what is to be said waits. Nothing
 * that a command says is taken for granted: a daemon that was taken over gets no further than to what it commands.
 *
 * Ownership: every descriptor that comes with a command is the relay's, those of a transfer too, which are the daemon's
 * duplicates. One in an event is closed here once it was sent.
 *
 * One thread, which waits in epoll_wait(2) and nowhere else, does all of it; others only close (closer.c).
 *
 *   ../closer.c  closing what came from the ends, elsewhere
 *   ../message.c bytes with descriptors, and which failures pass
 *   ../filter.c  the filter of system calls, put together
 *   ../handover.c words of the supervisor, streams of records with descriptors
 *   main.c       start: everything given up that is not needed
 *   sandbox.c    the system calls that are left
 *   loop.c       events, the tick each 50 ms while a connection or a link needs it
 *   command.c    commands of the daemon
 *   event.c      what the daemon is told
 *   handover.c   the links given to a relay of another build, or taken from one
 *   counters.c   what has passed, in memory that the daemon reads
 *   broker.c     connection requests to pvx-broker
 *   link.c       a link: its listener, its end
 *   conn.c       a connection: joined, run, closed
 *   provider.c   how a connection gets its provider: parked, asked, connecting, joined
 *   ring.c       links that lead in a circle
 *   pump.c       bytes and descriptors of a stream, one direction
 *   record.c     seqpacket records, one direction
 *   side.c       the receiving side: sent at once, or owed
 *   pipe.c       pipes to splice through
 *   way.c        whether to splice or to copy, where that depends on the machine
 *   share.c      descriptors that receivers have not read yet
 *   memory.c     bytes that receivers have not read yet
 *   tcp.c        what TCP has and others have not: who may connect, PROXY protocol, resets
 *   transfer.c   bytes moved once between two descriptors that the daemon has, too
 *   look.c       which connections there are, for who wants to see them
 *   lease.c      what the daemon wants of a link for as long as it keeps a socket
 *   tap.c        a copy of what passes, for who wants to see it
 *   fault.c      a bad provider, for who wants to try one
 *   dgram.c      datagrams: flows told apart by the client's address
 *   send.c       datagrams on their way to the provider
 *   reply.c      what the provider answers to datagrams
 */
#ifndef PVX_RELAY_H
#define PVX_RELAY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../closer.h"
#include "../list.h"
#include "../message.h"
#include "../protocol.h"
#include "../relay-protocol.h"

#define RELAY_SCRATCH (512u * 1024u) /* the one buffer that everybody's bytes pass through */
#define RELAY_PEEK (16u * 1024u)     /* how far ahead descriptors are looked for */
#define RELAY_PIPE (1024u * 1024u)
#define RELAY_TICK_MS 50
#define RELAY_INFLIGHT 64u
#define RELAY_BATCH 64     /* accepted, or datagrams moved, before others have their turn */
#define RELAY_HELD_MAX 1024u /* descriptors in our own table that wait for a receiver */
#define RELAY_FLOWS_MAX 256u
#define SIDE_EVENTS (EPOLLIN | EPOLLPRI | EPOLLRDHUP)

enum relay_kind { KIND_DAEMON, KIND_BROKER, KIND_SUPERVISOR, KIND_SUCCESSOR, KIND_LISTENER, KIND_SIDE, KIND_FLOW, KIND_TAP,
		  KIND_FAULT };

/* What epoll hands back; the first member of everything that has a descriptor in the set. */
struct source {
	enum relay_kind kind;
	int fd; /* owned; -1 when closed */
};

/* Bytes (and descriptors, that go with the first of them) that a blocked side is owed. */
struct backlog {
	size_t offset, length;
	uint32_t nfds;
	int *fds; /* behind the data; owned */
	char data[];
};

/* What the daemon knows of a connection that it joined; unread here. */
struct label {
	uint32_t length;
	char text[];
};

/* What goes with an event. */
struct said {
	uint32_t length;
	char data[];
};

struct pipe {
	struct list node; /* in relay.pipes while free */
	int fd[2];
	size_t length;
};

struct conn;
struct command;
struct relay;

/* Called once, with what the broker answered: an errno, or 0 and a value, or 0 and a descriptor (else -1), which is the
 * owner's from then on. Each function that is one has exactly this type: a call through another is undefined. */
typedef void broker_answer(void *owner, int fd, int error, uint32_t value);

/*
 * One descriptor of a connection. `backlog` and `pipe` hold what it is owed by the other side.
 *
 * A side's flags: when each is set, and when it is cleared. Those without a second entry are never cleared.
 *
 *   flag          set                                             cleared
 *   readable      joined, if not by the broker a moment ago; an    a read finds nothing (EAGAIN), or less than it asked
 *                 event, of an end or error too; a tick while     for; eof
 *                 unregistered; a read fails for now
 *   writable      joined; an event, of an end or error too; a     a write finds no room, or fails for now
 *                 tick while unregistered or throttled
 *   watched       a write found no room, or it is paced: EPOLLOUT the EPOLLOUT came, nothing is owed and it is not paced:
 *                 is asked for                                    that is asked for no more
 *   paced         memory_room: its link holds over half of what   memory_room: it has read, or its link holds less;
 *                 it may, and it has much to read yet             memory_forget
 *   plenty        a read took all that it could; a transfer       a read took less
 *                 begins, of more than one read
 *   unregistered  joined                                          sides_register: epoll has room
 *   local         joined: it is a unix socket, and not TCP
 *   no_splice     a splice from it, or to it, failed
 *   read_to_end   an event of an end, an error or urgent data
 *   gone          an event of a hang-up
 *   eof           its end was read, or reading failed; nothing
 *                 can be sent to the other; a transfer read all
 *   empty         its end was read
 *   shut          the other's eof was passed on; sending failed
 */
struct side {
	struct source source;
	struct conn *conn;
	struct backlog *backlog;
	struct pipe *pipe;
	uint32_t fds_ahead; /* descriptors sent to it, see share.c */
	uint32_t measured, sent; /* memory held for it: when last looked at, and at most since; see memory.c */
	uint32_t share;    /* of TCP: so large its buffers were made; 0: as large as the kernel wants */
	bool readable;     /* a read may find something */
	bool writable;     /* a write may find room */
	bool watched;      /* an event will say when it is writable again */
	bool paced;        /* a unix socket: nothing is read for it until it has read more, see memory.c */
	bool plenty;       /* the last read took all that it could: a longer one, or a splice, is worth while */
	bool unregistered; /* not in the epoll set: not yet, or for want of room; each tick tries again */
	bool local;        /* a unix socket, and not TCP */
	bool no_splice;    /* it is copied from and to instead */
	bool read_to_end;  /* a short read does not mean that nothing is left: only EAGAIN does */
	bool gone;         /* its peer closed it, and neither sends nor reads any more */
	bool eof;          /* nothing more will be read from here */
	bool empty;        /* nothing is in its queue, and nothing comes: closing it closes no descriptor of others */
	bool shut;         /* nothing more will be written to here */
};

/*
 *   link_accept                                           conn_join, transfer_begin
 *       |                                                             |
 *       v               the broker is asked                           v
 *    PARKED ---------------------------------------> CONNECTING --> JOINED
 *       ^                                                |            |
 *       '-------- it can't be reached for now -----------'            | both ends finished, a side broke off
 *       |                                                |            |
 *       '--- no patience left, refused, link closed -----'--------> DEAD, freed at the end of the round
 *
 * A parked connection is tried again by the tick, by link_retarget and provider_resolve, and when another one of its
 * link has reached the provider. `shaking` is a part of CONNECTING: the broker has answered with a TCP socket whose
 * handshake is not decided.
 */
enum conn_state { CONN_PARKED, CONN_CONNECTING, CONN_JOINED, CONN_DEAD };

struct transfer; /* transfer.h */
struct access;   /* tcp.h */

struct conn {
	struct side side[2]; /* 0: consumer, 1: provider */
	struct transfer *transfer; /* owned; NULL: an ordinary connection */
	struct list node;    /* in link.conns, or relay.dead */
	struct list ready;   /* in relay.ready while it has work */
	struct list tick;    /* in relay.tick_conns while needed: not joined; throttled; a transfer that is timed */
	struct link *link;
	uint64_t deadline, retry_at;
	uint64_t since, bytes[2]; /* when it was accepted or joined, in microseconds; to the provider, to the consumer */
	struct label *label; /* owned; NULL: none */
	struct trouble *trouble; /* owned; NULL: none */
	struct pvx_request *request; /* its own, in PVX_ACCEPT_ASK once answered; else the link's is used */
	uint32_t id;
	uint32_t slot; /* of the request under way, 0 for none */
	uint8_t state;
	bool accepted;  /* its consumer's socket was, by us: nobody else has it */
	bool asked;     /* the daemon, where to; set by provider_try, cleared when its answer is of no use any more */
	bool tcp;       /* what the broker was asked for is TCP */
	bool shaking;   /* its handshake is under way */
	bool reset;     /* a side broke off: the other is to see that */
	bool throttled; /* a limit of the kernel holds it up, of whose end no event tells; until the next tick */
};

static inline struct side *side_other(const struct side *side)
{
	return &side->conn->side[side == &side->conn->side[0]];
}

struct flow; /* dgram.c */
struct tap; struct fault; struct trouble; /* tap.c, fault.c */

/* An address as ring.c compares it. */
struct name {
	union {
		struct sockaddr any;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
		struct sockaddr_un local;
	} address;
	socklen_t length;
	uint64_t network; /* that an IP address is of */
};

/*
 * A link, as its flags have it:
 *
 *          link_listen
 *   idle --------------> listening
 *    |   <--------------     |
 *    |      link_stop        |
 *    '-----------+-----------'
 *                | link_close
 *                v
 *            draining    nobody is accepted; who is joined goes on, until drain_at
 *                |
 *                | the last connection is closed
 *                v
 *              gone
 *
 *   flag          set                                             cleared
 *   acceptable    an event of the listener; link_register         accept finds nobody (EAGAIN)
 *   unregistered  link_listen                                     link_register: epoll has room
 *   unlucky       an attempt at the provider failed for now       an attempt succeeds; link_retarget
 *   away          a datagram's patience is over                   a flow is connected
 *   draining      link_close
 *   gone          link_maybe_gone
 *   given         handover.c: it was written to a successor       its listener is closed
 *   watched       look_watch                                      look_watch; a daemon comes
 */
struct link {
	struct source listener;
	struct relay *relay;
	struct list node;  /* in relay.links */
	struct list tick;  /* in relay.tick_links while needed: accept_at, drain_at, flows, or sides that are paced */
	struct list conns; /* of conn */
	struct list flows; /* of flow */
	struct access *access; /* owned; NULL: everybody, and no header */
	struct tap *tap;       /* owned; NULL: nobody sees what passes */
	struct fault *fault;   /* owned; NULL: none */
	struct closing *closing; /* counted reference; on whose account what came from its ends is closed */
	struct pvx_request *upstream; /* how to reach the provider; NULL: not known yet */
	struct flow *held;            /* datagram that waits for its flow, see dgram.c */
	uint64_t drain_at; /* when to close the connections that are left; 0: there is no such time */
	uint64_t accept_at; /* accept again then, after a full descriptor table or many events; 0: now */
	uint32_t number;    /* how the daemon knows it */
	struct pvx_counters *counters; /* at the place of its number */
	char *note;         /* owned; the daemon's, for its successors */
	uint32_t note_length;
	uint32_t consumer;  /* broker handle of the consumer, for datagram replies */
	uint32_t patience_ms, max_conns, next_conn, nflows;
	uint32_t trying; /* connections on their way to the provider */
	uint32_t fds_ahead, fds_replied; /* share.c: to its receivers; to clients, by datagram */
	uint32_t nconns; /* all in conns, transfers too */
	uint32_t paced; /* sides that are */
	uint64_t memory, memory_max, look_at, tell_full_at; /* bytes held, and at most: memory.c */
	int type; /* SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM */
	int last_errno; /* of the last attempt to reach the provider */
	uint64_t tell_at; /* not to be reported again before */
	struct {
		struct name name;  /* of its listener */
		struct link *on;   /* the link whose listener it is served on; NULL: its own */
		struct link *next; /* the link that its last connection led to; NULL: none of ours */
		uint64_t led_at;   /* when that was */
		uint32_t round;    /* it was looked at in */
		bool closes;       /* that one would have closed a ring */
		bool member;       /* of one: its connections end in vain */
	} ring;
	enum pvx_accept_mode mode;
	bool fds;          /* descriptors are passed on; constant */
	bool local;        /* its listener is a unix socket, and not TCP */
	bool acceptable;   /* a client may wait in the listener's queue */
	bool unregistered; /* its listener, as of a side */
	bool unlucky;      /* the last attempt failed for now: one connection tries for all */
	bool away;         /* its datagrams have waited for the provider in vain, see dgram.c */
	bool draining;     /* it takes nobody any more, and ends with its last connection */
	bool given;        /* a successor of ours has its listener, too, or had it */
	bool watched;      /* the daemon is told of each connection that ends */
	bool gone;         /* that was reported; freed at the end of the round, behind its last connections */
};

struct event {
	uint32_t type, link, conn, error; /* as in struct pvx_event */
	uint64_t bytes;
	int fd; /* owned, but for that of WELCOME; -1: none */
	struct said *said; /* owned; NULL: nothing */
};

struct relay {
	struct source daemon, broker, supervisor;
	int epoll;
	char *scratch;
	struct closing *closing; /* owned; of what is on no link's account */
	struct list links;
	struct link *numbered[PVX_LINKS_MAX]; /* the same ones */
	struct list ready; /* of conn, that have something to move or to try */
	struct list tick_conns, tick_links; /* what the tick looks at; while both are empty there is none */
	struct { struct list waiting; uint64_t wake_at; } faults; /* fault.c */
	struct list pipes; /* empty ones */
	struct list dead, dead_flows, dead_links, dead_leases; /* freed at the end of the round */
	struct pipe *pipe; /* the one at hand; empty between two pumps */
	struct race {
		const struct side *runner; /* of its stream; NULL: none is under way */
		uint64_t line, began;      /* bytes of it, and when, as this lap began */
		uint64_t best[2];          /* microseconds of the fastest lap each way; 0: none */
		unsigned lap, winner;
	} race[2]; /* way.c, by whether it is from a unix socket */
	uint32_t npipes, nlinks;
	uint32_t nconns; /* connections and flows that there are */
	uint32_t held, fds_ahead, fds_limit; /* descriptors in backlogs, and see share.c */
	uint64_t recount_at;
	struct inflight {
		void *owner; /* NULL: whoever asked is gone; the descriptor is closed on arrival */
		struct closing *closing; /* counted reference; on whose account */
		broker_answer *answer;
		bool busy;
	} inflight[RELAY_INFLIGHT];
	uint32_t broker_ids; /* of this process: what is left of an id without its slot */
	bool broker_writable;
	uint32_t ring_round; /* ring.c */
	struct pvx_counters *counters; /* PVX_LINKS_MAX of them */
	struct pvx_times *times;       /* as many, behind them */
	bool timed;                    /* somebody wants to know */
	int counters_fd; /* for the daemon, which can't write there */
	struct {
		uint32_t link, conn;      /* the JOIN to come */
		struct backlog *side[2];  /* owned */
		bool lost;                /* some of it */
	} owed; /* command.c */
	bool greeted; /* by a daemon: before that no command has an effect */
	bool commands_wait; /* unread, until events were sent */
	struct event *events; /* event.c; owned, in their order */
	uint32_t nevents, events_capacity;
	bool daemon_writable; /* its channel, for all that is known */
	bool events_later; /* a limit of the kernel holds them up, of whose end no event tells; until the next tick */
	bool frozen; /* nobody is accepted; handover.c */
	bool left;   /* the links are a successor's */
	uint64_t leave_at; /* then: when to end, whatever is still under way */
};

/* loop.c */
uint64_t relay_now(void); /* milliseconds, monotonic */
uint64_t relay_now_us(void);
_Noreturn void relay_main(struct relay *);
int relay_watch(struct relay *, struct source *, uint32_t events);
/* What holds now is reported again. False: it can't be said what will be reported. */
bool relay_rearm(struct relay *, struct source *, uint32_t events);
/* Closes its descriptor, if it has one, see closing_socket. */
void relay_unwatch(struct relay *, struct source *, struct closing *, bool shared);
/* The same of one whose close can't take long. `alone`: nobody else has, or had, the same open file. */
void relay_close(struct relay *, struct source *, bool alone);

/* event.c: what waits is sent at the end of each round, as far as the daemon reads */
void relay_emit(struct relay *, enum pvx_event_type, const struct link *, uint32_t conn, int fd, int error);
/* MOVED, UNTAPPED: an answer with a number of bytes. */
void relay_report(enum pvx_event_type, const struct link *, uint32_t conn, int outcome, uint64_t bytes);
void relay_ended(const struct link *, enum pvx_reason, struct said *); /* PVX_EVENT_ENDED; takes what is said */
bool relay_crowded(const struct relay *); /* many events wait for the daemon */
bool events_room(const struct relay *); /* for those that a command ends in, as there may be as many as commands */
void events_flush(struct relay *);
void events_drop(struct relay *); /* those that mean nothing to a successor of the daemon */

/* handover.c */
const char *handover_take(struct relay *); /* all that there is on descriptor 6. NULL, or what is wrong with it */
void handover_heard(struct relay *);       /* an event of the supervisor's channel */
void handover_go_on(struct relay *);       /* the successor has read, or a limit of the kernel may be gone */
void handover_daemon_gone(struct relay *); /* and nobody will be in its place: ends this process, or has it end soon */
int handover_wait(const struct relay *);   /* milliseconds until handover_end is to be called; -1: an event will say */
void handover_end(struct relay *);         /* ends this process where nothing is left of what it did not give away */

/* What came with a command. Who runs it takes what it sets to NULL or -1; the rest is freed and closed behind it. */
struct command {
	struct pvx_command head;
	struct pvx_request *request; /* NULL: none */
	const char *data; /* head.data_length bytes */
	int fd[PVX_COMMAND_FDS_MAX]; /* -1: there is none; or our table was full, of one that there has to be */
};

/* command.c */
void commands_event(struct relay *, uint32_t events); /* of the channel to the daemon */
void commands_read(struct relay *); /* all that wait there, but no more than a daemon could mean */
/* The same of a record that the relay before us wrote; takes the descriptors. NULL, or what is wrong with it. */
uint32_t command_fds(const struct pvx_command *);
const char *command_take_over(struct relay *, const void *record, size_t length, const int *fds, uint32_t nfds);
void complain(const char *what); /* on the standard error, but only of the first thing */

#include "counters.h"

/* How many connections it has. */
static inline uint32_t link_active(const struct link *link)
{
	return (uint32_t)link->counters->active;
}

/* sandbox.c */
int sandbox_filter(void); /* 0 or an errno */

/* link.c */
struct link *link_new(struct relay *, uint32_t number); /* NULL: no memory */
void link_free(struct link *);
void link_note(struct link *, const char *note, uint32_t length);
void link_accept(struct link *);
void link_accept_later(struct link *); /* something that no event tells the end of is in the way */
void link_tick_wanted(struct link *); /* from now on, until nothing in it needs one */
void link_tick(struct link *, uint64_t now);
void link_upstream_result(struct link *, int error);
void link_maybe_gone(struct link *);
void link_listen(struct link *, struct command *);
void link_retarget(struct link *, struct command *);
void link_stop(struct link *, struct command *);
void link_close(struct link *, struct command *);
void link_resume(struct link *); /* accepts who waits, after it was frozen */
void link_give_up(struct link *); /* its listener is a successor's; what is under way goes on */

/* conn.c */
struct conn *conn_new(struct link *); /* without descriptors, and not counted. NULL: no memory */
void conn_count(struct link *);       /* one more that was accepted and is active, until conn_close */
void conn_joined(struct conn *); /* both sides have their descriptor, and it is known of what kind that is */
void conn_given(struct conn *);  /* the same with descriptors of the daemon's; closes it where one is no socket */
void conn_close(struct conn *, enum pvx_reason);
void conn_free(struct conn *);
void conn_schedule(struct conn *);
void conn_event(struct side *, uint32_t events);
void conn_run(struct conn *);
void conn_tick_wanted(struct conn *); /* from now on, until nothing of it needs one */
void conn_tick(struct conn *, uint64_t now);
void conn_later(struct conn *); /* joined, and held up until the next tick: throttled */
void conn_join(struct link *, struct command *);

/* pump.c, record.c: move once in the direction that leaves `from`.
 * MOVE_AGAIN: call again; MOVE_WAIT: an event will say when; MOVE_END: the connection is closed. */
enum move { MOVE_AGAIN, MOVE_WAIT, MOVE_END };
enum move pump_stream(struct side *from, struct side *to);
enum move pump_record(struct side *from, struct side *to);
enum move side_flush(struct side *to);
enum move side_send(struct side *from, struct side *to, size_t length, const int *fds, uint32_t nfds);
enum move side_fds_room(struct side *to); /* MOVE_AGAIN: descriptors may be read for it */
enum move side_wait(struct side *to); /* until it has read more */
enum move side_broken(struct side *from, struct side *to, int error);
void side_drop(struct side *); /* frees what it is owed */
/* Copies the bytes, takes the descriptors. NULL: no memory, and the descriptors are still the caller's. */
struct backlog *backlog_new(const void *bytes, size_t length, const int *fds, uint32_t nfds);
/* More bytes, to one without descriptors, or to NULL. False: no memory, and it is as it was. */
bool backlog_append(struct backlog **, const void *bytes, size_t length);
char *scratch_new(void);

/* pipe.c */
struct pipe *pipe_get(struct relay *);        /* empty. NULL when there is none to be had: the caller copies then */
void pipe_put(struct relay *, struct pipe *); /* takes it back: kept if it is empty, and not too many are */

/* way.c: between TCP and a unix socket, of bytes that could be spliced */
bool way_copies(const struct side *from);
void way_forget(const struct side *from); /* it is closed */

/* share.c: `ahead` is how many descriptors were sent to a receiver through `fd` */
void share_init(struct relay *);
void share_sent(struct link *, uint32_t *ahead, uint32_t nfds);
void share_settle(struct link *, uint32_t *ahead);         /* forgets it */
bool share_unread(struct link *, int fd, uint32_t *ahead); /* some are still to be read */
bool share_left(struct link *);                            /* it may send more */

#include "memory.h"

/* broker.c */
/* A slot (not 0) that broker_forget takes, or 0: full, ask again later. `fds` (two at most) stay the caller's. */
uint32_t broker_ask(struct link *, const struct pvx_request *, const int *fds, uint32_t nfds, void *owner,
		    broker_answer *);
void broker_forget(struct relay *, uint32_t slot);
void broker_event(struct relay *, uint32_t events);

#endif
