/* SPDX-License-Identifier: BSD-3-Clause */
/* heaps.conf: what the kernel doesn't say of its heaps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include <shm/device.h>

#include "config.h"
#include "system.h"

#define PATH        "/etc/libshm/heaps.conf"
#define SECTION     "heap:"
#define SECTION_MAX 49

struct reading {
	FILE *file;
	const char *path;
	const char *heap; /* whose section is wanted */
	struct metal_shm_properties *have;
	unsigned given; /* keys of that section seen so far, by bit */
	int line;
	int error; /* of reading */
	bool refused;
};

static const char *const keys[] = { "cached", "contiguous", "secure", "coherent", "zeroed" };

#define KEYS (sizeof(keys) / sizeof(keys[0]))

static enum metal_shm_tri *field(struct metal_shm_properties *have, size_t key)
{
	enum metal_shm_tri *const fields[KEYS] = {
		&have->cached, &have->contiguous, &have->secure, &have->coherent, &have->zeroed,
	};

	return fields[key];
}

/* Says the first mistake only. 0 is what tells inih of one. */
static int refuse(struct reading *reading, const char *what, const char *which)
{
	if (!reading->refused)
		metal_shm_set_error(EINVAL, "%s:%d: %s '%.40s'", reading->path, reading->line, what,
				    which);
	reading->refused = true;
	return 0;
}

static int take(void *user, const char *section, const char *name, const char *value)
{
	struct reading *reading = user;
	enum metal_shm_tri is;
	size_t key = 0;

	/* inih cuts a longer one off without a word. */
	if (strlen(section) >= SECTION_MAX)
		return refuse(reading, "a section's name that is too long:", section);
	if (strncmp(section, SECTION, strlen(SECTION)) != 0 || !section[strlen(SECTION)])
		return refuse(reading, "a section is [heap:NAME], not", section);
	while (key < KEYS && strcmp(name, keys[key]) != 0)
		key++;
	if (key == KEYS)
		return refuse(reading, "no such key:", name);
	if (!strcmp(value, "yes"))
		is = METAL_SHM_YES;
	else if (!strcmp(value, "no"))
		is = METAL_SHM_NO;
	else
		return refuse(reading, "a value is yes or no, not", value);
	if (strcmp(section + strlen(SECTION), reading->heap) != 0)
		return 1;
	if (reading->given & 1u << key)
		return refuse(reading, "given a second time:", name);
	reading->given |= 1u << key;
	*field(reading->have, key) = is;
	return 1;
}

/* inih's own reader tells its caller neither the line nor that one was too long for it. */
static char *next_line(char *text, int size, void *stream)
{
	struct reading *reading = stream;
	int c;

	if (reading->refused)
		return NULL;
	if (!fgets(text, size, reading->file)) {
		reading->error = ferror(reading->file) ? errno : 0;
		return NULL;
	}
	reading->line++;
	if (strchr(text, '\n') || feof(reading->file))
		return text;
	c = fgetc(reading->file);
	if (c == EOF)
		return text;
	text[20] = '\0';
	refuse(reading, "a line that is too long:", text);
	return NULL;
}

static int parse(struct reading *reading)
{
	int line = ini_parse_stream(next_line, reading, take, reading);

	if (reading->refused && (line <= 0 || line >= reading->line))
		return -EINVAL;
	if (reading->error)
		return metal_shm_set_error(reading->error, "%s: %s", reading->path,
					   strerror(reading->error));
	if (line < 0)
		return metal_shm_set_error(ENOMEM, "%s: no memory to read it", reading->path);
	if (line > 0)
		return metal_shm_set_error(EINVAL, "%s:%d: neither [heap:NAME] nor KEY = yes|no",
					   reading->path, line);
	return 0;
}

static const char *other_path(void)
{
	return secure_getenv("LIBSHM_HEAPS_CONF");
}

const char *shm__os_declared_in(const char *device)
{
	const char *other = other_path();

	if (strncmp(device, SECTION, strlen(SECTION)) != 0)
		return NULL;
	return other ? other : PATH;
}

int shm__config_heap(const char *name, struct metal_shm_properties *have)
{
	const char *other = other_path();
	struct metal_shm_properties configured = *have;
	struct reading reading = {
		.path = other ? other : PATH,
		.heap = name,
		.have = &configured,
	};
	int error;

	reading.file = fopen(reading.path, "re");
	if (!reading.file) {
		error = errno;
		if (error == ENOENT && !other)
			return 0;
		return metal_shm_set_error(error == ENOENT ? EINVAL : error, "%s: %s", reading.path,
					   strerror(error));
	}
	error = parse(&reading);
	fclose(reading.file);
	if (!error)
		*have = configured;
	return error;
}
