/*
 * Where the package is, and what it needs; and commands, which are Node.js alone: it takes our place, with whatever
 * privileges we were started with.
 */
#include "supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#define OWN_FOLDERS 2 /* build/Release */

char package_root[PATH_MAX], image_path[PATH_MAX];

/* Links in it are followed whenever it is used: that one of them leads to another version by then is an upgrade, too. A
 * descriptor that we were executed by means nothing later. */
static int find_image(const char *own)
{
	const char *path = (const char *)getauxval(AT_EXECFN);
	char cwd[PATH_MAX] = "";
	bool is_path = path && strncmp(path, "/proc/", 6) != 0 && strncmp(path, "/dev/fd/", 8) != 0;
	int n;

	if (is_path && *path != '/' && !getcwd(cwd, sizeof(cwd)))
		return errno;
	n = snprintf(image_path, sizeof(image_path), "%s%s%s", cwd, *cwd ? "/" : "", is_path ? path : own);
	return n < (int)sizeof(image_path) ? 0 : ENAMETOOLONG;
}

int package_find(void)
{
	ssize_t n = readlink("/proc/self/exe", package_root, sizeof(package_root) - 1);
	int error;

	if (n < 0)
		return errno;
	package_root[n] = 0;
	if ((error = find_image(package_root)))
		return error;
	for (int i = 0; i <= OWN_FOLDERS; i++) {
		char *slash = strrchr(package_root, '/');

		if (!slash)
			return ENOENT;
		*slash = 0;
	}
	return 0;
}

char *package_lacks(const char *root)
{
	static const char *const parts[] = { "build/Release/pvx-broker", "build/Release/pvx-relay",
					     "build/Release/pvx-bus", "dist/main.js" };
	char *path;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		if (asprintf(&path, "%s/%s", root, parts[i]) < 0)
			abort();
		if (access(path, F_OK) != 0)
			return path;
		free(path);
	}
	return NULL;
}

bool package_is_whole(void)
{
	char *missing = package_lacks(package_root);

	if (missing)
		say("%s is missing: run npm ci.", missing);
	free(missing);
	return !missing;
}

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *node_find(void)
{
	const char *given = getenv("PV_XCONNECT_NODE"), *path = getenv("PATH");
	char *folders, *left, name[PATH_MAX];

	if (given) {
		if (!is_program(given))
			say("there is no program at %s, which PV_XCONNECT_NODE names: Node.js was expected.", given);
		return is_program(given) ? realpath(given, NULL) : NULL;
	}
	folders = strdup(path ? path : "/usr/local/bin:/usr/bin:/bin");
	for (char *folder = strtok_r(folders, ":", &left); folder; folder = strtok_r(NULL, ":", &left)) {
		snprintf(name, sizeof(name), "%s/node", folder);
		if (is_program(name))
			return realpath(name, NULL);
	}
	say("Node.js was not found: there is no program \"node\" in a folder of PATH; install it, or say with "
	    "PV_XCONNECT_NODE where it is.");
	return NULL;
}

_Noreturn void command_run(char **argv)
{
	char *node = node_find(), main_file[PATH_MAX + 16];
	size_t n = 0;
	char **all;

	while (argv[n])
		n++;
	all = calloc(n + 2, sizeof(*all));
	if (!node || !all)
		exit(1);
	snprintf(main_file, sizeof(main_file), "%s/dist/main.js", package_root);
	all[0] = node;
	all[1] = main_file;
	memcpy(all + 2, argv + 1, (n - 1) * sizeof(*all));
	unsetenv("PVX_INCARNATION"); /* it is no daemon */
	execv(node, all);
	say("%s can't be executed: %s.", node, strerror(errno));
	exit(1);
}
