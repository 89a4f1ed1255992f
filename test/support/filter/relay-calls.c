/*
 * Makes system calls under the relay's own filter, or (with `off`) without, and prints what came of each: its name and an
 * errno, 0 for success. Linked with the relay's files but for its main. Arguments are such that nothing happens where the
 * filter is not there, and that the errno then is another than EPERM.
 */
#include <fcntl.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "../../../native/relay/relay.h"
#include "try.h"

static void *nothing(void *argument)
{
	return argument;
}

static void processes(void)
{
	pthread_t thread;

	TRY("clone of a process", SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0);
	TRY("clone of namespaces", SYS_clone, CLONE_THREAD | CLONE_NEWUSER, 0, 0, 0, 0);
	TRY("execve", SYS_execve, "/nonexistent", NULL, NULL);
	TRY("execveat", SYS_execveat, -1, "nonexistent", NULL, NULL, 0);
	TRY("kill another", SYS_kill, NOBODY, 0);
	TRY("tgkill another", SYS_tgkill, NOBODY, NOBODY, 0);
	TRY("pidfd_open", SYS_pidfd_open, getpid(), 0);
	TRY("pidfd_getfd", SYS_pidfd_getfd, -1, 0, 0);
	TRY("ptrace", SYS_ptrace, 16, NOBODY, 0, 0);
	TRY("process_vm_writev", SYS_process_vm_writev, NOBODY, NULL, 0, NULL, 0, 0);
	TRY("prctl", SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
	TRY("prlimit64", SYS_prlimit64, 0, 7, NULL, NULL);
	TRY("own a descriptor's signals", SYS_fcntl, 0, F_SETOWN, getpid());
	TRY("setresuid", SYS_setresuid, -1, -1, -1);
	TRY("unshare", SYS_unshare, CLONE_NEWUSER | CLONE_NEWPID | 0x1);
	TRY("setns", SYS_setns, -1, 0);
	TRY("tgkill itself", SYS_tgkill, getpid(), getpid(), 0);
	errno = pthread_create(&thread, NULL, nothing, NULL);
	try("a thread", -errno);
	if (!errno)
		pthread_join(thread, NULL);
}

static void memory(void)
{
	static char page[8192] __attribute__((aligned(4096)));

	TRY("mmap to execute", SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TRY("mprotect to execute", SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);
	TRY("pkey_mprotect", SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1);
	TRY("memfd_create", SYS_memfd_create, "x", 0);
	TRY("mmap", SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TRY("mprotect", SYS_mprotect, page, 4096, PROT_READ | PROT_WRITE);
}

static void files(int file)
{
	TRY("openat", SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);
	TRY("openat2", SYS_openat2, AT_FDCWD, "/dev/null", NULL, 0);
	TRY("write", SYS_write, file, "x", 1);
	TRY("pwrite64", SYS_pwrite64, file, "x", 1, 0);
	TRY("getdents64", SYS_getdents64, file, NULL, 0);
	TRY("ftruncate", SYS_ftruncate, -1, 0);
	TRY("fchmod", SYS_fchmod, -1, 0600);
	TRY("dup3", SYS_dup3, -1, 50, 0);
	TRY("fcntl of flags", SYS_fcntl, file, F_GETFL);
	TRY("io_uring_setup", SYS_io_uring_setup, 0, NULL);
	TRY("ioctl of a terminal", SYS_ioctl, -1, TIOCSTI, NULL);
	TRY("ioctl of a queue", SYS_ioctl, -1, SIOCOUTQ, NULL);
	TRY("fcntl of a pipe", SYS_fcntl, -1, F_SETPIPE_SZ, 4096);
}

static void sockets(void)
{
	int on = 1, pair[2];

	TRY("socket of unix", SYS_socket, AF_UNIX, SOCK_STREAM, 0);
	TRY("socket of TCP", SYS_socket, AF_INET, SOCK_STREAM, 0);
	TRY("socket of routes", SYS_socket, AF_NETLINK, SOCK_RAW, 0);
	TRY("connect", SYS_connect, -1, NULL, 0);
	TRY("bind", SYS_bind, -1, NULL, 0);
	TRY("listen", SYS_listen, -1, 1);
	TRY("setsockopt of another kind", SYS_setsockopt, -1, SOL_SOCKET, SO_PEEK_OFF, &on, sizeof(on));
	TRY("setsockopt of TCP", SYS_setsockopt, -1, 6, 1, &on, sizeof(on));
	TRY("setsockopt", SYS_setsockopt, -1, SOL_SOCKET, SO_SNDBUF, &on, sizeof(on));
	TRY("socketpair of TCP", SYS_socketpair, AF_INET, SOCK_STREAM, 0, pair);
	TRY("socketpair", SYS_socketpair, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair);
	TRY("bpf", SYS_bpf, -1, NULL, 0);
	TRY("keyctl", SYS_keyctl, -1, 0, 0, 0, 0);
	TRY("userfaultfd", SYS_userfaultfd, -1);
}

/* relay-calls on|off */
/* Is given a folder for its files as calls.c is, and needs none. */
int main(int argc, char **argv)
{
	int file = open("/dev/null", O_RDWR), error = 0;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (argc == 3 && strcmp(argv[1], "on") == 0)
		error = sandbox_filter();
	if (argc != 3 || file < 0 || error)
		return 3;
	processes();
	memory();
	files(file);
	sockets();
	return sendmsg(1, &(struct msghdr){ .msg_iov = &(struct iovec){ said, length }, .msg_iovlen = 1 }, 0) < 0;
}
