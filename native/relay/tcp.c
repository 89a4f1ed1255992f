/*
 * What TCP has and unix sockets have not.
 *
 * A client is told from others by its address, and a client that may not connect is closed before anything is
 * asked or allocated for it. The PROXY protocol (proxy-protocol.txt of HAProxy, versions 1 and 2) tells a
 * provider who its client is; a client without an IP address is UNKNOWN, or LOCAL, there. And where one end of a
 * connection was reset, so is the other: to close it would say that all was said.
 */
#include "tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HEADER_MAX 107u /* of version 1, its end included; version 2 takes less */

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

bool tcp_access_rules(struct access *access, const uint8_t *rules, size_t length)
{
	if (length % PVX_RULE_SIZE || length / PVX_RULE_SIZE > PVX_RULES_MAX)
		return false;
	access->nrules = (uint32_t)(length / PVX_RULE_SIZE);
	for (uint32_t i = 0; i < access->nrules; i++) {
		struct rule *rule = &access->rules[i];

		rule->family = rules[i * PVX_RULE_SIZE];
		rule->bits = rules[i * PVX_RULE_SIZE + 1];
		memcpy(rule->address, rules + i * PVX_RULE_SIZE + 2, sizeof(rule->address));
		if (!(rule->family == 4 && rule->bits <= 32) && !(rule->family == 6 && rule->bits <= 128))
			return false;
	}
	return true;
}

static bool matches(const struct rule *rule, const uint8_t *address)
{
	uint32_t whole = rule->bits / 8u, rest = rule->bits % 8u;

	if (memcmp(rule->address, address, whole) != 0)
		return false;
	return rest == 0 || ((rule->address[whole] ^ address[whole]) & (0xff00 >> rest & 0xff)) == 0;
}

static bool allowed(const struct access *access, const union address *client)
{
	const uint8_t *bytes;
	uint8_t family;

	if (client->any.sa_family == AF_INET) {
		family = 4;
		bytes = (const uint8_t *)&client->four.sin_addr;
	} else if (client->any.sa_family == AF_INET6) {
		family = 6;
		bytes = (const uint8_t *)&client->six.sin6_addr;
	} else {
		return false;
	}
	for (uint32_t i = 0; i < access->nrules; i++)
		if (access->rules[i].family == family && matches(&access->rules[i], bytes))
			return true;
	return false;
}

int tcp_accept(struct link *link)
{
	union address client = { 0 };
	socklen_t length = sizeof(client);
	int fd;

	if (!link->access || !link->access->limited)
		return accept4(link->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	fd = accept4(link->listener.fd, &client.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 || allowed(link->access, &client))
		return fd;
	close(fd);
	errno = EPERM;
	return -1;
}

/* Both ends as IP addresses of one family? */
static bool ends_of(int fd, union address *client, union address *ours)
{
	socklen_t length = sizeof(*client), our_length = sizeof(*ours);

	if (getpeername(fd, &client->any, &length) < 0 || getsockname(fd, &ours->any, &our_length) < 0)
		return false;
	return client->any.sa_family == ours->any.sa_family &&
	       (client->any.sa_family == AF_INET || client->any.sa_family == AF_INET6);
}

static size_t header_1(char *header, const union address *client, const union address *ours)
{
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	bool four;

	if (!client)
		return (size_t)sprintf(header, "PROXY UNKNOWN\r\n");
	four = client->any.sa_family == AF_INET;
	inet_ntop(client->any.sa_family, four ? (const void *)&client->four.sin_addr : &client->six.sin6_addr, source,
		  sizeof(source));
	inet_ntop(client->any.sa_family, four ? (const void *)&ours->four.sin_addr : &ours->six.sin6_addr, destination,
		  sizeof(destination));
	/* The port is at the same place in both families. */
	return (size_t)sprintf(header, "PROXY TCP%c %s %s %u %u\r\n", four ? '4' : '6', source, destination,
			       ntohs(client->four.sin_port), ntohs(ours->four.sin_port));
}

static size_t header_2(char *header, const union address *client, const union address *ours)
{
	static const char start[] = "\r\n\r\n\0\r\nQUIT\n\x21"; /* version 2, command PROXY */
	size_t n = sizeof(start) - 1, address;
	bool four;

	memcpy(header, start, n);
	memset(header + n, 0, 3); /* family unspecified, nothing follows */
	if (!client) {
		header[n - 1] = 0x20; /* command LOCAL, as HAProxy has it: not every receiver takes PROXY of nobody */
		return n + 3;
	}
	four = client->any.sa_family == AF_INET;
	address = four ? 4 : 16;
	header[n] = four ? 0x11 : 0x21; /* over TCP */
	header[n + 2] = (char)(2 * address + 4);
	n += 3;
	memcpy(header + n, four ? (const void *)&client->four.sin_addr : &client->six.sin6_addr, address);
	memcpy(header + n + address, four ? (const void *)&ours->four.sin_addr : &ours->six.sin6_addr, address);
	n += 2 * address;
	memcpy(header + n, &client->four.sin_port, 2);
	memcpy(header + n + 2, &ours->four.sin_port, 2);
	return n + 4;
}

struct backlog *tcp_proxy_header(const struct link *link, int fd)
{
	union address client = { 0 }, ours = { 0 };
	bool known = ends_of(fd, &client, &ours);
	char header[HEADER_MAX + 1];
	size_t length = (link->access->proxy == 1 ? header_1 : header_2)(header, known ? &client : NULL, &ours);

	return backlog_new(header, length, NULL, 0);
}

void tcp_break(int fd)
{
	struct linger at_once = { .l_onoff = 1 };
	int unsent = 0;

	if (ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent == 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)); /* tcp(7); nothing to a unix socket */
}
