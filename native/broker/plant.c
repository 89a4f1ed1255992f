/*
 * The table of all that is planted in containers: sockets (unix.c) and nodes (device.c).
 *
 * What was planted is known by device, inode and birth time, and only that is ever removed. Whether it is still what the
 * container sees at its path is looked at on request: it may have been removed, exchanged or mounted over, and the
 * container may have another root by now.
 *
 * A plant outlives the daemon that asked for it, until the next one says what it keeps.
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
	uint32_t epoch; /* that it counts as of */
	bool given; /* to another broker, which is not given up yet */
	char path[PVX_PATH_MAX + 1];
} table[PVX_PLANTS_MAX];
static uint32_t first_free; /* no place before it is free: what is used stays together at the beginning */
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

int plant_remember(struct container *c, const char *path, const struct planted *what, uint32_t epoch, uint32_t *handle)
{
	struct plant *plant = NULL;
	bool late;

	container_ref(c);
	pthread_mutex_lock(&lock);
	late = epoch != epoch_now();
	for (uint32_t i = first_free; i < PVX_PLANTS_MAX && !plant && !late; i++)
		if (!table[i].container)
			plant = &table[i];
	if (plant) {
		plant->container = c;
		plant->what = *what;
		plant->epoch = epoch;
		plant->given = false;
		plant->generation = plant->generation >= GENERATION_MAX ? 1 : plant->generation + 1;
		strcpy(plant->path, path);
		*handle = plant->generation << INDEX_BITS | (uint32_t)(plant - table);
		first_free = (uint32_t)(plant - table) + 1;
		if (used_end < first_free)
			used_end = first_free;
	}
	pthread_mutex_unlock(&lock);
	if (plant)
		return 0;
	uproot(c, path, what);
	container_unref(c);
	return late ? ESTALE : ENFILE;
}

/* With the lock held: the place of that plant; NULL: there is none. */
static struct plant *find(uint32_t handle)
{
	uint32_t index = handle & ((1u << INDEX_BITS) - 1), generation = handle >> INDEX_BITS;

	return index < PVX_PLANTS_MAX && generation && table[index].container && table[index].generation == generation ?
		       &table[index] :
		       NULL;
}

/* With the lock held: its place is free from now on, and the reference to its container is in the copy. */
static struct plant take(struct plant *plant)
{
	struct plant taken = *plant;
	uint32_t index = (uint32_t)(plant - table);

	plant->container = NULL;
	if (index < first_free)
		first_free = index;
	return taken;
}

static int uproot_taken(const struct plant *plant)
{
	int error = uproot(plant->container, plant->path, &plant->what);

	container_unref(plant->container);
	return error;
}

/* Of a plant that is not there: what became another broker's stays as it is, and whoever asks for it is answered well. */
static int unless_given(int error)
{
	return error == EBADF && handover_left() ? 0 : error;
}

/* With the lock held: the plant, and 0; or ESTALE: a daemon after the one that asks is there; EBADF: there is none. */
static int find_for(uint32_t handle, uint32_t epoch, struct plant **plant)
{
	*plant = find(handle);
	if (epoch != epoch_now())
		return ESTALE;
	return *plant ? 0 : EBADF;
}

/* EBUSY: the container is; what was planted stays planted. */
int plant_remove(uint32_t handle, uint32_t epoch)
{
	struct container *c = NULL;
	struct plant *plant, taken = { 0 };
	int error;

	pthread_mutex_lock(&lock);
	plant = find(handle);
	if (plant) {
		c = plant->container;
		container_ref(c);
	}
	pthread_mutex_unlock(&lock);
	if (!c)
		return unless_given(EBADF);
	error = container_enter(c);
	if (error) {
		container_unref(c);
		return error;
	}
	pthread_mutex_lock(&lock);
	error = find_for(handle, epoch, &plant);
	if (!error)
		taken = take(plant);
	pthread_mutex_unlock(&lock);
	if (!error)
		error = uproot_taken(&taken);
	container_done(c);
	container_unref(c);
	return unless_given(error);
}

