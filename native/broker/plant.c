/*
 * The table of all that is planted in containers: sockets (unix.c) and nodes (device.c).
 *
 * What was planted is known by device, inode and birth time, and only that is ever removed. Whether it is still what the
 * container sees at its path is looked at on request: it may have been removed, exchanged or mounted over, and the
 * container may have another root by now.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INDEX_BITS 14
#define GENERATION_MAX ((1u << (32 - INDEX_BITS)) - 1)
_Static_assert(PVX_PLANTS_MAX <= 1u << INDEX_BITS, "index fits into a handle");

static struct plant {
	struct container *container; /* counted; NULL: this place is free */
	struct planted what;
	uint32_t generation;
	char path[PVX_PATH_MAX + 1];
} table[PVX_PLANTS_MAX];
static uint32_t next_free; /* where to look first */
static uint32_t used_end;  /* no place from here on was ever taken */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int plant_identify(int folder, const char *name, mode_t type, struct identity *identity)
{
	struct statx st;

	if (RETRY(statx(folder, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_BTIME, &st)) < 0)
		return errno;
	*identity = (struct identity){ .inode = st.stx_ino, .major = st.stx_dev_major, .minor = st.stx_dev_minor };
	if (st.stx_mask & STATX_BTIME) {
		identity->born_s = st.stx_btime.tv_sec;
		identity->born_ns = st.stx_btime.tv_nsec;
	}
	return (st.stx_mode & S_IFMT) == type ? 0 : EEXIST;
}

bool plant_same(const struct identity *a, const struct identity *b)
{
	return a->inode == b->inode && a->major == b->major && a->minor == b->minor && a->born_s == b->born_s &&
	       a->born_ns == b->born_ns;
}

int plant_temporary(char *name)
{
	uint64_t number;

	if (RETRY(syscall(SYS_getrandom, &number, sizeof(number), 0)) != sizeof(number))
		return EAGAIN;
	snprintf(name, PLANT_TEMPORARY, ".pvx-%016llx", (unsigned long long)number);
	return 0;
}

/* Removes what is at the path if it is that one. */
static int uproot(const struct container *c, const char *path, const struct planted *what)
{
	struct identity found = { 0 };
	struct place place;
	int error;

	if (what->theirs || !container_alive(c))
		return 0; /* its file systems went with it, or belong to somebody else by now */
	error = path_place(c, path, false, &place);
	if (error)
		return error == ESRCH || error == ENOENT || error == ENOTDIR || error == ELOOP ? 0 : error;
	if (what->mounted)
		error = mount_remove(c, &place, what);
	else if (plant_identify(place.folder, place.name, what->type, &found) == 0 &&
		 plant_same(&found, &what->identity) && RETRY(unlinkat(place.folder, place.name, 0)) < 0 &&
		 errno != ENOENT)
		error = errno;
	CLOSE_FD(place.folder);
	return error;
}

int plant_remember(struct container *c, const char *path, const struct planted *what, uint32_t *handle)
{
	struct plant *plant = NULL;

	container_ref(c);
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < PVX_PLANTS_MAX && !plant; i++) {
		uint32_t index = (next_free + i) % PVX_PLANTS_MAX;

		if (!table[index].container)
			plant = &table[index];
	}
	if (plant) {
		plant->container = c;
		plant->what = *what;
		plant->generation = plant->generation >= GENERATION_MAX ? 1 : plant->generation + 1;
		strcpy(plant->path, path);
		*handle = plant->generation << INDEX_BITS | (uint32_t)(plant - table);
		next_free = (uint32_t)(plant - table) + 1;
		if (used_end < next_free)
			used_end = next_free;
	}
	pthread_mutex_unlock(&lock);
	if (plant)
		return 0;
	uproot(c, path, what);
	container_unref(c);
	return ENFILE;
}

static int remove_at(uint32_t index, uint32_t generation)
{
	struct plant plant = { 0 };
	int error;

	pthread_mutex_lock(&lock);
	if (table[index].container && (!generation || table[index].generation == generation)) {
		plant = table[index];
		table[index].container = NULL;
		next_free = index;
	}
	pthread_mutex_unlock(&lock);
	if (!plant.container)
		return EBADF;
	error = uproot(plant.container, plant.path, &plant.what);
	container_unref(plant.container);
	return error;
}

/* EBUSY: the container is; what was planted stays planted. */
int plant_remove(uint32_t handle)
{
	uint32_t index = handle & ((1u << INDEX_BITS) - 1), generation = handle >> INDEX_BITS;
	struct container *c = NULL;
	int error;

	pthread_mutex_lock(&lock);
	if (index < PVX_PLANTS_MAX && generation && table[index].generation == generation)
		c = table[index].container;
	if (c)
		container_ref(c);
	pthread_mutex_unlock(&lock);
	if (!c)
		return EBADF;
	error = container_enter(c);
	if (!error) {
		error = remove_at(index, generation);
		container_done(c);
	}
	container_unref(c);
	return error;
}

/* Whether somebody in the container who opens the path gets something else than what was planted, or nothing. What
 * we have no means to tell now is not said to be lost. */
static bool is_lost(const struct container *c, const char *path, const struct planted *what)
{
	struct identity found = { 0 };
	int fd, error = path_open(c, path, &fd);

	if (!error) {
		error = plant_identify(fd, "", what->type, &found);
		CLOSE_FD(fd);
		if (!error)
			return !plant_same(&found, &what->identity);
	}
	return error != EMFILE && error != ENFILE && error != ENOMEM && error != EAGAIN && error != EINTR;
}

/* `lost` has room for PVX_PLANTS_MAX handles. */
int plant_check(const struct container *c, uint32_t *lost, uint32_t *count)
{
	struct plant plant;
	uint32_t end;

	*count = 0;
	pthread_mutex_lock(&lock);
	end = used_end;
	pthread_mutex_unlock(&lock);
	for (uint32_t i = 0; i < end; i++) {
		bool is_here;

		pthread_mutex_lock(&lock);
		is_here = table[i].container == c;
		if (is_here)
			plant = table[i];
		pthread_mutex_unlock(&lock);
		if (is_here && is_lost(c, plant.path, &plant.what))
			lost[(*count)++] = plant.generation << INDEX_BITS | i;
	}
	return container_alive(c) ? 0 : ESRCH;
}

/* A container that has plants and no remover yet: it has one from now on. NULL: there is none. */
static struct container *next_container(bool works)
{
	struct container *found = NULL;

	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < PVX_PLANTS_MAX && !found; i++) {
		struct container *c = table[i].container;

		if (c && !c->uprooted && (works || !container_works(c)))
			found = c;
	}
	if (found) {
		found->uprooted = true;
		container_ref(found);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static void remove_all_of(struct container *c)
{
	for (uint32_t i = 0; i < PVX_PLANTS_MAX; i++) {
		bool its;

		pthread_mutex_lock(&lock);
		its = table[i].container == c;
		pthread_mutex_unlock(&lock);
		if (its)
			remove_at(i, 0);
	}
	container_unref(c);
}

bool plant_remove_some(bool works)
{
	struct container *c = next_container(works);

	if (c)
		remove_all_of(c);
	return c != NULL;
}
