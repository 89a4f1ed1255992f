/*
 * Giving up privileges for good, for a process that was started as root. Only for a process, or a thread, that executes
 * nothing afterwards that needs more.
 */
#ifndef PVX_PRIVILEGES_H
#define PVX_PRIVILEGES_H

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAPABILITY(name) (1ull << CAP_##name)

/* What pvx-broker keeps of root; its parent has to have it, too. */
#define BROKER_CAPABILITY_NAMES(CAP)                                                                \
	CAP(DAC_OVERRIDE)    /* plant in folders that root of the container could write */          \
	CAP(DAC_READ_SEARCH) /* reach them */                                                       \
	CAP(CHOWN)           /* planted devices get their owner */                                  \
	CAP(FOWNER)          /* remove what we planted from a sticky folder */                      \
	CAP(SETUID)          /* connect as the role's uid */                                        \
	CAP(SETGID)          /* and gid */                                                          \
	CAP(SYS_ADMIN)       /* enter network and mount namespaces, mount, drop a DRM master */     \
	CAP(SYS_CHROOT)      /* enter mount namespaces, and be back */                              \
	CAP(SYS_PTRACE)      /* open the root of a container's process */                           \
	CAP(MKNOD)           /* plant devices */                                                    \
	CAP(NET_BIND_SERVICE)/* listen below port 1024 */
#define CAPABILITY_AND(name) CAPABILITY(name) |
#define BROKER_CAPABILITIES (BROKER_CAPABILITY_NAMES(CAPABILITY_AND) 0)

/* Nobody whom we execute gets more than these. */
static inline void privileges_bound(uint64_t mask)
{
	for (int cap = 0; cap < 64; cap++)
		if (!(mask >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno == EINVAL)
			break; /* past the last one */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* Keeps these, and nobody whom we execute gets more. A machine that gave us fewer is asked for no more than it gave. 0
 * or an errno. */
static inline int privileges_keep(uint64_t mask)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 }, now[2] = { 0 };

	privileges_bound(mask);
	if (syscall(SYS_capget, &header, now) < 0)
		return errno;
	for (int i = 0; i < 2; i++)
		data[i].permitted = data[i].effective = now[i].permitted & (uint32_t)(mask >> (32 * i));
	if (syscall(SYS_capset, &header, data) < 0)
		return errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0;
}

/* 0 or an errno. uid -1: keep the user (no other one is mapped here), lose the capabilities all the same. */
static inline int privileges_drop(int32_t uid, int32_t gid)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	for (int cap = 0; cap <= 63; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			break; /* past the last one, or nothing to drop from */
	if (uid >= 0 && (setgroups(0, NULL) < 0 || setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid) < 0 ||
			 setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) < 0))
		return errno;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, none) < 0)
		return errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0;
}

#endif
