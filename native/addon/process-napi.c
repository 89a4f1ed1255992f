/*
 * What this process is to others: sealed against them, and who they are.
 */
#include <sys/prctl.h>
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

/* noNewPrivileges(): from now on no program that this process executes gains any, for good. */
static napi_value no_new_privileges(napi_env env, napi_callback_info info)
{
	(void)info;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* which every kernel that this runs on can */
	return pvx_undefined(env);
}

/* descriptorsEndAtExec(): all but the standard streams. */
static napi_value end_at_exec(napi_env env, napi_callback_info info)
{
	(void)info;
	descriptors_end_at_exec(3);
	return pvx_undefined(env);
}

/* socketPeer(fd) -> {pid, uid, gid} of the process that made the other end of a unix socket, or listened for it, as
 * SO_PEERCRED of unix(7) has it; pid 0: not in our pid namespace | undefined: no unix socket */
static napi_value peer(napi_env env, napi_callback_info info)
{
	struct ucred who;
	socklen_t length = sizeof(who);
	napi_value object;
	int32_t fd;

	NAPI_OK(env, pvx_argument(env, info, &fd));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) < 0 || who.uid == (uid_t)-1)
		return pvx_undefined(env);
	napi_create_object(env, &object);
	pvx_set(env, object, "pid", pvx_number(env, who.pid));
	pvx_set(env, object, "uid", pvx_number(env, who.uid));
	pvx_set(env, object, "gid", pvx_number(env, who.gid));
	return object;
}

void process_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "seal", seal);
	pvx_export(env, exports, "noNewPrivileges", no_new_privileges);
	pvx_export(env, exports, "descriptorsEndAtExec", end_at_exec);
	pvx_export(env, exports, "socketPeer", peer);
}
