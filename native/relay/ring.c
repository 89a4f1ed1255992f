/*
 * Links that lead in a circle: a provider's socket may, by symlink or address, be what a link of ours listens on. A chain
 * of links ends somewhere; a ring does not, and one connection would be followed by as many as there may be, for ever.
 *
 * A listener is known by its address, and so is what a connection has reached. (A unix socket keeps the name that it was
 * bound under, which the broker picks at random, whatever it was renamed to; addresses of IP count within their network.)
 * Each link remembers to which listener its last connection led. The connection that would close a ring is refused, and
 * what it led to is not remembered: the others of the ring go on leading to it, and end there. What is remembered holds
 * for a while only, as who was led to may lead elsewhere by now: a ring that is still there is found one round later.
 *
 * Connections that the daemon makes for a link count as the relay's own do. Several links may be served on one
 * listener (`on`); who reaches it may be led on by any of them.
 *
 * What was refused has left a connection in the queue of a listener of the ring, and to try for that one would leave the
 * next. So in a ring nobody is tried for at once, and for those who have gone by then not at all.
 */
#include "ring.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define REMEMBERED_MS 5000

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

static bool same_ip(const struct name *one, const struct name *other)
{
	if (one->address.any.sa_family == AF_INET)
		return one->address.four.sin_addr.s_addr == other->address.four.sin_addr.s_addr;
	return IN6_ARE_ADDR_EQUAL(&one->address.six.sin6_addr, &other->address.six.sin6_addr);
}

static bool is_any(const struct name *name)
{
	if (name->address.any.sa_family == AF_INET)
		return name->address.four.sin_addr.s_addr == INADDR_ANY;
	return IN6_IS_ADDR_UNSPECIFIED(&name->address.six.sin6_addr);
}

/* Whether what a connection reached is an address of the network that it was made in: then it comes from there, too, or
 * from the loopback address that its own loopback network has (ip-route(8), table local). */
static bool is_here(int fd, const struct name *reached)
{
	struct name own;

	if (reached->address.any.sa_family == AF_INET && ntohl(reached->address.four.sin_addr.s_addr) >> 24 == 127)
		return true;
	name_of(fd, sock_name, &own);
	return own.length == reached->length && own.address.any.sa_family == reached->address.any.sa_family &&
	       same_ip(&own, reached);
}

/* A listener of all addresses has the one that was reached if that is `here`. The port is at the same place in both
 * families. */
static bool same(const struct name *listener, const struct name *reached, bool here)
{
	if (listener->length == 0 || listener->length != reached->length ||
	    listener->address.any.sa_family != reached->address.any.sa_family || listener->network != reached->network)
		return false;
	if (!is_ip(listener))
		return memcmp(&listener->address, &reached->address, reached->length) == 0;
	return listener->address.four.sin_port == reached->address.four.sin_port &&
	       (same_ip(listener, reached) || (here && is_any(listener)));
}

static struct link *link_at(struct list *node)
{
	return list_entry(node, struct link, node);
}

bool ring_is_ip(const struct link *link)
{
	return is_ip(&link->ring.name);
}

void ring_forget(struct link *link)
{
	struct list *links = &link->relay->links;

	for (struct list *node = links->next; node != links; node = node->next) {
		struct link *other = link_at(node);

		if (other->ring.on == link)
			other->ring.on = NULL;
		if (other->ring.next == link)
			other->ring.next = NULL;
	}
}

void ring_listens(struct link *link)
{
	link->ring.name = (struct name){ .length = 0 };
	if (link->listener.fd >= 0)
		name_of(link->listener.fd, sock_name, &link->ring.name);
}

/* NULL: none of ours. */
static struct link *reached_by(struct relay *relay, int fd)
{
	struct name name;
	bool here;

	name_of(fd, peer_name, &name);
	/* The broker binds through our folder in /proc, and hardly anybody else does. */
	if (name.length == 0 || (!is_ip(&name) && strncmp(name.address.local.sun_path, "/proc/self/fd/", 14) != 0))
		return NULL;
	here = is_ip(&name) && is_here(fd, &name);
	for (struct list *node = relay->links.next; node != &relay->links; node = node->next)
		if (same(&link_at(node)->ring.name, &name, here))
			return link_at(node);
	return NULL;
}

