/*
 * What a uid of a container is on the host: uid_map and gid_map of user_namespaces(7), read once.
 *
 * The kernel shows the second column as the reader's own namespace counts, which is what we need, unless reader
 * and container share one: then nothing has to be translated.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool same_users(int proc)
{
	struct stat ours, theirs;

	return stat("/proc/self/ns/user", &ours) == 0 && fstatat(proc, "ns/user", &theirs, 0) == 0 &&
	       ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}

int idmap_read(int proc, const char *name, struct idmap *map)
{
	char text[1024], *line = text, *rest;
	ssize_t n;
	int fd;

	map->n = 0;
	if (same_users(proc))
		return 0;
	fd = openat(proc, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	n = read(fd, text, sizeof(text) - 1);
	CLOSE_FD(fd);
	if (n <= 0)
		return n < 0 ? errno : EPERM; /* a namespace without a mapping yet has no users */
	text[n] = 0;
	while (*line && map->n < IDMAP_MAX) {
		unsigned inside, outside, length;

		if (sscanf(line, "%u %u %u", &inside, &outside, &length) != 3)
			break;
		map->range[map->n].inside = inside;
		map->range[map->n].outside = outside;
		map->range[map->n].length = length;
		map->n++;
		for (rest = line; *rest && *rest != '\n'; rest++)
			;
		line = *rest ? rest + 1 : rest;
	}
	return map->n ? 0 : EPERM;
}

int idmap_outside(const struct idmap *map, uint32_t inside, uint32_t *outside)
{
	if (inside == UINT32_MAX)
		return EPERM; /* means "unchanged" to the kernel */
	if (map->n == 0) {
		*outside = inside;
		return 0;
	}
	for (uint32_t i = 0; i < map->n; i++) {
		if (inside < map->range[i].inside || inside - map->range[i].inside >= map->range[i].length)
			continue;
		inside -= map->range[i].inside;
		if (map->range[i].outside > UINT32_MAX - 1 - inside)
			return EPERM; /* the range has no place in our own user namespace */
		*outside = map->range[i].outside + inside;
		return 0;
	}
	return EPERM;
}

uint32_t idmap_inside(const struct idmap *map, uint32_t outside)
{
	for (uint32_t i = 0; i < map->n; i++)
		if (outside >= map->range[i].outside && outside - map->range[i].outside < map->range[i].length)
			return map->range[i].inside + (outside - map->range[i].outside);
	return outside;
}
