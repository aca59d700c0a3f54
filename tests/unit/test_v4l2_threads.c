/* SPDX-License-Identifier: BSD-3-Clause */
/* Several threads at one camera. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "v4l2_bench.h"

#define MS INT64_C(1000000)

struct waiter {
	struct bench *bench;
	pthread_t thread;
	int64_t timeout_ns;
	int error;
	unsigned frames;
	atomic_bool begun;
};

static void nap_ms(long ms)
{
	const struct timespec span = { .tv_nsec = ms * 1000000 };

	nanosleep(&span, NULL);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *wait_for_one(void *data)
{
	struct waiter *w = data;
	struct metal_generic_shm *shm;

	atomic_store(&w->begun, true);
	w->error = metal_shm_v4l2_wait(w->bench->camera, w->timeout_ns, NULL, &shm);
	if (!w->error) {
		w->frames++;
		metal_shm_free(shm, NULL);
	}
	return NULL;
}

/* Frames until the stop. */
static void *wait_for_all(void *data)
{
	struct waiter *w = data;
	struct metal_generic_shm *shm;

	atomic_store(&w->begun, true);
	while (!(w->error = metal_shm_v4l2_wait(w->bench->camera, METAL_SHM_FOREVER, NULL, &shm))) {
		w->frames++;
		metal_shm_free(shm, NULL);
	}
	return NULL;
}

static void begin(struct waiter *w, struct bench *b, void *(*run)(void *), int64_t timeout_ns)
{
	*w = (struct waiter){ .bench = b, .timeout_ns = timeout_ns };
	assert_int_equal(pthread_create(&w->thread, NULL, run, w), 0);
	while (!atomic_load(&w->begun))
		nap_ms(1);
	nap_ms(20);
}

static int end(struct waiter *w)
{
	pthread_join(w->thread, NULL);
	return w->error;
}

static void stop_ends_every_wait(void **state)
{
	struct bench *b = *state;
	struct waiter w[3];

	for (unsigned i = 0; i < 3; i++)
		begin(&w[i], b, wait_for_one, METAL_SHM_FOREVER);
	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(end(&w[i]), -EINVAL);
}

static void stop_ends_a_wait_with_no_frame_queued(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm[FRAMES];
	struct waiter w;

	for (unsigned i = 0; i < FRAMES; i++)
		shm[i] = next_frame(b);
	begin(&w, b, wait_for_one, METAL_SHM_FOREVER);
	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	assert_int_equal(end(&w), -EINVAL);
	for (unsigned i = 0; i < FRAMES; i++)
		metal_shm_free(shm[i], NULL);
}

static void a_frame_that_another_thread_fetched_wakes_who_waits(void **state)
{
	struct bench *b = *state;
	struct waiter w;

	/* twice without letting it run: it may fetch the frame itself, which is as good */
	for (unsigned i = 0; i < 50; i++) {
		begin(&w, b, wait_for_one, 2000 * MS);
		fake_v4l2_done(PICTURE, 0);
		assert_int_equal(metal_shm_device_dispatch(b->camera), 0);
		assert_int_equal(end(&w), 0);
	}
}

static void waiting_threads_share_the_frames(void **state)
{
	struct bench *b = *state;
	struct waiter w[3];
	unsigned done = 0, taken = 0;

	for (unsigned i = 0; i < 3; i++)
		begin(&w[i], b, wait_for_all, 0);
	while (done < 300) {
		if (fake_v4l2_done(PICTURE, 0) >= 0)
			done++;
		if (done % 7 == 0)
			metal_shm_device_dispatch(b->camera);
	}
	for (unsigned i = 0; i < 200 && fake_v4l2_dqbufs() < done; i++)
		nap_ms(5);
	assert_int_equal(fake_v4l2_dqbufs(), done);
	nap_ms(50);
	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(end(&w[i]), -EINVAL);
		taken += w[i].frames;
	}
	assert_int_equal(taken, done);
}

static void a_frame_given_back_wakes_who_waits_with_none_queued(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm[FRAMES];
	struct waiter w;

	for (unsigned i = 0; i < FRAMES; i++)
		shm[i] = next_frame(b);
	begin(&w, b, wait_for_one, 2000 * MS);
	for (unsigned i = 0; i < FRAMES; i++)
		metal_shm_free(shm[i], NULL);
	assert_true(fake_v4l2_done(PICTURE, 0) >= 0);
	assert_int_equal(end(&w), 0);
}

