/*
 * Links that lead in a circle: a provider's socket may, by symlink or address, be what a link of ours listens on. A chain
 * of links ends somewhere; a ring does not, and one connection would be followed by as many as there may be, for ever.
 *
 * A listener is known by its address, and so is what a connection has reached. (A unix socket keeps the name that it was
 * bound under, which the broker picks at random, whatever it was renamed to; addresses of IP count within their network.)
 * Each link remembers to which link its last connection led. The connection that would close a ring is refused, and what
 * it led to is not remembered: the others of the ring go on leading to it, and end there.
 *
 * What was refused has left a connection in the queue of a listener of the ring, and to try for that one would leave the
 * next. So in a ring nobody is tried for at once, and for those who have gone by then not at all.
 */
#include "relay-ring.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static bool is_ip(const struct name *name)
{
	return name->address.any.sa_family == AF_INET || name->address.any.sa_family == AF_INET6;
}

/* `ask`: getsockname(2) or getpeername(2). Length 0: it has none that could be compared. */
static void name_of(int fd, int (*ask)(int, struct sockaddr *, socklen_t *), struct name *name)
{
	socklen_t length = sizeof(name->network);

	*name = (struct name){ .length = sizeof(name->address) };
	if (ask(fd, &name->address.any, &name->length) < 0 || name->length <= sizeof(sa_family_t))
		name->length = 0;
	if (name->length > sizeof(name->address))
		name->length = sizeof(name->address);
	if (name->length > 0 && is_ip(name) &&
	    getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &name->network, &length) < 0)
		name->length = 0;
}

static int sock_name(int fd, struct sockaddr *address, socklen_t *length)
{
	return getsockname(fd, address, length);
}

static int peer_name(int fd, struct sockaddr *address, socklen_t *length)
{
	return getpeername(fd, address, length);
}

/* A listener of all addresses has the one that was connected to. The port is at the same place in both families. */
static bool same(const struct name *listener, const struct name *reached)
{
	if (listener->length == 0 || listener->length != reached->length ||
	    listener->address.any.sa_family != reached->address.any.sa_family || listener->network != reached->network)
		return false;
	if (!is_ip(listener))
		return memcmp(&listener->address, &reached->address, reached->length) == 0;
	if (listener->address.four.sin_port != reached->address.four.sin_port)
		return false;
	if (listener->address.any.sa_family == AF_INET)
		return listener->address.four.sin_addr.s_addr == INADDR_ANY ||
		       listener->address.four.sin_addr.s_addr == reached->address.four.sin_addr.s_addr;
	return IN6_IS_ADDR_UNSPECIFIED(&listener->address.six.sin6_addr) ||
	       IN6_ARE_ADDR_EQUAL(&listener->address.six.sin6_addr, &reached->address.six.sin6_addr);
}

void ring_listens(struct link *link)
{
	name_of(link->listener.fd, sock_name, &link->ring.name);
}

/* NULL: none of ours. */
static struct link *reached_by(struct relay *relay, int fd)
{
	struct name name;

	name_of(fd, peer_name, &name);
	/* The broker binds through our folder in /proc, and hardly anybody else does. */
	if (name.length == 0 || (!is_ip(&name) && strncmp(name.address.local.sun_path, "/proc/self/fd/", 14) != 0))
		return NULL;
	for (struct list *node = relay->links.next; node != &relay->links; node = node->next) {
		struct link *link = list_entry(node, struct link, node);

		if (link->listener.fd >= 0 && same(&link->ring.name, &name))
			return link;
	}
	return NULL;
}

static struct link *next_of(const struct link *link)
{
	struct relay *relay = link->relay;

	if (link->ring.next == 0)
		return NULL;
	for (struct list *node = relay->links.next; node != &relay->links; node = node->next)
		if (list_entry(node, struct link, node)->number == link->ring.next)
			return list_entry(node, struct link, node);
	return NULL;
}

/* Whether the way from `from` passes `link`; there is no ring on it, as none is ever remembered. */
static bool leads_to(struct link *from, const struct link *link)
{
	for (; from; from = next_of(from))
		if (from == link)
			return true;
	return false;
}

/* The link closes a ring no more: nor do those that led to it fail. */
static void open_ring(struct link *link)
{
	struct relay *relay = link->relay;

	link->ring.closes = false;
	for (struct list *node = relay->links.next; node != &relay->links; node = node->next) {
		struct link *other = list_entry(node, struct link, node);

		if (other->ring.member && leads_to(other, link))
			other->ring.member = false;
	}
}

bool ring_gone(const struct link *link, int client)
{
	/* Of TCP, that it will say no more is all that can be known; a unix socket tells POLLHUP unasked. */
	struct pollfd gone = { .fd = client, .events = is_ip(&link->ring.name) ? POLLRDHUP : 0 };

	return ring_suspected(link) && poll(&gone, 1, 0) > 0;
}

bool ring_closed(struct link *link, int fd)
{
	struct link *to = reached_by(link->relay, fd);
	bool closed = to && leads_to(to, link);

	if (!closed) {
		if (link->ring.closes)
			open_ring(link);
		link->ring.next = to ? to->number : 0;
		return false;
	}
	link->ring.closes = true;
	link->ring.next = 0;
	for (; to; to = next_of(to)) {
		to->ring.member = true;
		link_upstream_result(to, EDEADLK);
	}
	return true;
}
