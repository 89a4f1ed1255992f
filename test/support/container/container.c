/*
 * A container for tests: `container create` makes one and guards it, `container enter` runs a program in it.
 *
 * create ROOT NAME FLAGS BIND...   FLAGS of n (own network), u (own users), r (read-only root), or "-"; then =PID for
 *   an init of that pid, which nobody may have
 *   Mounts a tmpfs on the folder ROOT of the host, with others for /run and /tmp in it, and starts an init
 *   in new namespaces that sees nothing else but read-only binds of the given host paths. Its pid is
 *   printed once it is in its own root. The end of standard input, or of init, ends everything.
 * enter PID PROGRAM ARG...         as root of the container, in all its namespaces (enter.c)
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "container.h"

#define FIRST_UID 100000 /* root of a container with its own users, as the host counts */
#define USERS 65536

static bool wants(const char *flags, char flag)
{
	return strchr(flags, flag) != NULL;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	CHECK(fd);
	CHECK(write(fd, text, strlen(text)));
	close(fd);
}

static void make_parents(const char *path)
{
	char parent[4096];

	snprintf(parent, sizeof(parent), "%s", path);
	for (char *p = strchr(parent, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		if (mkdir(parent, 0755) < 0 && errno != EEXIST)
			CHECK(-1);
		*p = '/';
	}
}

/* In the new root, as root of the host: what an image would have brought along. */
static void furnish(char **binds, uid_t owner)
{
	static const struct {
		const char *name;
		unsigned int minor;
	} devices[] = { { "null", 3 }, { "zero", 5 }, { "full", 7 }, { "random", 8 }, { "urandom", 9 } };
	static const char *const folders[] = { "etc", "dev", "proc", "run", "tmp", "root", "var", "usr" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		CHECK(mkdir(folders[i], 0755));
		CHECK(chown(folders[i], owner, owner));
	}
	for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
		char path[32];

		snprintf(path, sizeof(path), "dev/%s", devices[i].name);
		CHECK(mknod(path, S_IFCHR | 0666, makedev(1, devices[i].minor)));
	}
	write_file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/usr/sbin/nologin\n"
				 "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n");
	write_file("etc/group", "root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n");
	CHECK(chown("etc/passwd", owner, owner));
	CHECK(chown("etc/group", owner, owner));
	for (const char *path; (path = *binds); binds++) {
		char target[4096];
		ssize_t n = readlink(path, target, sizeof(target) - 1);

		make_parents(path + 1);
		if (n > 0) {
			target[n] = 0;
			CHECK(symlink(target, path + 1));
		} else if (mkdir(path + 1, 0755) < 0 && errno != EEXIST) {
			CHECK(-1);
		}
	}
	CHECK(mount("tmpfs", "run", "tmpfs", MS_NOSUID, "mode=0755"));
	CHECK(mount("tmpfs", "tmp", "tmpfs", MS_NOSUID, "mode=1777"));
	CHECK(chown("run", owner, owner));
	CHECK(chown("tmp", owner, owner));
	CHECK(chown(".", owner, owner));
}

static void read_only(const char *path)
{
	struct mount_attr wanted = { .attr_set = MOUNT_ATTR_RDONLY };

	CHECK(mount_setattr(AT_FDCWD, path, 0, &wanted, sizeof(wanted)));
}

static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK(fd);
	CHECK(ioctl(fd, SIOCSIFFLAGS, &request));
	close(fd);
}

void become_root(void)
{
	CHECK(syscall(SYS_setgroups, 0, NULL));
	CHECK(setresgid(0, 0, 0));
	CHECK(setresuid(0, 0, 0));
}

/* Process 1 of the container: into its root, then it reaps. */
static void init(const char *root, const char *name, const char *flags, char **binds, int ready)
{
	/* Bound while still of the host's uid: /root, above an interpreter, may be closed to others. */
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	CHECK(mount(root, root, NULL, MS_BIND | MS_REC, NULL));
	CHECK(chdir(root));
	for (; *binds; binds++) {
		struct stat info;

		CHECK(lstat(*binds, &info));
		if (S_ISLNK(info.st_mode))
			continue;
		CHECK(mount(*binds, *binds + 1, NULL, MS_BIND, NULL));
		read_only(*binds + 1);
	}
	CHECK(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
	become_root();
	CHECK(syscall(SYS_pivot_root, ".", "."));
	CHECK(umount2(".", MNT_DETACH));
	CHECK(chdir("/"));
	CHECK(sethostname(name, strlen(name)));
	if (wants(flags, 'n'))
		loopback_up();
	if (wants(flags, 'r')) {
		read_only("/run");
		read_only("/tmp");
		read_only("/");
	}
	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL));
	signal(SIGCHLD, SIG_IGN);
	CHECK(write(ready, "", 1));
	close(ready);
	for (;;)
		pause();
}

static void map_users(pid_t pid)
{
	char path[64], map[64];

	snprintf(map, sizeof(map), "0 %d %d\n", FIRST_UID, USERS);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	write_file(path, map);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	write_file(path, map);
}

static int create(const char *root, const char *name, const char *flags, char **binds)
{
	struct clone_args args = { .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_PIDFD,
				   .exit_signal = SIGCHLD };
	const char *wanted = strchr(flags, '=');
	pid_t pids[] = { 1, wanted ? (pid_t)atol(wanted + 1) : 0 }; /* within, and here */
	int go[2], ready[2], pidfd, failed = 0;
	char byte;
	pid_t pid;

	if (wants(flags, 'n'))
		args.flags |= CLONE_NEWNET;
	if (wants(flags, 'u'))
		args.flags |= CLONE_NEWUSER;
	args.pidfd = (uintptr_t)&pidfd;
	if (wanted) {
		args.set_tid = (uintptr_t)pids;
		args.set_tid_size = 2;
	}
	umask(0);
	CHECK(mount("tmpfs", root, "tmpfs", MS_NOSUID, "mode=0755"));
	CHECK(chdir(root));
	furnish(binds, wants(flags, 'u') ? FIRST_UID : 0);
	CHECK(chdir("/"));
	CHECK(pipe2(go, O_CLOEXEC));
	CHECK(pipe2(ready, O_CLOEXEC));
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	CHECK(pid);
	if (pid == 0) {
		close(go[1]);
		close(ready[0]);
		if (read(go[0], &byte, 1) != 1)
			_exit(125);
		close(go[0]);
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		init(root, name, flags, binds, ready[1]);
	}
	close(ready[1]);
	if (wants(flags, 'u'))
		map_users(pid);
	CHECK(write(go[1], "", 1));
	if (read(ready[0], &byte, 1) == 1) {
		struct pollfd watched[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };

		printf("%d\n", pid);
		fflush(stdout);
		while (poll(watched, 2, -1) < 0 && errno == EINTR)
			;
	} else {
		failed = 125;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(umount2(root, MNT_DETACH));
	return failed;
}

int main(int argc, char **argv)
{
	if (argc >= 5 && strcmp(argv[1], "create") == 0)
		return create(argv[2], argv[3], argv[4], argv + 5);
	if (argc >= 4 && strcmp(argv[1], "enter") == 0)
		return enter((pid_t)atol(argv[2]), argv + 3);
	fprintf(stderr, "usage: container create ROOT NAME FLAGS BIND... | enter PID PROGRAM ARG...\n");
	return 2;
}
