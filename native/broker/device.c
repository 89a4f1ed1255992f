/*
 * Device nodes: found in a container or on the host, planted in another container.
 *
 * Looked at and planted are character devices of the major number of their kind, and nothing else. What is found
 * is held by descriptor: what is planted or opened later is that very node, whatever its name means by then.
 *
 * A node is made under a name of its own beside the target and then renamed, as sockets are. The same device that
 * is there already stays, and is not ours; anything else that is there stays, too, and is an error.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* For tests alone, which have no such devices: others that stand in for them. No program that is installed is
 * built like this, and nothing can switch it on in one. */
#ifdef PVX_STAND_INS
#define STANDS_IN(number) ((number) == 1 || (number) == 10)
#else
#define STANDS_IN(number) false
#endif

static bool is_kind(uint32_t kind, unsigned number)
{
	if (kind == PVX_DEVICE_DRM)
		return number == DRM_MAJOR || STANDS_IN(number);
	return kind == PVX_DEVICE_INPUT && (number == INPUT_MAJOR || STANDS_IN(number));
}

static int check(uint32_t kind, int node, struct stat *st)
{
	if (RETRY(fstat(node, st)) < 0)
		return errno;
	if (!S_ISCHR(st->st_mode))
		return ENOTTY;
	return is_kind(kind, major(st->st_rdev)) ? 0 : EPROTOTYPE;
}

int device_check(uint32_t kind, int node, dev_t *device)
{
	struct stat st;
	int error = check(kind, node, &st);

	*device = error ? 0 : st.st_rdev;
	return error;
}

/* EACCES: no device can be opened in that file system. It is mounted so, or belongs to a user namespace, whose root may
 * show whatever numbers it likes: the provider has no such device. The kernel says which only to who opens it, and
 * nobody is to hear of that: O_NOATIME is refused to a stranger (EPERM) after that question and before the device
 * is asked. */
static int check_real(int node, uint32_t owner)
{
	int error = thread_fs_stranger(owner), fd = -1;

	if (!error)
		error = path_reopen(node, O_RDONLY | O_NOATIME | O_NONBLOCK | O_NOCTTY, &fd);
	thread_fs_return();
	CLOSE_FD(fd);
	return error == EPERM ? 0 : error;
}

int device_find(const struct container *c, uint32_t kind, const char *path, int *fd, struct pvx_node *node)
{
	struct stat st;
	int error = c ? path_open(c, path, fd) : path_open_below(thread_root(), path, fd);

	if (!error)
		error = check(kind, *fd, &st);
	if (!error)
		error = check_real(*fd, st.st_uid);
	if (error) {
		CLOSE_FD(*fd);
		return error;
	}
	*node = (struct pvx_node){ .major = major(st.st_rdev),
				   .minor = minor(st.st_rdev),
				   .mode = st.st_mode & 0777,
				   .uid = c ? idmap_inside(&c->uids, st.st_uid) : st.st_uid,
				   .gid = c ? idmap_inside(&c->gids, st.st_gid) : st.st_gid };
	return 0;
}

/* What the owner of a node is on the host; root of the container where it does not have that one. */
int device_owner(const struct container *c, const struct pvx_node *node, uint32_t *uid, uint32_t *gid)
{
	int error = 0;

	if (idmap_outside(&c->uids, node->uid, uid))
		error = idmap_outside(&c->uids, 0, uid);
	if (!error && idmap_outside(&c->gids, node->gid, gid))
		error = idmap_outside(&c->gids, 0, gid);
	return error;
}

/* 0: the same device is there, and `what` is it. ENOENT: nothing is. EEXIST: something else. */
static int look(const struct place *place, const struct pvx_node *node, struct planted *what)
{
	struct stat st;

	*what = (struct planted){ .type = S_IFCHR, .theirs = true };
	if (RETRY(fstatat(place->folder, place->name, &st, AT_SYMLINK_NOFOLLOW)) < 0)
		return errno;
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(node->major, node->minor))
		return EEXIST;
	return plant_identify(place->folder, place->name, S_IFCHR, &what->identity);
}

/* Makes a node of another name in the folder, as its owner: giving it to somebody else later could hit what took
 * its place meanwhile. */
static int make(const struct container *c, const struct place *place, const struct pvx_node *node, char *temporary)
{
	uint32_t uid, gid;
	int error = plant_temporary(temporary);

	if (!error)
		error = device_owner(c, node, &uid, &gid);
	if (!error)
		error = thread_fs_own(uid, gid);
	if (error)
		return error;
	if (RETRY(mknodat(place->folder, temporary, S_IFCHR | node->mode, makedev(node->major, node->minor))) < 0)
		error = errno;
	thread_fs_return();
	return error;
}

