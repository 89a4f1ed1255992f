/*
 * The system calls that are left: filter.h.
 *
 * There is none among them that opens a file or makes a socket that leads anywhere, connects, binds or listens, executes,
 * makes a process, signals or looks into another one, or has memory executed. What the relay reaches it was given.
 *
 * Those without a condition are what traffic needs: the kernel looks them up in a table, and runs no program (since
 * Linux 5.11). And no guard against speculation is wanted, which each switch to another process would pay for: nothing is
 * executed here that others wrote.
 */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../filter.h"

#ifdef FILTER_ARCH
#define TYPE 0xf /* of a socket, less SOCK_CLOEXEC and SOCK_NONBLOCK */
#define NAMESPACES (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

static void traffic(void)
{
	ALLOW(recvmsg), ALLOW(recvmmsg), ALLOW(recvfrom), ALLOW(sendmsg), ALLOW(sendto), ALLOW(splice), ALLOW(read);
	ALLOW(epoll_ctl), ALLOW(epoll_pwait), ALLOW(ppoll), ALLOW(accept4), ALLOW(close), ALLOW(shutdown);
	ALLOW(getsockopt), ALLOW(getsockname), ALLOW(getpeername), ALLOW(pipe2), ALLOW(clock_gettime);
#ifdef __x86_64__
	ALLOW(epoll_wait), ALLOW(poll);
#endif
	ALLOW_IF(ioctl, WORD(1, FIONBIO, SIOCINQ, SIOCOUTQ));
	ALLOW_IF(setsockopt, WORD(1, SOL_SOCKET),
		 WORD(2, SO_OOBINLINE, SO_SNDBUF, SO_RCVBUF, SO_TIMESTAMP, SO_PASSCRED, SO_LINGER));
	ALLOW_IF(fcntl, WORD(1, F_SETPIPE_SZ));
	ALLOW_IF(socketpair, WORD(0, AF_UNIX), MASKED(1, TYPE, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET));
}

/* What a C library does without being asked, and the threads that close. */
static void library(void)
{
	ALLOW(futex), ALLOW(brk), ALLOW(munmap), ALLOW(madvise), ALLOW(mremap);
	ALLOW_IF(mmap, MASKED(2, PROT_EXEC, 0));
	ALLOW_IF(mprotect, MASKED(2, PROT_EXEC, 0));
	ALLOW_IF(clone, MASKED(0, CLONE_THREAD | NAMESPACES, CLONE_THREAD));
	filter_refuse(SYS_clone3, ENOSYS); /* its flags can't be seen; clone will do */
	ALLOW(set_robust_list), ALLOW(rseq), ALLOW(sched_yield), ALLOW(getpid), ALLOW(gettid), ALLOW(getrandom);
	ALLOW(rt_sigprocmask), ALLOW(rt_sigaction), ALLOW(rt_sigreturn), ALLOW(restart_syscall);
	ALLOW_IF(tgkill, WORD(0, (uint32_t)getpid())); /* abort(3) */
	ALLOW_IF(write, WORD(0, 2));
	ALLOW(exit), ALLOW(exit_group);
}

/* For tests alone: a sanitizer has memory of its own, and writes where it was told to. */
static void tests(void)
{
#ifdef PVX_SANITIZED
	ALLOW(mmap), ALLOW(mprotect), ALLOW(write), ALLOW(openat), ALLOW(lseek), ALLOW(sigaltstack), ALLOW(prctl);
	ALLOW(getrusage), ALLOW(readlinkat), ALLOW(sched_getaffinity);
#ifdef __x86_64__
	ALLOW(open), ALLOW(readlink);
#endif
#endif
}

int sandbox_filter(void)
{
	filter_begin();
	traffic();
	library();
	tests();
	return filter_load(SECCOMP_FILTER_FLAG_SPEC_ALLOW);
}
#else
int sandbox_filter(void)
{
	return ENOSYS; /* the list of calls was not written out for this architecture */
}
#endif
