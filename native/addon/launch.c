/*
 * launch: starts pvx-broker, and pvx-bus where a bus is to be hosted, while we are still root; then gives up
 * everything, and executes ourselves anew.
 *
 * It is an exec and not a plain setuid because capabilities, no_new_privs and the bounding set belong to
 * threads, and Node.js has several before the first line of JavaScript runs: after the exec there is no
 * thread that ever had a privilege. The pid stays, which the runtime that launched us watches.
 *
 * What that left open is for none of us: a child and the new program have the descriptors that are named here, and
 * standard input leads nowhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../privileges.h"
#include "../process.h"
#include "napi.h"

#define CHANNELS 3
#define CHILDREN 2

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

/* After fork: only what is safe in a signal handler. `theirs` become the descriptors 3 and on. */
static _Noreturn void run_child(char **argv, char **envp, const int *theirs, int n)
{
	int high[2];

	for (int i = 0; i < n; i++) {
		high[i] = fcntl(theirs[i], F_DUPFD_CLOEXEC, 10);
		if (high[i] < 0)
			_exit(126);
	}
	for (int i = 0; i < n; i++)
		if (dup2(high[i], 3 + i) < 0) /* dup2 clears close-on-exec */
			_exit(126);
	execve(argv[0], argv, envp);
	_exit(127);
}

/* Starts a program that has the other ends of `n` channels, at most two; ours, and the child, are the caller's. 0 or
 * an errno. */
static int start_child(char **argv, char **envp, int *ours, int n, pid_t *child)
{
	int theirs[2] = { -1, -1 }, error = 0;
	pid_t pid = 0;

	for (int i = 0; i < n && !error; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
			error = errno;
		else
			ours[i] = pair[0], theirs[i] = pair[1];
	}
	if (!error && (pid = fork()) < 0)
		error = errno;
	if (!error && pid == 0)
		run_child(argv, envp, theirs, n);
	*child = pid > 0 ? pid : 0;
	for (int i = 0; i < n; i++)
		if (theirs[i] >= 0)
			close(theirs[i]);
	return error;
}

/* Array of numbers -> `n` of them, on the heap until the exec. */
static int32_t *get_numbers(napi_env env, napi_value list, uint32_t *n)
{
	int32_t *numbers;

	if (napi_get_array_length(env, list, n) != napi_ok || !(numbers = calloc(*n + 1u, sizeof(*numbers))))
		return NULL;
	for (uint32_t i = 0; i < *n; i++) {
		napi_value element;

		if (napi_get_element(env, list, i, &element) != napi_ok ||
		    napi_get_value_int32(env, element, &numbers[i]) != napi_ok)
			return NULL;
	}
	return numbers;
}

/* Node.js may have marked them close-on-exec; a program that starts without would open something else there. Of a
 * terminal, or of whatever else standard input is, none of us has a use. */
static void keep_standard_streams(void)
{
	int nowhere = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (nowhere > 0) {
		dup2(nowhere, 0);
		close(nowhere);
	}
	for (int fd = 0; fd <= 2; fd++)
		fcntl(fd, F_SETFD, 0);
}

/* Those that were started, where we can't go on: the end of its channel is each one's end. */
static napi_value give_up(napi_env env, const char *what, int error, const int *channels, const pid_t *children)
{
	for (int i = 0; i < CHANNELS; i++)
		if (channels[i] >= 0)
			close(channels[i]);
	for (int i = 0; i < CHILDREN; i++)
		if (children[i] > 0)
			waitpid(children[i], NULL, 0);
	return pvx_throw_errno(env, what, error);
}

/* launch(brokerArgv, nodeArgv, env, uid, gid, keepFds, busArgv): never returns but by an exception, and no argument
 * that is wrong has had an effect by then. The new program keeps keepFds. env gains PVX_BROKER_FDS=a,b: our ends of the
 * two channels to the broker, and c: of the one to pvx-bus, which is started where busArgv is not empty; and
 * PVX_CHILDREN=broker,bus: their pids, 0 for none. */
static napi_value launch(napi_env env, napi_callback_info info)
{
	char **broker, **node, **envp, **bus;
	int channels[CHANNELS] = { -1, -1, -1 }, error;
	pid_t children[CHILDREN] = { 0 };
	napi_value argv[7];
	size_t argc = 7, n = 0;
	char fds[64], pids[64];
	int32_t uid, gid, *keep;
	uint32_t nkeep = 0;

	NAPI_OK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	broker = get_strings(env, argv[0]);
	node = get_strings(env, argv[1]);
	envp = get_strings(env, argv[2]);
	bus = get_strings(env, argv[6]);
	keep = get_numbers(env, argv[5], &nkeep);
	NAPI_OK(env, napi_get_value_int32(env, argv[3], &uid));
	NAPI_OK(env, napi_get_value_int32(env, argv[4], &gid));
	NAPI_OK(env, broker && broker[0] && node && node[0] && envp && bus && keep ? napi_ok : napi_invalid_arg);
	while (envp[n])
		n++;
	envp = realloc(envp, (n + 3) * sizeof(*envp));
	if (!envp)
		return pvx_throw_errno(env, "launch", ENOMEM);
	process_seal(); /* for what is started from here on: no core dump */
	keep_standard_streams();
	descriptors_end_at_exec(3);
	error = start_child(broker, envp, channels, 2, &children[0]);
	if (!error && bus[0])
		error = start_child(bus, envp, channels + 2, 1, &children[1]);
	if (error)
		return give_up(env, "start of a child", error, channels, children);
	error = privileges_drop(uid, gid);
	if (error)
		return give_up(env, "giving up root", error, channels, children);
	keyring_renew(); /* the new user's */
	for (uint32_t i = 0; i < nkeep; i++)
		fcntl(keep[i], F_SETFD, 0);
	for (int i = 0; i < CHANNELS; i++)
		if (channels[i] >= 0)
			fcntl(channels[i], F_SETFD, 0);
	snprintf(fds, sizeof(fds), "PVX_BROKER_FDS=%d,%d,%d", channels[0], channels[1], channels[2]);
	snprintf(pids, sizeof(pids), "PVX_CHILDREN=%d,%d", children[0], children[1]);
	envp[n] = fds;
	envp[n + 1] = pids;
	envp[n + 2] = NULL;
	execve(node[0], node, envp);
	return give_up(env, node[0], errno, channels, children);
}

void launch_exports(napi_env env, napi_value exports)
{
	pvx_export(env, exports, "launch", launch);
}
