/*
 * launch: starts pvx-broker while we are still root, gives up everything, and executes ourselves anew.
 *
 * It is an exec and not a plain setuid because capabilities, no_new_privs and the bounding set belong to
 * threads, and Node.js has several before the first line of JavaScript runs: after the exec there is no
 * thread that ever had a privilege. The pid stays, which the runtime that launched us watches.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "napi.h"

/* Array of strings -> NULL-terminated vector, on the heap until the exec. */
static char **get_strings(napi_env env, napi_value list)
{
	uint32_t n = 0;
	char **strings;

	if (napi_get_array_length(env, list, &n) != napi_ok || !(strings = calloc(n + 1u, sizeof(*strings))))
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		napi_value element;
		size_t length;

		if (napi_get_element(env, list, i, &element) != napi_ok ||
		    napi_get_value_string_utf8(env, element, NULL, 0, &length) != napi_ok ||
		    !(strings[i] = malloc(length + 1)))
			return NULL;
		napi_get_value_string_utf8(env, element, strings[i], length + 1, &length);
	}
	return strings;
}

/* After fork: only what is safe in a signal handler. */
static _Noreturn void run_broker(char **argv, char **envp, const int *theirs)
{
	int high[2];

	for (int i = 0; i < 2; i++) {
		high[i] = fcntl(theirs[i], F_DUPFD_CLOEXEC, 10);
		if (high[i] < 0)
			_exit(126);
	}
	for (int i = 0; i < 2; i++)
		if (dup2(high[i], 3 + i) < 0) /* dup2 clears close-on-exec */
			_exit(126);
	execve(argv[0], argv, envp);
	_exit(127);
}

/* 0 or an errno. uid -1: keep the user (no other one is mapped here), lose the capabilities all the same. */
static int drop_privileges(int32_t uid, int32_t gid)
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

/* Array of numbers: descriptors that the new program keeps. */
static napi_status keep_open(napi_env env, napi_value list)
{
	napi_value element;
	uint32_t n = 0;
	int32_t fd;

	if (napi_get_array_length(env, list, &n) != napi_ok)
		return napi_invalid_arg;
	for (uint32_t i = 0; i < n; i++) {
		if (napi_get_element(env, list, i, &element) != napi_ok ||
		    napi_get_value_int32(env, element, &fd) != napi_ok)
			return napi_invalid_arg;
		fcntl(fd, F_SETFD, 0);
	}
	return napi_ok;
}

/* Node.js may have marked them close-on-exec; a program that starts without would open something else there. */
static void keep_standard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++)
		fcntl(fd, F_SETFD, 0);
}

/* launch(brokerArgv, nodeArgv, env, uid, gid, keepFds): never returns but by an exception. env gains
 * PVX_BROKER_FDS=a,b: our ends of the two channels. */
static napi_value launch(napi_env env, napi_callback_info info)
{
	char **broker, **node, **envp;
	int control[2], data[2], error;
	napi_value argv[6];
	size_t argc = 6, n = 0;
	char text[64];
	int32_t uid, gid;
	pid_t pid;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	broker = get_strings(env, argv[0]);
	node = get_strings(env, argv[1]);
	envp = get_strings(env, argv[2]);
	NAPI_OK(env, napi_get_value_int32(env, argv[3], &uid));
	NAPI_OK(env, napi_get_value_int32(env, argv[4], &gid));
	if (!broker || !node || !envp)
		return pvx_throw_errno(env, "launch", ENOMEM);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, data) < 0)
		return pvx_throw_errno(env, "socketpair", errno);
	keep_standard_streams();
	pid = fork();
	if (pid < 0)
		return pvx_throw_errno(env, "fork", errno);
	if (pid == 0)
		run_broker(broker, envp, (int[]){ control[1], data[1] });
	close(control[1]);
	close(data[1]);
	error = drop_privileges(uid, gid);
	if (error)
		return pvx_throw_errno(env, "giving up root", error);
	NAPI_OK(env, keep_open(env, argv[5]));
	fcntl(control[0], F_SETFD, 0);
	fcntl(data[0], F_SETFD, 0);
	while (envp[n])
		n++;
	envp = realloc(envp, (n + 2) * sizeof(*envp));
	if (!envp)
		return pvx_throw_errno(env, "launch", ENOMEM);
	snprintf(text, sizeof(text), "PVX_BROKER_FDS=%d,%d", control[0], data[0]);
	envp[n] = text;
	envp[n + 1] = NULL;
	execve(node[0], node, envp);
	return pvx_throw_errno(env, node[0], errno);
}

void launch_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "launch", launch);
}
