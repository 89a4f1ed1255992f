/*
 * Descriptors that come with a message, of whatever somebody else opened: collected, and closed where nothing waits.
 *
 * Closing one may block for as long as its maker likes (../closer.c), so it is done on the account of the container that
 * they come from, by threads that do nothing else: what hangs takes one of them from all, and what comes from there later
 * waits behind it. Whatever may carry such descriptors is taken only while there is room for them to wait, in that
 * account and in all. The threads are made before the filter is there: should as many containers as there are threads
 * have one hang, what others hand over is not closed until one goes on, within the same bounds, and nobody waits for it.
 */
#include "broker.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define CLOSERS 32       /* idle, some 20 KiB each, most of it the kernel's */
#define WAITING_MAX 4096 /* of all accounts */
#define SHARE 8          /* one account has at most so small a part of that; and CLOSING_MAX */
#define PIDFD 4          /* SCM_PIDFD, which not every C library knows */
/* What is under way in all threads may come on top. An account whose container was let go has one at least that is
 * not closed. */
#define ACCOUNTS (1 + PVX_CONTAINERS_MAX + WAITING_MAX + 2 * CHANNELS * THREADS_PER_CHANNEL * FDS_MAX)
/* More than are ever open: of containers, plants, grants, and what waits. The kernel gives the lowest that is free. */
#define DESCRIPTORS 65536

static uint32_t most = WAITING_MAX, most_each = CLOSING_MAX;
static struct closing *of_nobody;

int foreign_init(void)
{
	struct rlimit limit;
	int error = closers_reserve(ACCOUNTS, DESCRIPTORS);

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 < most)
		most = (uint32_t)limit.rlim_cur / 4;
	if (most / SHARE < most_each)
		most_each = most / SHARE;
	if (!error && !(of_nobody = closing_new()))
		error = ENOMEM;
	return error ? error : closers_start(CLOSERS, CLOSERS);
}

struct closing *foreign_account(uint32_t sender, uint32_t receiver)
{
	struct closing *account = container_account(sender);

	if (!account)
		account = container_account(receiver);
	return account ? account : closing_ref(of_nobody);
}

/* Sockets of ours, as nearly always, with what somebody sent there perhaps. One whose account hangs goes on sending what
 * carries nothing, so there is an end to what is put behind that. A flood of what the daemon was not asked for: who sends
 * it may wait for it. */
void foreign_close(struct closing *from, int *fds, uint32_t n)
{
	if (closing_owed(from) >= most_each)
		from = of_nobody;
	if (closing_owed(from) < most_each) {
		closing_take(from, fds, n);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		CLOSE_FD(fds[i]);
}

bool foreign_room(const struct closing *from)
{
	return closing_owed(from) < most_each && closing_owed(NULL) < most;
}

/* All that a message carried, whatever it came as; the number of those in `fds`, which has room for FDS_MAX. What
 * the kernel adds of its own accord is closed. */
uint32_t foreign_take(struct msghdr *message, int *fds)
{
	uint32_t taken = 0;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg; cmsg = CMSG_NXTHDR(message, cmsg)) {
		size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fd;

		if (cmsg->cmsg_level != SOL_SOCKET)
			continue;
		if (cmsg->cmsg_type == SCM_RIGHTS && n <= FDS_MAX - taken) {
			memcpy(fds + taken, CMSG_DATA(cmsg), n * sizeof(int));
			taken += (uint32_t)n;
		} else if (cmsg->cmsg_type == SCM_RIGHTS || cmsg->cmsg_type == PIDFD) {
			for (size_t i = 0; i < n; i++) {
				memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
				CLOSE_FD(fd);
			}
		}
	}
	return taken;
}
