/*
 * The one program of the images that tests build: statically linked, so that a root file system is it and nothing
 * else.
 *
 *   peer wait                 does nothing, until it is ended
 *   peer serve PATH           answers each connection with "UID GID " of who connected and what was said
 *   peer ask PATH TEXT        says it, prints the answer
 *   peer listen PORT          answers each connection to 127.0.0.1 with what was said
 *   peer call PORT TEXT       says it there, prints the answer
 *   peer talk PATH            says what it reads, prints what is answered, until its input ends
 *   peer hold PATH            connects as soon as it can, and stays connected
 *   peer make PATH MAJOR MINOR  makes a device's node, mode 660, and the folder that it is in
 *   peer look PATH            prints "MAJOR:MINOR MODE UID:GID" of a node, and whether it can be opened
 *   peer take PATH            connects, prints "MAJOR:MINOR" of the device that it is sent
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../../examples/drm/kiosk-app/root/pv_device.h"

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

static struct sockaddr_in port_of(const char *port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
}

static int listen_on(const char *port)
{
	struct sockaddr_in address = port_of(port);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 16) < 0) {
		perror(port);
		return 1;
	}
	for (;;) {
		int client = accept(listener, NULL, NULL);

		copy(client, client);
		close(client);
	}
}

static int call(const char *port, const char *text)
{
	struct sockaddr_in address = port_of(port);
	int server = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(server, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror(port);
		return 1;
	}
	dprintf(server, "%s", text);
	shutdown(server, SHUT_WR);
	copy(server, STDOUT_FILENO);
	return 0;
}

static int talk(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int server = socket(AF_UNIX, SOCK_STREAM, 0);
	struct pollfd ends[] = { { STDIN_FILENO, POLLIN, 0 }, { server, POLLIN, 0 } };
	const int to[] = { server, STDOUT_FILENO };
	char data[4096];
	ssize_t n;

	if (connect(server, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror(path);
		return 1;
	}
	while (poll(ends, 2, -1) > 0) {
		for (int i = 0; i < 2; i++) {
			if (ends[i].revents == 0)
				continue;
			n = read(ends[i].fd, data, sizeof(data));
			if (n <= 0 || write(to[i], data, (size_t)n) != n)
				return 0;
		}
	}
	return 1;
}

static int hold(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int server = socket(AF_UNIX, SOCK_STREAM, 0);

	while (connect(server, (struct sockaddr *)&address, sizeof(address)) < 0)
		usleep(10000);
	for (;;)
		pause();
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

static int make(char *path, const char *number_major, const char *number_minor)
{
	dev_t number = makedev(atoi(number_major), atoi(number_minor));
	char *slash = strrchr(path, '/');

	umask(0);
	*slash = 0;
	mkdir(path, 0755);
	*slash = '/';
	if (mknod(path, S_IFCHR | 0660, number) < 0) {
		perror(path);
		return 1;
	}
	return 0;
}

static int look(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0) {
		printf("%s\n", strerror(errno));
		return 1;
	}
	fd = open(path, O_RDWR | O_NONBLOCK);
	printf("%u:%u %o %d:%d %s\n", major(st.st_rdev), minor(st.st_rdev), st.st_mode & 07777, (int)st.st_uid,
	       (int)st.st_gid, fd < 0 ? strerror(errno) : "opened");
	return 0;
}

static int take(const char *path)
{
	struct pv_device device;
	struct stat st;

	if (pv_device_open(&device, path) < 0 || fstat(device.fd, &st) < 0) {
		printf("%s\n", strerror(errno));
		return 1;
	}
	printf("%u:%u\n", major(st.st_rdev), minor(st.st_rdev));
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
	if (argc == 3 && strcmp(argv[1], "listen") == 0)
		return listen_on(argv[2]);
	if (argc == 4 && strcmp(argv[1], "call") == 0)
		return call(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "hold") == 0)
		return hold(argv[2]);
	if (argc == 3 && strcmp(argv[1], "talk") == 0)
		return talk(argv[2]);
	if (argc == 5 && strcmp(argv[1], "make") == 0)
		return make(argv[2], argv[3], argv[4]);
	if (argc == 3 && strcmp(argv[1], "look") == 0)
		return look(argv[2]);
	if (argc == 3 && strcmp(argv[1], "take") == 0)
		return take(argv[2]);
	for (;;)
		pause();
}
