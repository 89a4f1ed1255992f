/*
 * Which way long bodies go between TCP and a unix socket: copied, or spliced. Which one is faster depends on processor and
 * kernel: machines were seen where a splice to a unix socket takes twice and a half the time of a copy, and others where
 * it takes less, at half of the processor time. So they are raced, for each of the two directions:
 *
 *   racing: LAPS laps of one stream, in turn each way --> settled: the faster way, for all --RUN_LAPS later--> racing
 *
 * The fastest lap of a way counts, as others were held up by what else goes on. A splice wins if it is nearly as fast. A
 * stream that pauses within its lap leaves it to the next one.
 */
#include "relay.h"

#define LAP (4u * 1024u * 1024u) /* bytes that were sent */
#define LAPS 8u
#define RUN_LAPS 128u
#define PAUSE_US 1000000u

enum way { COPIED, SPLICED };

static enum way way_of(const struct race *race)
{
	return race->lap < LAPS ? race->lap % 2 : race->winner;
}

static void end_lap(struct race *race, uint64_t now)
{
	uint64_t took = now - race->began, *best = &race->best[way_of(race)];

	if (race->lap < LAPS && (*best == 0 || took < *best))
		*best = took;
	race->lap++;
	if (race->lap == LAPS)
		race->winner = race->best[SPLICED] / 10 * 9 <= race->best[COPIED] ? SPLICED : COPIED;
	else if (race->lap == LAPS + RUN_LAPS)
		*race = (struct race){ .runner = race->runner };
}

bool way_copies(const struct side *from)
{
	struct conn *conn = from->conn;
	struct race *race = &conn->link->relay->race[from->local];
	uint64_t sent = conn->bytes[from == &conn->side[1]];

	if (race->runner != from || sent - race->line >= LAP) {
		uint64_t now = relay_now_us();

		if (race->runner == from)
			end_lap(race, now);
		else if (race->runner && now - race->began < PAUSE_US)
			return way_of(race) == COPIED;
		race->runner = from;
		race->line = sent;
		race->began = now;
	}
	return way_of(race) == COPIED;
}

void way_forget(const struct side *from)
{
	struct race *race = &from->conn->link->relay->race[from->local];

	if (race->runner == from)
		race->runner = NULL;
}
