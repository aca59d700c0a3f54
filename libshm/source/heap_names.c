/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shm/device.h>

#include "heap_names.h"

#define CONTIGUOUS "contiguous"

/* By kernel: before 6.17 after the area's node in the device tree or "reserved", one name since. */
static const char *const cma_names[] = {
	"reserved",
	"linux,cma",
	"default_cma_region",
	"default-pool",
};

#define CMA_NAMES (sizeof(cma_names) / sizeof(cma_names[0]))

static bool is_cma_name(const char *name)
{
	for (size_t i = 0; i < CMA_NAMES; i++)
		if (!strcmp(name, cma_names[i]))
			return true;
	return false;
}

int shm__heap_name_check(const char *name)
{
	if (!name[0])
		return metal_shm_set_error(EINVAL, "heap needs a name, as in heap:system");
	if (strlen(name) >= SHM__HEAP_NAME_SIZE)
		return metal_shm_set_error(EINVAL, "heap:%.20s...: a name of more than %d bytes",
					   name, SHM__HEAP_NAME_SIZE - 1);
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c > '~')
			return metal_shm_set_error(
				EINVAL, "a heap's name with the byte 0x%02x at offset %td",
				(unsigned char)*c, c - name);
	if (strchr(name, '/') || strstr(name, "..") || !strcmp(name, "."))
		return metal_shm_set_error(
			EINVAL, "heap:%s: not a name in " SHM__HEAP_DIR " but a path", name);
	return 0;
}

bool shm__heap_is_contiguous_role(const char *name)
{
	return !strcmp(name, CONTIGUOUS) || is_cma_name(name);
}

const char *shm__heap_candidate(const char *name, size_t i)
{
	bool itself = strcmp(name, CONTIGUOUS) != 0;

	if (itself && i == 0)
		return name;
	i -= itself;
	return shm__heap_is_contiguous_role(name) && i < CMA_NAMES ? cma_names[i] : NULL;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_heap(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

struct listing {
	struct dirent **entries;
	int count;
};

static bool listed(const struct listing *list, const char *name)
{
	for (int i = 0; i < list->count; i++)
		if (!strcmp(list->entries[i]->d_name, name))
			return true;
	return false;
}

int shm__heap_each(int (*found)(void *user, const char *name), void *user)
{
	struct listing list;
	int ret = 0;

	list.count = scandir(SHM__HEAP_DIR, &list.entries, is_heap, by_name);
	if (list.count < 0)
		return 0;
	if (listed(&list, "system"))
		ret = found(user, "system");
	for (size_t i = 0; i < CMA_NAMES && !ret; i++) {
		if (!listed(&list, cma_names[i]))
			continue;
		ret = found(user, cma_names[i]);
		break;
	}
	for (int i = 0; i < list.count && !ret; i++) {
		const char *name = list.entries[i]->d_name;

		if (strcmp(name, "system") != 0 && !is_cma_name(name))
			ret = found(user, name);
	}
	for (int i = 0; i < list.count; i++)
		free(list.entries[i]);
	free(list.entries);
	return ret;
}

struct names {
	char text[256];
	size_t length;
};

static int add_name(void *user, const char *name)
{
	struct names *names = user;
	size_t room = sizeof(names->text) - names->length;
	int n = snprintf(names->text + names->length, room, "%s%s", names->length ? ", " : "",
			 name);

	if (n < 0 || (size_t)n >= room)
		return 1;
	names->length += (size_t)n;
	return 0;
}

int shm__heap_missing(const char *name)
{
	struct names names = { 0 };

	shm__heap_each(add_name, &names);
	if (!names.length)
		return metal_shm_set_error(ENOENT,
					   "no heap %s: " SHM__HEAP_DIR " has none (a kernel with "
					   "CONFIG_DMABUF_HEAPS has)",
					   name);
	return metal_shm_set_error(ENOENT, "no heap %s in " SHM__HEAP_DIR ", which has %s", name,
				   names.text);
}
