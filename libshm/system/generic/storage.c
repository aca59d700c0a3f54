/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library's records, in tables. Each kind has its own, so that many of one, which another processor
 * may be able to cause, take no room from the rest.
 */
#include <string.h>

#include "core.h"
#include "tables.h"

/* Handles and devices that ended wait in the core's quarantine for the next one to end. */
#define WAITING SHM__QUARANTINE

static struct metal_device devices[SHM_DEVICES + WAITING];
static struct shm__root roots[SHM_BUFFERS];
static struct metal_generic_shm handles[SHM_HANDLES + WAITING];
static struct shm__range ranges[SHM_RANGES];

static atomic_uint used[SHM_DEVICES + SHM_BUFFERS + SHM_HANDLES + SHM_RANGES + 2 * WAITING];

static const struct table {
	char *records;
	size_t size;
	unsigned count;
} tables[] = {
#define TABLE(records)                                                                          \
	{                                                                                       \
		(char *)(records), sizeof((records)[0]), sizeof(records) / sizeof((records)[0]) \
	}
	TABLE(devices),
	TABLE(roots),
	TABLE(handles),
	TABLE(ranges),
};

#define TABLES (sizeof(tables) / sizeof(tables[0]))

/* The table whose records are the smallest that hold the size, and where its marks begin. */
static const struct table *table_for(size_t size, atomic_uint **ret_marks)
{
	const struct table *best = NULL;
	atomic_uint *marks = used;

	for (size_t i = 0; i < TABLES; marks += tables[i++].count) {
		if (tables[i].size < size || (best && best->size <= tables[i].size))
			continue;
		best = &tables[i];
		*ret_marks = marks;
	}
	return best;
}

void *shm__os_alloc(size_t size)
{
	atomic_uint *marks = NULL;
	const struct table *table = table_for(size, &marks);

	for (unsigned i = 0; table && i < table->count; i++)
		if (!atomic_exchange(&marks[i], 1))
			return memset(table->records + i * table->size, 0, table->size);
	return NULL;
}

void shm__os_free(void *memory)
{
	uintptr_t record = (uintptr_t)memory;
	atomic_uint *marks = used;

	for (size_t i = 0; i < TABLES; marks += tables[i++].count) {
		uintptr_t first = (uintptr_t)tables[i].records;

		if (record >= first && record - first < tables[i].count * tables[i].size)
			atomic_store(&marks[(record - first) / tables[i].size], 0);
	}
}
