/*
 * What the image of another version, which takes our place, is told of this process: a memfd with a text, a line for
 * each thing, "SECTION.NAME VALUE", behind the line "pv-xconnect PVX_BETWEEN_VERSIONS".
 *
 * Each part of the program has one function that names its things, and it is the same that writes and that reads them.
 * Descriptors keep their numbers. They are told from others by close-on-exec: where they are written it goes off, where
 * they are read it is on again. So an exec that failed is undone by reading what was written.
 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SIZE_MAX_OF_STATE (256 * 1024)
#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

struct state {
	FILE *out;        /* NULL: it is being read */
	const char *text; /* that is read, with a NUL at its end */
	char section[64];
	bool failed;
};

void state_section(struct state *state, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(state->section, sizeof(state->section), format, list);
	va_end(list);
}

/* The value of a thing, up to the end of its line; NULL: there is no such thing. */
static const char *find(struct state *state, const char *name)
{
	char key[160];
	const char *at;
	int n = snprintf(key, sizeof(key), "\n%s.%s ", state->section, name);

	at = strstr(state->text, key);
	if (!at)
		state->failed = true;
	return at ? at + n : NULL;
}

void state_text(struct state *state, const char *name, char *at, size_t size)
{
	const char *value;
	size_t n;

	if (state->out) {
		if (strchr(at, '\n')) /* a path that nobody has */
			state->failed = true;
		fprintf(state->out, "%s.%s %s\n", state->section, name, at);
		return;
	}
	value = find(state, name);
	n = value ? strcspn(value, "\n") : 0;
	if (n >= size)
		state->failed = true;
	else if (value)
		snprintf(at, size, "%.*s", (int)n, value);
}

/* Of 1, 4 or 8 bytes, with a sign or without: it is as it was where both images have the same type. */
static int64_t number_at(const void *at, size_t size)
{
	return size == sizeof(int64_t) ? *(const int64_t *)at : size == 1 ? *(const int8_t *)at : *(const int32_t *)at;
}

void state_number(struct state *state, const char *name, void *at, size_t size)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)number_at(at, size));
	state_text(state, name, text, sizeof(text));
	if (state->out || state->failed)
		return;
	if (size == sizeof(int64_t))
		*(int64_t *)at = strtoll(text, NULL, 10);
	else if (size == 1)
		*(int8_t *)at = (int8_t)strtoll(text, NULL, 10);
	else
		*(int32_t *)at = (int32_t)strtoll(text, NULL, 10);
}

void state_count(struct state *state, const char *name, int *count, int most)
{
	STATE_NUMBER(state, name, *count);
	if (*count >= 0 && *count <= most)
		return;
	state->failed = true;
	*count = 0;
}

void state_descriptor(struct state *state, const char *name, int *fd)
{
	STATE_NUMBER(state, name, *fd);
	if (*fd >= 0 && fcntl(*fd, F_SETFD, state->out ? 0 : FD_CLOEXEC) < 0)
		state->failed = true;
}

bool state_load(int fd, void (*parts)(struct state *))
{
	struct state state = { 0 };
	char first[32];
	struct stat st;
	char *text = NULL;
	ssize_t n = -1;

	if ((fcntl(fd, F_GET_SEALS) & SEALS) == SEALS && fstat(fd, &st) == 0 && st.st_size < SIZE_MAX_OF_STATE &&
	    (text = calloc(1, (size_t)st.st_size + 1)))
		n = pread(fd, text, (size_t)st.st_size, 0);
	state.text = text;
	snprintf(first, sizeof(first), "pv-xconnect %d\n", PVX_BETWEEN_VERSIONS);
	state.failed = n <= 0 || strncmp(text, first, strlen(first)) != 0;
	if (!state.failed)
		parts(&state);
	free(text);
	return !state.failed;
}

int state_save(void (*parts)(struct state *))
{
	int fd = memfd_create("pv-xconnect-state", MFD_ALLOW_SEALING), copy = dup(fd);
	struct state state = { .out = copy < 0 ? NULL : fdopen(copy, "w") };

	if (!state.out) {
		CLOSE_FD(copy);
		CLOSE_FD(fd);
		return -1;
	}
	fprintf(state.out, "pv-xconnect %d\n", PVX_BETWEEN_VERSIONS);
	parts(&state);
	if (fclose(state.out) != 0 || state.failed || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
		errno = errno ? errno : EINVAL;
		CLOSE_FD(fd);
	}
	return fd;
}
