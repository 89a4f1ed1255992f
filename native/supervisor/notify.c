/*
 * What a service manager is told: sd_notify(3) as systemd documents it, where NOTIFY_SOCKET names a socket by its path
 * or, with a "@", by its abstract name. A datagram that can't be sent at once is lost: nobody waits here. The variable
 * is not for our children, who could speak in our place.
 */
#include "supervisor.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static char name[sizeof(address.sun_path)]; /* as it was given; empty: there is none */
static socklen_t length;
static int notify_fd = -1;

static void take_name(void)
{
	size_t n = strlen(name);

	memcpy(address.sun_path, name, n);
	if (*name == '@')
		address.sun_path[0] = 0;
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*name == '/'));
}

void notify_init(void)
{
	const char *given = getenv("NOTIFY_SOCKET"), *whose = getenv("WATCHDOG_PID");
	size_t n = given ? strlen(given) : 0;

	if (n > 1 && n < sizeof(name) && (*given == '/' || *given == '@')) {
		strcpy(name, given);
		take_name();
		notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	}
	if (notify_fd < 0 || (whose && atoi(whose) != getpid()))
		unsetenv("WATCHDOG_USEC"); /* nobody waits for our daemon's words */
	unsetenv("WATCHDOG_PID");
	unsetenv("NOTIFY_SOCKET");
}

static void notify(const char *text)
{
	if (notify_fd >= 0)
		sendto(notify_fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, length);
}

void notify_ready(void)
{
	char text[64];

	snprintf(text, sizeof(text), "READY=1\nMAINPID=%d", getpid());
	notify(text);
}

void notify_reloading(void)
{
	struct timespec t;
	char text[96];

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)t.tv_sec * 1000000 + (unsigned long long)t.tv_nsec / 1000);
	notify(text);
}

void notify_stopping(void)
{
	notify("STOPPING=1");
}

void notify_alive(void)
{
	notify("WATCHDOG=1");
}

void notify_state(struct state *state)
{
	state_section(state, "notify");
	state_text(state, "name", name, sizeof(name));
	state_descriptor(state, "fd", &notify_fd);
	take_name();
}
