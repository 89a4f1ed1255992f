/* What pvx-enter does with terminals: the program has one of its own, so that nobody in the container gets ours. */
#ifndef PVX_TERMINAL_H
#define PVX_TERMINAL_H

#include <sys/types.h>

struct terminal {
	int program; /* the end for the program; -1: there is none */
	int ours;
};

/* 0, or -1 with errno. It is as large as the one of standard input. */
int terminal_open(struct terminal *terminal);

/* Carries bytes between it and standard input and output, which it makes raw meanwhile, until `program` has ended. */
void terminal_serve(struct terminal *terminal, pid_t program);

/* Makes it the controlling terminal of this session. */
int terminal_control(int terminal);

#endif
