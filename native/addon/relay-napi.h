#ifndef PVX_RELAY_NAPI_H
#define PVX_RELAY_NAPI_H

#include "napi.h"
#include "relay.h"

/* relay-napi.c: wakes JavaScript to fetch the reports. Any thread. */
void relay_notify(struct relay *);

/* relay-command.c */
struct command *command_new(void (*run)(struct relay *, struct command *), struct link *);
void command_submit(struct relay *, struct command *); /* takes the command */
napi_value command_call(napi_env, napi_callback_info);

#endif
