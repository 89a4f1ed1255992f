/*
 * Devices opened for a client, and what of them can be taken back: the table of grants.
 *
 * A grant has a descriptor of its own of what the client got, or of the card that it leases from, which is how it
 * is taken back whoever has the client's by then. All are taken back at the end, and when the daemon whose client has
 * them was followed by another: such a client's connection ended with it.
 *
 * A card has one master, and whoever opens a card without one becomes it. So cards are opened one after the
 * other, and a client that is not meant to be master never is when it gets its descriptor. All leases of a card
 * come from one descriptor, the master, which is closed with the last of them.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#define INDEX_BITS 12
#define GENERATION_MAX ((1u << (32 - INDEX_BITS)) - 1)
#define OBJECTS_MAX (PVX_PATH_MAX / sizeof(uint32_t))
_Static_assert(PVX_GRANTS_MAX <= 1u << INDEX_BITS, "index fits into a handle");

enum kind { FREE, INPUT, MASTER, LEASE };

static struct grant {
	enum kind kind;
	int fd;          /* owned; LEASE: of the card */
	dev_t device;
	uint32_t lessee; /* LEASE */
	uint32_t generation;
	uint32_t epoch; /* that it was given in */
} table[PVX_GRANTS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  /* of the table; no device is waited for with it */
static pthread_mutex_t cards = PTHREAD_MUTEX_INITIALIZER; /* of who is master where */

/* Takes a duplicate of the descriptor. ENFILE, EMFILE; ESTALE: too late. */
static int remember(enum kind kind, int fd, dev_t device, uint32_t lessee, uint32_t epoch, uint32_t *handle)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct grant *grant = NULL;
	bool late;

	if (own < 0)
		return errno;
	pthread_mutex_lock(&lock);
	late = epoch != epoch_now();
	for (uint32_t i = 0; i < PVX_GRANTS_MAX && !grant && !late; i++)
		if (table[i].kind == FREE)
			grant = &table[i];
	if (grant) {
		uint32_t generation = grant->generation >= GENERATION_MAX ? 1 : grant->generation + 1;

		*grant = (struct grant){ kind, own, device, lessee, generation, epoch };
		*handle = generation << INDEX_BITS | (uint32_t)(grant - table);
	}
	pthread_mutex_unlock(&lock);
	if (grant)
		return 0;
	CLOSE_FD(own);
	return late ? ESTALE : ENFILE;
}

/* With the cards locked. */
static int take_back(struct grant *grant)
{
	int error = 0;

	if (grant->kind == INPUT)
		error = ioctl_revoke(grant->fd);
	else if (grant->kind == MASTER)
		error = ioctl_drop_master(grant->fd);
	else if (grant->kind == LEASE)
		error = ioctl_revoke_lease(grant->fd, grant->lessee);
	CLOSE_FD(grant->fd);
	return error == ENODEV ? 0 : error; /* unplugged: nobody has it any more */
}

static int open_card(int node, bool master, int access, uint32_t epoch, int *fd, uint32_t *handle)
{
	dev_t device;
	int error;

	pthread_mutex_lock(&cards);
	error = device_reopen(PVX_DEVICE_DRM, node, access, fd, &device);
	if (!error)
		error = master ? ioctl_take_master(*fd) : ioctl_drop_master(*fd);
	if (!error && master)
		error = remember(MASTER, *fd, device, 0, epoch, handle);
	if (error)
		CLOSE_FD(*fd);
	pthread_mutex_unlock(&cards);
	return error;
}

int grant_open(uint32_t kind, uint32_t flags, int node, uint32_t epoch, int *fd, uint32_t *handle)
{
	int access = flags & PVX_OPEN_READ_ONLY ? O_RDONLY : O_RDWR, error;
	dev_t device;

	*handle = 0;
	*fd = -1;
	if (flags & ~(PVX_OPEN_READ_ONLY | PVX_OPEN_MASTER))
		return EINVAL;
	if (kind == PVX_DEVICE_DRM)
		return open_card(node, flags & PVX_OPEN_MASTER, access, epoch, fd, handle);
	if (flags & PVX_OPEN_MASTER)
		return EINVAL;
	error = device_reopen(kind, node, access, fd, &device);
	if (!error && ioctl_is_event(*fd) == 0)
		error = remember(INPUT, *fd, device, 0, epoch, handle);
	if (error)
		CLOSE_FD(*fd);
	return error;
}

int grant_read_card(int node, struct pvx_card *card)
{
	int fd, error = open_card(node, false, O_RDONLY, epoch_now(), &fd, NULL);

	if (!error)
		error = ioctl_read_card(fd, card);
	CLOSE_FD(fd);
	return error;
}

/* The descriptor that the card's leases come from: that of another lease, or a new one, which is master then. */
static int open_lessor(int node, int *fd, dev_t *device)
{
	int error = device_check(PVX_DEVICE_DRM, node, device);

	*fd = -1;
	if (error)
		return error;
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < PVX_GRANTS_MAX && *fd < 0 && !error; i++)
		if (table[i].kind == LEASE && table[i].device == *device)
			error = (*fd = fcntl(table[i].fd, F_DUPFD_CLOEXEC, 0)) < 0 ? errno : 0;
	pthread_mutex_unlock(&lock);
	if (error || *fd >= 0)
		return error;
	error = device_reopen(PVX_DEVICE_DRM, node, O_RDWR, fd, device);
	if (!error)
		error = ioctl_take_master(*fd);
	if (error)
		CLOSE_FD(*fd);
	return error;
}

int grant_lease(int node, const char *bytes, uint32_t length, uint32_t epoch, int *fd, uint32_t *handle)
{
	uint32_t objects[OBJECTS_MAX], lessee;
	int lessor, error;
	dev_t device;

	*handle = 0;
	*fd = -1;
	if (length == 0 || length % sizeof(*objects) || length > sizeof(objects))
		return EINVAL;
	memcpy(objects, bytes, length);
	pthread_mutex_lock(&cards);
	error = open_lessor(node, &lessor, &device);
	if (!error)
		error = ioctl_lease(lessor, objects, (uint32_t)(length / sizeof(*objects)), fd, &lessee);
	if (!error && (error = remember(LEASE, lessor, device, lessee, epoch, handle)))
		ioctl_revoke_lease(lessor, lessee);
	CLOSE_FD(lessor);
	if (error)
		CLOSE_FD(*fd);
	pthread_mutex_unlock(&cards);
	return error;
}

/* Generation 0: whichever it is, if it is of a former epoch. */
static int revoke_at(uint32_t index, uint32_t generation)
{
	const struct grant *found = &table[index];
	struct grant grant = { 0 };
	int error;

	pthread_mutex_lock(&cards);
	pthread_mutex_lock(&lock);
	if (found->kind != FREE && (generation ? found->generation == generation : found->epoch != epoch_now())) {
		grant = *found;
		table[index].kind = FREE;
	}
	pthread_mutex_unlock(&lock);
	error = grant.kind == FREE ? EBADF : take_back(&grant);
	pthread_mutex_unlock(&cards);
	return error;
}

int grant_revoke(uint32_t handle)
{
	uint32_t index = handle & ((1u << INDEX_BITS) - 1);

	return index < PVX_GRANTS_MAX && handle >> INDEX_BITS ? revoke_at(index, handle >> INDEX_BITS) : EBADF;
}

void grant_revoke_former(void)
{
	for (uint32_t i = 0; i < PVX_GRANTS_MAX; i++)
		revoke_at(i, 0);
}
