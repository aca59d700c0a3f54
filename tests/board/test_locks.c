/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks in the memory of heaps and udmabuf, on some of which the kernel lets nobody sleep. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include <shm/linux.h>
#include <shm/lock.h>

#include "shm_test.h"

#define ROUNDS 500

static const char *const sources[] = { "memfd", "heap:system", "heap:contiguous", "udmabuf" };

struct shared {
	_Atomic uint64_t lock;
	long counter;
};

static void *count(void *user)
{
	struct metal_generic_shm *shm = user;
	struct shared *shared = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	const struct timespec time = { .tv_nsec = 1000 };

	if (!shared)
		return user;
	for (int i = 0; i < ROUNDS; i++) {
		if (metal_shm_lock(shm, 0))
			return user;
		shared->counter++;
		/* now and then so long that the other one sleeps */
		if (i % 50 == 0)
			nanosleep(&time, NULL);
		if (metal_shm_unlock(shm, 0))
			return user;
	}
	return NULL;
}

static void each_sources_memory_has_locks(void **state)
{
	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(sources); i++) {
		struct metal_device *src = NULL;
		struct metal_generic_shm *shm;
		struct shared *shared;
		pthread_t threads[3];
		void *failed;

		assert_int_equal(metal_shm_device_open(sources[i], &src), 0);
		shm = metal_shm_allocate(4096, src, METAL_SHM_ZEROED);
		assert_non_null(shm);
		shared = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
		assert_non_null(shared);
		assert_int_equal(metal_shm_lock(shm, 0), 0);
		for (int n = 0; n < 3; n++)
			assert_int_equal(pthread_create(&threads[n], NULL, count, shm), 0);
		while (!(atomic_load(&shared->lock) & METAL_SHM_LOCK_WAITERS))
			usleep(1000);
		assert_int_equal(metal_shm_unlock(shm, 0), 0);
		for (int n = 0; n < 3; n++) {
			assert_int_equal(pthread_join(threads[n], &failed), 0);
			assert_null(failed);
		}
		assert_int_equal(shared->counter, 3 * ROUNDS);
		assert_int_equal(atomic_load(&shared->lock), 0);
		metal_shm_free(shm, src);
		metal_shm_device_close(src);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_sources_memory_has_locks),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
