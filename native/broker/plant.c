/*
 * Sockets planted in containers.
 *
 * A socket is bound under a name of its own beside the target and then renamed: at no moment is there something
 * half-made at the target, and what was there is never lost. A stale socket is exchanged, not overwritten, so
 * that what took its place in the last instant is put back. What was planted is known by device, inode and birth
 * time, and only that is ever removed.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096
#define INDEX_BITS 14
#define GENERATION_MAX ((1u << (32 - INDEX_BITS)) - 1)
_Static_assert(PVX_PLANTS_MAX <= 1u << INDEX_BITS, "index fits into a handle");

struct identity {
	uint64_t inode;
	uint32_t major, minor;
	int64_t born_s;
	uint32_t born_ns;
};

static struct plant {
	struct container *container; /* counted; NULL: this place is free */
	struct identity identity;
	uint32_t generation;
	char path[PVX_PATH_MAX + 1];
} table[PVX_PLANTS_MAX];
static uint32_t next_free; /* where to look first */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int identify(int folder, const char *name, struct identity *identity)
{
	struct statx st;

	if (statx(folder, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_INO | STATX_BTIME, &st) < 0)
		return errno;
	*identity = (struct identity){ .inode = st.stx_ino, .major = st.stx_dev_major, .minor = st.stx_dev_minor };
	if (st.stx_mask & STATX_BTIME) {
		identity->born_s = st.stx_btime.tv_sec;
		identity->born_ns = st.stx_btime.tv_nsec;
	}
	return S_ISSOCK(st.stx_mode) ? 0 : EEXIST;
}

static bool same(const struct identity *a, const struct identity *b)
{
	return a->inode == b->inode && a->major == b->major && a->minor == b->minor && a->born_s == b->born_s &&
	       a->born_ns == b->born_ns;
}

/* 0: the socket there is stale, and `*identity` is whose. EADDRINUSE: somebody has it. EEXIST: it is no socket. */
static int probe_stale(int folder, const char *name, struct identity *identity)
{
	int error = identify(folder, name, identity), fd, probe;
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (error)
		return error;
	fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno;
	probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", fd);
	/* Of all that can happen only this says that nobody is behind it; another type's socket is EPROTOTYPE. */
	if (probe < 0)
		error = errno;
	else if (connect(probe, (struct sockaddr *)&address, sizeof(address)) == 0 || errno != ECONNREFUSED)
		error = EADDRINUSE;
	CLOSE_FD(probe);
	CLOSE_FD(fd);
	return error;
}

/* Our socket, at `temporary`, takes the place of a stale one. */
static int replace_stale(int folder, const char *temporary, const char *name)
{
	struct identity stale = { 0 }, swapped = { 0 };
	int error = probe_stale(folder, name, &stale);

	if (error)
		return error;
	if (renameat2(folder, temporary, folder, name, RENAME_EXCHANGE) < 0)
		return errno;
	error = identify(folder, temporary, &swapped);
	if (!error && same(&stale, &swapped))
		return unlinkat(folder, temporary, 0) < 0 ? errno : 0;
	renameat2(folder, temporary, folder, name, RENAME_EXCHANGE);
	return EEXIST;
}

/* Names `socket` in the folder, as the container's root. */
static int bind_at(const struct place *place, int socket_fd, int type, struct identity *identity)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char temporary[32];
	uint64_t number;
	int error = 0;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return EAGAIN;
	snprintf(temporary, sizeof(temporary), ".pvx-%016llx", (unsigned long long)number);
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", place->folder, temporary);
	if (bind(socket_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == EADDRINUSE ? EAGAIN : errno;
	if (type != SOCK_DGRAM && listen(socket_fd, BACKLOG) < 0)
		error = errno;
	if (!error)
		error = identify(place->folder, temporary, identity);
	if (!error && renameat2(place->folder, temporary, place->folder, place->name, RENAME_NOREPLACE) < 0)
		error = errno == EEXIST ? replace_stale(place->folder, temporary, place->name) : errno;
	if (error)
		unlinkat(place->folder, temporary, 0);
	return error;
}

static int remember(struct container *c, const char *path, const struct identity *identity, uint32_t *handle)
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
		plant->identity = *identity;
		plant->generation = plant->generation >= GENERATION_MAX ? 1 : plant->generation + 1;
		strcpy(plant->path, path);
		*handle = plant->generation << INDEX_BITS | (uint32_t)(plant - table);
		next_free = (uint32_t)(plant - table) + 1;
	}
	pthread_mutex_unlock(&lock);
	if (plant)
		return 0;
	container_unref(c);
	return ENFILE;
}

/* Removes the socket at the path if it is that one. */
static int uproot(const struct container *c, const char *path, const struct identity *identity)
{
	struct identity found = { 0 };
	struct place place;
	int root, error;

	if (!container_alive(c))
		return 0; /* its file systems went with it, or belong to somebody else by now */
	error = container_root(c, &root);
	if (error)
		return error == ESRCH ? 0 : error;
	error = path_place(c, root, path, false, &place);
	CLOSE_FD(root);
	if (error)
		return error == ENOENT || error == ENOTDIR || error == ELOOP ? 0 : error;
	if (identify(place.folder, place.name, &found) == 0 && same(&found, identity) &&
	    unlinkat(place.folder, place.name, 0) < 0 && errno != ENOENT)
		error = errno;
	CLOSE_FD(place.folder);
	return error;
}

int plant_listen(struct container *c, int type, const char *path, int *fd, uint32_t *handle)
{
	struct identity identity = { 0 };
	uint32_t uid, gid;
	struct place place;
	int root, error;

	*fd = -1;
	error = container_root(c, &root);
	if (error)
		return error;
	error = path_place(c, root, path, true, &place);
	CLOSE_FD(root);
	if (error)
		return error;
	error = idmap_outside(&c->uids, 0, &uid);
	if (!error)
		error = idmap_outside(&c->gids, 0, &gid);
	if (!error)
		error = thread_socket(c, type, fd);
	if (!error && fchmod(*fd, 0666) < 0) /* what bind gives the name, less our umask of 0 */
		error = errno;
	if (!error) {
		thread_fs_become(uid, gid);
		error = bind_at(&place, *fd, type, &identity);
		thread_fs_return();
	}
	CLOSE_FD(place.folder);
	if (!error) {
		error = remember(c, path, &identity, handle);
		if (error)
			uproot(c, path, &identity);
	}
	if (error)
		CLOSE_FD(*fd);
	return error;
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
	error = uproot(plant.container, plant.path, &plant.identity);
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

void plant_remove_all(void)
{
	for (uint32_t i = 0; i < PVX_PLANTS_MAX; i++)
		remove_at(i, 0);
}
