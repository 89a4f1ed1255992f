/*
 * What former daemons left is undone: what was granted to their clients when the next one says HELLO, what they planted
 * and this one did not keep when it says so, and everything at the end, when all epochs are over.
 *
 * Both may hang, in a container's file system or in a device. So it is done by threads that do nothing else, and each
 * takes a whole container: one that hangs holds up one of them. Containers in which something is under way already,
 * which may be what hangs, come last. Who has it done waits for so long and no longer; what hangs then is left to the
 * thread that it holds up.
 */
#include "broker.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define REMOVERS 8

/* Threads that all look for something to do whenever they are told to. */
struct crew {
	int members;
	void (*undo)(void);
	uint32_t round;
	int idle; /* threads that found nothing more to do in this round */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begin = PTHREAD_COND_INITIALIZER, done;

static void remove_plants(void)
{
	while (plant_remove_some(false) || plant_remove_some(true))
		;
}

static struct crew removers = { .members = REMOVERS, .undo = remove_plants };
static struct crew revoker = { .members = 1, .undo = grant_revoke_former };

static void *work(void *argument)
{
	struct crew *crew = argument;
	uint32_t round = 0;

	if (thread_init())
		abort();
	pthread_mutex_lock(&lock);
	for (;;) {
		while (round == crew->round)
			pthread_cond_wait(&begin, &lock);
		round = crew->round;
		pthread_mutex_unlock(&lock);
		crew->undo();
		pthread_mutex_lock(&lock);
		if (round == crew->round && ++crew->idle == crew->members)
			pthread_cond_broadcast(&done);
	}
	return NULL;
}

int undo_init(void)
{
	int error = condition_init(&done);

	if (!error)
		error = thread_start(work, &revoker);
	for (int i = 0; i < REMOVERS && !error; i++)
		error = thread_start(work, &removers);
	return error;
}

/* With the lock held. */
static void next_round(struct crew *crew)
{
	crew->round++;
	crew->idle = 0;
	pthread_cond_broadcast(&begin);
}

static void wait_for(const struct crew *crew, const struct timespec *until)
{
	while (crew->idle < crew->members && pthread_cond_timedwait(&done, &lock, until) == 0)
		;
}

static void undo(struct crew *crew, int ms)
{
	struct timespec until = time_in(ms);

	pthread_mutex_lock(&lock);
	next_round(crew);
	wait_for(crew, &until);
	pthread_mutex_unlock(&lock);
}

void undo_grants(int ms)
{
	undo(&revoker, ms);
}

void undo_plants(int ms)
{
	undo(&removers, ms);
}

void undo_all(int ms)
{
	struct timespec until = time_in(ms);

	pthread_mutex_lock(&lock);
	next_round(&removers);
	next_round(&revoker);
	wait_for(&removers, &until);
	wait_for(&revoker, &until);
	pthread_mutex_unlock(&lock);
}
