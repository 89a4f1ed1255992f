/* How a connection gets its provider. */
#ifndef PVX_RELAY_PROVIDER_H
#define PVX_RELAY_PROVIDER_H

#include "relay.h"

void provider_wanted(struct link *, int client); /* takes the client */
void provider_try(struct conn *);
void provider_retry(struct link *); /* all that wait, at once */
void provider_forget(struct conn *);
void provider_event(struct conn *); /* its handshake is decided */
void provider_resolve(struct link *, struct command *);
void provider_ask_again(struct link *); /* the daemon, for all that wait for its answer */

#endif
