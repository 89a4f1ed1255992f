/*
 * Picks the users that the daemon and the relay become: each one that no other process has.
 *
 * What the kernel allows or limits by user (signals, /proc, keys, descriptors in transit, epoll watches) is then the
 * daemon's, or the relay's, alone. The number is picked at random at each start, from a block that nothing else
 * assigns: it is above the numbers that useradd gives to users and to subordinate users, sssd to a domain, and systemd
 * and other engines to their containers. It is also far above the numbers in the files of images, which are numbers of
 * the host in a container without a user namespace. In a user namespace that lacks the block, the number is from the
 * upper end of that namespace. Numbers in use are skipped: users and groups of the system, their subordinate ids, the roles of the
 * hosted bus, and the ids of processes, including those that their user namespaces map.
 *
 * While no process has the number, before the start of its child and between two of them, a lock on the byte of a file
 * that has it keeps others from picking it. The lock is held until we end.
 */
#include "supervisor.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define LOCK "/run/pv-xconnect.user-lock"
#define SPAN 8192           /* how many numbers to pick from in a user namespace that lacks our block */
#define TRIES 64            /* random picks before the numbers are tried in order */
#define MAX_ID 0x7fffffff   /* ids are counted with 32 bits and a sign */
#define MAPS_ALL 0x40000000 /* a user namespace that maps so many maps nearly all: that tells nothing of those in use */

/* 65,536 numbers; systemd's "Users, Groups, UIDs and GIDs" lists who uses the other ones. */
static const struct id_range own_block = { 0x7f000000, 0x7f00ffff };

static void add(struct id_ranges *ranges, int64_t first, int64_t last)
{
	if ((ranges->n & (ranges->n + 1)) == 0) /* room for 2^k - 1 of them is used up */
		ranges->at = realloc(ranges->at, (2 * ranges->n + 1) * sizeof(*ranges->at));
	if (!ranges->at)
		abort();
	ranges->at[ranges->n++] = (struct id_range){ first, last };
}

static bool is_in(const struct id_ranges *ranges, int64_t id)
{
	for (size_t i = 0; i < ranges->n; i++)
		if (id >= ranges->at[i].first && id <= ranges->at[i].last)
			return true;
	return false;
}

/* root; systemd's DynamicUser; nobody, and the 16-bit number for "none". */
static bool is_spoken_for(int64_t id)
{
	return id == 0 || (id >= 61184 && id <= 65519) || id == 65534 || id == 65535;
}

struct known_ids {
	struct id_ranges users, groups; /* that our user namespace maps */
	struct id_ranges taken;
};

static bool is_free(const struct known_ids *known, int64_t id)
{
	return is_in(&known->users, id) && is_in(&known->groups, id) && !is_spoken_for(id) &&
	       !is_in(&known->taken, id);
}

/* `random`: a number below that one. */
static int64_t pick_in(const struct known_ids *known, struct id_range range, uint32_t (*random)(uint32_t))
{
	for (int i = 0; i < TRIES; i++) {
		int64_t id = range.first + random((uint32_t)(range.last - range.first + 1));

		if (is_free(known, id))
			return id;
	}
	for (int64_t id = range.first; id <= range.last; id++)
		if (is_free(known, id))
			return id;
	return -1;
}

static int upper_first(const void *a, const void *b)
{
	const struct id_range *one = a, *two = b;

	return (one->last < two->last) - (one->last > two->last);
}

/* The number of both user and group; -1: none is free. */
static int64_t pick_id(struct known_ids *known, uint32_t (*random)(uint32_t))
{
	int64_t id = pick_in(known, own_block, random);

	qsort(known->users.at, known->users.n, sizeof(*known->users.at), upper_first);
	for (size_t i = 0; i < known->users.n && id < 0; i++) {
		struct id_range upper = known->users.at[i];

		if (upper.last > MAX_ID)
			upper.last = MAX_ID;
		if (upper.first < upper.last - SPAN)
			upper.first = upper.last - SPAN;
		if (upper.first <= upper.last)
			id = pick_in(known, upper, random);
	}
	return id;
}

/* A field of a line that has colons between them: a number, which may be all of it. */
static bool number_in(const char *line, int field, unsigned long *number)
{
	char end = 0;

	for (; line && field > 0; field--)
		line = (line = strchr(line, ':')) ? line + 1 : NULL;
	return line && isdigit((unsigned char)*line) && sscanf(line, "%lu%c", number, &end) >= 1 &&
	       (end == ':' || end == '\n' || end == 0);
}

/* The third field of each line of passwd(5) and of group(5). The group of a user is in group(5) too. */
static void add_table(struct id_ranges *ranges, const char *line)
{
	unsigned long id;

	if (number_in(line, 2, &id))
		add(ranges, (int64_t)id, (int64_t)id);
}

/* The ranges of subuid(5), `name:first:count`. */
static void add_subordinate(struct id_ranges *ranges, const char *line)
{
	unsigned long first, count;

	if (number_in(line, 1, &first) && number_in(line, 2, &count) && first > 0 && count > 0)
		add(ranges, (int64_t)first, (int64_t)(first + count - 1));
}

/* The ranges of user_namespaces(7), `inside outside count`. */
static void add_map(struct id_ranges *ranges, const char *line, bool inside)
{
	unsigned long in, out, count;

	if (sscanf(line, "%lu %lu %lu", &in, &out, &count) == 3 && count > 0)
		add(ranges, (int64_t)(inside ? in : out), (int64_t)((inside ? in : out) + count - 1));
}

