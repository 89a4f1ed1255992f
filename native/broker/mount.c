/*
 * Device nodes by mount, where none can be made: in a file system that belongs to a user namespace, or that is
 * mounted `nodev`.
 *
 * The node is made in a small file system of our own, with the owner and the mode that it is to have, and from
 * there mounted over an empty file at the target, in the container's mount namespace. Our file system itself is
 * attached there for a moment, under a name that nobody has: a part of what is attached nowhere can be mounted
 * since Linux 6.15 only. Nothing of it is ever in our own namespace.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DETACH 2 /* MNT_DETACH: sys/mount.h can't be had together with linux/mount.h */

/* A file system with nothing but the node in it, attached nowhere. */
static int make_file_system(const struct container *c, const struct pvx_node *node, int *fd)
{
	int context = (int)syscall(SYS_fsopen, fixed_tmpfs, FSOPEN_CLOEXEC), error = 0;
	uint32_t uid, gid;

	*fd = -1;
	if (context < 0)
		return errno;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
	    (*fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)) < 0)
		error = errno;
	CLOSE_FD(context);
	if (!error)
		error = device_owner(c, node, &uid, &gid);
	if (!error && !(error = thread_fs_own(uid, gid))) {
		if (mknodat(*fd, fixed_node, S_IFCHR | node->mode, makedev(node->major, node->minor)) < 0)
			error = errno;
		thread_fs_return();
	}
	if (error)
		CLOSE_FD(*fd);
	return error;
}

/* In the container's mount namespace: the mount that this descriptor is of, whatever its name leads to by now. */
static int unmount(int mounted)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", mounted);
	return fchdir(thread_descriptors()) < 0 || syscall(SYS_umount2, name, DETACH) < 0 ? errno : 0;
}

/* In the container's mount namespace: the file system at the folder `temporary`, the node out of it over `point`. For
 * that moment the container can reach into the file system: what is taken out of it is looked at. */
static int mount_over(const struct place *place, const char *temporary, int file_system, int point,
		      const struct identity *node)
{
	struct identity found = { 0 };
	int error, last, tree;

	if (syscall(SYS_move_mount, file_system, fixed_empty, place->folder, temporary, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return errno;
	tree = (int)syscall(SYS_open_tree, file_system, fixed_node, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	error = tree < 0 ? errno : plant_identify(tree, "", S_IFCHR, &found);
	if (!error && !plant_same(&found, node))
		error = EEXIST;
	if (!error && syscall(SYS_move_mount, tree, fixed_empty, point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		error = errno;
	CLOSE_FD(tree);
	last = unmount(file_system);
	return error ? error : last;
}

/* An empty file at the target, and an empty folder beside it; as the container's root. */
static int make_points(const struct container *c, const struct place *place, const char *temporary, int *point)
{
	int error = thread_fs_root_of(c);

	*point = -1;
	if (error)
		return error;
	*point = RETRY(openat(place->folder, place->name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0));
	if (*point < 0) {
		error = errno;
	} else if (RETRY(mkdirat(place->folder, temporary, 0700)) < 0) {
		error = errno;
		RETRY(unlinkat(place->folder, place->name, 0));
		CLOSE_FD(*point);
	}
	thread_fs_return();
	return error;
}

/* Fills all of `what`. EEXIST: something is at the place, and stays there. */
int mount_node(const struct container *c, const struct place *place, const struct pvx_node *node, struct planted *what)
{
	char temporary[PLANT_TEMPORARY];
	int file_system, point, error = plant_temporary(temporary);

	*what = (struct planted){ .type = S_IFCHR, .mounted = true };
	if (!error)
		error = make_file_system(c, node, &file_system);
	if (error)
		return error;
	error = plant_identify(file_system, fixed_node, S_IFCHR, &what->identity);
	if (!error)
		error = make_points(c, place, temporary, &point);
	if (error) {
		CLOSE_FD(file_system);
		return error;
	}
	error = plant_identify(place->folder, place->name, S_IFREG, &what->point);
	if (!error && !(error = thread_mounts_enter(c))) {
		error = mount_over(place, temporary, file_system, point, &what->identity);
		thread_mounts_return();
	}
	RETRY(unlinkat(place->folder, temporary, AT_REMOVEDIR));
	if (error)
		mount_remove(c, place, what);
	CLOSE_FD(point);
	CLOSE_FD(file_system);
	return error;
}

/* Takes the mount away if it is that one, and the file below it likewise. */
int mount_remove(const struct container *c, const struct place *place, const struct planted *what)
{
	struct identity found = { 0 };
	int error = 0, node = RETRY(openat(place->folder, place->name, O_PATH | O_NOFOLLOW | O_CLOEXEC));

	if (node >= 0 && plant_identify(node, "", S_IFCHR, &found) == 0 && plant_same(&found, &what->identity) &&
	    !(error = thread_mounts_enter(c))) {
		error = unmount(node);
		thread_mounts_return();
	}
	CLOSE_FD(node);
	if (error)
		return error;
	if (plant_identify(place->folder, place->name, S_IFREG, &found) == 0 && plant_same(&found, &what->point) &&
	    RETRY(unlinkat(place->folder, place->name, 0)) < 0 && errno != ENOENT)
		error = errno;
	return error;
}
