/* SPDX-License-Identifier: BSD-3-Clause */
/* One display and many threads: who presents, who waits, who runs the loop. */
#include "drm_fixture.h"

#include <poll.h>
#include <pthread.h>
#include <shm/linux.h>
#include <stdatomic.h>
#include <time.h>

#define FRAMES 300

struct crowd {
	struct screen screen;
	atomic_bool stop;
	atomic_int presented;
	atomic_int failed;
};

static void *scan_out(void *user)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	struct crowd *crowd = user;

	while (!atomic_load(&crowd->stop)) {
		fake_drm_flip();
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void *present(void *user)
{
	struct crowd *crowd = user;
	struct screen *s = &crowd->screen;

	while (atomic_fetch_add(&crowd->presented, 1) < FRAMES) {
		struct metal_generic_shm *shm = metal_shm_pool_get(s->pool, 5 * SECOND);

		if (!shm || metal_shm_drm_present(s->dev, shm))
			atomic_fetch_add(&crowd->failed, 1);
		metal_shm_free(shm, NULL);
	}
	return NULL;
}

static void *wait_for_frames(void *user)
{
	struct crowd *crowd = user;

	while (!atomic_load(&crowd->stop))
		metal_shm_drm_wait(crowd->screen.dev, SECOND / 1000);
	return NULL;
}

static void *run_loop(void *user)
{
	struct crowd *crowd = user;
	struct pollfd fd = { .fd = metal_shm_device_poll_fd(crowd->screen.dev), .events = POLLIN };

	while (!atomic_load(&crowd->stop)) {
		if (poll(&fd, 1, 1) == 1)
			metal_shm_device_dispatch(crowd->screen.dev);
	}
	return NULL;
}

static void everybody_shares_a_display(void **state)
{
	void *(*const bodies[])(void *) = { present,         present,  wait_for_frames,
					    wait_for_frames, run_loop, scan_out };
	struct crowd crowd = { .screen = { .driver = fake_drm_new() } };
	struct screen *s = &crowd.screen;
	struct metal_shm_drm_flip flip = { .struct_size = sizeof(flip) };
	pthread_t threads[SHM_TEST_COUNT(bodies)];
	uint64_t before;

	(void)state;
	screen_open(s);
	assert_ok(screen_fill(s, 64, 64, 3));
	assert_ok(metal_shm_drm_last_flip(s->dev, &flip));
	before = flip.count;
	for (int i = 0; i < 3; i++) {
		metal_shm_free(s->shm[i], NULL);
		s->shm[i] = NULL;
	}
	s->driver->flips = false;
	for (size_t i = 0; i < SHM_TEST_COUNT(bodies); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, bodies[i], &crowd), 0);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_ok(metal_shm_drm_wait(s->dev, 5 * SECOND));
	atomic_store(&crowd.stop, true);
	for (size_t i = 2; i < SHM_TEST_COUNT(bodies); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&crowd.failed), 0);
	assert_ok(metal_shm_drm_last_flip(s->dev, &flip));
	assert_int_equal(flip.count, before + FRAMES);
	screen_close(s);
	fake_drm_end();
}

/* Whoever reads the event, each of those who wait for it wakes. */
static void *wait_long(void *user)
{
	struct crowd *crowd = user;

	if (metal_shm_drm_wait(crowd->screen.dev, 20 * SECOND))
		atomic_fetch_add(&crowd->failed, 1);
	return NULL;
}

static void *wait_shortly(void *user)
{
	struct crowd *crowd = user;

	if (metal_shm_drm_wait(crowd->screen.dev, SECOND / 5) != -ETIMEDOUT)
		atomic_fetch_add(&crowd->failed, 1);
	return NULL;
}

static void all_waiters_wake_at_one_flip(void **state)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	struct crowd crowd = { .screen = { .driver = fake_drm_new() } };
	struct screen *s = &crowd.screen;
	pthread_t threads[4];
	struct timespec begin, end;

	(void)state;
	screen_open(s);
	assert_ok(screen_fill(s, 64, 64, 1));
	s->driver->flips = false;
	assert_ok(metal_shm_drm_present(s->dev, s->shm[0]));
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_long, &crowd), 0);
	nanosleep(&pause, NULL);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_true(fake_drm_flip());
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_int_equal(atomic_load(&crowd.failed), 0);
	assert_true(end.tv_sec - begin.tv_sec < 10);
	screen_close(s);
	fake_drm_end();
}

/* Somebody has to read the event when whoever would have read it waits no more. */
static void waiter_takes_over_from_one_that_gives_up(void **state)
{
	const struct timespec pause = { .tv_nsec = 30000000 };
	struct crowd crowd = { .screen = { .driver = fake_drm_new() } };
	struct screen *s = &crowd.screen;
	struct timespec begin, end;
	pthread_t threads[2];

	(void)state;
	screen_open(s);
	assert_ok(screen_fill(s, 64, 64, 1));
	s->driver->flips = false;
	assert_ok(metal_shm_drm_present(s->dev, s->shm[0]));
	assert_int_equal(pthread_create(&threads[0], NULL, wait_shortly, &crowd), 0);
	nanosleep(&pause, NULL);
	assert_int_equal(pthread_create(&threads[1], NULL, wait_long, &crowd), 0);
	pthread_join(threads[0], NULL);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_true(fake_drm_flip());
	pthread_join(threads[1], NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_int_equal(atomic_load(&crowd.failed), 0);
	assert_true(end.tv_sec - begin.tv_sec < 10);
	screen_close(s);
	fake_drm_end();
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(everybody_shares_a_display),
		cmocka_unit_test(all_waiters_wake_at_one_flip),
		cmocka_unit_test(waiter_takes_over_from_one_that_gives_up),
	};

	fake_drm_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
