/*
 * The end: what is planted is removed, what was given is taken back, within a few seconds.
 *
 * Both may hang, in a container's file system or in a device. So it is done by threads that did nothing but wait for
 * this, and each takes a whole container: one that hangs holds up one of them. Containers in which something is under
 * way already, which may be what hangs, come last. What hangs at the deadline is left behind.
 */
#include "broker.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define REMOVERS 8
#define ALL (REMOVERS + 1) /* and one for what was given */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begin = PTHREAD_COND_INITIALIZER, done;
static bool begun;
static int idle; /* threads that found nothing more to do */

static void wait_for_it(void)
{
	if (thread_init())
		abort();
	pthread_mutex_lock(&lock);
	while (!begun)
		pthread_cond_wait(&begin, &lock);
	pthread_mutex_unlock(&lock);
}

static void *nothing_more(void)
{
	pthread_mutex_lock(&lock);
	idle++;
	pthread_cond_signal(&done);
	pthread_mutex_unlock(&lock);
	return thread_rest();
}

static void *remove_plants(void *unused)
{
	(void)unused;
	wait_for_it();
	while (plant_remove_some(false) || plant_remove_some(true))
		;
	return nothing_more();
}

static void *revoke_grants(void *unused)
{
	(void)unused;
	wait_for_it();
	grant_revoke_all();
	return nothing_more();
}

int end_init(void)
{
	pthread_condattr_t clock;
	int error;

	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&done, &clock);
	error = thread_start(revoke_grants, NULL);
	for (int i = 0; i < REMOVERS && !error; i++)
		error = thread_start(remove_plants, NULL);
	return error;
}

void end_all(int seconds)
{
	struct timespec until;
	int error = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	pthread_mutex_lock(&lock);
	begun = true;
	pthread_cond_broadcast(&begin);
	while (idle < ALL && !error)
		error = pthread_cond_timedwait(&done, &lock, &until);
	pthread_mutex_unlock(&lock);
}
