/*
 * pvx-broker --control PATH --runtime PATH --certificates FOLDER [--bus PATH]... --bus-uids FIRST-LAST, with
 * descriptor 3 the daemon's channel and 4 its relay's.
 *
 * It lives as long as the daemon: the end of channel 3 is its own, and whatever it planted goes with it. SIGTERM
 * is the same end. A terminal's Ctrl-C is the daemon's to answer, not ours.
 */
#include "broker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define LAST_SECONDS 3 /* for removing what was planted, should a container's file system hang */

static int end_event = -1;

static void end(void)
{
	uint64_t one = 1;
	ssize_t n = write(end_event, &one, sizeof(one));

	(void)n;
}

static void on_signal(int number)
{
	(void)number;
	end();
}

static int signals(void)
{
	struct sigaction handle = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };

	end_event = eventfd(0, EFD_CLOEXEC);
	if (end_event < 0 || sigaction(SIGTERM, &handle, NULL) < 0 || sigaction(SIGINT, &ignore, NULL) < 0 ||
	    sigaction(SIGHUP, &ignore, NULL) < 0 || sigaction(SIGPIPE, &ignore, NULL) < 0)
		return errno;
	return 0;
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "pvx-broker: %s: %s.\n", what, strerror(error));
	host_remove();
	return 1;
}

/* All threads but this one block SIGTERM, so that it interrupts the wait below. */
static int start(struct channel *channels)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = channel_serve(&channels[0]);
	if (!error)
		error = channel_serve(&channels[1]);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

int main(int argc, char **argv)
{
	const char *control = "", *runtime = "", *certificates = "";
	struct channel channels[2];
	uint64_t ended;
	int error;

	for (int i = 1; i + 1 < argc; i += 2) {
		error = 0;
		if (strcmp(argv[i], "--control") == 0)
			control = argv[i + 1];
		else if (strcmp(argv[i], "--runtime") == 0)
			runtime = argv[i + 1];
		else if (strcmp(argv[i], "--certificates") == 0)
			certificates = argv[i + 1];
		else if (strcmp(argv[i], "--bus") == 0)
			error = bus_add(argv[i + 1]);
		else if (strcmp(argv[i], "--bus-uids") == 0)
			error = bus_uids(argv[i + 1]);
		if (error)
			return fail(argv[i], error);
	}
	if ((error = standard_streams()))
		return error;
	syscall(SYS_close_range, 5u, ~0u, 0u); /* the daemon's are close-on-exec; others may have left some */
	umask(0);
	raise_descriptor_limit();
	if ((error = signals()) || (error = threads_init()) || (error = thread_init()) ||
	    (error = containers_init()))
		return fail("start", error);
	if (host_listen(control))
		return 1;
	if ((error = sandbox_capabilities()))
		return fail("giving up capabilities", error);
	channels[0] = (struct channel){ .fd = 3, .runtime = runtime, .certificates = certificates, .ended = end };
	channels[1] = (struct channel){ .fd = 4, .runtime = runtime, .certificates = certificates };
	channel_hold();
	if ((error = start(channels)))
		return fail("start of the threads", error);
	if ((error = sandbox_filter()))
		fprintf(stderr, "pvx-broker: this kernel takes no seccomp filter (%s): going on without.\n",
			strerror(error));
	channel_open();
	while (read(end_event, &ended, sizeof(ended)) < 0 && errno == EINTR)
		;
	setitimer(ITIMER_REAL, &(struct itimerval){ .it_value.tv_sec = LAST_SECONDS }, NULL);
	grant_revoke_all();
	plant_remove_all();
	host_remove();
	_exit(0);
}
