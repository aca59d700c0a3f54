/* SPDX-License-Identifier: BSD-3-Clause */
/* What the programs of locks share: a memory with a lock, and threads. */
#ifndef LOCK_BENCH_H
#define LOCK_BENCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <shm/lock.h>

#include "shm_test.h"

#define MS         INT64_C(1000000)
#define READ_WRITE (METAL_SHM_READ | METAL_SHM_WRITE)

/* A buffer with its word at 64, and a counter that only the lock guards. */
struct bench {
	struct metal_generic_shm *shm;
	char *bytes;
	_Atomic uint64_t *word;
	long *counter;
};

static inline struct bench new_bench(void)
{
	struct bench bench = { .shm = metal_shm_allocate_for(4096, NULL, 0, METAL_SHM_ZEROED) };

	assert_non_null(bench.shm);
	bench.bytes = metal_shm_map(bench.shm, READ_WRITE);
	assert_non_null(bench.bytes);
	bench.word = (_Atomic uint64_t *)(void *)(bench.bytes + 64);
	bench.counter = (long *)(void *)(bench.bytes + 128);
	return bench;
}

static inline void end_bench(struct bench *bench)
{
	metal_shm_free(bench->shm, NULL);
}

static inline void pass(int64_t ns)
{
	const struct timespec time = { .tv_nsec = (long)ns };

	nanosleep(&time, NULL);
}

static inline void expect_reason(const char *text)
{
	if (!strstr(metal_shm_last_error(), text))
		fail_msg("\"%s\" says nothing of \"%s\"", metal_shm_last_error(), text);
}

/* cmocka's assertions belong to the main thread. */
#define CHECK(condition)                         \
	do {                                     \
		static char text[] = #condition; \
                                                 \
		if (!(condition))                \
			return text;             \
	} while (0)

static inline void run(pthread_t *thread, void *(*body)(void *), void *user)
{
	assert_int_equal(pthread_create(thread, NULL, body, user), 0);
}

static inline void join(pthread_t thread)
{
	void *failed;

	assert_int_equal(pthread_join(thread, &failed), 0);
	if (failed)
		fail_msg("%s", (const char *)failed);
}

#endif
