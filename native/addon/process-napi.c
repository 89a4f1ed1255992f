/*
 * What this process is to others: sealed against them, parent of those that it started, child of who launched it. And
 * what only a native call can say of a process or a lock.
 */
#include <errno.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../process.h"
#include "napi.h"

/* seal(): see process_seal; for the program that was executed, first of all. */
static napi_value seal(napi_env env, napi_callback_info info)
{
	(void)info;
	process_seal();
	return pvx_undefined(env);
}

/* descriptorsEndAtExec(): all but the standard streams. */
static napi_value end_at_exec(napi_env env, napi_callback_info info)
{
	(void)info;
	descriptors_end_at_exec(3);
	return pvx_undefined(env);
}

/* reap(pid) -> whether it is a child of ours no more: it has ended, or never was. Does not wait. */
static napi_value reap(napi_env env, napi_callback_info info)
{
	napi_value gone;
	int32_t pid;

	NAPI_OK(env, pvx_argument(env, info, &pid));
	napi_get_boolean(env, waitpid(pid, NULL, WNOHANG) != 0, &gone);
	return gone;
}

/* socketPeerPid(fd) -> the process that made the other end of a unix socket, or listened for it, as SO_PEERCRED of
 * unix(7) has it; 0: not in our pid namespace; -errno */
static napi_value peer_pid(napi_env env, napi_callback_info info)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);
	int32_t fd;

	NAPI_OK(env, pvx_argument(env, info, &fd));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return pvx_number(env, -errno);
	return pvx_number(env, peer.pid);
}

/* pidfdOpen(pid) -> fd, close-on-exec, the caller's; or -errno */
static napi_value pidfd_of(napi_env env, napi_callback_info info)
{
	int32_t pid;
	long fd;

	NAPI_OK(env, pvx_argument(env, info, &pid));
	fd = syscall(SYS_pidfd_open, pid, 0u);
	return pvx_number(env, fd < 0 ? -errno : (double)fd);
}

/* lock(fd) -> whether it is locked, by flock(2), until it is closed; false: another one has it. */
static napi_value lock(napi_env env, napi_callback_info info)
{
	napi_value locked;
	int32_t fd;

	NAPI_OK(env, pvx_argument(env, info, &fd));
	napi_get_boolean(env, flock(fd, LOCK_EX | LOCK_NB) == 0, &locked);
	return locked;
}

void process_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "seal", seal);
	pvx_export(env, exports, "descriptorsEndAtExec", end_at_exec);
	pvx_export(env, exports, "reap", reap);
	pvx_export(env, exports, "lock", lock);
	pvx_export(env, exports, "socketPeerPid", peer_pid);
	pvx_export(env, exports, "pidfdOpen", pidfd_of);
}
