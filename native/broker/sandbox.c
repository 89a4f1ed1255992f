/*
 * What is left of root: eleven capabilities, and the system calls that the closed list of operations needs.
 *
 * The filter is written out here and loaded for all threads at once, after they were made. There is no call in it that
 *   - makes a process or a thread, or executes a program;
 *   - writes into a file, makes one shorter, or changes its mode or owner: what the broker says it sends over sockets;
 *   - changes what memory is mapped, or what may be done with it: all that is ever needed is there before it;
 *   - signals another process.
 * Nodes are made of DRM and input devices only. What is mounted is a new tmpfs or a node out of it (mount.c).
 *
 * Where a string or a structure decides what a call does, it is one of a few constants, and the filter knows their
 * addresses: they are in memory that nothing can change any more.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../filter.h"
#include "../privileges.h"
#include "drm.h"

int sandbox_capabilities(void)
{
	return privileges_keep(BROKER_CAPABILITIES);
}

const char fixed_tmpfs[] = "tmpfs", fixed_node[] = "node", fixed_empty[] = "", fixed_here[] = ".";

#ifdef FILTER_ARCH
#define UNCHANGED UINT32_MAX
#define TYPE 0xf           /* of a socket, less SOCK_CLOEXEC and SOCK_NONBLOCK */
#define DEVICE_MAJOR 0xfff00 /* as linux/kdev_t.h has it */
#define CUTS (O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))

static void sockets(void)
{
	ALLOW_IF(socket, WORD(0, AF_UNIX));
	ALLOW_IF(socket, WORD(0, AF_INET, AF_INET6), MASKED(1, TYPE, SOCK_STREAM));
	ALLOW_IF(socket, WORD(0, AF_NETLINK), WORD(2, NETLINK_SOCK_DIAG)); /* who listens */
	ALLOW(bind), ALLOW(listen), ALLOW(connect), ALLOW(setsockopt), ALLOW(getsockname);
}

/* No `write`: a descriptor that is opened for writing serves for a device's ioctls alone. */
static void files(void)
{
	ALLOW_IF(openat2, POINTER(2, AT(&path_inside), AT(&path_inside_plain), AT(&path_inside_folder),
				  AT(&path_beneath_folder)));
	ALLOW_IF(openat, MASKED(2, CUTS, 0), MASKED(2, O_CREAT | O_EXCL, 0, O_CREAT | O_EXCL));
	ALLOW(read), ALLOW(newfstatat), ALLOW(fstat), ALLOW(statx), ALLOW(readlinkat);
	ALLOW(mkdirat), ALLOW(unlinkat), ALLOW(renameat2), ALLOW(umask);
	ALLOW_IF(fcntl, WORD(1, F_DUPFD_CLOEXEC));
#ifdef __x86_64__
	/* older spellings, which a C library may use here */
	ALLOW_IF(open, MASKED(1, CUTS | O_CREAT, 0));
	ALLOW(stat), ALLOW(lstat), ALLOW(unlink);
#endif
}

/* Nodes of DRM, of input and the null device (device.c tries file systems with it); ioctls one by one. */
static void devices(void)
{
	ALLOW_IF(mknodat, MASKED(2, S_IFMT, S_IFCHR), WORD(3, 1u << 8 | 3));
	ALLOW_IF(mknodat, MASKED(2, S_IFMT, S_IFCHR), MASKED(3, DEVICE_MAJOR, DRM_MAJOR << 8, INPUT_MAJOR << 8));
	ALLOW_IF(ioctl, WORD(1, DRM_IOCTL_SET_MASTER, DRM_IOCTL_DROP_MASTER, DRM_IOCTL_MODE_GETRESOURCES,
			     DRM_IOCTL_MODE_GETENCODER, DRM_IOCTL_MODE_GETCONNECTOR, DRM_IOCTL_MODE_CREATE_LEASE,
			     DRM_IOCTL_MODE_REVOKE_LEASE, EVIOCGVERSION, EVIOCREVOKE));
}

