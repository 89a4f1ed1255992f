/* memory.c: bytes that receivers have not read yet. */
#ifndef PVX_RELAY_MEMORY_H
#define PVX_RELAY_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

struct link;
struct side;

enum room { ROOM_FREE, ROOM_LITTLE /* for RELAY_PEEK bytes, or a record */, ROOM_NONE };
void memory_read(struct side *to, size_t length); /* so much was read for it, and is still to be sent */
void memory_forget(struct side *to);              /* it is closed */
void memory_queued(struct link *, size_t length); /* a datagram, in our own queue */
void memory_unqueued(struct link *, size_t length);
void memory_blocked(struct side *to);   /* it takes nothing for now, and more may have come for it */
enum room memory_room(struct side *to); /* to read for it */
void memory_tick(struct link *);        /* goes on where there is room again */
bool memory_full(struct link *);        /* it holds all that it may: nobody is to be accepted */

#endif
