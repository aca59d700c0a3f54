/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that may not be written, and another process that reads it: test_peer_sealed on the host and test_peers. */
#ifndef PEER_SEALED_H
#define PEER_SEALED_H

#include <fcntl.h>
#include <sys/mman.h>

#include "peer_process.h"

#define SEALED_SIZE 10000

/* A memfd whose bytes are all 3, with these seals. */
static inline int sealed_memfd(int seals)
{
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	unsigned char bytes[SEALED_SIZE];

	memset(bytes, 3, sizeof(bytes));
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* The same memory, open for reading only; fd is closed. */
static inline int reading_only(int fd)
{
	char path[64];
	int reader;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(reader >= 0);
	close(fd);
	return reader;
}

/* The process adds up just the bytes that are given, and nobody is given them to write. */
static inline void peer_reads(const struct process *reader, struct metal_generic_shm *shm,
			      uint32_t sum)
{
	struct metal_generic_shm *view = metal_shm_attach(shm, reader->dev);
	struct metal_shm_peer_event event = { .struct_size = sizeof(event) };

	assert_non_null(view);
	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(metal_shm_sync_for_device(shm, reader->dev, METAL_SHM_DIR_DEV_RW),
				 -EACCES);
		assert_int_equal(metal_shm_sync_for_device(shm, reader->dev, METAL_SHM_DIR_DEV_R),
				 0);
		assert_int_equal(metal_shm_peer_next(reader->dev, 20 * SECOND, &event), 0);
		assert_int_equal(event.size, sizeof(sum));
		assert_memory_equal(event.data, &sum, sizeof(sum));
		assert_int_equal(
			metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 20 * SECOND), 0);
	}
	metal_shm_detach(view, reader->dev);
}

static inline void peer_reads_fd(const struct process *reader, int take_fd)
{
	struct metal_generic_shm *shm = metal_shm_import(take_fd, 0, 0), *part;

	assert_non_null(shm);
	assert_null(metal_shm_map(shm, METAL_SHM_WRITE));
	assert_int_equal(errno, EACCES);
	part = metal_shm_sub(shm, 4000, 3000, 0);
	peer_reads(reader, shm, 3 * SEALED_SIZE);
	peer_reads(reader, part, 3 * 3000);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
	close(take_fd);
}

/* Whoever sealed it against more writers writes on by the mapping that it has. */
static inline void peer_reads_what_is_written(const struct process *reader)
{
	int fd = sealed_memfd(F_SEAL_SHRINK);
	unsigned char *bytes = mmap(NULL, SEALED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct metal_generic_shm *shm;

	assert_ptr_not_equal(bytes, MAP_FAILED);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	shm = metal_shm_import(fd, 0, 0);
	assert_non_null(shm);
	for (uint32_t i = 0; i < 3; i++) {
		memset(bytes, (int)i, SEALED_SIZE);
		peer_reads(reader, shm, i * SEALED_SIZE);
	}
	metal_shm_free(shm, NULL);
	munmap(bytes, SEALED_SIZE);
	close(fd);
}

#endif
