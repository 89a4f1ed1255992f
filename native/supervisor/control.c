/*
 * The listener of the daemon's control socket, made where an unprivileged daemon could not, and kept while daemons come
 * and go: a client that connects meanwhile waits. The path comes from our own command line.
 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static struct {
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t device;
	ino_t inode;
} control = { .fd = -1 };

/* Whether who made a listener, and can be connected to, is gone: of a process that a container's file system holds up,
 * the kernel keeps the descriptors until that answers. A supervisor makes the listener, and all others end with it. */
static bool is_orphaned(int fd)
{
	struct ucred maker;
	socklen_t length = sizeof(maker);
	char path[32], text[512];
	ssize_t n;
	int stat;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &maker, &length) < 0 || maker.pid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/stat", maker.pid);
	stat = open(path, O_RDONLY | O_CLOEXEC);
	if (stat < 0)
		return errno == ENOENT;
	n = read(stat, text, sizeof(text) - 1);
	CLOSE_FD(stat);
	if (n <= 0)
		return errno == ESRCH;
	text[n] = 0;
	return strstr(text, ") Z ") != NULL;
}

/* Only a socket that nobody listens on is in the way no longer. */
static int remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	bool is_stale;
	int fd;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : errno;
	if (!S_ISSOCK(st.st_mode))
		return EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		is_stale = errno == ECONNREFUSED;
	else
		is_stale = is_orphaned(fd);
	CLOSE_FD(fd);
	if (!is_stale)
		return EADDRINUSE;
	return unlink(address->sun_path) < 0 ? errno : 0;
}

static int make_parents(const char *path)
{
	char folder[sizeof(control.path)];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		memcpy(folder, path, (size_t)(slash - path));
		folder[slash - path] = 0;
		if (mkdir(folder, 0755) < 0 && errno != EEXIST)
			return errno;
	}
	return 0;
}

static int bind_control(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat st;
	int error;

	if (strlen(path) >= sizeof(address.sun_path))
		return ENAMETOOLONG;
	strcpy(address.sun_path, path);
	error = make_parents(path);
	if (!error)
		error = remove_stale(&address);
	if (error)
		return error;
	control.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control.fd < 0 || fchmod(control.fd, 0660) < 0 ||
	    bind(control.fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return errno;
	if (listen(control.fd, 128) < 0 || lstat(path, &st) < 0)
		return errno;
	strcpy(control.path, path);
	control.device = st.st_dev;
	control.inode = st.st_ino;
	return 0;
}

int control_listen(const char *path, bool *failed)
{
	mode_t mask = umask(0);
	int error = *path ? bind_control(path) : 0;
	const char *why = error == EADDRINUSE ? "another pv-xconnect listens there: stop it, or give --control another path" :
			  error == EEXIST     ? "something that is no socket is there: remove it, or give --control another path" :
						strerror(error);

	umask(mask);
	*failed = error != 0;
	if (error)
		say("no control socket at %s: %s.", path, why);
	return error ? -1 : control.fd;
}

int control_listener(void)
{
	return control.fd;
}

void control_state(struct state *state)
{
	state_section(state, "control");
	state_descriptor(state, "fd", &control.fd);
	state_text(state, "path", control.path, sizeof(control.path));
	STATE_NUMBER(state, "device", control.device);
	STATE_NUMBER(state, "inode", control.inode);
}

void control_remove(void)
{
	struct stat st;

	if (*control.path && lstat(control.path, &st) == 0 && st.st_dev == control.device &&
	    st.st_ino == control.inode)
		unlink(control.path);
	CLOSE_FD(control.fd);
}
