/*
 * Descriptors that came from others are closed here, by threads that may hang alone.
 *
 * close(2) can take for ever: it waits for who serves a file of FUSE, for the linger time that the owner of a TCP
 * socket chose (socket(7)), for a file system that nobody else uses any more. The kernel takes the time of the
 * thread that closes, and a unix socket is closed with all the descriptors in its queue.
 *
 * Each account has one thread at a time at most, so whoever hands over what hangs has one thread hang, and all that
 * comes from him later waits behind it: up to CLOSING_MAX, then nothing more is taken from him. Others have theirs.
 *
 * A process that gets no more memory (the broker's filter) says at the start how much this will need: what waits is
 * chained by the numbers of the descriptors, which nobody else has until they are closed, and accounts are used again.
 *
 *            closing_take                  a thread is free
 *   at rest --------------> it waits ----------------------> a thread closes, all that there is
 *      ^                        ^                                  |              |
 *      |                        +------- more has come meanwhile --+              |
 *      +---------------------------------------- nothing is left ----------------+
 */
#include "closer.h"
#include "message.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STACK 65536
#define IDLE_S 5 /* then a thread that is not standing ends */

struct closing {
	struct closing *next; /* of those that wait for a thread */
	int head, tail;       /* of what is not begun yet, if `n` of it is more than 0 */
	uint32_t n, refs;
	bool waits, worked; /* for a thread; by one */
	atomic_uint owed;   /* not closed yet */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards everything below, and accounts but for `owed` */
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static struct closing *first, **last = &first;
static struct closing *unused, *fresh; /* accounts: a list; in a row, never touched, so many: */
static uint32_t nfresh;
static int *behind; /* by descriptor that waits: the next one of its account */
static uint32_t nbehind;
static atomic_uint owed_by_all;
static uint32_t nwaiting, nthreads, nidle, standing_threads, most_threads = 256;

struct closing *closing_new(void)
{
	struct closing *c;

	pthread_mutex_lock(&lock);
	c = unused;
	if (c)
		unused = c->next;
	else if (nfresh > 0)
		c = &fresh[--nfresh];
	else
		c = malloc(sizeof(*c));
	if (c)
		*c = (struct closing){ .refs = 1 };
	pthread_mutex_unlock(&lock);
	return c;
}

struct closing *closing_ref(struct closing *c)
{
	pthread_mutex_lock(&lock);
	c->refs++;
	pthread_mutex_unlock(&lock);
	return c;
}

/* Locked. While something is to be closed the account stays. */
static void drop(struct closing *c)
{
	if (--c->refs > 0)
		return;
	c->next = unused;
	unused = c;
}

void closing_unref(struct closing *c)
{
	pthread_mutex_lock(&lock);
	drop(c);
	pthread_mutex_unlock(&lock);
}

bool closing_full(const struct closing *c)
{
	return closing_owed(c) >= CLOSING_MAX;
}

uint32_t closing_owed(const struct closing *c)
{
	return atomic_load_explicit(c ? &c->owed : &owed_by_all, memory_order_relaxed);
}

/* Locked. */
static void enqueue(struct closing *c)
{
	c->waits = true;
	c->next = NULL;
	*last = c;
	last = &c->next;
	nwaiting++;
}

static struct closing *dequeue(void)
{
	struct closing *c = first;

	first = c->next;
	if (!first)
		last = &first;
	nwaiting--;
	c->waits = false;
	return c;
}

/* Locked; not while it closes. What comes meanwhile has its turn after others. */
static void close_all(struct closing *c)
{
	c->worked = true;
	for (uint32_t left = c->n; left > 0; left--) {
		int fd = c->head;

		c->head = behind[fd]; /* before it is closed, and the number somebody else's */
		c->n--;
		pthread_mutex_unlock(&lock);
		close(fd);
		pthread_mutex_lock(&lock);
		atomic_fetch_sub_explicit(&c->owed, 1, memory_order_relaxed);
		atomic_fetch_sub_explicit(&owed_by_all, 1, memory_order_relaxed);
	}
	c->worked = false;
	if (c->n > 0)
		enqueue(c);
	else
		drop(c);
}

static void *closer(void *nothing)
{
	(void)nothing;
	pthread_mutex_lock(&lock);
	for (;;) {
		struct timespec until;
		int error = 0;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += IDLE_S;
		nidle++;
		while (!first && error != ETIMEDOUT)
			error = nthreads > standing_threads ? pthread_cond_timedwait(&work, &lock, &until) :
							      pthread_cond_wait(&work, &lock);
		nidle--;
		if (first)
			close_all(dequeue());
		else if (nthreads > standing_threads)
			break;
	}
	nthreads--;
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Locked. Signals are for others. */
static int start(void)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK > PTHREAD_STACK_MIN ? STACK : PTHREAD_STACK_MIN);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attributes, closer, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	nthreads += error == 0;
	return error;
}

