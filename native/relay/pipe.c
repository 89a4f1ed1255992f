/*
 * Pipes, through which bytes are spliced: made when the first is wanted, and kept for the next one.
 */
#include "relay.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PIPES_KEPT 4

struct pipe *pipe_get(struct relay *relay)
{
	struct pipe *pipe;

	if (!list_empty(&relay->pipes)) {
		pipe = list_entry(relay->pipes.next, struct pipe, node);
		list_del(&pipe->node);
		relay->npipes--;
		return pipe;
	}
	pipe = calloc(1, sizeof(*pipe));
	if (!pipe)
		return NULL;
	if (pipe2(pipe->fd, O_NONBLOCK | O_CLOEXEC) < 0) {
		free(pipe);
		return NULL;
	}
	(void)fcntl(pipe->fd[0], F_SETPIPE_SZ, RELAY_PIPE); /* smaller works too */
	list_init(&pipe->node);
	return pipe;
}

static void pipe_free(struct pipe *pipe)
{
	close(pipe->fd[0]);
	close(pipe->fd[1]);
	free(pipe);
}

void pipe_put(struct relay *relay, struct pipe *pipe)
{
	if (pipe->length == 0 && relay->npipes < PIPES_KEPT) {
		list_add_tail(&relay->pipes, &pipe->node);
		relay->npipes++;
		return;
	}
	pipe_free(pipe);
}