/* Over a node's target: a new tmpfs without options, the node out of it, no other mount. */
static void mounts(void)
{
	ALLOW_IF(fsopen, POINTER(0, AT(fixed_tmpfs)));
	ALLOW_IF(fsconfig, WORD(1, FSCONFIG_CMD_CREATE));
	ALLOW_IF(fsmount, WORD(2, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
	ALLOW_IF(open_tree, POINTER(1, AT(fixed_node)),
		 WORD(2, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW));
	ALLOW_IF(move_mount, POINTER(1, AT(fixed_empty)),
		 WORD(4, MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
	ALLOW_IF(umount2, WORD(1, 2)); /* MNT_DETACH */
	ALLOW_IF(setns, WORD(1, CLONE_NEWNS));
	ALLOW(fchdir);
	ALLOW_IF(chroot, POINTER(0, AT(fixed_here)));
}

static void processes(void)
{
	ALLOW_IF(pidfd_open, WORD(1, 0));
}

/* Who a thread is for one operation, and in which network. */
static void identities(void)
{
	ALLOW_IF(setresuid, WORD(0, UNCHANGED), WORD(2, UNCHANGED));
	ALLOW_IF(setresgid, WORD(0, UNCHANGED), WORD(2, UNCHANGED));
	ALLOW(setfsuid), ALLOW(setfsgid), ALLOW(capget), ALLOW(capset);
	ALLOW_IF(setns, WORD(1, CLONE_NEWNET));
}

/* What every thread does, whatever it is asked for: its start, records in and out, the end of a descriptor. */
static void channels(void)
{
	ALLOW_IF(unshare, WORD(0, CLONE_FS));
	ALLOW(recvmsg), ALLOW(sendmsg), ALLOW(close), ALLOW(shutdown), ALLOW(ppoll);
#ifdef __x86_64__
	ALLOW(poll); /* an older spelling, which a C library may use here */
#endif
}

/* What a C library does without being asked. */
static void library(void)
{
	ALLOW(futex), ALLOW(getrandom), ALLOW(rt_sigaction), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn);
	ALLOW(rt_sigtimedwait), ALLOW(restart_syscall), ALLOW(clock_nanosleep), ALLOW(clock_gettime);
	ALLOW(set_robust_list), ALLOW(rseq), ALLOW(sched_yield), ALLOW(getpid), ALLOW(gettid);
	ALLOW_IF(tgkill, WORD(0, (uint32_t)getpid()));
	ALLOW(exit), ALLOW(exit_group);
}

/* For tests alone: what stands in for devices leaves marks to be looked at; a sanitizer has memory of its own. */
static void tests(void)
{
#ifdef PVX_STAND_INS
	ALLOW(openat), ALLOW(write);
	ALLOW_IF(fcntl, WORD(1, F_GETFL, F_SETFL));
#endif
#ifdef PVX_SANITIZED
	ALLOW(mmap), ALLOW(munmap), ALLOW(mprotect), ALLOW(madvise), ALLOW(mremap), ALLOW(write), ALLOW(openat);
	ALLOW(lseek), ALLOW(sigaltstack), ALLOW(prctl), ALLOW(getrusage), ALLOW(sched_getaffinity);
#ifdef __x86_64__
	ALLOW(open), ALLOW(readlink);
#endif
#endif
}

static const struct {
	uint32_t calls;
	void (*put)(void);
} groups[] = {
	{ CALLS_SOCKETS, sockets }, { CALLS_FILES, files },         { CALLS_DEVICES, devices },
	{ CALLS_MOUNTS, mounts },   { CALLS_PROCESSES, processes }, { CALLS_IDENTITIES, identities },
};
#define GROUPS (sizeof(groups) / sizeof(*groups))

uint32_t sandbox_groups(void)
{
	uint32_t all = 0;

	for (size_t i = 0; i < GROUPS; i++)
		all |= groups[i].calls;
	return all;
}

int sandbox_filter(uint32_t calls)
{
	filter_begin();
	for (size_t i = 0; i < GROUPS; i++)
		if (groups[i].calls & calls)
			groups[i].put();
	channels();
	library();
	tests();
	return filter_load(SECCOMP_FILTER_FLAG_TSYNC);
}
#else
uint32_t sandbox_groups(void)
{
	return UINT32_MAX;
}

int sandbox_filter(uint32_t calls)
{
	(void)calls;
	return ENOSYS; /* the list of calls was not written out for this architecture */
}
#endif
