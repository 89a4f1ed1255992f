/* Bytes moved once, one way, between two descriptors that the daemon has, too. */
#ifndef PVX_RELAY_TRANSFER_H
#define PVX_RELAY_TRANSFER_H

#include "relay.h"

struct transfer {
	uint64_t left; /* UINT64_MAX: until the end of the source */
	uint64_t moved; /* arrived at the sink */
	uint64_t moved_at; /* or begun */
	uint32_t idle_ms, silence_ms; /* how long the sink, the source may be waited for; 0: for ever */
	uint8_t from;   /* which side is the source */
	bool end;       /* the sink is told of the source's end */
	bool busy;      /* something was moved since the last look */
	enum pvx_outcome outcome;
};

void transfer_begin(struct link *, struct command *);
void transfer_cancel(struct link *, struct command *);
bool transfer_finished(struct conn *); /* closes it then */
bool transfer_timed(const struct transfer *); /* only so long is waited for one of its ends */
void transfer_tick(struct conn *, uint64_t now);
void transfer_report(struct conn *); /* when it is closed */
size_t transfer_room(const struct side *from, size_t length); /* how much of `length` may be read */
void transfer_read(struct side *from, size_t length);
void transfer_sent(struct transfer *, size_t length);

#endif
