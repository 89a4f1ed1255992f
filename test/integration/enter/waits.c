/*
 * Loaded before the C library (LD_PRELOAD) of pvx-enter: where it is about to end with the one above it (PR_SET_PDEATHSIG)
 * for the WAITS_AT-th time, itself and its ancestors counted, it says so, and waits for a line.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int prctl(int option, ...)
{
	static int times;
	unsigned long given[4];
	char byte;
	va_list rest;

	va_start(rest, option);
	for (int i = 0; i < 4; i++)
		given[i] = va_arg(rest, unsigned long);
	va_end(rest);
	if (option == PR_SET_PDEATHSIG && ++times == atoi(getenv("WAITS_AT")))
		(void)!(write(2, "waits\n", 6) && read(0, &byte, 1));
	return (int)syscall(SYS_prctl, option, given[0], given[1], given[2], given[3]);
}
