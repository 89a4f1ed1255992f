/*
 * Which daemon asks. One that dies is followed by another, on the same channel: an epoch is the time of one of them, and
 * its number is that daemon's incarnation.
 *
 *   0 ──HELLO──> 1 ──HELLO──> 2 ...  ──the end──> NOBODYS
 *
 * What is held, planted or granted has the number of the epoch that it counts as of. It comes into being only while the
 * epoch that it was asked for in lasts, and is changed only in the name of that one: a request of a daemon that has died
 * may still be in the queue, or under way. Who looks at such a number has the lock of the table that it is in, and the
 * daemon that begins an epoch asks for something only when it has been told that it began: so what a late request finds
 * under that lock is either as its own daemon left it, or not its to touch.
 */
#include "broker.h"

#include <errno.h>
#include <stdatomic.h>

#define NOBODYS UINT32_MAX
#define ID_BITS 20 /* of a request's id, below the incarnation */

static _Atomic uint32_t now;

uint32_t epoch_now(void)
{
	return now;
}

bool epoch_asks(uint32_t epoch, uint32_t id)
{
	return id >> ID_BITS == (epoch & (UINT32_MAX >> ID_BITS));
}

int epoch_begin(uint32_t incarnation)
{
	uint32_t before = now;

	if (incarnation == NOBODYS)
		return EINVAL;
	do {
		if (incarnation < before)
			return ESTALE;
	} while (!atomic_compare_exchange_weak(&now, &before, incarnation));
	return 0;
}

void epoch_end(void)
{
	now = NOBODYS;
}
