/*
 * A seccomp filter, written out call by call: seccomp(2). What is not in it fails with EPERM rather than killing, so that
 * a C library of another mind shows in an error and not in a crash.
 *
 *   filter_begin -> ALLOW(close), ALLOW_IF(ioctl, WORD(1, FIONREAD)) ... -> filter_load
 *
 * A filter sees numbers, not what they point to. There is one at a time, of one thread.
 */
#ifndef PVX_FILTER_H
#define PVX_FILTER_H

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#endif /* else there is no filter: the lists of calls were not written out for it */

#define FILTER_VALUES_MAX 10

/* An argument of a call: what is left of it under the mask is one of the values. */
struct condition {
	int argument;
	uint64_t mask; /* 0: there is no condition */
	uint64_t values[FILTER_VALUES_MAX];
	int n;
};

#define COUNT(...) ((int)(sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t)))
#define MASKED(argument, mask, ...) { argument, mask, { __VA_ARGS__ }, COUNT(__VA_ARGS__) }
#define WORD(argument, ...) MASKED(argument, UINT32_MAX, __VA_ARGS__)
#define POINTER(argument, ...) MASKED(argument, UINT64_MAX, __VA_ARGS__)
#define AT(object) (uint64_t)(uintptr_t)(object)
#define ALLOW(call) filter_allow(SYS_##call, NULL)
#define ALLOW_IF(call, ...) filter_allow(SYS_##call, (const struct condition[]){ __VA_ARGS__, { 0 } })

void filter_begin(void);
/* All of the conditions hold (the last one has no mask; NULL: there is none). Several for one call: any of them. */
void filter_allow(uint32_t call, const struct condition *);
void filter_refuse(uint32_t call, int error); /* with another errno than EPERM */
int filter_load(uint32_t flags); /* SECCOMP_FILTER_FLAG_*. 0 or an errno; ENOSYS, EINVAL: this kernel has none */

#endif
