/*
 * pvx-broker --runtime PATH --certificates FOLDER [--bus PATH]... --bus-uids FIRST-LAST, with descriptor 3 the
 * daemon's channel, 4 the relay's, 5 and 6 as ../handover.h has them.
 *
 * It lives as long as its parent, which is to say so by SIGTERM, and whatever was planted goes with it. Daemons and
 * relays come and go: their channels are their parent's, too, and end for nobody before. What is another build's by then
 * (handover.c) stays where it is. A terminal's Ctrl-C is the
 * parent's to answer, not ours.
 */
#include "broker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../handover.h"

#define LAST_MS 3000 /* for removing what was planted, should a container's file system hang */

/* All are blocked, and SIGTERM is waited for by the first thread; those that a terminal or a closed pipe sends lead nowhere. */
static int signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t all;

	sigfillset(&all);
	return sigprocmask(SIG_SETMASK, &all, NULL) < 0 || sigaction(SIGINT, &ignore, NULL) < 0 ||
			       sigaction(SIGHUP, &ignore, NULL) < 0 || sigaction(SIGPIPE, &ignore, NULL) < 0 ||
			       prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 ?
		       errno :
		       0;
}

static void wait_for_end(void)
{
	sigset_t end_of_us;

	sigemptyset(&end_of_us);
	sigaddset(&end_of_us, SIGTERM);
	while (sigwaitinfo(&end_of_us, NULL) < 0)
		;
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "pvx-broker: %s: %s.\n", what, strerror(error));
	return 1;
}

/* Somebody may wait for their end, and ours may be held up. What remains of the standard error is the caller's. */
static int leave_standard_streams(void)
{
	int complaints = fcntl(2, F_DUPFD_CLOEXEC, 0), nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
#ifdef PVX_SANITIZED /* of the tests, whose complaints are to be seen */
	const int last = 1;
#else
	const int last = 2;
#endif

	for (int fd = 0; fd <= last && nothing >= 0; fd++)
		dup2(nothing, fd);
	CLOSE_FD(nothing);
	return complaints;
}

static int start(struct channel *channels)
{
	int error = foreign_init();

	if (!error)
		error = undo_init();
	for (int i = 0; i < CHANNELS && !error; i++)
		error = channel_serve(&channels[i]);
	return error;
}

/*
 * In the order of what others wait for. A file system that hangs holds up who removes from it, and then this process
 * stays as a zombie with all that it has open: so what anybody could wait for is unmade first, in its own words.
 */
static void leave(struct channel *channels)
{
	epoch_end();
	for (int i = 0; i < CHANNELS; i++)
		channel_end(&channels[i]);
	undo_all(LAST_MS);
}

int main(int argc, char **argv)
{
	const char *runtime = "", *certificates = "", *unknown, *wrong;
	bool supervised, follows;
	struct channel channels[CHANNELS];
	int error, complaints;

	process_seal();
	keyring_renew();
	if ((error = standard_streams()))
		return error;
	for (int i = 1; i + 1 < argc; i += 2) {
		error = 0;
		if (strcmp(argv[i], "--runtime") == 0)
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
	if ((unknown = channel_unknown_to(sandbox_groups()))) {
		fprintf(stderr, "pvx-broker: the operation %s needs system calls that its sandbox does not know of: "
				"add them to sandbox.c.\n", unknown);
		return 1;
	}
	descriptors_end(HANDOVER_INPUT + 1); /* others may have left some */
	handover_init(&supervised, &follows);
	umask(0);
	raise_descriptor_limit();
	capabilities_say_missing();
	if ((error = signals()) || (error = threads_init()) || (error = thread_init()) ||
	    (error = path_init()) || (error = containers_init()))
		return fail("start", error);
	if ((error = sandbox_capabilities()))
		return fail("giving up capabilities", error);
	channels[0] = (struct channel){ .fd = 3, .asker = DAEMON, .runtime = runtime, .certificates = certificates };
	channels[1] = (struct channel){ .fd = 4, .asker = RELAY, .runtime = runtime, .certificates = certificates };
	channel_hold();
	if ((error = start(channels)))
		return fail("start of the threads", error);
	if (follows && (wrong = handover_take())) {
		fprintf(stderr, "pvx-broker: what the broker before it hands over (descriptor 6) can't be taken: %s.\n", wrong);
		return 1;
	}
	if (supervised && (error = handover_serve()))
		return fail("start of the threads", error);
	complaints = leave_standard_streams();
	if ((error = sandbox_filter(channel_calls())))
		dprintf(complaints, "pvx-broker: this kernel takes no seccomp filter (%s): going on without.\n",
			strerror(error));
	CLOSE_FD(complaints);
	if (follows && supervised)
		handover_say('h');
	channel_open();
	wait_for_end();
	leave(channels);
	_exit(0);
}
