/*
 * What this broker holds and has planted, given to one of another build, and taken from the one before.
 *
 * The other one has the same containers and plants by the same handles, which the daemon's notes and the relay's requests
 * know: so a place of a table that is free there is not given again as it was here. Until C both have them; from then on
 * they are the other's, and nothing of them is removed here. Containers stay held, too, as long as this process lives: its
 * relay still connects in them. What was opened for a client (grant.c) is not given; it ends with the client, or here.
 *
 *   H   BEGIN, (CONTAINER, with its pidfd and its folder of /proc)..., PLANT..., END   is written, by a thread of its own
 *   C   what was given is forgotten
 *   T   it is ours alone again
 *
 * A record is its kind and the length of what follows. Whoever reads takes nothing of it for granted: not a number, nor
 * that the descriptors are of that process.
 */
#include "broker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "../handover.h"

#define PATIENCE_S 10 /* for a reader that does not read */

enum kind { BEGIN = 1, CONTAINER, PLANT, END };

struct head {
	uint32_t kind, length;
};

struct begin {
	uint32_t version, epoch;
	uint32_t containers[PVX_CONTAINERS_MAX], plants[PVX_PLANTS_MAX]; /* how often each place was taken */
};

struct container_record {
	uint32_t handle, pid;
	uint64_t start, mount_ns;
	struct idmap uids, gids;
	uint32_t released, nothing;
};

/* The path follows, without a NUL. */
struct plant_record {
	struct identity identity, point;
	uint32_t handle, container;
	uint32_t type, theirs, mounted, nothing;
};

static atomic_bool left;

bool handover_left(void)
{
	return left;
}

/* Between two builds: PVX_BETWEEN_VERSIONS. */
_Static_assert(sizeof(struct container_record) == 32 + 2 * (12 * IDMAP_MAX + 4), "container layout: else another number");
_Static_assert(sizeof(struct identity) == 32 && sizeof(struct plant_record) == 88, "plant layout: else another number");

static bool write_all(int stream, const void *bytes, size_t length, const int *fds, uint32_t nfds)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = handover_send(stream, (const char *)bytes + done, length - done, fds, done == 0 ? nfds : 0, 0);

		if (n < 0 && (errno == EAGAIN || !transient(errno)))
			return false;
		if (n < 0)
			usleep(1000);
		else
			done += (size_t)n;
	}
	return true;
}

static bool write_record(int stream, enum kind kind, const void *record, size_t length, const int *fds, uint32_t nfds)
{
	struct head head = { .kind = kind, .length = (uint32_t)length };

	return write_all(stream, &head, sizeof(head), NULL, 0) && write_all(stream, record, length, fds, nfds);
}

static bool write_container(int stream, uint32_t handle, bool released, const struct container *c)
{
	struct container_record record = { .handle = handle, .pid = c->pid, .start = c->start, .mount_ns = c->mount_ns,
					   .uids = c->uids, .gids = c->gids, .released = released };
	int fds[2] = { c->pidfd, c->proc };

	return write_record(stream, CONTAINER, &record, sizeof(record), fds, 2);
}

static bool write_plant(int stream, const struct plant_at *at, uint32_t container)
{
	static struct {
		struct plant_record head;
		char path[PVX_PATH_MAX];
	} record;
	size_t length = strlen(at->path);

	record.head = (struct plant_record){ .identity = at->what.identity, .point = at->what.point, .handle = at->handle,
					     .container = container, .type = at->what.type, .theirs = at->what.theirs,
					     .mounted = at->what.mounted };
	memcpy(record.path, at->path, length);
	return write_record(stream, PLANT, &record, sizeof(record.head) + length, NULL, 0);
}

/* One whose container came into being since those were written stays ours. */
static bool write_tables(int stream)
{
	static struct begin begin;
	static struct {
		const struct container *container;
		uint32_t handle;
	} written[PVX_CONTAINERS_MAX];
	static struct plant_at at;
	bool well, released;

	memset(written, 0, sizeof(written));
	begin.version = PVX_BETWEEN_VERSIONS;
	begin.epoch = epoch_now();
	container_generations(begin.containers);
	plant_generations(begin.plants);
	well = write_record(stream, BEGIN, &begin, sizeof(begin), NULL, 0);
	for (uint32_t i = 0; i < PVX_CONTAINERS_MAX && well; i++) {
		struct container *c = container_at(i, &written[i].handle, &released);

		if (!c)
			continue;
		written[i].container = c;
		well = write_container(stream, written[i].handle, released, c);
		container_unref(c);
	}
	for (uint32_t i = 0; i < PVX_PLANTS_MAX && well; i++) {
		uint32_t container = 0;

		if (!plant_give(i, &at))
			continue;
		for (uint32_t k = 0; k < PVX_CONTAINERS_MAX && !container; k++)
			if (written[k].container == at.container)
				container = written[k].handle;
		if (container)
			well = write_plant(stream, &at, container);
		container_unref(at.container);
	}
	return well && write_record(stream, END, NULL, 0, NULL, 0);
}

