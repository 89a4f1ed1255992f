/*
 * What is left of root: eleven capabilities, and the system calls that the closed list of operations needs.
 *
 * The filter is written out here and loaded for all threads at once, after they were made: there is no call in it
 * that makes a process or executes a program; nodes are made of DRM and input devices only, what is mounted is a new
 * file system or a part of it (mount.c). What is not in it fails with EPERM rather than killing, so that a C library
 * of another mind shows in an error and not in a crash.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/input.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "drm.h"

static const int kept[] = {
	CAP_DAC_OVERRIDE,     /* plant in folders that root of the container could write */
	CAP_DAC_READ_SEARCH,  /* reach them */
	CAP_CHOWN,            /* planted devices get their owner */
	CAP_FOWNER,           /* remove what we planted from a sticky folder */
	CAP_SETUID,           /* connect as the role's uid */
	CAP_SETGID,           /* and gid */
	CAP_SYS_ADMIN,        /* enter network and mount namespaces, mount, drop a DRM master */
	CAP_SYS_CHROOT,       /* enter mount namespaces, and be back */
	CAP_SYS_PTRACE,       /* open the root of a container's process */
	CAP_MKNOD,            /* plant devices */
	CAP_NET_BIND_SERVICE, /* listen below port 1024 */
};

int sandbox_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 }, now[2] = { 0 };
	uint64_t mask = 0;

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		mask |= 1ull << kept[i];
	for (int cap = 0; cap < 64; cap++)
		if (!(mask >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno == EINVAL)
			break; /* past the last one */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &header, now) < 0)
		return errno;
	for (int i = 0; i < 2; i++) /* a machine that gave us fewer is asked for no more than it gave */
		data[i].permitted = data[i].effective = now[i].permitted & (uint32_t)(mask >> (32 * i));
	if (syscall(SYS_capset, &header, data) < 0)
		return errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0;
}

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef ARCH
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), RETURN(SECCOMP_RET_ALLOW)

/* The word is loaded already. */
#define IS(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, 1), RETURN(SECCOMP_RET_ALLOW)
#define ALLOW_WITH(call, argument, value) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 4), LOAD(args[argument]), IS(value), \
	RETURN(SECCOMP_RET_ERRNO | EPERM)

static struct sock_filter filter[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
	RETURN(SECCOMP_RET_ERRNO | EPERM),
	LOAD(nr),
	/* sockets: unix ones, TCP, and netlink for the question who listens */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 12),
	LOAD(args[0]),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 8, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 4, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 3, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 6),
	LOAD(args[2]),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NETLINK_SOCK_DIAG, 3, 4),
	LOAD(args[1]),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf), /* less SOCK_CLOEXEC and SOCK_NONBLOCK */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 0, 1),
	RETURN(SECCOMP_RET_ALLOW),
	RETURN(SECCOMP_RET_ERRNO | EPERM),
	ALLOW(bind), ALLOW(listen), ALLOW(connect), ALLOW(recvmsg), ALLOW(sendmsg), ALLOW(setsockopt),
	ALLOW(getsockname),
	/* devices: nodes of DRM, of input and the null device (device.c tries file systems with it), ioctls one by one */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mknodat, 0, 10),
	LOAD(args[2]),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, S_IFMT),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, S_IFCHR, 0, 5),
	LOAD(args[3]),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1u << 8 | 3, 4, 0),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff00), /* the major number, as linux/kdev_t.h has it */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 226u << 8, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 13u << 8, 1, 0),
	RETURN(SECCOMP_RET_ERRNO | EPERM),
	RETURN(SECCOMP_RET_ALLOW),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 20),
	LOAD(args[1]),
	IS(DRM_IOCTL_SET_MASTER), IS(DRM_IOCTL_DROP_MASTER), IS(DRM_IOCTL_MODE_GETRESOURCES),
	IS(DRM_IOCTL_MODE_GETENCODER), IS(DRM_IOCTL_MODE_GETCONNECTOR), IS(DRM_IOCTL_MODE_CREATE_LEASE),
	IS(DRM_IOCTL_MODE_REVOKE_LEASE), IS(EVIOCGVERSION), IS(EVIOCREVOKE),
	RETURN(SECCOMP_RET_ERRNO | EPERM),
	/* a mount over a node's target: a new file system without options, a part of it, no other mount */
	ALLOW(fsopen), ALLOW_WITH(fsconfig, 1, FSCONFIG_CMD_CREATE),
	ALLOW_WITH(fsmount, 2, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC),
	ALLOW_WITH(open_tree, 2, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_move_mount, 0, 6),
	LOAD(args[4]),
	IS(MOVE_MOUNT_F_EMPTY_PATH), IS(MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
	RETURN(SECCOMP_RET_ERRNO | EPERM),
	ALLOW_WITH(umount2, 1, 2), /* MNT_DETACH */
	ALLOW(fchdir), ALLOW(chroot), ALLOW(capget), ALLOW(capset), ALLOW_WITH(unshare, 0, CLONE_FS),
	/* files */
	ALLOW(openat), ALLOW(openat2), ALLOW(close), ALLOW(read), ALLOW(write), ALLOW(newfstatat), ALLOW(fstat),
	ALLOW(statx), ALLOW(mkdirat), ALLOW(unlinkat), ALLOW(renameat2), ALLOW(fchmod), ALLOW(fcntl),
	ALLOW(readlinkat),
	/* processes that are held */
	ALLOW(pidfd_open), ALLOW(ppoll), ALLOW(setns),
	/* who a thread is for one operation */
	ALLOW(setresuid), ALLOW(setresgid), ALLOW(setfsuid), ALLOW(setfsgid),
	/* what a C library does */
	ALLOW(futex), ALLOW(mmap), ALLOW(munmap), ALLOW(mprotect), ALLOW(madvise), ALLOW(brk), ALLOW(getrandom),
	ALLOW(rt_sigaction), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn), ALLOW(restart_syscall),
	ALLOW(clock_nanosleep), ALLOW(clock_gettime), ALLOW(set_robust_list), ALLOW(rseq), ALLOW(sched_yield),
	ALLOW(getpid), ALLOW(gettid), ALLOW(tgkill), ALLOW(setitimer), ALLOW(exit), ALLOW(exit_group),
#ifdef __x86_64__
	/* older spellings, which the C library still uses here */
	ALLOW(open), ALLOW(stat), ALLOW(lstat), ALLOW(unlink), ALLOW(mkdir), ALLOW(poll),
#endif
	RETURN(SECCOMP_RET_ERRNO | EPERM),
};

int sandbox_filter(void)
{
	struct sock_fprog program = { .len = sizeof(filter) / sizeof(*filter), .filter = filter };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0)
		return 0;
	return errno;
}
#else
int sandbox_filter(void)
{
	return ENOSYS; /* the list of calls was not written out for this architecture */
}
#endif
