/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers of each kind of memory that VFIO maps, filled, and what the kernel counts of them. */
#ifndef VFIO_MEMORY_H
#define VFIO_MEMORY_H

#include <fcntl.h>
#include <stdlib.h>

#include "edu.h"

#define READ_WRITE (METAL_SHM_READ | METAL_SHM_WRITE)

#define assert_reason(word)                                                            \
	do {                                                                           \
		if (!strstr(metal_shm_last_error(), word))                             \
			fail_msg("'%s' is not in '%s'", word, metal_shm_last_error()); \
	} while (0)

static inline void release_wrapped(void *user, void *address, size_t size)
{
	(void)address;
	(void)size;
	free(user);
}

/* "wrap" is memory of malloc() that begins in the middle of a page. */
static inline struct metal_generic_shm *memory_of(const char *kind, size_t size)
{
	struct metal_generic_shm *shm;
	struct metal_device *dev;

	if (!strcmp(kind, "wrap")) {
		char *room = calloc(1, size + 777);

		assert_non_null(room);
		shm = metal_shm_wrap(room + 777, size, release_wrapped, room);
	} else {
		if (metal_shm_device_open(kind, &dev))
			fail_msg("%s: %s", kind, metal_shm_last_error());
		shm = metal_shm_allocate(size, dev, 0);
		metal_shm_device_close(dev);
	}
	if (!shm)
		fail_msg("%s: %s", kind, metal_shm_last_error());
	return shm;
}

static inline unsigned char *bytes_of(struct metal_generic_shm *shm)
{
	unsigned char *bytes = metal_shm_map(shm, READ_WRITE);

	if (!bytes || metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW))
		fail_msg("map: %s", metal_shm_last_error());
	return bytes;
}

static inline struct metal_generic_shm *attached(struct metal_generic_shm *shm,
						 const struct edu *edu)
{
	struct metal_generic_shm *view = metal_shm_attach(shm, edu->dev);

	if (!view)
		fail_msg("attach: %s", metal_shm_last_error());
	return view;
}

static inline uint64_t address_of(struct metal_generic_shm *view)
{
	uint64_t address = 0;

	if (metal_shm_device_address(view, &address))
		fail_msg("address: %s", metal_shm_last_error());
	return address;
}

static inline void give(struct metal_generic_shm *shm, const struct edu *edu,
			enum metal_shm_dir dir)
{
	if (metal_shm_sync_for_device(shm, edu->dev, dir))
		fail_msg("sync_for_device: %s", metal_shm_last_error());
}

static inline void take(struct metal_generic_shm *shm, enum metal_shm_dir dir)
{
	if (metal_shm_sync_for_cpu(shm, dir))
		fail_msg("sync_for_cpu: %s", metal_shm_last_error());
}

static inline void fill(unsigned char *bytes, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(i * 13 + (i >> 8) * 7 + seed);
}

/* What the process has locked, as the kernel counts it. */
static inline unsigned long locked_kib(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[128];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "VmLck: %lu", &kib);
	fclose(file);
	return kib;
}

/* The kernel's log from now on. */
static inline int log_from_here(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	assert_true(log >= 0);
	assert_int_equal(lseek(log, 0, SEEK_END), 0);
	return log;
}

/* Whether a line of it comes to hold both words, which takes an interrupt. Closes it. */
static inline bool log_says(int log, const char *word, const char *other)
{
	bool found = false;
	char line[2048];

	for (int i = 0; i < 1000 && !found; i++) {
		ssize_t length = read(log, line, sizeof(line) - 1);

		if (length > 0) {
			line[length] = '\0';
			found = strstr(line, word) && strstr(line, other);
		} else {
			usleep(1000);
		}
	}
	close(log);
	return found;
}

#endif
