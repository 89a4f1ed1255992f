/*
 * The one program of the images that tests build: statically linked, so that a root file system is it and nothing
 * else.
 *
 *   peer wait                 does nothing, until it is ended
 *   peer serve PATH           answers each connection with "UID GID " of who connected and what was said
 *   peer ask PATH TEXT        says it, prints the answer
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	return address;
}

static void copy(int from, int to)
{
	char data[4096];
	ssize_t n;

	while ((n = read(from, data, sizeof(data))) > 0)
		if (write(to, data, (size_t)n) != n)
			break;
}

static int serve(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	unlink(path);
	umask(0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 16) < 0) {
		perror(path);
		return 1;
	}
	for (;;) {
		int client = accept(listener, NULL, NULL);
		struct ucred who = { 0 };
		socklen_t size = sizeof(who);

		getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &size);
		dprintf(client, "%d %d ", (int)who.uid, (int)who.gid);
		copy(client, client);
		close(client);
	}
}

static int ask(const char *path, const char *text)
{
	struct sockaddr_un address = address_of(path);
	int server = socket(AF_UNIX, SOCK_STREAM, 0);

	if (connect(server, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror(path);
		return 1;
	}
	dprintf(server, "%s", text);
	shutdown(server, SHUT_WR);
	copy(server, STDOUT_FILENO);
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	if (argc == 4 && strcmp(argv[1], "ask") == 0)
		return ask(argv[2], argv[3]);
	for (;;)
		pause();
}
