/*
 * The table of held containers.
 *
 * Held is a process, by its pidfd and by a descriptor of its folder in /proc: both answer ESRCH for ever once it
 * is gone, whoever has its pid by then. Its root is opened anew for each operation, through that folder: a
 * container may be named before it has pivoted into its own root. A handle is an index and a generation, so that
 * one from before reaches nobody. An entry lives while it is held, used, or has something planted.
 *
 * Operations in one container at once are bounded, so that one whose file systems hang leaves threads for the
 * others. More of them wait their turn, where that is soon: who waited in vain speaks for all that come within the
 * next second, for a thread that waits serves nobody.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define INDEX_BITS 12
#define GENERATION_MAX ((1u << (32 - INDEX_BITS)) - 2) /* no handle is PVX_HOST */
_Static_assert(PVX_CONTAINERS_MAX <= 1u << INDEX_BITS, "index fits into a handle");

static struct container table[PVX_CONTAINERS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn; /* an operation ended in a container that had as many as it may */
static uint64_t our_mount_ns;

int containers_init(void)
{
	struct stat st;

	if (stat("/proc/self/ns/mnt", &st) < 0)
		return errno;
	our_mount_ns = st.st_ino;
	return condition_init(&turn);
}

/* Milliseconds, monotonic. */
static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool container_alive(const struct container *c)
{
	struct pollfd poll_fd = { .fd = c->pidfd, .events = POLLIN };

	return RETRY(poll(&poll_fd, 1, 0)) == 0;
}

/* Field 22 of /proc/PID/stat. The name in field 2 is the process's own choice: what counts comes after its last
 * parenthesis. */
static int start_time(int proc, uint64_t *ticks)
{
	unsigned long long value;
	char text[1024], *end;
	int fd = openat(proc, "stat", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return errno;
	n = read(fd, text, sizeof(text) - 1);
	CLOSE_FD(fd);
	if (n <= 0)
		return ESRCH;
	text[n] = 0;
	end = strrchr(text, ')');
	if (!end || sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			   &value) != 1)
		return ESRCH;
	*ticks = value;
	return 0;
}

/* What the kernel tells of its cgroups, as the runtime names a container there; nothing where it tells nothing. */
static void read_cgroup(int proc, struct held *held)
{
	int fd = RETRY(openat(proc, "cgroup", O_RDONLY | O_CLOEXEC));

	held->cgroup_length = 0;
	while (fd >= 0 && held->cgroup_length < PVX_DATA_MAX) {
		ssize_t n = RETRY(read(fd, held->cgroup + held->cgroup_length, PVX_DATA_MAX - held->cgroup_length));

		if (n <= 0)
			break;
		held->cgroup_length += (uint32_t)n;
	}
	CLOSE_FD(fd);
}

/* Fills `c` but for its place in the table. What it opened is the caller's to close, on errors too. */
static int examine(uint32_t pid, uint64_t newest, struct container *c, struct held *held)
{
	char path[32];
	struct stat st;
	int error;

	c->pidfd = c->proc = -1;
	c->pid = pid;
	if (pid == 0 || pid > INT32_MAX)
		return ESRCH;
	c->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0u);
	if (c->pidfd < 0)
		return errno == EINVAL ? ESRCH : errno; /* EINVAL: a thread, not a process */
	snprintf(path, sizeof(path), "/proc/%u", pid);
	c->proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->proc < 0)
		return errno == ENOENT ? ESRCH : errno;
	error = start_time(c->proc, &c->start);
	if (error)
		return error;
	if (fstatat(c->proc, "ns/mnt", &st, 0) < 0)
		return errno == ENOENT ? ESRCH : errno;
	c->mount_ns = st.st_ino;
	error = idmap_read(c->proc, "uid_map", &c->uids);
	if (!error)
		error = idmap_read(c->proc, "gid_map", &c->gids);
	if (error)
		return error;
	read_cgroup(c->proc, held);
	if (!container_alive(c))
		return ESRCH; /* else the folder was still that of the process behind the pidfd */
	if (newest && c->start > newest)
		return ESTALE;
	return c->mount_ns == our_mount_ns ? EXDEV : 0;
}

static uint32_t handle_of(const struct container *c)
{
	return c->generation << INDEX_BITS | (uint32_t)(c - table);
}

/* With the lock held. */
static struct container *find(uint32_t handle)
{
	uint32_t index = handle & ((1u << INDEX_BITS) - 1);

	if (index >= PVX_CONTAINERS_MAX || !table[index].refs || table[index].released ||
	    table[index].generation != handle >> INDEX_BITS)
		return NULL;
	return &table[index];
}

