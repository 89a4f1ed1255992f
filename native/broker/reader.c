/*
 * Who reads a channel: one thread, for as long as it comes back soon.
 *
 * To be woken costs a thread more than most requests do, and threads that all read are woken in turn, for a request each.
 * So one reads, the leader, and performs what it has read; the next request is read by a thread that is awake still. But
 * an operation may hang, in a file system of a container's own making. So another thread, the deputy, looks at the leader
 * every LOOK_MS while there is traffic, and leads from then on where that one was at the same request already when it
 * looked last. The container that the request was for is tardy then, for a while: a leader gives way before it begins
 * something there.
 *
 *            the post is free           the leader is late, or has given way
 *   SPARE -------------------> DEPUTY -----------------------------------------> LEADER
 *     ^                                                                            |
 *     '----------------- it comes back, and another one leads ---------------------'
 *
 * `turn` counts the leader's comings and goings, and says which it was. It is changed by the leader when it goes, and by
 * whoever is first when it comes back, or does not.
 */
#include "broker.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#define LOOK_MS 10
#define STATES 4u
enum state { READING, AWAY /* with a request */, GIVEN /* nobody leads */ };

static enum state state_of(uint32_t turn)
{
	return (enum state)(turn % STATES);
}

static uint32_t next(uint32_t turn, enum state state)
{
	return turn - turn % STATES + STATES + (uint32_t)state;
}

static bool change(struct readers *r, uint32_t from, enum state to)
{
	return atomic_compare_exchange_strong(&r->turn, &from, next(from, to));
}

int readers_init(struct readers *r)
{
	*r = (struct readers){ .turn = GIVEN };
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->post, NULL);
	return condition_init(&r->traffic);
}

/* With the lock held. */
static void look_later(struct readers *r)
{
	struct timespec t = time_in(LOOK_MS);

	while (state_of(r->turn) != GIVEN && pthread_cond_timedwait(&r->traffic, &r->lock, &t) != ETIMEDOUT)
		;
}

/* With the lock held: until the leader goes. Either it sees that the deputy sleeps, or that one sees that it went. */
static void sleep_while(struct readers *r, uint32_t turn)
{
	r->asleep = true;
	while (r->turn == turn)
		pthread_cond_wait(&r->traffic, &r->lock);
	r->asleep = false;
}

/* With the lock held. Ends when this thread leads. */
static void watch(struct readers *r)
{
	uint32_t seen = r->turn, now;

	for (;;) {
		if (state_of(seen) == GIVEN && change(r, seen, READING))
			return;
		look_later(r);
		now = r->turn;
		if (now == seen && state_of(now) == READING) {
			sleep_while(r, now);
			now = r->turn;
		} else if (now == seen && state_of(now) == AWAY && change(r, now, READING)) {
			container_is_late(r->container);
			return;
		}
		seen = now;
	}
}

void reader_lead(struct readers *r)
{
	pthread_mutex_lock(&r->lock);
	while (r->has_deputy)
		pthread_cond_wait(&r->post, &r->lock);
	r->has_deputy = true;
	watch(r);
	r->has_deputy = false;
	pthread_cond_signal(&r->post);
	pthread_mutex_unlock(&r->lock);
}

uint32_t reader_goes(struct readers *r, uint32_t container)
{
	enum state state = container_is_tardy(container) ? GIVEN : AWAY;
	uint32_t turn = next(r->turn, state);

	r->container = container;
	r->turn = turn;
	if (state == GIVEN || r->asleep) {
		pthread_mutex_lock(&r->lock);
		pthread_cond_signal(&r->traffic);
		pthread_mutex_unlock(&r->lock);
	}
	return turn;
}

void reader_comes_back(struct readers *r, uint32_t turn)
{
	if (!change(r, turn, READING))
		reader_lead(r);
}
