/* What a TCP listener has beyond a unix one: who may connect, and what the provider is told of them. */
#ifndef PVX_RELAY_TCP_H
#define PVX_RELAY_TCP_H

#include "relay.h"

struct rule {
	uint8_t family, bits; /* 4 or 6 */
	uint8_t address[16];
};

struct access {
	bool limited;     /* to the rules; none of them: nobody */
	uint8_t proxy;    /* version of the PROXY protocol that the provider is spoken to with, 0 for none */
	uint32_t nrules;
	struct rule rules[PVX_RULES_MAX];
};

/* Accepts like accept4(2). A client that may not connect is closed: -1 and EPERM. */
int tcp_accept(struct link *);
/* What the provider reads first of this client; NULL without memory. */
struct backlog *tcp_proxy_header(const struct link *, int client);
/* Before the close: the other end is to read a reset, unless something is on its way to it. */
void tcp_break(int fd);
/* As PVX_RELAY_LINK has them. False: they are none. */
bool tcp_access_rules(struct access *, const uint8_t *rules, size_t length);

#endif
