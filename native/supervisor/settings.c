/*
 * The command line, as far as we need it ourselves. The daemon reads it again, whole (src/daemon-options.ts), and says
 * what is wrong with the rest; a wrong value of ours is explained by the command line of Node.js.
 *
 * Every option of the daemon takes a value, as the next word or behind "=". So the first word that is neither an option
 * nor the value of one is a command. An option that is given wins over its variable, the last one over those before it;
 * only those of --bus add up.
 */
#include "supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPTION_CONTROL,
	OPTION_PV_CTRL,
	OPTION_CERTIFICATES,
	OPTION_USER,
	OPTION_STORAGE,
	OPTION_STATE,
	OPTION_DOCKER,
	OPTION_BUS,
	OPTION_BUS_UIDS,
	OPTION_DRAIN,
	OPTION_STOP_DRAIN,
	OPTIONS
};

/* test/unit/command-line/options.test.ts holds the names, the variables and the defaults to those of the daemon. */
static const struct {
	const char *name, *variable, *initial;
} options[OPTIONS] = {
	[OPTION_CONTROL] = { "control", "PV_XCONNECT_CONTROL", "/run/pv-xconnect/control.sock" },
	[OPTION_PV_CTRL] = { "pv-ctrl", "PV_XCONNECT_PV_CTRL", "/run/pantavisor/pv/pv-ctrl" },
	[OPTION_CERTIFICATES] = { "certificates", "PV_XCONNECT_CERTIFICATES", "/etc/pv-xconnect/certificates" },
	[OPTION_USER] = { "user", "PV_XCONNECT_USER", NULL },
	[OPTION_STORAGE] = { "storage", "PV_XCONNECT_STORAGE", "/var/lib/pv-xconnect" },
	[OPTION_STATE] = { "state", "PV_XCONNECT_STATE", NULL },
	[OPTION_DOCKER] = { "docker", "PV_XCONNECT_DOCKER", NULL },
	[OPTION_BUS] = { "bus", "PV_XCONNECT_BUS", NULL },
	[OPTION_BUS_UIDS] = { "bus-uids", "PV_XCONNECT_BUS_UIDS", NULL },
	[OPTION_DRAIN] = { "drain", "PV_XCONNECT_DRAIN", "5" },
	[OPTION_STOP_DRAIN] = { "stop-drain", "PV_XCONNECT_STOP_DRAIN", NULL },
};

/* The buses of the known runtimes: pv-appengine, when it is run as root with its defaults, and Pantavisor. */
static const char *const runtime_buses[] = { "/run/pv-xconnect/bus/system_bus_socket",
					     "/run/pv/dbus/system_bus_socket" };
/* Pantavisor gives its roles uids from 90000 on, pv-appengine from 200000; we do as pv-appengine does. */
#define RUNTIME_UIDS "90000-265535"
#define OUR_UIDS "200000-265535"
#define RUNTIME_STOP_S "1"    /* of --stop-drain where a runtime waits for us; else it is that of --drain */
#define LAST_OF_SYSTEM 65535u /* 65534 is nobody; below it are the host's own users, and root */
#define MAX_SECONDS 86400
#define MAX_UID 0x7fffffffu   /* ids are counted with 32 bits and a sign */
#define BUS_SOCKET "system_bus_socket"

static char *joined(const char *a, const char *b)
{
	char *text;

	if (asprintf(&text, "%s%s", a, b) < 0)
		abort();
	return text;
}

/* Absolute, without "." and ".." and double slashes, by its words alone; on the heap. */
static char *resolved(const char *path)
{
	char cwd[PATH_MAX] = "";
	char *from, *to, *left, *word;
	size_t length = 0;

	if (*path != '/' && !getcwd(cwd, sizeof(cwd)))
		*cwd = 0;
	from = joined(joined(cwd, "/"), path);
	to = joined(from, "/");
	for (word = strtok_r(from, "/", &left); word; word = strtok_r(NULL, "/", &left)) {
		if (strcmp(word, ".") == 0)
			continue;
		if (strcmp(word, "..") == 0) {
			while (length > 0 && to[--length] != '/')
				;
			continue;
		}
		to[length++] = '/';
		memmove(to + length, word, strlen(word));
		length += strlen(word);
	}
	strcpy(to + length, length > 0 ? "" : "/");
	return to;
}

static char *folder_of(const char *path)
{
	char *folder = resolved(path), *slash = strrchr(folder, '/');

	slash[slash == folder] = 0;
	return folder;
}

