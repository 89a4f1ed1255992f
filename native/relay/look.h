/* Which connections there are, for who wants to see them. */
#ifndef PVX_RELAY_LOOK_H
#define PVX_RELAY_LOOK_H

#include "relay.h"

void look_answer(struct link *, struct command *);
void look_watch(struct link *, struct command *);
/* Those above `after`, as struct pvx_open, into `room` bytes: a page. Returns the bytes; `more`: another page follows. */
size_t look_list(const struct link *, uint32_t after, char *into, size_t room, bool *more);
struct said *look_ended(const struct conn *); /* for PVX_EVENT_ENDED. NULL: no memory */
struct said *look_flow_ended(const struct flow *);

#endif
