/*
 * What this process is to others: sealed against them, and who they are.
 */
#include <errno.h>
#include <sys/socket.h>

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

void process_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "seal", seal);
	pvx_export(env, exports, "descriptorsEndAtExec", end_at_exec);
	pvx_export(env, exports, "socketPeerPid", peer_pid);
}
