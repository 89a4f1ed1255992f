/* What both halves of the helper share; see container.c. */
#ifndef CONTAINER_H
#define CONTAINER_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#define CHECK(call)                                                     \
	do {                                                            \
		if ((call) < 0) {                                       \
			fprintf(stderr, "container: %s: %m\n", #call);  \
			_exit(125);                                     \
		}                                                       \
	} while (0)

/* Root of the user namespace at hand, with no further groups. */
void become_root(void);
int enter(pid_t target, char **argv);

#endif