static void add_buses(struct settings *settings, const char *list)
{
	char *left, *copy = joined(list, "");

	for (char *path = strtok_r(copy, ",", &left); path; path = strtok_r(NULL, ",", &left))
		if (settings->nbuses < BUSES_MAX)
			settings->buses[settings->nbuses++] = resolved(path);
}

/* False: a word that no option of the daemon explains. `values`: the last of each. */
static bool read_words(struct settings *settings, char *const *argv, const char **values)
{
	for (int i = 1; argv[i]; i++) {
		const char *name = argv[i] + 2, *value;
		size_t length;

		if (strcmp(argv[i], "--") == 0 && !argv[i + 1])
			break; /* the end of the options */
		if (strncmp(argv[i], "--", 2) != 0)
			return false;
		value = strchr(name, '=');
		length = value ? (size_t)(value - name) : strlen(name);
		if (length == 0)
			return false;
		if (strcmp(name, "help") == 0 || strcmp(name, "version") == 0)
			return false;
		value = value ? value + 1 : argv[++i];
		if (!value)
			return false;
		for (int o = 0; o < OPTIONS; o++)
			if (strlen(options[o].name) == length && strncmp(name, options[o].name, length) == 0) {
				values[o] = value;
				if (o == OPTION_BUS)
					add_buses(settings, value);
			}
	}
	return true;
}

/* One to ten digits; false: something else. */
static bool read_number(const char **text, uint64_t *number)
{
	int n = 0;

	for (*number = 0; **text >= '0' && **text <= '9' && n <= 10; n++)
		*number = *number * 10 + (uint64_t)(*(*text)++ - '0');
	return n >= 1 && n <= 10;
}

static bool read_range(const char *text, uint32_t *first, uint32_t *last)
{
	uint64_t from, to;

	if (!read_number(&text, &from) || *text++ != '-' || !read_number(&text, &to) || *text)
		return false;
	*first = (uint32_t)from;
	*last = (uint32_t)to;
	return from > LAST_OF_SYSTEM && from <= to && to < MAX_UID;
}

/* What is no number of seconds the daemon refuses, before anything has to be drained. */
static uint64_t read_seconds(const char *text)
{
	double seconds = strtod(text, NULL);

	return seconds > 0 && seconds <= MAX_SECONDS ? (uint64_t)(seconds * 1000) : 0;
}

/* Where the hosted bus is: beside the control socket; what outlives a restart is below --storage. */
static void place_bus(struct settings *settings, const char *storage)
{
	settings->bus_folder = resolved(joined(folder_of(settings->control), "/bus"));
	settings->bus_store = joined(resolved(storage), "/bus");
	settings->buses[0] = joined(settings->bus_folder, "/" BUS_SOCKET);
	settings->nbuses = 1;
}

bool settings_read(struct settings *settings, char *const *argv)
{
	const char *values[OPTIONS] = { 0 };

	*settings = (struct settings){ 0 };
	if (!read_words(settings, argv, values))
		return false;
	for (int o = 0; o < OPTIONS; o++)
		if (!values[o] && (values[o] = getenv(options[o].variable)) && o == OPTION_BUS)
			add_buses(settings, values[o]);
		else if (!values[o])
			values[o] = options[o].initial;
	settings->control = values[OPTION_CONTROL];
	settings->runtime = values[values[OPTION_DOCKER] ? OPTION_DOCKER : OPTION_PV_CTRL];
	settings->certificates = values[OPTION_CERTIFICATES];
	settings->user = values[OPTION_USER];
	settings->hosts_bus = values[OPTION_STATE] || values[OPTION_DOCKER]; /* there is no runtime that would */
	if (settings->hosts_bus)
		place_bus(settings, values[OPTION_STORAGE]);
	else if (settings->nbuses == 0)
		for (size_t i = 0; i < sizeof(runtime_buses) / sizeof(*runtime_buses); i++)
			settings->buses[settings->nbuses++] = joined(runtime_buses[i], "");
	if (!values[OPTION_STOP_DRAIN] && !settings->hosts_bus)
		values[OPTION_STOP_DRAIN] = RUNTIME_STOP_S;
	else if (!values[OPTION_STOP_DRAIN])
		values[OPTION_STOP_DRAIN] = values[OPTION_DRAIN];
	settings->stop_drain_ms = read_seconds(values[OPTION_STOP_DRAIN]);
	settings->bus_uids = values[OPTION_BUS_UIDS];
	if (!settings->bus_uids)
		settings->bus_uids = settings->hosts_bus ? OUR_UIDS : RUNTIME_UIDS;
	return read_range(settings->bus_uids, &settings->first, &settings->last);
}
