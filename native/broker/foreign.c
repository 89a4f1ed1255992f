/*
 * Descriptors that come with a message, of whatever somebody else opened: collected, and closed where nothing waits.
 *
 * Closing one may block for as long as its maker likes: a file of a FUSE file system that never answers, a TCP socket
 * that lingers. So it is done by threads that do nothing else, and whatever may carry such descriptors is taken only
 * while there is room for them to wait.
 */
#include "broker.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLOSERS 4
#define QUEUE 8192      /* a power of two; with what all threads may have in hand, more than WAITING_MAX */
#define WAITING_MAX 4096
#define PIDFD 4         /* SCM_PIDFD, which not every C library knows */
_Static_assert(WAITING_MAX + 2 * THREADS_PER_CHANNEL * FDS_MAX < QUEUE, "what is under way finds room");

static int queue[QUEUE];
static uint32_t head, tail, most = WAITING_MAX; /* both only grow */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;

static void *close_them(void *nothing)
{
	for (;;) {
		int fd;

		pthread_mutex_lock(&lock);
		while (head == tail)
			pthread_cond_wait(&more, &lock);
		fd = queue[head++ % QUEUE];
		pthread_mutex_unlock(&lock);
		close(fd);
	}
	return nothing;
}

int foreign_init(void)
{
	struct rlimit limit;
	int error = 0;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 < most)
		most = (uint32_t)limit.rlim_cur / 4;
	for (int i = 0; i < CLOSERS && !error; i++)
		error = thread_start(close_them, NULL);
	return error;
}

bool foreign_room(void)
{
	bool room;

	pthread_mutex_lock(&lock);
	room = tail - head < most;
	pthread_mutex_unlock(&lock);
	return room;
}

void foreign_close(const int *fds, uint32_t n)
{
	if (n == 0)
		return;
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < n; i++) {
		if (tail - head < QUEUE) {
			queue[tail++ % QUEUE] = fds[i];
			continue;
		}
		/* A flood of descriptors that the daemon was not asked for: who sends it may wait for it. */
		pthread_mutex_unlock(&lock);
		close(fds[i]);
		pthread_mutex_lock(&lock);
	}
	pthread_cond_broadcast(&more);
	pthread_mutex_unlock(&lock);
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