/* With the lock held: that very process as a daemon held it that is gone, and lets the present one hold it further. */
static struct container *find_former(const struct container *like)
{
	for (struct container *c = table; c < table + PVX_CONTAINERS_MAX; c++)
		if (c->refs && !c->released && c->epoch != like->epoch && c->pid == like->pid &&
		    c->start == like->start && container_alive(c))
			return c;
	return NULL;
}

/* With the lock held: a place in the table, and `c` in it. NULL: the table is full. */
static struct container *take_place(struct container *c)
{
	for (uint32_t i = 0; i < PVX_CONTAINERS_MAX; i++) {
		if (table[i].refs)
			continue;
		c->generation = table[i].generation >= GENERATION_MAX ? 1 : table[i].generation + 1;
		table[i] = *c;
		return &table[i];
	}
	return NULL;
}

int container_hold(uint32_t pid, uint64_t newest, uint32_t epoch, struct held *held)
{
	struct container c = { .refs = 1, .epoch = epoch };
	struct container *entry = NULL;
	bool adopted = false;
	int error = examine(pid, newest, &c, held);

	held->pidfd = -1;
	if (!error && (held->pidfd = fcntl(c.pidfd, F_DUPFD_CLOEXEC, 0)) < 0)
		error = errno;
	if (!error && !(c.closing = closing_new()))
		error = ENOMEM;
	if (!error) {
		pthread_mutex_lock(&lock);
		if (epoch != epoch_now())
			error = ESTALE;
		else if ((entry = find_former(&c)))
			adopted = true;
		else if (!(entry = take_place(&c)))
			error = ENFILE;
		if (entry) {
			entry->epoch = epoch;
			held->handle = handle_of(entry);
		}
		pthread_mutex_unlock(&lock);
	}
	if (error)
		CLOSE_FD(held->pidfd);
	if (error || adopted) {
		CLOSE_FD(c.pidfd);
		CLOSE_FD(c.proc);
		if (c.closing)
			closing_unref(c.closing);
	}
	held->start = c.start;
	held->mount_ns = c.mount_ns;
	return error;
}

/* With the lock held. */
static void unref(struct container *c)
{
	if (--c->refs)
		return;
	CLOSE_FD(c->pidfd);
	CLOSE_FD(c->proc);
	closing_unref(c->closing);
}

struct closing *container_account(uint32_t handle)
{
	struct closing *closing = NULL;
	struct container *c;

	pthread_mutex_lock(&lock);
	c = find(handle);
	if (c)
		closing = closing_ref(c->closing);
	pthread_mutex_unlock(&lock);
	return closing;
}

void container_ref(struct container *c)
{
	pthread_mutex_lock(&lock);
	c->refs++;
	pthread_mutex_unlock(&lock);
}

void container_unref(struct container *c)
{
	pthread_mutex_lock(&lock);
	unref(c);
	pthread_mutex_unlock(&lock);
}

bool container_works(struct container *c)
{
	bool works;

	pthread_mutex_lock(&lock);
	works = c->busy > 0;
	pthread_mutex_unlock(&lock);
	return works;
}

int container_release(uint32_t handle, uint32_t epoch)
{
	struct container *c;
	int error = 0;

	if (handover_left())
		return 0; /* the relay still connects there */
	pthread_mutex_lock(&lock);
	c = find(handle);
	if (epoch != epoch_now())
		error = ESTALE;
	else if (!c)
		error = EBADF;
	if (!error) {
		c->released = true;
		unref(c);
	}
	pthread_mutex_unlock(&lock);
	return error;
}

struct container *container_at(uint32_t index, uint32_t *handle, bool *released)
{
	struct container *c = &table[index];

	pthread_mutex_lock(&lock);
	if (c->refs > 0) {
		c->refs++;
		*handle = handle_of(c);
		*released = c->released;
	} else {
		c = NULL;
	}
	pthread_mutex_unlock(&lock);
	return c;
}

void container_generations(uint32_t generations[PVX_CONTAINERS_MAX])
{
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < PVX_CONTAINERS_MAX; i++)
		generations[i] = table[i].generation;
	pthread_mutex_unlock(&lock);
}

bool containers_begin(const uint32_t generations[PVX_CONTAINERS_MAX])
{
	for (uint32_t i = 0; i < PVX_CONTAINERS_MAX; i++) {
		if (generations[i] > GENERATION_MAX)
			return false;
		table[i].generation = generations[i];
	}
	return true;
}

