/*
 * What broker and relay have in common when another build takes over: the words of the supervisor, and the stream over
 * which one process gives what it holds to the next.
 *
 *   descriptor 5   SOCK_SEQPACKET, to the supervisor. One word a record:
 *                    ZN  freeze: the relay accepts nobody for now
 *                    HN  with a stream socket: write there what you hold
 *                    C   it is another one's from now on; a number may follow, of seconds
 *                    T   thaw: go on as before Z
 *                  and from us: h, all that was handed over is here
 *   descriptor 6   where it is a stream socket: what is handed over to us
 *
 * N is PVX_BETWEEN_VERSIONS: with another one the word counts as not said, and a stream that comes with it is closed, by
 * which the new process ends.
 *
 * Whoever starts these programs without them (a test) has them go on as if there were no such thing. The end of descriptor
 * 5, and what is no word, change nothing.
 */
#ifndef PVX_HANDOVER_H
#define PVX_HANDOVER_H

#include "between-versions.h"
#include "message.h"

enum { HANDOVER_SUPERVISOR = 5, HANDOVER_INPUT = 6 };

/* Closes each of the two that is not what it is to be; to be asked before anything else is opened. */
void handover_init(bool *supervisor, bool *input);

struct handover_word {
	char letter;
	uint32_t number; /* that follows; UINT32_MAX: none does */
	int fd;          /* the receiver's; -1: none came */
};
/* `flags` of recvmsg(2). -1: the other end is closed. 0: there is none for now. 1: there is one. */
int handover_hear(int flags, struct handover_word *);
/* That letter, with our number. */
bool handover_is(const struct handover_word *, char letter);
void handover_say(char letter);

/* As sendmsg(2): how many bytes were sent, or -1 and errno. The descriptors go with the first of them. */
ssize_t handover_send(int stream, const void *bytes, size_t length, const int *fds, uint32_t nfds, int flags);

/* Exactly so many bytes, however long that takes. Descriptors that come with them queue up. */
struct handover_input {
	int stream;
	uint32_t nfds;
	int fds[MESSAGE_FDS_MAX]; /* owned, in their order */
};
/* NULL, or what is wrong. */
const char *handover_read(struct handover_input *, void *bytes, size_t length);
/* The first `n` of those that queue up, the caller's from here on. False: there are fewer. */
bool handover_fds(struct handover_input *, int *fds, uint32_t n);

#endif
