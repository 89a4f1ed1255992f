/*
 * Identity, network and mount namespace of one thread, switched for one operation and switched back.
 *
 * These are the kernel's calls, not the C library's: those change every thread of the process. Real and saved
 * uid stay 0, so that the way back is open. A namespace is entered only where the way back from it was tried at the
 * start: root of a user namespace may enter those of its containers, but not the one that it came with. Where a way
 * back fails nonetheless, going on would mean to work under somebody else's identity, and the process ends.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define UNCHANGED ((uid_t)-1)
#define NOBODY 65534u

static int our_network = -1, our_mounts = -1, our_root = -1, our_descriptors = -1;
static ino_t our_network_inode;
static bool network_is_left, mounts_are_left; /* there is a way back into ours */
static _Thread_local bool is_another;

int condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t clock;

	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	return pthread_cond_init(condition, &clock);
}

struct timespec time_in(int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

/* Once, before there are threads. Groups are dropped for good; a user namespace may not allow it, and then
 * nobody in it could. */
int threads_init(void)
{
	struct stat st;

	if (syscall(SYS_setgroups, 0, NULL) < 0 && errno != EPERM)
		return errno;
	our_network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (our_network < 0 || fstat(our_network, &st) < 0)
		return errno;
	our_network_inode = st.st_ino;
	our_mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	our_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	our_descriptors = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (our_mounts < 0 || our_root < 0 || our_descriptors < 0)
		return errno;
	network_is_left = setns(our_network, CLONE_NEWNET) == 0;
	mounts_are_left = setns(our_mounts, CLONE_NEWNS) == 0;
	return mounts_are_left && (fchdir(our_root) < 0 || chroot(fixed_here) < 0) ? errno : 0;
}

/* Not joined, and blocks every signal if its maker does. 0 or an errno. */
int thread_start(void *(*run)(void *), void *argument)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, run, argument);

	if (!error)
		pthread_detach(thread);
	return error;
}

/* For a thread with nothing left to do: its memory could not be given back under the filter. */
void *thread_rest(void)
{
	for (;;)
		ppoll(NULL, 0, NULL, NULL);
}

/* Root and working folder are this thread's own from now on: setns(2) asks for it. */
int thread_init(void)
{
	return unshare(CLONE_FS) < 0 ? errno : 0;
}

int thread_become(uint32_t uid, uint32_t gid)
{
	int error;

	is_another = uid || gid;
	if (!is_another)
		return 0;
	if (syscall(SYS_setresgid, UNCHANGED, gid, UNCHANGED) == 0) {
		if (syscall(SYS_setresuid, UNCHANGED, uid, UNCHANGED) == 0)
			return 0;
		error = errno;
		thread_return();
	} else {
		error = errno;
	}
	return error == EINVAL ? EPERM : error; /* EINVAL: it has no place in our own user namespace */
}

void thread_return(void)
{
	if (!is_another)
		return;
	is_another = false;
	if (syscall(SYS_setresuid, UNCHANGED, 0, UNCHANGED) < 0 || syscall(SYS_setresgid, UNCHANGED, 0, UNCHANGED) < 0)
		abort();
}

/* setfsuid(2) never says whether it worked: asked again with an impossible value, it says what is. */
static bool fs_identity(uint32_t uid, uint32_t gid)
{
	syscall(SYS_setfsgid, gid);
	syscall(SYS_setfsuid, uid);
	return (uint32_t)syscall(SYS_setfsuid, UNCHANGED) == uid && (uint32_t)syscall(SYS_setfsgid, UNCHANGED) == gid;
}

/* EPERM: it has no place in our own user namespace. */
int thread_fs_become(uint32_t uid, uint32_t gid)
{
	if ((!uid && !gid) || fs_identity(uid, gid))
		return 0;
	thread_fs_return();
	return EPERM;
}

int thread_fs_root_of(const struct container *c)
{
	uint32_t uid = 0, gid = 0;
	int error = container_user(c, &uid, &gid);

	return error ? error : thread_fs_become(uid, gid);
}

/* Another fsuid than root's takes the capabilities of the file system away; they are raised again. */
int thread_fs_own(uint32_t uid, uint32_t gid)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	int error = thread_fs_become(uid, gid);

	if (error || (!uid && !gid) || syscall(SYS_capget, &header, data) < 0)
		return error; /* what needs them says so */
	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted;
	syscall(SYS_capset, &header, data);
	return 0;
}

/* Somebody who may read every file and owns none of this owner's. EPERM: there is nobody else in our own user
 * namespace. */
int thread_fs_stranger(uint32_t owner)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	uint32_t uid = owner == NOBODY ? NOBODY - 1 : NOBODY;

	syscall(SYS_setfsuid, uid);
	if ((uint32_t)syscall(SYS_setfsuid, UNCHANGED) != uid)
		return EPERM;
	if (syscall(SYS_capget, &header, data) < 0)
		return errno;
	data[0].effective |= data[0].permitted & (1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH);
	data[0].effective &= ~(1u << CAP_FOWNER);
	return syscall(SYS_capset, &header, data) < 0 ? errno : 0;
}

void thread_fs_return(void)
{
	if (!fs_identity(0, 0))
		abort();
}

int thread_mounts_enter(const struct container *c)
{
	int mounts, error = 0;

	if (!mounts_are_left)
		return EPERM;
	mounts = openat(c->proc, "ns/mnt", O_RDONLY | O_CLOEXEC);
	if (mounts < 0)
		return errno == ENOENT ? ESRCH : errno;
	if (setns(mounts, CLONE_NEWNS) < 0)
		error = errno;
	CLOSE_FD(mounts);
	return error;
}

/* The way back ends at the root of our namespace, which need not be ours. */
void thread_mounts_return(void)
{
	if (setns(our_mounts, CLONE_NEWNS) < 0 || fchdir(our_root) < 0 || chroot(fixed_here) < 0)
		abort();
}

int thread_root(void)
{
	return our_root;
}

int thread_descriptors(void)
{
	return our_descriptors;
}

/* Into the container's network namespace; `*entered`: there is a way back to go. */
static int enter_network(const struct container *c, bool *entered)
{
	struct stat st;
	int network;

	*entered = false;
	if (fstatat(c->proc, "ns/net", &st, 0) == 0 && st.st_ino == our_network_inode)
		return 0;
	if (!network_is_left)
		return ENOLINK;
	network = openat(c->proc, "ns/net", O_RDONLY | O_CLOEXEC);
	if (network < 0)
		return errno == ENOENT ? ESRCH : errno;
	*entered = setns(network, CLONE_NEWNET) == 0;
	CLOSE_FD(network);
	return *entered ? 0 : errno;
}

int thread_socket(const struct container *c, int family, int type, int protocol, int *fd)
{
	bool entered = false;
	int error = 0;

	*fd = -1;
	/* Of unix sockets, only the names that the kernel picks for datagram ones belong to a network namespace. */
	if (c && (family != AF_UNIX || type == SOCK_DGRAM))
		error = enter_network(c, &entered);
	if (error)
		return error;
	*fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (*fd < 0)
		error = errno;
	if (entered && setns(our_network, CLONE_NEWNET) < 0)
		abort();
	return error;
}
