/*
 * Commands from JavaScript to the relay's thread: appended here, run there, in the order that they came.
 *
 * A command to a relay that was stopped has no effect; the sockets in it are closed.
 */
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct command *command_new(command_run *run, struct link *link)
{
	struct command *command = calloc(1, sizeof(*command));

	if (!command)
		abort();
	list_init(&command->node);
	command->run = run;
	command->link = link;
	command->fd[0] = command->fd[1] = -1;
	if (link)
		atomic_fetch_add(&link->refs, 1);
	return command;
}

static void command_free(struct command *command)
{
	if (command->link)
		link_unref(command->link);
	free(command->request);
	free(command->transfer);
	free(command->owed[0]);
	free(command->owed[1]);
	free(command);
}

void command_cancel(struct command *command)
{
	for (int i = 0; i < 2 && command->link; i++)
		closing_socket(command->link->closing, command->fd[i], command->transfer != NULL);
	command_free(command);
}

void command_submit(struct relay *relay, struct command *command)
{
	uint64_t one = 1;

	if (relay->stopped) {
		command_cancel(command);
		return;
	}
	pthread_mutex_lock(&relay->lock);
	list_add_tail(&relay->commands, &command->node);
	pthread_mutex_unlock(&relay->lock);
	while (write(relay->wake.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void commands_run(struct relay *relay)
{
	uint64_t drained;

	while (read(relay->wake.fd, &drained, sizeof(drained)) > 0)
		;
	for (;;) {
		struct command *command = NULL;

		pthread_mutex_lock(&relay->lock);
		if (!list_empty(&relay->commands)) {
			command = list_entry(relay->commands.next, struct command, node);
			list_del(&command->node);
		}
		pthread_mutex_unlock(&relay->lock);
		if (!command)
			return;
		command->run(relay, command);
		command_free(command);
	}
}

void commands_cancel(struct relay *relay)
{
	while (!list_empty(&relay->commands)) {
		struct command *command = list_entry(relay->commands.next, struct command, node);

		list_del(&command->node);
		command_cancel(command);
	}
}
