/* Messages of sockets: bytes with the descriptors that go with them, and which failures pass. */
#ifndef PVX_MESSAGE_H
#define PVX_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "closer.h"

#define MESSAGE_FDS_MAX 253u /* SCM_MAX_FD */
/* Of the buffer for what is sent along with a message. */
#define CONTROL_SIZE CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)
/* Of the buffer for what comes along: credentials or a time of arrival, too. */
#define CONTROL_RECEIVED_SIZE (CONTROL_SIZE + CMSG_SPACE(64))

/* Every descriptor of a message that was received, before anything else is looked at: MESSAGE_FDS_MAX at most, the
 * caller's. Returns how many. */
uint32_t control_fds(struct msghdr *, int *fds);
/* Has a message carry these descriptors, which stay the caller's. `buffer` has CONTROL_SIZE bytes. */
void control_put(struct msghdr *, void *buffer, const int *fds, uint32_t nfds);
/* recv(2) without waiting: descriptors that came along are closed on that account. -1 and ETOOMANYREFS: there were some,
 * and the account has too many already. */
ssize_t receive_bytes(int fd, void *data, size_t length, struct closing *);
/* Whether a call, or the broker, that failed with this errno may succeed in a moment. No event tells when, but of
 * EAGAIN. */
bool transient(int error);
int socket_domain(int fd); /* AF_*. -1: it is no socket */
/* How the handshake of a TCP socket stands: 0, EINPROGRESS, or why it failed. */
int tcp_shaken(int fd);

#endif
