/* The words of the supervisor, and streams of records with descriptors: handover.h. */
#include "handover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_socket_of(int fd, int type)
{
	socklen_t length = sizeof(int);
	int found = 0;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &found, &length) == 0 && found == type;
}

void handover_init(bool *supervisor, bool *input)
{
	*supervisor = is_socket_of(HANDOVER_SUPERVISOR, SOCK_SEQPACKET);
	*input = is_socket_of(HANDOVER_INPUT, SOCK_STREAM);
	if (!*supervisor)
		close(HANDOVER_SUPERVISOR);
	if (!*input)
		close(HANDOVER_INPUT);
}

int handover_hear(int flags, struct handover_word *word)
{
	char text[16], control[CONTROL_RECEIVED_SIZE], *end;
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	ssize_t n = recvmsg(HANDOVER_SUPERVISOR, &message, flags | MSG_CMSG_CLOEXEC);
	int fds[MESSAGE_FDS_MAX];
	unsigned long number;
	uint32_t nfds;

	if (n < 0)
		return transient(errno) ? 0 : -1;
	if (n == 0)
		return -1;
	nfds = control_fds(&message, fds);
	for (uint32_t i = 1; i < nfds; i++)
		close(fds[i]);
	text[n] = 0;
	errno = 0;
	number = strtoul(text + 1, &end, 10);
	*word = (struct handover_word){ .letter = text[0], .number = UINT32_MAX, .fd = nfds > 0 ? fds[0] : -1 };
	if (end > text + 1 && errno == 0 && number < UINT32_MAX)
		word->number = (uint32_t)number;
	return 1;
}

bool handover_is(const struct handover_word *word, char letter)
{
	return word->letter == letter && word->number == PVX_BETWEEN_VERSIONS;
}

void handover_say(char letter)
{
	struct iovec iov = { .iov_base = &letter, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	(void)!sendmsg(HANDOVER_SUPERVISOR, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t handover_send(int stream, const void *bytes, size_t length, const int *fds, uint32_t nfds, int flags)
{
	_Alignas(struct cmsghdr) char control[CONTROL_SIZE];
	struct iovec iov = { .iov_base = (void *)bytes, .iov_len = length };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	control_put(&message, control, fds, nfds);
	return sendmsg(stream, &message, flags | MSG_NOSIGNAL);
}

const char *handover_read(struct handover_input *input, void *bytes, size_t length)
{
	for (size_t done = 0; done < length;) {
		_Alignas(struct cmsghdr) char control[CONTROL_RECEIVED_SIZE];
		struct iovec iov = { .iov_base = (char *)bytes + done, .iov_len = length - done };
		struct msghdr message = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
		};
		ssize_t n = recvmsg(input->stream, &message, MSG_CMSG_CLOEXEC);
		int fds[MESSAGE_FDS_MAX];
		uint32_t nfds;

		if (n < 0 && (errno == EINTR || errno == ENOMEM || errno == ENOBUFS))
			continue;
		if (n <= 0)
			return "it ended too early";
		nfds = control_fds(&message, fds);
		if (message.msg_flags & MSG_CTRUNC)
			return "there is no room for its descriptors: the limit of open files is too low";
		if (nfds > MESSAGE_FDS_MAX - input->nfds)
			return "it has too many descriptors";
		memcpy(input->fds + input->nfds, fds, nfds * sizeof(int));
		input->nfds += nfds;
		done += (size_t)n;
	}
	return NULL;
}

bool handover_fds(struct handover_input *input, int *fds, uint32_t n)
{
	if (n > input->nfds)
		return false;
	memcpy(fds, input->fds, n * sizeof(int));
	input->nfds -= n;
	memmove(input->fds, input->fds + n, input->nfds * sizeof(int));
	return true;
}