/* Without a nap: a frame may come back at any moment on the way into the wait. */
static void a_wait_misses_no_frame_that_is_given_back(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm[FRAMES];

	for (unsigned i = 0; i < 300; i++) {
		struct waiter w = { .bench = b, .timeout_ns = METAL_SHM_FOREVER };

		for (unsigned j = 0; j < FRAMES; j++)
			shm[j] = next_frame(b);
		assert_int_equal(pthread_create(&w.thread, NULL, wait_for_one, &w), 0);
		if (i % 2)
			while (!atomic_load(&w.begun))
				;
		metal_shm_free(shm[0], NULL);
		assert_true(fake_v4l2_done(PICTURE, 0) >= 0);
		assert_int_equal(end(&w), 0);
		for (unsigned j = 1; j < FRAMES; j++)
			metal_shm_free(shm[j], NULL);
	}
}

/* The last reference to a destroyed pool is the camera's, and a thread waits for it. */
static void stop_ends_a_wait_for_a_pool_that_was_destroyed(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm[FRAMES];
	struct waiter w;

	for (unsigned i = 0; i < FRAMES; i++)
		shm[i] = next_frame(b);
	begin(&w, b, wait_for_one, METAL_SHM_FOREVER);
	metal_shm_pool_destroy(b->pool);
	for (unsigned i = 0; i < FRAMES; i++)
		metal_shm_free(shm[i], NULL);
	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	assert_int_equal(end(&w), -EINVAL);
	metal_shm_device_close(b->camera);
	bench_open(b);
}

static void every_waiting_thread_keeps_its_time(void **state)
{
	struct bench *b = *state;
	struct waiter w[3];
	int64_t start = now_ms();

	for (unsigned i = 0; i < 3; i++)
		begin(&w[i], b, wait_for_one, 100 * MS);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(end(&w[i]), -ETIMEDOUT);
	assert_in_range(now_ms() - start, 100, 1000);
}

static void ignore(int signal)
{
	(void)signal;
}

static void a_signal_ends_no_wait(void **state)
{
	struct sigaction action = { .sa_handler = ignore }, before;
	struct bench *b = *state;
	struct waiter w;
	int64_t start = now_ms();

	sigaction(SIGUSR1, &action, &before);
	begin(&w, b, wait_for_one, 200 * MS);
	for (unsigned i = 0; i < 5; i++) {
		pthread_kill(w.thread, SIGUSR1);
		nap_ms(10);
	}
	assert_int_equal(end(&w), -ETIMEDOUT);
	assert_true(now_ms() - start >= 200);
	sigaction(SIGUSR1, &before, NULL);
}

static void unplugging_ends_every_wait(void **state)
{
	struct bench *b = *state;
	struct waiter w[3];

	for (unsigned i = 0; i < 3; i++)
		begin(&w[i], b, wait_for_one, METAL_SHM_FOREVER);
	fake_v4l2_unplug();
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(end(&w[i]), -ENODEV);
}

static void starts_and_stops_may_race_with_everything(void **state)
{
	struct bench *b = *state;
	struct waiter w[2];

	for (unsigned i = 0; i < 50; i++) {
		for (unsigned j = 0; j < 2; j++)
			begin(&w[j], b, wait_for_all, 0);
		for (unsigned j = 0; j < 20; j++) {
			fake_v4l2_done(PICTURE, j % 5 ? 0 : V4L2_BUF_FLAG_ERROR);
			metal_shm_device_dispatch(b->camera);
		}
		assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
		for (unsigned j = 0; j < 2; j++)
			end(&w[j]);
		assert_int_equal(metal_shm_v4l2_start(b->camera, b->pool), 0);
	}
}

int main(int argc, char **argv)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		CASE(stop_ends_every_wait),
		CASE(stop_ends_a_wait_with_no_frame_queued),
		CASE(a_frame_that_another_thread_fetched_wakes_who_waits),
		CASE(waiting_threads_share_the_frames),
		CASE(a_frame_given_back_wakes_who_waits_with_none_queued),
		CASE(a_wait_misses_no_frame_that_is_given_back),
		CASE(stop_ends_a_wait_for_a_pool_that_was_destroyed),
		CASE(every_waiting_thread_keeps_its_time),
		CASE(a_signal_ends_no_wait),
		CASE(unplugging_ends_every_wait),
		CASE(starts_and_stops_may_race_with_everything),
	};

	fake_v4l2_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
