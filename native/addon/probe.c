/*
 * Whether the kernel has the system calls that pv-xconnect is made of. Each is made with arguments by which it can do
 * nothing: it refuses them, and how it does so tells whether it is there.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "napi.h"

static napi_value answer(napi_env env, long result)
{
	return pvx_number(env, result < 0 ? errno : 0);
}

/* probeCalls() -> what each answers: 0 or an errno. ENOSYS: the kernel lacks it. EPERM: a filter refuses it. */
static napi_value probe_calls(napi_env env, napi_callback_info info)
{
	const uint32_t action = SECCOMP_RET_ERRNO;
	napi_value calls;

	(void)info;
	napi_create_object(env, &calls);
	/* openat2(2): a size of 0 is EINVAL. */
	pvx_set(env, calls, "openat2", answer(env, syscall(SYS_openat2, -1, NULL, NULL, 0)));
	/* pidfd_open(2): no process has the number 0, EINVAL. */
	pvx_set(env, calls, "pidfd_open", answer(env, syscall(SYS_pidfd_open, 0, 0u)));
	/* Unknown flags are EINVAL, before anything is asked of the caller. It came with fsopen(2) and move_mount(2). */
	pvx_set(env, calls, "open_tree", answer(env, syscall(SYS_open_tree, -1, "", ~0u)));
	/* seccomp(2): only asks whether a filter may answer with an errno. */
	pvx_set(env, calls, "seccomp", answer(env, syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0u, &action)));
	return calls;
}

void probe_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "probeCalls", probe_calls);
}
