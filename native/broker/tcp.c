/*
 * TCP: sockets that listen and connect in the network namespace of a container, or in our own.
 *
 * Only the making of the socket needs the namespace; where it belongs is settled from then on. No name is looked
 * up and no handshake is waited for. Whether somebody listens is asked of the kernel (sock_diag(7)), which finds
 * the listener that a connection would find: connecting to see would be a connection that the listener sees too.
 */
#include "broker.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define BACKLOG 4096
#define IDLE_S 60 /* a client that vanished without a word is noticed after 2 minutes */
#define PROBE_S 15
#define PROBES 4

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

/* `*size`: of the address that is meant. */
static int address_of(const char *bytes, uint32_t length, uint32_t port, union address *address, socklen_t *size)
{
	memset(address, 0, sizeof(*address));
	if (port == 0 || port > UINT16_MAX)
		return EINVAL;
	if (length == sizeof(address->four.sin_addr)) {
		address->four.sin_family = AF_INET;
		address->four.sin_port = htons((uint16_t)port);
		memcpy(&address->four.sin_addr, bytes, length);
		*size = sizeof(address->four);
	} else if (length == sizeof(address->six.sin6_addr)) {
		address->six.sin6_family = AF_INET6;
		address->six.sin6_port = htons((uint16_t)port);
		memcpy(&address->six.sin6_addr, bytes, length);
		*size = sizeof(address->six);
	} else {
		return EINVAL;
	}
	return 0;
}

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? errno : 0;
}

/* Those that are accepted inherit all of this. */
static int listener_options(int fd, int family)
{
	int error = set(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* connections of an earlier listener may still end */

	if (!error && family == AF_INET6)
		error = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!error)
		error = set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (!error)
		error = set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (!error)
		error = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S);
	if (!error)
		error = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_S);
	return error ? error : set(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
}

/* A socket for that address. On an error it is -1. */
static int tcp_socket(const struct container *c, const char *bytes, uint32_t length, uint32_t port,
		      union address *address, socklen_t *size, int *fd)
{
	int error = address_of(bytes, length, port, address, size);

	*fd = -1;
	return error ? error : thread_socket(c, address->any.sa_family, SOCK_STREAM, 0, fd);
}

int tcp_listen(const struct container *c, const char *bytes, uint32_t length, uint32_t port, int *fd)
{
	union address address;
	socklen_t size;
	int error = tcp_socket(c, bytes, length, port, &address, &size, fd);

	if (!error)
		error = listener_options(*fd, address.any.sa_family);
	if (!error && (bind(*fd, &address.any, size) < 0 || listen(*fd, BACKLOG) < 0))
		error = errno;
	if (error)
		CLOSE_FD(*fd);
	return error;
}

/* Without a listener at a port that the kernel may also pick for us, a socket can meet itself: both ends the same,
 * and the port taken from whoever was to listen there. */
static bool met_itself(int fd, const union address *address, socklen_t size)
{
	union address own = { 0 };
	socklen_t length = sizeof(own);

	return getsockname(fd, &own.any, &length) == 0 && length == size &&
	       own.four.sin_port == address->four.sin_port &&
	       (address->any.sa_family == AF_INET ?
			own.four.sin_addr.s_addr == address->four.sin_addr.s_addr :
			memcmp(&own.six.sin6_addr, &address->six.sin6_addr, sizeof(own.six.sin6_addr)) == 0);
}

int tcp_connect(const struct container *c, const char *bytes, uint32_t length, uint32_t port, int *fd)
{
	union address address;
	socklen_t size;
	int error = tcp_socket(c, bytes, length, port, &address, &size, fd);

	if (!error)
		error = set(*fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (!error && RETRY(connect(*fd, &address.any, size)) < 0 && errno != EINPROGRESS)
		error = errno;
	if (!error && met_itself(*fd, &address, size)) {
		struct linger at_once = { .l_onoff = 1 };

		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)); /* leaves nothing at the port */
		error = ECONNREFUSED;
	}
	if (error)
		CLOSE_FD(*fd);
	return error;
}

struct question {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

/* What the kernel answers at once. The answer's type; NLMSG_ERROR where there is none that can be read. */
static uint16_t ask(int netlink, struct question *question, uint16_t flags, int *error, struct inet_diag_msg *found)
{
	union {
		struct nlmsghdr header;
		char space[1024];
	} answer = { 0 };
	struct iovec out = { .iov_base = question, .iov_len = sizeof(*question) },
		     in = { .iov_base = &answer, .iov_len = sizeof(answer) };
	ssize_t n;

	question->header = (struct nlmsghdr){ .nlmsg_len = sizeof(*question), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
					      .nlmsg_flags = NLM_F_REQUEST | flags };
	*error = EOPNOTSUPP;
	if (RETRY(sendmsg(netlink, &(struct msghdr){ .msg_iov = &out, .msg_iovlen = 1 }, 0)) < 0)
		return NLMSG_ERROR;
	n = RETRY(recvmsg(netlink, &(struct msghdr){ .msg_iov = &in, .msg_iovlen = 1 }, 0));
	if (n >= (ssize_t)NLMSG_LENGTH(sizeof(*found)) && answer.header.nlmsg_type == SOCK_DIAG_BY_FAMILY) {
		memcpy(found, NLMSG_DATA(&answer.header), sizeof(*found));
		*error = 0;
	} else if (n >= (ssize_t)NLMSG_LENGTH(sizeof(int)) && answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY) {
		memcpy(error, NLMSG_DATA(&answer.header), sizeof(int));
		*error = -*error;
	} else {
		return NLMSG_ERROR;
	}
	return answer.header.nlmsg_type;
}

/* "There is no such socket" and "there is nobody who could tell" are one errno, ENOENT. But a list of sockets in
 * no state at all is empty where somebody can tell. */
static int whether_told(int netlink, struct question *question)
{
	struct inet_diag_msg found;
	int error;

	question->body.idiag_states = 0;
	return ask(netlink, question, NLM_F_DUMP, &error, &found) == NLMSG_DONE && error == 0 ? ECONNREFUSED : EOPNOTSUPP;
}

int tcp_probe(const struct container *c, const char *bytes, uint32_t length, uint32_t port)
{
	struct question question = { .body = { .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0u } };
	struct inet_diag_msg found;
	union address address;
	socklen_t size;
	int netlink, error = address_of(bytes, length, port, &address, &size);

	if (error)
		return error;
	question.body.sdiag_family = (uint8_t)address.any.sa_family;
	question.body.id.idiag_sport = htons((uint16_t)port);
	memcpy(question.body.id.idiag_src, bytes, length);
	memset(question.body.id.idiag_cookie, 0xff, sizeof(question.body.id.idiag_cookie)); /* INET_DIAG_NOCOOKIE */
	error = thread_socket(c, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG, &netlink);
	if (error)
		return error == EPROTONOSUPPORT || error == EAFNOSUPPORT ? EOPNOTSUPP : error;
	if (ask(netlink, &question, 0, &error, &found) == SOCK_DIAG_BY_FAMILY)
		error = found.idiag_state == TCP_LISTEN ? 0 : ECONNREFUSED;
	else if (error == ENOENT)
		error = whether_told(netlink, &question);
	CLOSE_FD(netlink);
	return error;
}