static void add_map_inside(struct id_ranges *ranges, const char *line)
{
	add_map(ranges, line, true);
}

/* Those of a foreign namespace, unless it tells nothing. */
static void add_map_outside(struct id_ranges *ranges, const char *line)
{
	add_map(ranges, line, false);
	if (ranges->n > 0 && ranges->at[ranges->n - 1].last - ranges->at[ranges->n - 1].first >= MAPS_ALL)
		ranges->n--;
}

/* The user and group ids of a process: "Uid:" and "Gid:" of proc_pid_status(5). */
static void add_owners(struct id_ranges *ranges, const char *line)
{
	long ids[4];

	if ((strncmp(line, "Uid:", 4) == 0 || strncmp(line, "Gid:", 4) == 0) &&
	    sscanf(line + 4, "%ld %ld %ld %ld", &ids[0], &ids[1], &ids[2], &ids[3]) == 4)
		for (int i = 0; i < 4; i++)
			if (i == 0 || ids[i] != ids[i - 1])
				add(ranges, ids[i], ids[i]);
}

static void add_file(struct id_ranges *ranges, const char *path, void (*add_line)(struct id_ranges *, const char *))
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0)
		add_line(ranges, line);
	free(line);
	if (file)
		fclose(file);
}

/* Empty if the process has ended meanwhile. */
static void namespace_of(const char *pid, char *name, size_t size)
{
	char path[300];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/ns/user", pid);
	n = readlink(path, name, size - 1);
	name[n > 0 ? n : 0] = 0;
}

/* The ids of all processes, and the ids of ours that other user namespaces map. */
static void add_processes(struct id_ranges *ranges)
{
	char ours[64], theirs[64], path[300];
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	namespace_of("self", ours, sizeof(ours));
	while (proc && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/status", entry->d_name);
		add_file(ranges, path, add_owners);
		namespace_of(entry->d_name, theirs, sizeof(theirs));
		if (strcmp(ours, theirs) == 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/uid_map", entry->d_name);
		add_file(ranges, path, add_map_outside);
		snprintf(path, sizeof(path), "/proc/%s/gid_map", entry->d_name);
		add_file(ranges, path, add_map_outside);
	}
	if (proc)
		closedir(proc);
}

static uint32_t random_below(uint32_t limit)
{
	uint32_t number = 0;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0)
		number = (uint32_t)now_ms() * 2654435761u;
	return number % limit;
}

static int lock = -1;

void own_user_state(struct state *state)
{
	state_section(state, "user-lock");
	state_descriptor(state, "fd", &lock);
}

/* False: another one has the number. If there is no such file to be had, which only root can cause, the random pick has
 * to be enough. */
static bool lock_id(int64_t id)
{
	struct flock byte = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)id, .l_len = 1 };

	if (lock < 0)
		lock = open(LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return lock < 0 || fcntl(lock, F_OFD_SETLK, &byte) == 0;
}

int64_t own_user(uint32_t first_role, uint32_t last_role)
{
	static struct known_ids known;
	int64_t id;

	if (known.users.n == 0) {
		add(&known.taken, (int64_t)first_role - 1, last_role);
		add_file(&known.taken, "/etc/passwd", add_table);
		add_file(&known.taken, "/etc/group", add_table);
		add_file(&known.taken, "/etc/subuid", add_subordinate);
		add_file(&known.taken, "/etc/subgid", add_subordinate);
		add_processes(&known.taken);
		add_file(&known.users, "/proc/self/uid_map", add_map_inside);
		add_file(&known.groups, "/proc/self/gid_map", add_map_inside);
	}
	do {
		id = pick_id(&known, random_below);
		add(&known.taken, id, id);
	} while (id >= 0 && !lock_id(id));
	return id;
}

static bool is_number(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

/* -1: it is none. */
static int32_t id_of(const char *text)
{
	uint64_t id = is_number(text) && strlen(text) <= 10 ? strtoull(text, NULL, 10) : UINT64_MAX;

	return id <= MAX_ID ? (int32_t)id : -1;
}

bool named_user(const char *name, int32_t *uid, int32_t *gid)
{
	FILE *file = fopen("/etc/passwd", "re");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	while (file && !found && getline(&line, &size, file) > 0) {
		char *left = line, *fields[4] = { 0 };

		for (int i = 0; i < 4; i++)
			fields[i] = strsep(&left, ":\n");
		if (!fields[3] || id_of(fields[2]) < 0 || id_of(fields[3]) < 0)
			continue;
		found = strcmp(fields[0], name) == 0 || strcmp(fields[2], name) == 0;
		*uid = id_of(fields[2]);
		*gid = id_of(fields[3]);
	}
	free(line);
	if (file)
		fclose(file);
	if (!found && (is_number(name) || strcmp(name, "nobody") == 0)) { /* the kernel's own overflow identity */
		*uid = *gid = is_number(name) ? id_of(name) : 65534;
		found = *uid >= 0;
	}
	return found;
}

bool only_root_is_mapped(void)
{
	struct id_ranges users = { 0 };
	bool only;

	add_file(&users, "/proc/self/uid_map", add_map_inside);
	only = users.n > 0 && users.at[0].first == 0 && users.at[0].last == 0;
	free(users.at);
	return only;
}
