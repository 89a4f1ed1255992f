/*
 * pvx-relay, with descriptor 3 its channel to pvx-broker, 4 the one to the daemon, 5 and 6 as ../handover.h has them.
 *
 * It is started by pv-xconnect, as a user that has nothing, and has it end when pv-xconnect does (PR_SET_PDEATHSIG). All
 * the same it gives up by itself what it can: capabilities, new privileges, descriptors, and nearly all system calls.
 * SIGTERM ends it at once: it keeps nothing that is not gone with it. So does the end of channel 4, when the last one
 * that could be its daemon is gone, or of the last connection where its links are a successor's. Without a broker (descriptor 3 is no socket) it connects to no provider.
 */
#include "relay.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../handover.h"
#include "../privileges.h"
#include "../process.h"

enum { BROKER = 3, DAEMON = 4 };

static struct relay relay;

static int fail(const char *what, int error)
{
	fprintf(stderr, "pvx-relay: %s: %s.\n", what, strerror(error));
	return 1;
}

static bool is_socket(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

/* Whoever started us may have blocked or ignored some. */
static int signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, end = { .sa_handler = SIG_DFL };
	sigset_t none;

	sigemptyset(&none);
	return sigaction(SIGPIPE, &ignore, NULL) < 0 || sigaction(SIGINT, &ignore, NULL) < 0 ||
			       sigaction(SIGHUP, &ignore, NULL) < 0 || sigaction(SIGTERM, &end, NULL) < 0 ||
			       sigprocmask(SIG_SETMASK, &none, NULL) < 0 ?
		       errno :
		       0;
}

static bool has_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	return syscall(SYS_capget, &header, data) < 0 || data[0].permitted || data[1].permitted;
}

static int start(bool supervised)
{
	uint32_t number = 0;

	list_init(&relay.links);
	list_init(&relay.ready);
	list_init(&relay.tick_conns);
	list_init(&relay.tick_links);
	list_init(&relay.pipes);
	list_init(&relay.dead);
	list_init(&relay.dead_flows);
	list_init(&relay.dead_links);
	list_init(&relay.dead_leases);
	list_init(&relay.faults.waiting);
	if (getrandom(&number, sizeof(number), 0) < 0)
		return errno;
	relay.broker_ids = (number | RELAY_INFLIGHT) & ~(RELAY_INFLIGHT - 1);
	relay.broker = (struct source){ .kind = KIND_BROKER, .fd = is_socket(BROKER) ? BROKER : -1 };
	relay.daemon = (struct source){ .kind = KIND_DAEMON, .fd = DAEMON };
	relay.supervisor = (struct source){ .kind = KIND_SUPERVISOR, .fd = supervised ? HANDOVER_SUPERVISOR : -1 };
	relay.broker_writable = relay.daemon_writable = true;
	relay.scratch = scratch_new();
	relay.closing = closing_new();
	if (!relay.scratch || !relay.closing)
		return ENOMEM;
	relay.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (relay.epoll < 0 || relay_watch(&relay, &relay.daemon, EPOLLIN) < 0 ||
	    (relay.broker.fd >= 0 && relay_watch(&relay, &relay.broker, EPOLLIN) < 0) ||
	    (supervised && relay_watch(&relay, &relay.supervisor, EPOLLIN) < 0))
		return errno;
	share_init(&relay);
	return counters_init(&relay);
}

int main(void)
{
	bool supervised, follows;
	const char *wrong;
	int error;

	process_seal();
	keyring_renew();
	if ((error = standard_streams()))
		return error;
	descriptors_end(HANDOVER_INPUT + 1);
	handover_init(&supervised, &follows);
	umask(077);
	raise_descriptor_limit();
	if ((error = signals()))
		return fail("signals", error);
	if (!is_socket(DAEMON)) {
		fprintf(stderr, "pvx-relay: descriptor 4 is no socket: pv-xconnect starts this program.\n");
		return 2;
	}
	if (geteuid() == 0 && has_capabilities()) {
		fprintf(stderr, "pvx-relay: it has the capabilities of root, and is to have none: pv-xconnect starts this "
				"program.\n");
		return 1;
	}
	if ((error = privileges_drop(-1, -1)))
		return fail("giving up privileges", error);
	if ((error = start(supervised)))
		return fail("start", error);
	if ((error = sandbox_filter()))
		fprintf(stderr, "pvx-relay: this kernel takes no seccomp filter (%s): going on without.\n", strerror(error));
	relay_emit(&relay, PVX_EVENT_BORN, NULL, 0, -1, 0);
	if (follows && (wrong = handover_take(&relay))) {
		fprintf(stderr, "pvx-relay: the links that the relay before it hands over (descriptor 6) can't be taken: "
				"%s.\n", wrong);
		return 1;
	}
	relay_main(&relay);
}
