/*
 * pvx-enter: runs a program in a container, for pventer, which has looked at whom it enters and opened all of it.
 *
 *   pvx-enter --parent PID [--ns FD]... [--cgroup FD]... --root FD --environ FD --ids UID:GID[:GROUP...] [--user USER]
 *             [--terminal] [--term TERM] --capabilities MASK [--no-new-privileges] [-- PROGRAM ARG...]
 *
 *   PID of --parent  whoever started it
 *   FD of --ns       a file of /proc/PID/ns, in the order in which they are entered
 *   FD of --cgroup   a cgroup.procs, open for writing
 *   FD of --root     the root of its first process; of --environ that process's environment
 *   MASK             what a program in there can have at most, hexadecimal, as CapBnd of /proc/PID/status has it
 *
 * Nothing of the container is run, loaded or looked up outside of it: the environment is only set for the program, and
 * names are looked up once its root is entered. Who is who:
 *
 *   the process that was started  stays outside; with --terminal it has the other end of the program's terminal
 *     └─ the one that enters      in cgroups, namespaces and root of the container, but in no pid namespace of it
 *          └─ the program         with 0, 1 and 2 alone: whoever looks into it in there finds nothing of the host's
 *
 * Each ends with the one above it. The program's file is a copy in memory: who writes to /proc/PID/exe from in there
 * writes to that. Exit code: that of the program, 128 + N after a signal, 127 where it is not there, 126 where it can't be
 * executed, 125 where the container can't be entered, with a sentence on standard error.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../privileges.h"
#include "../process.h"
#include "terminal.h"

#define MAX_FDS 32
#define MAX_GROUPS 64
#define MAX_ENVIRON (1 << 20)
#define MAX_PASSWD (1 << 20)
#define CANT_ENTER 125

struct plan {
	int namespaces[MAX_FDS], cgroups[MAX_FDS], root, environ;
	size_t namespace_count, cgroup_count, group_count;
	pid_t parent;
	uid_t uid;
	gid_t gid, groups[MAX_GROUPS];
	const char *user, *term;
	bool has_terminal, no_new_privileges;
	uint64_t capabilities;
	char **program; /* empty: a shell of whoever it is */
};

/* A line of passwd(5). */
struct account {
	const char *name, *home, *shell;
};

static pid_t child; /* who is told of signals */

static void pass_on(int signal)
{
	if (child > 0)
		kill(child, signal);
}

static int fail(const char *what)
{
	fprintf(stderr, "pventer: %s: %s.\n", what, strerror(errno));
	return CANT_ENTER;
}