/* Takes the stream. */
static void give(int stream)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };

	plants_given(true);
	if (stream < 0)
		return;
	setsockopt(stream, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (!write_tables(stream))
		plants_given(true); /* nobody has them */
	shutdown(stream, SHUT_RDWR); /* should anybody have it still */
	close(stream);
}

static void *serve(void *nothing)
{
	struct handover_word word = { .fd = -1 };
	int heard;

	(void)nothing;
	while ((heard = handover_hear(0, &word)) >= 0) {
		if (heard == 0)
			continue;
		if (handover_is(&word, 'H') && !left) {
			give(word.fd);
			continue;
		}
		if (word.letter == 'C' && !left) {
			plants_given(false);
			left = true;
		} else if (word.letter == 'T' && !left) {
			plants_given(true);
		}
		CLOSE_FD(word.fd);
	}
	return thread_rest();
}

int handover_serve(void)
{
	return thread_start(serve, NULL);
}

static const char *take_begin(const struct begin *begin)
{
	if (begin->version != PVX_BETWEEN_VERSIONS)
		return "it is of another version";
	if (!containers_begin(begin->containers) || !plants_begin(begin->plants) || epoch_begin(begin->epoch))
		return "BEGIN has a number that is out of range";
	return NULL;
}

static const char *take_container(struct handover_input *input, const struct container_record *record)
{
	struct container c = { .pid = record->pid, .epoch = epoch_now(), .start = record->start,
			       .mount_ns = record->mount_ns, .uids = record->uids, .gids = record->gids,
			       .released = record->released };
	int fds[2], error;

	if (record->uids.n > IDMAP_MAX || record->gids.n > IDMAP_MAX || record->released > 1)
		return "CONTAINER has a number that is out of range";
	if (!handover_fds(input, fds, 2))
		return "CONTAINER has too few descriptors";
	c.pidfd = fds[0];
	c.proc = fds[1];
	c.closing = closing_new();
	error = c.closing ? container_take_over(record->handle, &c) : ENOMEM;
	return error == 0      ? NULL :
	       error == EINVAL ? "CONTAINER has a handle that is none, or not the first of its number" :
	       error == ESTALE ? "CONTAINER has descriptors of another process" :
				 "there is no memory";
}

static const char *take_plant(const struct plant_record *record, const char *path, uint32_t length)
{
	static struct plant_at at;

	at = (struct plant_at){ .handle = record->handle,
				.what = { .identity = record->identity, .point = record->point, .type = record->type,
					  .theirs = record->theirs, .mounted = record->mounted } };
	memcpy(at.path, path, length);
	if ((record->type != S_IFSOCK && record->type != S_IFCHR) || record->theirs > 1 || record->mounted > 1)
		return "PLANT has a number that is out of range";
	if (path_check(at.path, length))
		return "PLANT has a path that is none";
	if (!(at.container = container_taken(record->container)))
		return "PLANT is in a container that did not come";
	return plant_take_over(&at, epoch_now()) ? NULL : "PLANT has a handle that is none, or not the first of its number";
}

/* One record. `*last`: the kind of the one before; of this one. */
static const char *take_one(struct handover_input *input, enum kind *last)
{
	static union {
		struct begin begin;
		struct container_record container;
		struct {
			struct plant_record head;
			char path[PVX_PATH_MAX];
		} plant;
	} record;
	uint32_t path = 0;
	const char *wrong;
	struct head head;
	size_t length;

	if ((wrong = handover_read(input, &head, sizeof(head))))
		return wrong;
	if (head.kind < BEGIN || head.kind > END || head.kind < *last || (head.kind == BEGIN) != (*last == 0))
		return "a record is of a kind that is not expected there";
	length = head.kind == BEGIN ? sizeof(record.begin) : head.kind == CONTAINER ? sizeof(record.container) : 0;
	if (head.kind == PLANT) {
		length = sizeof(record.plant.head);
		path = head.length - (uint32_t)length;
	}
	if (path > PVX_PATH_MAX || head.length != length + path)
		return "a record has a wrong length";
	if ((wrong = handover_read(input, &record, head.length)))
		return wrong;
	*last = head.kind;
	switch ((enum kind)head.kind) {
	case BEGIN:
		return take_begin(&record.begin);
	case CONTAINER:
		return take_container(input, &record.container);
	case PLANT:
		return take_plant(&record.plant.head, record.plant.path, path);
	case END:
		break;
	}
	return input->nfds > 0 ? "it has too many descriptors" : NULL;
}

const char *handover_take(void)
{
	static struct handover_input input = { .stream = HANDOVER_INPUT };
	enum kind last = 0;
	const char *wrong = NULL;

	while (!wrong && last != END)
		wrong = take_one(&input, &last);
	if (!wrong) {
		containers_settle();
		close(HANDOVER_INPUT);
	}
	return wrong;
}
