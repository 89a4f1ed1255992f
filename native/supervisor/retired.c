/*
 * The versions before the current one, which still serve what began under them. Each ends by itself:
 *
 *   retired ──▶ RETIRING ───────────────────────────────▶ LAST ─────────────────▶ its place is free
 *                        relay and daemon have ended,           its broker has
 *                        or everything ends
 *
 * Its daemon ends when what it has under way is done, its relay with its last connection, and then its broker is asked
 * to. What takes too long is killed. None of them is started again.
 */
#include "supervisor.h"

#include <stdio.h>

#define DAEMON_MS 90000u /* an old daemon gives what is under way 60 s */
#define RELAY_MS 10000u  /* an old relay has so much more than the drain that it was told */

static struct version retired[RETIRED_MAX];
static int nretired;

bool retired_have_room(void)
{
	return nretired < RETIRED_MAX;
}

unsigned retired_minutes(void)
{
	uint64_t now = now_ms(), first = UINT64_MAX;

	for (int i = 0; i < nretired; i++)
		if (retired[i].children[RELAY].kill_at < first)
			first = retired[i].children[RELAY].kill_at;
	return first > now ? (unsigned)((first - now) / 60000 + 1) : 1;
}

void retired_add(const struct version *old, uint32_t drain_s)
{
	struct version *v = &retired[nretired++];
	uint64_t now = now_ms();

	*v = *old;
	/* Neither has a successor: the relay is to see that the daemon has left. */
	CLOSE_FD(v->daemon_relay);
	CLOSE_FD(v->relay_daemon);
	v->children[BUS] = (struct child){ 0 }; /* the current one's */
	for (int i = 0; i < CHILDREN; i++)
		v->children[i].start_at = 0;
	v->children[DAEMON].kill_at = now + DAEMON_MS;
	v->children[RELAY].kill_at = now + (uint64_t)drain_s * 1000 + RELAY_MS;
}

static void end_broker(struct version *v)
{
	struct child *broker = &v->children[BROKER];

	if (broker->pid > 0 && !broker->kill_at) {
		kill(broker->pid, SIGTERM);
		broker->kill_at = now_ms() + LEAVE_MS;
	}
}

bool retired_reaped(pid_t pid, int status)
{
	for (int i = 0; i < nretired; i++) {
		struct version *v = &retired[i];
		int which = version_child(v, pid);

		if (which < 0)
			continue;
		v->children[which].pid = 0;
		if (which == BROKER && !v->children[BROKER].kill_at && v->children[RELAY].pid) /* nobody told it to */
			say("pvx-broker of a version before ended (%s): its connections go on.", how(status));
		if (!v->children[DAEMON].pid && !v->children[RELAY].pid)
			end_broker(v);
		if (version_has_ended(v)) {
			version_close(v);
			*v = retired[--nretired];
		}
		return true;
	}
	return false;
}

void retired_leave(void)
{
	for (int i = 0; i < nretired; i++) {
		for (int which = 0; which < CHILDREN; which++)
			if (which != BROKER && retired[i].children[which].pid > 0)
				kill(retired[i].children[which].pid, SIGKILL);
		end_broker(&retired[i]);
	}
}

bool retired_have_ended(void)
{
	return nretired == 0;
}

uint64_t retired_tick(uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (int i = 0; i < nretired; i++)
		version_kill_due(&retired[i], now, &next);
	return next;
}

void retired_state(struct state *state)
{
	state_section(state, "retired");
	state_count(state, "number", &nretired, RETIRED_MAX);
	for (int i = 0; i < nretired; i++) {
		char name[32];

		snprintf(name, sizeof(name), "retired-%d", i);
		version_state(&retired[i], name, state);
	}
}