int plant_keep(uint32_t handle, uint32_t epoch)
{
	struct plant *plant;
	int error;

	pthread_mutex_lock(&lock);
	error = find_for(handle, epoch, &plant);
	if (!error)
		plant->epoch = epoch;
	pthread_mutex_unlock(&lock);
	return unless_given(error);
}

/* The paths are compared as they were asked for. */
bool plant_find_former(const struct container *c, const char *path, uint32_t *handle, struct planted *what)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < used_end && !found; i++) {
		found = table[i].container == c && table[i].epoch != epoch_now() && strcmp(table[i].path, path) == 0;
		if (found) {
			*handle = table[i].generation << INDEX_BITS | i;
			*what = table[i].what;
		}
	}
	pthread_mutex_unlock(&lock);
	return found;
}

bool plant_is_kept_in(const struct container *c)
{
	bool kept = false;

	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < used_end && !kept; i++)
		kept = table[i].container == c && table[i].epoch == epoch_now();
	pthread_mutex_unlock(&lock);
	return kept;
}

bool plant_give(uint32_t index, struct plant_at *at)
{
	struct plant *plant = &table[index];
	bool there;

	pthread_mutex_lock(&lock);
	there = plant->container != NULL;
	if (there) {
		plant->given = true;
		container_ref(plant->container);
		at->handle = plant->generation << INDEX_BITS | index;
		at->container = plant->container;
		at->what = plant->what;
		strcpy(at->path, plant->path);
	}
	pthread_mutex_unlock(&lock);
	return there;
}

void plants_given(bool kept)
{
	for (uint32_t i = 0; i < PVX_PLANTS_MAX; i++) {
		struct plant taken = { 0 };

		pthread_mutex_lock(&lock);
		if (table[i].container && table[i].given && !kept)
			taken = take(&table[i]);
		table[i].given = false;
		pthread_mutex_unlock(&lock);
		if (taken.container)
			container_unref(taken.container);
	}
}

void plant_generations(uint32_t generations[PVX_PLANTS_MAX])
{
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < PVX_PLANTS_MAX; i++)
		generations[i] = table[i].generation;
	pthread_mutex_unlock(&lock);
}

bool plants_begin(const uint32_t generations[PVX_PLANTS_MAX])
{
	for (uint32_t i = 0; i < PVX_PLANTS_MAX; i++) {
		if (generations[i] > GENERATION_MAX)
			return false;
		table[i].generation = generations[i];
	}
	return true;
}

bool plant_take_over(const struct plant_at *at, uint32_t epoch)
{
	uint32_t index = at->handle & ((1u << INDEX_BITS) - 1), generation = at->handle >> INDEX_BITS;
	struct plant *plant = &table[index];

	if (index >= PVX_PLANTS_MAX || plant->container || !generation || plant->generation != generation)
		return false;
	plant->container = at->container;
	plant->what = at->what;
	plant->epoch = epoch;
	strcpy(plant->path, at->path);
	if (used_end <= index)
		used_end = index + 1;
	return true;
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

/* With the lock held: of a daemon that is gone, and not kept by the present one. */
static bool is_left(const struct plant *plant)
{
	return plant->container && plant->epoch != epoch_now();
}

/* A container in which something was left, and that has no remover yet: it has one from now on. NULL: there is none. */
static struct container *next_container(bool works)
{
	struct container *found = NULL;

	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < used_end && !found; i++) {
		struct container *c = table[i].container;

		if (is_left(&table[i]) && !c->uprooted && (works || !container_works(c)))
			found = c;
	}
	if (found) {
		found->uprooted = true;
		container_ref(found);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static void remove_left_in(struct container *c)
{
	struct plant taken;

	for (uint32_t i = 0; i < PVX_PLANTS_MAX; i++) {
		taken.container = NULL;
		pthread_mutex_lock(&lock);
		if (table[i].container == c && is_left(&table[i]))
			taken = take(&table[i]);
		pthread_mutex_unlock(&lock);
		if (taken.container)
			uproot_taken(&taken);
	}
	pthread_mutex_lock(&lock);
	c->uprooted = false;
	pthread_mutex_unlock(&lock);
	container_unref(c);
}

bool plant_remove_some(bool works)
{
	struct container *c = next_container(works);

	if (c)
		remove_left_in(c);
	return c != NULL;
}
