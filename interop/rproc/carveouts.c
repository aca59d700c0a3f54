/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that is set aside for a core. Only debugfs tells, in remoteproc's "carveout_memories" (allocated, or
 * the driver's) and in "resource_table" (what the firmware asked for).
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carveouts.h"

#define DEBUGFS "/sys/kernel/debug"
#define LIMIT   65536 /* bytes of such a file; a carveout takes some 150 */

int shm__rproc_debug_file(const struct shm__rproc *rproc, const char *file, char **ret_text)
{
	char path[SHM__RPROC_PATH], *text;
	ssize_t size = 1;
	size_t have = 0;
	int error = 0, fd;

	snprintf(path, sizeof(path), DEBUGFS "/remoteproc/%s/%s", rproc->id, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return metal_shm_set_error(errno, "%s: %s", path, strerror(errno));
	text = malloc(LIMIT);
	if (!text) {
		close(fd);
		return metal_shm_set_error(ENOMEM, "no memory to read %s", path);
	}
	while (size > 0 && have < LIMIT - 1) {
		size = read(fd, text + have, LIMIT - 1 - have);
		if (size > 0)
			have += (size_t)size;
	}
	if (size < 0)
		error = metal_shm_set_error(errno, "%s: %s", path, strerror(errno));
	close(fd);
	if (error) {
		free(text);
		return error;
	}
	text[have] = '\0';
	*ret_text = text;
	return 0;
}

/* "<words>: <value>" or "<words> <value>": the value where the line begins so. */
const char *shm__rproc_value(const char *line, const char *words)
{
	line += strspn(line, " \t");
	if (strncmp(line, words, strlen(words)) != 0)
		return NULL;
	line += strlen(words);
	line += *line == ':';
	return *line == ' ' ? line + 1 : NULL;
}

static void take_name(char *ret, size_t size, const char *value)
{
	size_t length = strlen(value);

	while (length && isspace((unsigned char)value[length - 1]))
		length--;
	snprintf(ret, size, "%.*s", (int)(length < size ? length : size - 1), value);
}

/* A number with all of the line, hexadecimal with 0x or without (what %p prints); false: it isn't one. */
bool shm__rproc_number(const char *value, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(value, &end, 16);
	if (end == value || errno)
		return false;
	end += strspn(end, " \t");
	return !*end || !strcmp(end, "Bytes");
}

static int not_known(const struct shm__rproc *rproc, const char *line)
{
	return metal_shm_set_error(EBADMSG, DEBUGFS "/remoteproc/%s: '%.80s' was not expected",
				   rproc->id, line);
}

static int keep(struct shm__carveouts *list, const struct metal_shm_rproc_carveout *carveout)
{
	struct metal_shm_rproc_carveout *more;

	if (carveout->length > UINT64_MAX - 1 ||
	    (carveout->device_address != UINT64_MAX &&
	     carveout->device_address > UINT64_MAX - carveout->length))
		return metal_shm_set_error(EBADMSG, "carveout '%s' ends past all addresses",
					   carveout->name);
	more = realloc(list->carveout, (list->count + 1) * sizeof(*more));
	if (!more)
		return metal_shm_set_error(ENOMEM, "no memory for a table of carveouts");
	list->carveout = more;
	list->carveout[list->count++] = *carveout;
	return 0;
}

/* An address of 32 bits set is how remoteproc says that it doesn't matter. */
static uint64_t address_of(uint64_t value)
{
	return value == UINT32_MAX || value == UINT64_MAX ? UINT64_MAX : value;
}

static int take_line(const struct shm__rproc *rproc, const char *line,
		     struct metal_shm_rproc_carveout *carveout, unsigned *fields)
{
	const char *value;
	bool good = true;

	if ((value = shm__rproc_value(line, "Name")) != NULL) {
		take_name(carveout->name, sizeof(carveout->name), value);
		*fields |= 1;
	} else if ((value = shm__rproc_value(line, "Virtual address")) != NULL) {
		if (!shm__rproc_number(value, &carveout->virtual_address))
			carveout->virtual_address = 0; /* "(null)", "(____ptrval____)" */
	} else if ((value = shm__rproc_value(line, "DMA address")) != NULL) {
		good = shm__rproc_number(value, &carveout->dma_address);
		carveout->dma_address = address_of(carveout->dma_address);
		*fields |= 2;
	} else if ((value = shm__rproc_value(line, "Device address")) != NULL) {
		good = shm__rproc_number(value, &carveout->device_address);
		carveout->device_address = address_of(carveout->device_address);
		*fields |= 4;
	} else if ((value = shm__rproc_value(line, "Length")) != NULL) {
		good = shm__rproc_number(value, &carveout->length);
		*fields |= 8;
	}
	return good ? 0 : not_known(rproc, line);
}

int shm__rproc_carveouts(const struct shm__rproc *rproc, struct shm__carveouts *ret)
{
	static const char begin[] = "Carveout memory entry:";
	struct metal_shm_rproc_carveout carveout = { .name = "" };
	struct shm__carveouts list = { NULL, 0 };
	char *text = NULL, *line, *rest;
	unsigned fields = 0;
	int error = shm__rproc_debug_file(rproc, "carveout_memories", &text);

	if (error)
		return error;
	for (line = strtok_r(text, "\n", &rest); line && !error;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (!strcmp(line, begin)) {
			if (fields)
				break;
			carveout = (struct metal_shm_rproc_carveout){ .name = "" };
			continue;
		}
		error = take_line(rproc, line, &carveout, &fields);
		if (!error && fields == 15) {
			error = keep(&list, &carveout);
			fields = 0;
		}
	}
	if (!error && fields)
		error = metal_shm_set_error(EBADMSG, "%s: of carveout '%s' something is missing",
					    rproc->id, carveout.name);
	free(text);
	if (error) {
		free(list.carveout);
		return error;
	}
	*ret = list;
	return 0;
}

int metal_shm_rproc_carveouts(struct metal_device *dev,
			      struct metal_shm_rproc_carveout *ret_carveouts, size_t max)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);
	struct shm__carveouts list = { NULL, 0 };
	int error;

	if (!rproc)
		return -errno;
	if (!ret_carveouts && max)
		return metal_shm_set_error(EINVAL, "metal_shm_rproc_carveouts: NULL");
	error = shm__rproc_carveouts(rproc, &list);
	if (error)
		return error;
	for (size_t i = 0; i < list.count && i < max; i++)
		ret_carveouts[i] = list.carveout[i];
	free(list.carveout);
	return (int)list.count;
}
