/* SPDX-License-Identifier: BSD-3-Clause */
/* The other process is killed at any instant: what it held is the program's again, and nothing is left. */
#include <pthread.h>
#include <time.h>

#include "fake.h"
#include "peer_process.h"

#define ROUNDS  40
#define BUFFERS 4
#define SIZE    20000
#define ALL_IN  (20 * SECOND)

struct killing {
	pid_t pid;
	long after_ns;
};

static uint32_t any(uint32_t below)
{
	static uint64_t seed = 1;

	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static void *kill_later(void *user)
{
	const struct killing *killing = user;
	struct timespec after = { .tv_nsec = killing->after_ns };

	nanosleep(&after, NULL);
	kill(killing->pid, SIGKILL);
	return NULL;
}

static pthread_t kill_at_random(struct killing *killing, pid_t pid)
{
	pthread_t thread;

	*killing = (struct killing){ .pid = pid, .after_ns = any(8000000) };
	assert_int_equal(pthread_create(&thread, NULL, kill_later, killing), 0);
	return thread;
}

static void join(pthread_t thread, pid_t pid)
{
	int status;

	pthread_join(thread, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* or it found its work done */
	assert_true(WIFSIGNALED(status) || !WEXITSTATUS(status));
}

/* Give it bytes and take them back until it is dead; how often. */
static unsigned use(struct metal_device *dev, struct metal_generic_shm *const shm[BUFFERS])
{
	unsigned given = 0;

	for (;;) {
		struct metal_generic_shm *one = shm[given % BUFFERS];
		int error = metal_shm_sync_for_device(one, dev, METAL_SHM_DIR_DEV_RW);

		if (error == -EBUSY || !error)
			error = metal_shm_sync_for_cpu_timeout(shm[(given + 1) % BUFFERS],
							       METAL_SHM_DIR_DEV_RW, ALL_IN);
		if (error == -ENODEV)
			return given;
		assert_int_equal(error, 0);
		given++;
	}
}

static void a_worker_that_is_killed_holds_nothing(void **state)
{
	unsigned given = 0;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct metal_generic_shm *shm[BUFFERS], *view[BUFFERS];
		struct process worker = peer_start("worker");
		struct killing killing;
		pthread_t killer = kill_at_random(&killing, worker.pid);

		for (unsigned i = 0; i < BUFFERS; i++) {
			shm[i] = peer_buffer(SIZE);
			view[i] = metal_shm_attach(shm[i], worker.dev);
		}
		given += use(worker.dev, shm);
		for (unsigned i = 0; i < BUFFERS; i++) {
			int error = metal_shm_sync_for_cpu_timeout(shm[i], METAL_SHM_DIR_DEV_RW, 0);

			assert_true(!error || error == -ENODEV);
			assert_int_equal(
				metal_shm_sync_for_cpu_timeout(shm[i], METAL_SHM_DIR_DEV_RW, 0), 0);
			memset(metal_shm_map(shm[i], METAL_SHM_WRITE), 1, SIZE);
			metal_shm_detach(view[i], worker.dev);
			metal_shm_free(shm[i], NULL);
		}
		metal_shm_device_close(worker.dev);
		join(killer, worker.pid);
	}
	shm_test_note("%u hand-overs", given);
}

static void what_a_camera_gave_before_it_was_killed_can_be_read(void **state)
{
	struct metal_shm_peer_event event = { .struct_size = sizeof(event) };
	unsigned frames = 0;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct process camera = peer_start("camera");
		struct metal_generic_shm *last = NULL;
		struct killing killing;
		pthread_t killer = kill_at_random(&killing, camera.pid);
		int error;

		while (!(error = metal_shm_peer_next(camera.dev, ALL_IN, &event))) {
			const unsigned char *bytes;

			if (!event.shm)
				continue;
			frames++;
			metal_shm_sync_for_device(event.shm, camera.dev, METAL_SHM_DIR_DEV_RW);
			if (last)
				metal_shm_free(last, NULL);
			last = event.shm;
			bytes = metal_shm_map(last, METAL_SHM_READ);
			assert_non_null(bytes);
		}
		assert_int_equal(error, -ENODEV);
		if (last) {
			error = metal_shm_sync_for_cpu_timeout(last, METAL_SHM_DIR_DEV_RW, 0);
			assert_true(!error || error == -ENODEV);
			assert_int_equal(
				metal_shm_sync_for_cpu_timeout(last, METAL_SHM_DIR_DEV_RW, 0), 0);
			memset(metal_shm_map(last, METAL_SHM_WRITE), 1, SIZE);
			metal_shm_free(last, NULL);
		}
		metal_shm_device_close(camera.dev);
		join(killer, camera.pid);
	}
	shm_test_note("%u frames", frames);
}

static void whoever_asks_a_process_that_is_killed_has_memory_or_none(void **state)
{
	unsigned granted = 0;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct process granter = peer_start("granter");
		struct metal_generic_shm *shm = NULL;
		struct killing killing;
		pthread_t killer = kill_at_random(&killing, granter.pid);
		int error;

		while (!(error = metal_shm_peer_request(granter.dev, SIZE, 0, ALL_IN, &shm))) {
			unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);

			granted++;
			assert_non_null(bytes);
			error = metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 0);
			assert_int_equal(error, 0);
			memset(bytes, 1, SIZE);
			error = metal_shm_peer_leave(shm, granter.dev);
			assert_true(!error || error == -ENODEV || error == -ENOTCONN);
			metal_shm_free(shm, NULL);
		}
		assert_int_equal(error, -ENODEV);
		metal_shm_device_close(granter.dev);
		join(killer, granter.pid);
	}
	shm_test_note("%u times granted", granted);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_that_is_killed_holds_nothing),
		cmocka_unit_test(whoever_asks_a_process_that_is_killed_has_memory_or_none),
		cmocka_unit_test(what_a_camera_gave_before_it_was_killed_can_be_read),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
