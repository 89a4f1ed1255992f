/*
 * Loaded before the C library (LD_PRELOAD): system calls of one thread fail when they are told to.
 *
 * What fails is in the file FAULTS, as 32-bit words: which call, by its number below; which of its calls from now on,
 * from 1; the errno; how many of them did fail, which is written here; and whose: 0, the thread of pvx-relay, or 1,
 * JavaScript's. The relay's thread is the one that asks for 256 events; a call for its channels to broker and daemon (3
 * and 4) fails only with what passes. JavaScript's is the first; libuv, which ends the process where it can't watch a
 * descriptor, asks for 1024 in it, and that set never fails.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECVMSG = 1, RECV, SENDMSG, SEND, SPLICE, ACCEPT4, EPOLL_CTL, PIPE2, IOCTL, GETSOCKOPT, READ };

static volatile uint32_t *order;
static _Thread_local int is_relay, loop_set = -1;

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("FAULTS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	order = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
}

static int passes(int error)
{
	return error == EINTR || error == ENOMEM || error == ENOBUFS || error == ETOOMANYREFS;
}

static int fails(uint32_t call, int fd)
{
	if (!order || order == MAP_FAILED || order[0] != call || order[1] == 0)
		return 0;
	if (order[4] ? getpid() != gettid() : !is_relay)
		return 0;
	if (!order[4] && (fd == 3 || fd == 4) && !passes((int)order[2]))
		return 0;
	if (--order[1] > 0)
		return 0;
	errno = (int)order[2];
	order[3]++;
	return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define CALL(name, ...)                                                  \
	static __typeof__(&name) real;                                   \
	if (!real)                                                       \
		real = REAL(name);                                       \
	return real(__VA_ARGS__)

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
	if (most == 256)
		is_relay = 1;
	if (most == 1024)
		loop_set = fd;
	CALL(epoll_wait, fd, events, most, timeout);
}

int epoll_pwait(int fd, struct epoll_event *events, int most, int timeout, const sigset_t *signals)
{
	if (most == 1024)
		loop_set = fd;
	CALL(epoll_pwait, fd, events, most, timeout, signals);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	if (fails(RECVMSG, fd))
		return -1;
	CALL(recvmsg, fd, message, flags);
}

ssize_t recv(int fd, void *data, size_t length, int flags)
{
	if (fails(RECV, fd))
		return -1;
	CALL(recv, fd, data, length, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (fails(SENDMSG, fd))
		return -1;
	CALL(sendmsg, fd, message, flags);
}

ssize_t send(int fd, const void *data, size_t length, int flags)
{
	if (fails(SEND, fd))
		return -1;
	CALL(send, fd, data, length, flags);
}

ssize_t splice(int from, off64_t *at, int to, off64_t *there, size_t length, unsigned flags)
{
	if (fails(SPLICE, from))
		return -1;
	CALL(splice, from, at, to, there, length, flags);
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	if (fails(ACCEPT4, fd))
		return -1;
	CALL(accept4, fd, address, length, flags);
}

int epoll_ctl(int set, int how, int fd, struct epoll_event *event)
{
	if (how != EPOLL_CTL_DEL && set != loop_set && fails(EPOLL_CTL, fd))
		return -1;
	CALL(epoll_ctl, set, how, fd, event);
}

int pipe2(int fds[2], int flags)
{
	if (fails(PIPE2, -1))
		return -1;
	CALL(pipe2, fds, flags);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *argument;

	va_start(list, request);
	argument = va_arg(list, void *);
	va_end(list);
	if (fails(IOCTL, fd))
		return -1;
	CALL(ioctl, fd, request, argument);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	if (fails(GETSOCKOPT, fd))
		return -1;
	CALL(getsockopt, fd, level, name, value, length);
}

ssize_t read(int fd, void *data, size_t length)
{
	if (fails(READ, fd))
		return -1;
	CALL(read, fd, data, length);
}
