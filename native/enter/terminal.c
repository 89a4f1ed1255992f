/* See terminal.h. */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "../process.h"

static volatile sig_atomic_t was_resized;

static void resized(int signal)
{
	(void)signal;
	was_resized = true;
}

static void copy_size(int to)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		ioctl(to, TIOCSWINSZ, &size);
}

int terminal_control(int terminal)
{
	return ioctl(terminal, TIOCSCTTY, 0);
}

int terminal_open(struct terminal *terminal)
{
	terminal->ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (terminal->ours < 0 || grantpt(terminal->ours) < 0 || unlockpt(terminal->ours) < 0)
		return -1;
	terminal->program = open(ptsname(terminal->ours), O_RDWR | O_NOCTTY | O_CLOEXEC);
	copy_size(terminal->ours);
	return terminal->program < 0 ? -1 : 0;
}

static bool write_all(int fd, const char *data, ssize_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, (size_t)size);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
		if (n > 0) {
			data += n;
			size -= n;
		}
	}
	return true;
}

/* One read and its write. False: there will be no more. */
static bool move(int from, int to)
{
	char data[4096];
	ssize_t n = read(from, data, sizeof(data));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	return n > 0 && write_all(to, data, n);
}

void terminal_serve(struct terminal *terminal, pid_t program)
{
	struct pollfd polled[] = {
		{ .fd = (int)syscall(SYS_pidfd_open, program, 0), .events = POLLIN },
		{ .fd = terminal->ours, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};
	struct termios before, raw;
	bool is_terminal = tcgetattr(STDIN_FILENO, &before) == 0;

	CLOSE_FD(terminal->program);
	if (is_terminal) {
		raw = before;
		cfmakeraw(&raw);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	sigaction(SIGWINCH, &(struct sigaction){ .sa_handler = resized }, NULL);
	while (!polled[0].revents) {
		if (was_resized) {
			was_resized = false;
			copy_size(terminal->ours);
		}
		if (poll(polled, 3, -1) < 0) {
			if (errno != EINTR)
				break;
			polled[0].revents = 0;
			continue;
		}
		if (polled[1].revents && !move(terminal->ours, STDOUT_FILENO))
			polled[1].fd = -1;
		if (polled[2].revents && !move(STDIN_FILENO, terminal->ours))
			polled[2].fd = -1;
	}
	/* What it said last; others may still have the terminal, and are not waited for. */
	fcntl(terminal->ours, F_SETFL, O_NONBLOCK);
	while (poll(&(struct pollfd){ .fd = terminal->ours, .events = POLLIN }, 1, 0) > 0 &&
	       move(terminal->ours, STDOUT_FILENO))
		;
	if (is_terminal)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}
