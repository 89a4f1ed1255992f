#ifndef PVX_RELAY_NAPI_H
#define PVX_RELAY_NAPI_H

#include "relay.h"

/* Wakes JavaScript to fetch the reports. Any thread. */
void relay_notify(struct relay *);

#endif