/* Whether devices can be opened in this file system: not where it is mounted `nodev`, nor where it belongs to a
 * user namespace, which the kernel tells nobody. The null device shows it, and does nothing when it is opened. */
static int check_usable(const struct container *c, const struct place *place)
{
	const struct pvx_node null = { .major = 1, .minor = 3, .mode = 0600 };
	char temporary[PLANT_TEMPORARY];
	int error = make(c, place, &null, temporary), fd, opened = -1;
	struct stat st;

	if (error)
		return error;
	fd = RETRY(openat(place->folder, temporary, O_PATH | O_NOFOLLOW | O_CLOEXEC));
	if (fd < 0 || RETRY(fstat(fd, &st)) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(null.major, null.minor))
		error = EAGAIN; /* exchanged by the container meanwhile */
	else
		error = path_reopen(fd, O_RDONLY, &opened);
	CLOSE_FD(opened);
	CLOSE_FD(fd);
	RETRY(unlinkat(place->folder, temporary, 0));
	return error;
}

/* EPERM, EOVERFLOW, EACCES: not by us, or not in this file system. */
static int make_node(const struct container *c, const struct place *place, const struct pvx_node *node,
		     struct planted *what)
{
	char temporary[PLANT_TEMPORARY];
	int error = check_usable(c, place);

	*what = (struct planted){ .type = S_IFCHR };
	if (!error)
		error = make(c, place, node, temporary);
	if (error)
		return error;
	error = plant_identify(place->folder, temporary, S_IFCHR, &what->identity);
	if (!error && RETRY(renameat2(place->folder, temporary, place->folder, place->name, RENAME_NOREPLACE)) < 0)
		error = errno;
	if (error)
		RETRY(unlinkat(place->folder, temporary, 0));
	return error;
}

static int plant_at(const struct container *c, const struct place *place, const struct pvx_node *node,
		    struct planted *what)
{
	int error = look(place, node, what);

	if (error != ENOENT)
		return error;
	error = make_node(c, place, node, what);
	if (error == EPERM || error == EOVERFLOW || error == EACCES)
		error = mount_node(c, place, node, what);
	return error == EEXIST ? look(place, node, what) : error; /* somebody else was faster */
}

/* What a former daemon planted at the path and is there still, be it as it is wanted: then it is kept, and 0. If not, it
 * is removed, and ENOENT; as where there is no such thing. */
static int adopt(struct container *c, const char *path, const struct pvx_node *node, uint32_t epoch, uint32_t *plant)
{
	struct identity found;
	struct planted what;
	uint32_t uid, gid;
	struct stat st;
	int fd, error;

	if (!plant_find_former(c, path, plant, &what) || what.type != S_IFCHR || path_open(c, path, &fd))
		return ENOENT;
	error = plant_identify(fd, "", S_IFCHR, &found) || !plant_same(&found, &what.identity) || RETRY(fstat(fd, &st)) < 0;
	CLOSE_FD(fd);
	if (error)
		return ENOENT;
	if (st.st_rdev == makedev(node->major, node->minor) &&
	    (what.theirs || ((st.st_mode & 0777) == node->mode && device_owner(c, node, &uid, &gid) == 0 &&
			     st.st_uid == uid && st.st_gid == gid)))
		error = plant_keep(*plant, epoch);
	else if (!(error = plant_remove(*plant, epoch)))
		error = ENOENT;
	return error == EBADF ? ENOENT : error;
}

int device_plant(struct container *c, const struct pvx_request *request, const char *path, int node, uint32_t epoch,
		 uint32_t *plant)
{
	struct pvx_node wanted;
	struct planted what;
	struct place place;
	struct stat st;
	int error = check(request->type, node, &st);

	*plant = 0;
	if (error)
		return error;
	wanted = (struct pvx_node){ .major = major(st.st_rdev),
				    .minor = minor(st.st_rdev),
				    .mode = st.st_mode & 0777,
				    .uid = request->uid,
				    .gid = request->gid };
	error = adopt(c, path, &wanted, epoch, plant);
	if (error != ENOENT)
		return error;
	error = path_place(c, path, true, &place);
	if (error)
		return error;
	error = plant_at(c, &place, &wanted, &what);
	CLOSE_FD(place.folder);
	return error ? error : plant_remember(c, path, &what, epoch, plant);
}

/* Opens what the node stands for; `flags` as open(2). It is looked at again: what counts is what was opened. */
int device_reopen(uint32_t kind, int node, int flags, int *fd, dev_t *device)
{
	dev_t found;
	int error = device_check(kind, node, device);

	*fd = -1;
	if (!error)
		error = path_reopen(node, flags | O_NONBLOCK | O_NOCTTY, fd);
	if (!error)
		error = device_check(kind, *fd, &found);
	if (!error && found != *device)
		error = EPROTOTYPE;
	if (error)
		CLOSE_FD(*fd);
	return error;
}