/* Goes on in a copy of this program that nobody can write to. It does nothing where it is that copy. */
static int go_on_in_memory(char **argv)
{
	int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int copy, now;
	struct stat st;
	off_t at = 0;

	if (own < 0 || fstat(own, &st) < 0)
		return -1;
	now = fcntl(own, F_GET_SEALS); /* -1: it is a file like any other */
	if (now >= 0 && (now & seals) == seals) {
		close(own);
		return 0;
	}
	copy = memfd_create("pvx-enter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return -1;
	while (at < st.st_size)
		if (sendfile(copy, own, &at, (size_t)(st.st_size - at)) <= 0)
			return -1;
	if (fcntl(copy, F_ADD_SEALS, seals) < 0)
		return -1;
	fexecve(copy, argv, environ);
	return -1;
}

/* Up to its end or to a limit; null-terminated. NULL: it can't be read. */
static char *content_of(int fd, size_t limit, size_t *size)
{
	char *text = malloc(limit + 1);
	ssize_t n = 0;

	*size = 0;
	while (text && *size < limit && (n = read(fd, text + *size, limit - *size)) > 0)
		*size += (size_t)n;
	if (!text || n < 0) {
		free(text);
		return NULL;
	}
	text[*size] = 0;
	return text;
}

/* The variables of a text with a null byte behind each, and room for `more` behind them. */
static char **variables_of(char *text, size_t size, size_t more)
{
	size_t count = 0, at = 0;
	char **all;

	for (size_t i = 0; i < size; i++)
		count += text[i] == 0;
	all = calloc(count + more + 2, sizeof(*all));
	if (!all)
		return NULL;
	for (char *one = text; one < text + size; one += strlen(one) + 1)
		if (strchr(one, '='))
			all[at++] = one;
	return all;
}

/* Where the one by that name is, or, with none, the end. */
static char **place_of(char **all, const char *name)
{
	size_t length = strlen(name);

	while (*all && (strncmp(*all, name, length) || (*all)[length] != '='))
		all++;
	return all;
}

static const char *variable(char **all, const char *name)
{
	const char *found = *place_of(all, name);

	return found ? strchr(found, '=') + 1 : NULL;
}

/* In place of the one by that name. There is room. */
static void set_variable(char **all, const char *name, const char *value)
{
	char *text;

	if (asprintf(&text, "%s=%s", name, value) >= 0)
		*place_of(all, name) = text;
}

/* Of a user or a group. The highest number of 32 bits is none: it stands for no change in setresuid(2). */
static bool is_id(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && length <= 10 && strspn(text, "0123456789") == length &&
	       strtoul(text, NULL, 10) < UINT32_MAX;
}

/* Who the program is, of the container's own /etc/passwd. Changes uid, gid and groups where a user was named. Whatever is
 * there instead of that file counts as an empty one. False: there is no such user. */
static bool find_account(struct plan *plan, struct account *account)
{
	int fd = open("/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	bool is_uid = plan->user && is_id(plan->user);
	uid_t wanted = is_uid ? (uid_t)strtoul(plan->user, NULL, 10) : plan->uid;
	struct stat st;
	size_t size;
	char *text = NULL, *line, *fields[7];

	*account = (struct account){ plan->user ? plan->user : plan->uid == 0 ? "root" : "", "/", "/bin/sh" };
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		text = content_of(fd, MAX_PASSWD, &size);
	CLOSE_FD(fd);
	while (text && (line = strsep(&text, "\n"))) {
		int count = 0;

		while (count < 7 && (fields[count] = strsep(&line, ":")))
			count++;
		if (count < 7 || !is_id(fields[2]) || !is_id(fields[3]))
			continue;
		if (plan->user && !is_uid ? strcmp(fields[0], plan->user) : strtoul(fields[2], NULL, 10) != wanted)
			continue;
		*account = (struct account){ fields[0], fields[5], *fields[6] ? fields[6] : "/bin/sh" };
		if (!plan->user)
			return true;
		plan->uid = (uid_t)strtoul(fields[2], NULL, 10);
		plan->gid = plan->groups[0] = (gid_t)strtoul(fields[3], NULL, 10);
		plan->group_count = 1;
		return true;
	}
	if (is_uid) {
		plan->uid = plan->gid = plan->groups[0] = wanted;
		plan->group_count = 1;
	}
	return !plan->user || is_uid;
}

/* What a program may have at most is what those of the container may. */
static int give_up(const struct plan *plan)
{
	privileges_bound(plan->capabilities);
	if (plan->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	/* A user namespace may have setgroups(2) denied; then there are none to lose. */
	if (setgroups(plan->group_count, plan->groups) < 0 && errno != EPERM)
		return -1;
	if (setresgid(plan->gid, plan->gid, plan->gid) < 0 || setresuid(plan->uid, plan->uid, plan->uid) < 0)
		return -1;
	return 0;
}

/* `above`: a pipe whose other end the process that enters has alone, for as long as it is there. */
static _Noreturn void run(const struct plan *plan, const struct account *account, char **variables, int above)
{
	char *shell[] = { NULL, NULL, NULL, NULL };
	char **argv = plan->program;
	const char *file = argv[0];

	keyring_renew();
	umask(022);
	if (give_up(plan) < 0)
		exit(fail("its user can't be taken"));
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* which a change of user takes back */
	if (poll(&(struct pollfd){ .fd = above }, 1, 0) != 0)
		exit(CANT_ENTER); /* it has ended; getppid() does not tell: it is 0 in another pid namespace, always */
	if (chdir(account->home) < 0 && chdir("/") < 0)
		exit(fail("its root can't be searched"));
	if (!file || (!argv[1] && file[strcspn(file, " \t\n|&;<>()$`\\\"'*?[#~")])) {
		/* As with ssh: one word that is more than a name is for the shell of the user. */
		const char *base = strrchr(account->shell, '/');

		base = base ? base + 1 : account->shell;
		if (asprintf(&shell[0], "%s%s", file ? "" : "-", base) < 0)
			exit(fail("memory"));
		if (file) {
			shell[1] = "-c";
			shell[2] = (char *)file;
		}
		file = account->shell;
		argv = shell;
	}
	for (int signal = 1; signal < NSIG; signal++)
		sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	sigprocmask(SIG_SETMASK, &(sigset_t){ 0 }, NULL);
	setenv("PATH", variable(variables, "PATH"), 1); /* where execvpe looks */
	execvpe(file, argv, variables);
	fprintf(stderr, "pventer: %s: %s.\n", file, strerror(errno));
	exit(errno == ENOENT ? 127 : 126);
}

static int result_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return CANT_ENTER;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Of the process that enters. `terminal`: of the program, or -1. */
static int enter(struct plan *plan, int terminal, pid_t parent)
{
	int above[2];
	struct account account;
	size_t size;
	char *text, **variables;

	if (!process_ends_with(parent, SIGKILL))
		return CANT_ENTER;
	for (size_t i = 0; i < plan->cgroup_count; i++)
		if (write(plan->cgroups[i], "0", 1) < 0)
			return fail("its cgroup can't be entered");
	text = content_of(plan->environ, MAX_ENVIRON, &size);
	variables = text ? variables_of(text, size, 8) : NULL;
	if (!variables)
		return fail("its environment can't be read");
	for (size_t i = 0; i < plan->namespace_count; i++)
		if (setns(plan->namespaces[i], 0) < 0)
			return fail("its namespaces can't be entered");
	if (!process_ends_with(parent, SIGKILL)) /* which another's user namespace takes back */
		return CANT_ENTER;
	if (fchdir(plan->root) < 0 || chroot(".") < 0)
		return fail("its root can't be entered");
	if (!find_account(plan, &account)) {
		fprintf(stderr, "pventer: there is no user %s in its /etc/passwd.\n", plan->user);
		return CANT_ENTER;
	}
	set_variable(variables, "HOME", account.home);
	set_variable(variables, "SHELL", account.shell);
	set_variable(variables, "USER", account.name);
	set_variable(variables, "LOGNAME", account.name);
	if (plan->term)
		set_variable(variables, "TERM", plan->term);
	if (!variable(variables, "PATH"))
		set_variable(variables, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	if (terminal >= 0 && (dup2(terminal, 0) < 0 || dup2(terminal, 1) < 0 || dup2(terminal, 2) < 0))
		return fail("its terminal can't be used");
	descriptors_end(3);
	child = pipe2(above, O_CLOEXEC) < 0 ? -1 : fork();
	if (child < 0)
		return fail("it has no room for another process");
	if (child == 0) {
		close(above[1]);
		if (terminal >= 0 && (setsid() < 0 || terminal_control(0) < 0))
			exit(fail("its terminal can't be used"));
		run(plan, &account, variables, above[0]);
	}
	return result_of(child);
}

static bool read_ids(struct plan *plan, char *text)
{
	char *one;

	for (size_t at = 0; (one = strsep(&text, ":")); at++) {
		unsigned long id = strtoul(one, NULL, 10);

		if (!isdigit((unsigned char)*one))
			return false;
		if (at == 0)
			plan->uid = (uid_t)id;
		else if (at == 1)
			plan->gid = (gid_t)id;
		else if (plan->group_count < MAX_GROUPS)
			plan->groups[plan->group_count++] = (gid_t)id;
	}
	return true;
}

static bool read_plan(struct plan *plan, int argc, char **argv)
{
	static const struct option options[] = {
		{ "ns", required_argument, NULL, 'n' },		{ "cgroup", required_argument, NULL, 'c' },
		{ "root", required_argument, NULL, 'r' },	{ "environ", required_argument, NULL, 'e' },
		{ "ids", required_argument, NULL, 'i' },	{ "user", required_argument, NULL, 'u' },
		{ "terminal", no_argument, NULL, 't' },		{ "term", required_argument, NULL, 'T' },
		{ "capabilities", required_argument, NULL, 'C' }, { "no-new-privileges", no_argument, NULL, 'N' },
		{ "parent", required_argument, NULL, 'p' },	{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1)
		switch (option) {
		case 'n':
		case 'c': {
			int *list = option == 'n' ? plan->namespaces : plan->cgroups;
			size_t *count = option == 'n' ? &plan->namespace_count : &plan->cgroup_count;

			if (*count == MAX_FDS)
				return false;
			list[(*count)++] = atoi(optarg);
			break;
		}
		case 'r':
			plan->root = atoi(optarg);
			break;
		case 'e':
			plan->environ = atoi(optarg);
			break;
		case 'i':
			if (!read_ids(plan, optarg))
				return false;
			break;
		case 'p':
			plan->parent = atoi(optarg);
			break;
		case 'u':
			plan->user = optarg;
			break;
		case 't':
			plan->has_terminal = true;
			break;
		case 'T':
			plan->term = optarg;
			break;
		case 'C':
			plan->capabilities = strtoull(optarg, NULL, 16);
			break;
		case 'N':
			plan->no_new_privileges = true;
			break;
		default:
			return false;
		}
	plan->program = argv + optind;
	return plan->root > 2 && plan->environ > 2;
}

int main(int argc, char **argv)
{
	struct sigaction passing = { .sa_handler = pass_on, .sa_flags = SA_RESTART };
	struct plan plan = { 0 };
	struct terminal terminal = { .program = -1 };
	pid_t self = getpid();

	if (go_on_in_memory(argv) < 0)
		return fail("memory for its program");
	if (!read_plan(&plan, argc, argv)) {
		fprintf(stderr, "pvx-enter: pventer starts it.\n");
		return CANT_ENTER;
	}
	process_seal();
	if (!process_ends_with(plan.parent, SIGKILL))
		return CANT_ENTER;
	if (plan.has_terminal && terminal_open(&terminal) < 0)
		return fail("there is no terminal for it");
	sigaction(SIGTERM, &passing, NULL);
	sigaction(SIGHUP, &passing, NULL);
	/* Those of a terminal reach the program itself. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	child = fork();
	if (child < 0)
		return fail("there is no room for another process");
	if (child == 0) {
		child = 0;
		return enter(&plan, terminal.program, self);
	}
	if (plan.has_terminal)
		terminal_serve(&terminal, child);
	return result_of(child);
}