/* Whether it is what this link's clients connect to. */
static bool serves(const struct link *listener, const struct link *link)
{
	return link->ring.on ? link->ring.on == listener : link == listener;
}

/* Whether a way from that listener ends at one that serves `to`; or, `to` being NULL, at a link that closes a ring.
 * Of what was remembered since then; nobody is asked twice in a round. */
static bool ways_on(struct link *from, const struct link *to, uint64_t since)
{
	struct relay *relay = from->relay;

	if (to && serves(from, to))
		return true;
	if (from->ring.round == relay->ring_round)
		return false;
	from->ring.round = relay->ring_round;
	for (struct list *node = relay->links.next; node != &relay->links; node = node->next) {
		struct link *next, *link = link_at(node);

		if (!serves(from, link))
			continue;
		if (!to && link->ring.closes)
			return true;
		next = link->ring.led_at >= since ? link->ring.next : NULL;
		if (next && ways_on(next, to, since))
			return true;
	}
	return false;
}

static bool leads_to(struct link *from, const struct link *to, uint64_t since)
{
	from->relay->ring_round++;
	return ways_on(from, to, since);
}

/* Those whose way passes no link any more that closes a ring are members of none, and are told. */
static void settle(struct relay *relay)
{
	for (struct list *node = relay->links.next; node != &relay->links; node = node->next) {
		struct link *link = link_at(node), *next = link->ring.next;

		if (!link->ring.member || (next && leads_to(next, NULL, 0)))
			continue;
		link->ring.member = false;
		if (link->last_errno == EDEADLK)
			link_upstream_result(link, 0);
	}
}

/* Each link on a way from `to` back to the one that leads there. */
static void mark_members(struct link *to, const struct link *link, uint64_t since)
{
	struct relay *relay = link->relay;

	for (struct list *node = relay->links.next; node != &relay->links; node = node->next) {
		struct link *other = link_at(node), *next;

		next = other->ring.led_at >= since ? other->ring.next : NULL;
		if (other == link || !next || !leads_to(next, link, since) ||
		    !leads_to(to, other, since))
			continue;
		other->ring.member = true;
		link_upstream_result(other, EDEADLK);
	}
}

bool ring_gone(const struct link *link, int client)
{
	/* A unix socket tells POLLHUP unasked. Of TCP, that it will say no more is all that can be known, and that
	 * it said nothing before, as does a connection that was refused. */
	bool ip = is_ip(&link->ring.name);
	struct pollfd gone = { .fd = client, .events = ip ? POLLRDHUP : 0 };
	int unread = 0;

	if (!ring_suspected(link) || poll(&gone, 1, 0) <= 0)
		return false;
	return !ip || gone.revents & (POLLHUP | POLLERR) || ioctl(client, FIONREAD, &unread) < 0 || unread == 0;
}

enum pvx_ring ring_led(struct link *link, struct link *listener, int fd)
{
	uint64_t now = relay_now(), since = now > REMEMBERED_MS ? now - REMEMBERED_MS : 0;
	struct link *to = reached_by(link->relay, fd);
	bool suspected = ring_suspected(link);

	link->ring.on = listener == link ? NULL : listener;
	if (to && leads_to(to, link, since)) {
		link->ring.closes = true;
		link->ring.next = NULL;
		mark_members(to, link, since);
		return PVX_RING_CLOSED;
	}
	link->ring.closes = false;
	link->ring.next = to;
	link->ring.led_at = now;
	if (suspected)
		settle(link->relay);
	return link->ring.member ? PVX_RING_MEMBER : PVX_RING_NONE;
}

bool ring_closed(struct link *link, int fd)
{
	if (ring_led(link, link, fd) != PVX_RING_CLOSED)
		return false;
	link_upstream_result(link, EDEADLK);
	return true;
}