int closers_start(uint32_t standing, uint32_t most)
{
	int error = 0;

	pthread_mutex_lock(&lock);
	standing_threads = standing;
	most_threads = most;
	while (nthreads < standing && !error)
		error = start();
	pthread_mutex_unlock(&lock);
	return error;
}

int closers_reserve(uint32_t accounts, uint32_t descriptors)
{
	fresh = calloc(accounts, sizeof(*fresh));
	behind = calloc(descriptors, sizeof(*behind));
	if (!fresh || !behind)
		return ENOMEM;
	nfresh = accounts;
	nbehind = descriptors;
	return 0;
}

/* Locked. */
static bool append(struct closing *c, int fd)
{
	if ((uint32_t)fd >= nbehind) {
		uint32_t many = fd < 1024 ? 1024 : (uint32_t)fd * 2;
		int *grown = realloc(behind, many * sizeof(*grown));

		if (!grown)
			return false;
		behind = grown;
		nbehind = many;
	}
	if (c->n++ == 0)
		c->head = fd;
	else
		behind[c->tail] = fd;
	c->tail = fd;
	atomic_fetch_add_explicit(&c->owed, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&owed_by_all, 1, memory_order_relaxed);
	return true;
}

void closing_take(struct closing *c, const int *fds, uint32_t n)
{
	bool was_at_rest;

	if (n == 0)
		return;
	pthread_mutex_lock(&lock);
	was_at_rest = c->n == 0 && !c->worked;
	while (n > 0 && (fds[n - 1] < 0 || append(c, fds[n - 1])))
		n--;
	if (was_at_rest && c->n > 0) {
		c->refs++;
		enqueue(c);
		if (nwaiting <= nidle)
			pthread_cond_signal(&work);
		else if (nthreads < most_threads)
			(void)start(); /* else one that is busy comes to it */
	}
	pthread_mutex_unlock(&lock);
	while (n > 0)
		close(fds[--n]); /* there was no memory: late is better than never */
}

/* A peek without room for them says MSG_CTRUNC where there are descriptors: among the bytes that it looks at, or (the
 * kernel walks on, copying nothing) behind them. -1: the queue is empty. Where the kernel can't look now, there may be. */
static int peek(int fd)
{
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN ? -1 : 1;
	return n == 0 ? -1 : (message.msg_flags & MSG_CTRUNC) != 0;
}

static bool walks;

/* Tries whether it does. Where it can't be tried, nothing is taken for granted. */
static void try_walk(void)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	char byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space,
				  .msg_controllen = sizeof(control.space) };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	*CMSG_FIRSTHDR(&message) =
		(struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), pair, sizeof(int));
	if (send(pair[0], &byte, 1, 0) == 1 && sendmsg(pair[0], &message, 0) == 1)
		walks = peek(pair[1]) == 1;
	close(pair[0]);
	close(pair[1]);
}

/* A byte out of band, which may have some, and at which a peek ends, or which it leaves out. */
static bool has_urgent(int fd)
{
	struct pollfd urgent = { .fd = fd, .events = POLLPRI };

	return poll(&urgent, 1, 0) != 0 && urgent.revents & POLLPRI;
}

bool queue_has_fds(int fd)
{
	static pthread_once_t tried = PTHREAD_ONCE_INIT;
	int seen;

	pthread_once(&tried, try_walk);
	seen = peek(fd);
	return seen == 1 || (seen == 0 && !walks) || has_urgent(fd);
}

void keep_urgent(int fd)
{
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

static int option(int fd, int name)
{
	socklen_t length = sizeof(int);
	int value = -1;

	return getsockopt(fd, SOL_SOCKET, name, &value, &length) < 0 ? -1 : value;
}

/* Nothing in a stream's queue can be without a byte that is still to be read. */
bool closing_stream(int fd)
{
	int queued = 1;

	/* Nothing comes any more while we look. Not SHUT_RDWR: a peer whose bytes nobody has read is to see the reset that
	 * close(2) gives it, and no end before that. */
	shutdown(fd, SHUT_RD);
	return (ioctl(fd, SIOCINQ, &queued) == 0 && queued == 0) || !queue_has_fds(fd);
}

void closing_socket(struct closing *c, int fd, bool shared)
{
	bool harmless;
	int domain;

	if (fd < 0)
		return;
	domain = socket_domain(fd);
	harmless = domain >= 0 && domain != AF_UNIX;
	if (!harmless && option(fd, SO_TYPE) == SOCK_STREAM && !option(fd, SO_ACCEPTCONN))
		harmless = shared ? !queue_has_fds(fd) : closing_stream(fd);
	if (harmless) {
		close(fd);
		return;
	}
	if (!shared)
		shutdown(fd, SHUT_RDWR);
	closing_take(c, &fd, 1);
}
