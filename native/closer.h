/* Closing what came from others, by threads that may hang: closer.c says why. */
#ifndef PVX_CLOSER_H
#define PVX_CLOSER_H

#include <stdbool.h>
#include <stdint.h>

#define CLOSING_MAX 256u /* of one account, not closed yet: then whoever it is brings no more */

/* An account: on whose behalf descriptors are closed. Counted references; any thread. */
struct closing;

struct closing *closing_new(void); /* with one reference, the caller's; NULL: no memory */
struct closing *closing_ref(struct closing *);
void closing_unref(struct closing *); /* what it was given is closed all the same */
/* Takes the descriptors; never waits. Negative ones are none. */
void closing_take(struct closing *, const int *fds, uint32_t n);
/* The same for a socket of ours. `shared`: there is another descriptor of it, for which it goes on. One that has
 * nothing of others in its queue, as nearly all, is closed at once; else its peer sees it closed at once. */
void closing_socket(struct closing *, int fd, bool shared);
/* Takes nothing more from a connected unix stream that is ours alone. True: close(2) can't take long. */
bool closing_stream(int fd);
bool closing_full(const struct closing *); /* CLOSING_MAX of it are not closed yet */
uint32_t closing_owed(const struct closing *); /* descriptors that are not closed yet; NULL: of all accounts */
/* Before anything else, where there is no memory later: for so many accounts at once that are in use or not closed
 * yet, and descriptors below that number. Others are closed by who hands them over. 0 or an errno. */
int closers_reserve(uint32_t accounts, uint32_t descriptors);
/* Threads: `standing` are there from now on (0, or an errno), more are started when all are busy, up to `most`. */
int closers_start(uint32_t standing, uint32_t most);
/* Descriptors among what is in the queue of a stream, anywhere; nothing is taken. */
bool queue_has_fds(int fd);
/* A byte that is sent out of band keeps its place in the stream. Else whoever reads on drops it, and closes the
 * descriptors that it came with himself. */
void keep_urgent(int fd);

#endif