int container_take_over(uint32_t handle, const struct container *from)
{
	uint32_t index = handle & ((1u << INDEX_BITS) - 1), generation = handle >> INDEX_BITS;
	uint64_t start;

	if (index >= PVX_CONTAINERS_MAX || table[index].refs > 0 || !generation || table[index].generation != generation)
		return EINVAL;
	if ((start_time(from->proc, &start) || start != from->start) && container_alive(from))
		return ESTALE;
	table[index] = *from;
	table[index].generation = generation;
	table[index].refs = 1;
	return 0;
}

struct container *container_taken(uint32_t handle)
{
	struct container *c = &table[handle & ((1u << INDEX_BITS) - 1)];

	if (c >= table + PVX_CONTAINERS_MAX || !c->refs || c->generation != handle >> INDEX_BITS)
		return NULL;
	c->refs++;
	return c;
}

void containers_settle(void)
{
	for (struct container *c = table; c < table + PVX_CONTAINERS_MAX; c++)
		if (c->refs > 0 && c->released)
			unref(c);
}

/* With the lock held. */
static bool is_left(const struct container *c)
{
	return c->refs && !c->released && c->epoch != epoch_now();
}

/* Not those in which something is kept: what is asked about it names them. */
void container_release_left(void)
{
	for (struct container *c = table; c < table + PVX_CONTAINERS_MAX && !handover_left(); c++) {
		bool left, kept;

		pthread_mutex_lock(&lock);
		left = is_left(c);
		if (left)
			c->refs++;
		pthread_mutex_unlock(&lock);
		if (!left)
			continue;
		kept = plant_is_kept_in(c);
		pthread_mutex_lock(&lock);
		if (!kept && is_left(c)) {
			c->released = true;
			unref(c);
		}
		unref(c);
		pthread_mutex_unlock(&lock);
	}
}

void container_is_late(uint32_t handle)
{
	struct container *c;

	pthread_mutex_lock(&lock);
	c = find(handle);
	if (c)
		c->tardy_until = now() + SLOW_MS;
	pthread_mutex_unlock(&lock);
}

bool container_is_tardy(uint32_t handle)
{
	struct container *c;
	uint64_t until;

	pthread_mutex_lock(&lock);
	c = find(handle);
	until = c ? c->tardy_until : 0;
	pthread_mutex_unlock(&lock);
	return until > 0 && now() < until;
}

/* With the lock held: waits until it has room. */
static int wait_for_turn(struct container *c)
{
	uint64_t patience = now() + HANGS_MS;

	while (c->busy >= CONTAINER_BUSY_MAX) {
		uint64_t until = c->moved + HANGS_MS < patience ? c->moved + HANGS_MS : patience;
		struct timespec t = { .tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000 };

		if (now() < c->slow_until)
			return EBUSY;
		if (now() >= until) {
			c->slow_until = now() + SLOW_MS;
			return EBUSY;
		}
		pthread_cond_timedwait(&turn, &lock, &t);
	}
	return 0;
}

/* With the lock held. */
static int enter(struct container *c)
{
	int error;

	c->refs++;
	error = wait_for_turn(c);
	if (error)
		unref(c);
	else if (c->busy++ == 0)
		c->moved = now();
	return error;
}

int container_use(uint32_t handle, struct container **used)
{
	struct container *c;
	int error = EBADF;

	pthread_mutex_lock(&lock);
	c = find(handle);
	if (c)
		error = enter(c);
	pthread_mutex_unlock(&lock);
	*used = error ? NULL : c;
	return error;
}

int container_enter(struct container *c)
{
	int error;

	pthread_mutex_lock(&lock);
	error = enter(c);
	pthread_mutex_unlock(&lock);
	return error;
}

void container_done(struct container *c)
{
	pthread_mutex_lock(&lock);
	c->moved = now();
	if (c->busy-- >= CONTAINER_BUSY_MAX)
		pthread_cond_broadcast(&turn);
	unref(c);
	pthread_mutex_unlock(&lock);
}

/* ESRCH: its process is gone. */
int container_root(const struct container *c, int *root)
{
	*root = RETRY(openat(c->proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC));
	if (*root >= 0)
		return 0;
	return errno == ENOENT ? ESRCH : errno;
}

int container_network(const struct container *c, uint64_t *inode)
{
	struct stat st;

	if (fstatat(c->proc, "ns/net", &st, 0) < 0)
		return errno == ENOENT ? ESRCH : errno;
	*inode = st.st_ino;
	return 0;
}

int container_user(const struct container *c, uint32_t *uid, uint32_t *gid)
{
	int error = idmap_outside(&c->uids, *uid, uid);

	return error ? error : idmap_outside(&c->gids, *gid, gid);
}
