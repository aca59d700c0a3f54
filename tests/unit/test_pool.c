/* SPDX-License-Identifier: BSD-3-Clause */
/* Pools: buffers that come back by themselves, and only when nobody has them. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"

#define R METAL_SHM_DIR_DEV_R
#define W METAL_SHM_DIR_DEV_W

#define MS INT64_C(1000000)

struct bench {
	struct fake_source *source;
	struct fake_importer *camera, *display;
	struct metal_device *devs[3];
	struct metal_shm_pool *pool;
};

static int set_up(void **state)
{
	struct bench *bench = test_calloc(1, sizeof(*bench));

	bench->source = fake_source_new("src", true);
	bench->camera = fake_importer_new("camera", METAL_SHM_ACCESS_DMA);
	bench->display = fake_importer_new("display", METAL_SHM_ACCESS_DMA);
	bench->devs[0] = bench->source->dev;
	bench->devs[1] = bench->camera->dev;
	bench->devs[2] = bench->display->dev;
	assert_int_equal(metal_shm_pool_create(1000, 3, bench->devs, 3, 0, &bench->pool), 0);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	metal_shm_pool_destroy(bench->pool);
	fake_importer_end(bench->camera);
	fake_importer_end(bench->display);
	fake_source_end(bench->source);
	test_free(bench);
	return 0;
}

static void a_pools_buffers_are_attached_to_all(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm = metal_shm_pool_get(bench->pool, 0);

	assert_int_equal(metal_shm_pool_count(bench->pool), 3);
	assert_int_equal(metal_shm_size(shm), 1000);
	assert_non_null(metal_shm_view(shm, bench->camera->dev));
	assert_non_null(metal_shm_view_data(shm, bench->display->dev));
	assert_ptr_equal(metal_shm_pool_of(shm), bench->pool);
	assert_ptr_equal(metal_shm_pool_of(metal_shm_view(shm, bench->camera->dev)), bench->pool);
	assert_null(metal_shm_pool_of(NULL));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_pool_frame(bench->pool));
	assert_int_equal(errno, ENODATA);
	metal_shm_free(shm, NULL);
}

static void an_empty_pool_times_out(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm[3];

	for (int i = 0; i < 3; i++) {
		shm[i] = metal_shm_pool_get(bench->pool, 0);
		assert_non_null(shm[i]);
	}
	assert_null(metal_shm_pool_get(bench->pool, 0));
	assert_int_equal(errno, ETIMEDOUT);
	assert_null(metal_shm_pool_get(bench->pool, 1000000));
	assert_int_equal(errno, ETIMEDOUT);
	metal_shm_free(shm[1], NULL);
	assert_ptr_equal(metal_shm_pool_get(bench->pool, 0), shm[1]);
	for (int i = 0; i < 3; i++)
		metal_shm_free(shm[i], NULL);
}

static void a_freed_frame_is_misuse_to_free_again(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm = metal_shm_pool_get(bench->pool, 0);
	struct metal_shm_stats before = { .struct_size = sizeof(before) }, now = before;

	metal_shm_free(shm, NULL);
	assert_int_equal(metal_shm_stats(&before), 0);
	metal_shm_free(shm, NULL);
	assert_null(metal_shm_map(shm, METAL_SHM_READ));
	assert_int_equal(metal_shm_stats(&now), 0);
	assert_int_equal(now.misuse, before.misuse + 1);
}

static void a_held_frame_comes_back_when_its_work_is_done(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm[3];

	for (int i = 0; i < 3; i++) {
		shm[i] = metal_shm_pool_get(bench->pool, 0);
		assert_int_equal(fake_queue(bench->display, shm[i], R), 0);
		metal_shm_free(shm[i], NULL);
	}
	assert_null(metal_shm_pool_get(bench->pool, 0));
	fake_complete(bench->display, 1);
	shm[0] = metal_shm_pool_get(bench->pool, METAL_SHM_FOREVER);
	assert_non_null(shm[0]);
	assert_null(metal_shm_pool_get(bench->pool, 0));
	metal_shm_free(shm[0], NULL);
	fake_complete(bench->display, 2);
	assert_int_equal(metal_shm_device_dispatch(bench->display->dev), 0);
}

static void a_part_keeps_its_frame_out_of_the_pool(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm[3], *part;

	for (int i = 0; i < 3; i++)
		shm[i] = metal_shm_pool_get(bench->pool, 0);
	part = metal_shm_sub(shm[0], 1, 5, 0);
	metal_shm_free(shm[0], NULL);
	assert_null(metal_shm_pool_get(bench->pool, 0));
	metal_shm_free(part, NULL);
	assert_ptr_equal(metal_shm_pool_get(bench->pool, 0), shm[0]);
	for (int i = 0; i < 3; i++)
		metal_shm_free(shm[i], NULL);
}

static void *free_later(void *argument)
{
	metal_shm_free(argument, NULL);
	return NULL;
}

static void *free_after_a_nap(void *argument)
{
	nanosleep(&(struct timespec){ .tv_nsec = 20 * MS }, NULL);
	return free_later(argument);
}

static void a_waiting_get_wakes_at_a_free(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm[3];
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		shm[i] = metal_shm_pool_get(bench->pool, 0);
	assert_int_equal(pthread_create(&thread, NULL, free_later, shm[2]), 0);
	assert_ptr_equal(metal_shm_pool_get(bench->pool, METAL_SHM_FOREVER), shm[2]);
	pthread_join(thread, NULL);
	for (int i = 0; i < 3; i++)
		metal_shm_free(shm[i], NULL);
}

static uint64_t waits(void)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(metal_shm_stats(&stats), 0);
	return stats.waits;
}

static void a_wait_ends_when_a_frame_comes_back(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm = metal_shm_pool_get(bench->pool, 0);
	uint64_t before = waits();
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, free_after_a_nap, shm), 0);
	assert_int_equal(metal_shm_pool_wait(bench->pool, -1, METAL_SHM_FOREVER), 0);
	assert_int_equal(waits(), before + 1);
	pthread_join(thread, NULL);
}

static void a_wait_dispatches_the_pools_devices(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm = metal_shm_pool_get(bench->pool, 0);

	assert_int_equal(fake_queue(bench->display, shm, R), 0);
	metal_shm_free(shm, NULL);
	fake_complete(bench->display, 1);
	assert_int_equal(metal_shm_pool_wait(bench->pool, -1, METAL_SHM_FOREVER), 0);
	assert_int_equal(bench->display->queued_count, 0);
	assert_int_equal(fake_queue(bench->display, shm = metal_shm_pool_get(bench->pool, 0), R),
			 0);
	metal_shm_free(shm, NULL);
	fake_complete(bench->display, 1);
	assert_int_equal(metal_shm_pool_wait(bench->pool, -1, 0), 0);
	assert_int_equal(metal_shm_pool_wait(bench->pool, -1, 0), -ETIMEDOUT);
}

/* Two events, of which the second brings a frame: the wait goes on after the first. */
static void an_event_that_brings_nothing_back_ends_no_wait(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm = metal_shm_pool_get(bench->pool, 0);

	assert_int_equal(fake_queue(bench->display, shm, R), 0);
	fake_complete(bench->display, 1);
	assert_int_equal(metal_shm_pool_wait(bench->pool, -1, 20 * MS), -ETIMEDOUT);
	assert_int_equal(bench->display->queued_count, 0);
	metal_shm_free(shm, NULL);
}

static void a_wait_sleeps_once_and_for_its_time(void **state)
{
	struct bench *bench = *state;
	struct timespec start, end;
	uint64_t before = waits();

	/* what is idle already is nobody's news */
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(metal_shm_pool_wait(bench->pool, -1, 30 * MS), -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_in_range((end.tv_sec - start.tv_sec) * 1000 +
				(end.tv_nsec - start.tv_nsec) / 1000000,
			29, 1000);
	assert_int_equal(waits(), before + 1);
	assert_int_equal(metal_shm_pool_wait(NULL, -1, 0), -EINVAL);
}

static void a_wait_ends_at_its_callers_descriptor(void **state)
{
	struct bench *bench = *state;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_int_equal(metal_shm_pool_wait(bench->pool, fd, 0), -ETIMEDOUT);
	assert_int_equal(eventfd_write(fd, 1), 0);
	assert_int_equal(metal_shm_pool_wait(bench->pool, fd, 2000 * MS), 0);
	assert_int_equal(metal_shm_pool_wait(bench->pool, fd, 2000 * MS), 0);
	close(fd);
}

static struct metal_generic_shm *fed_last[8];
static unsigned fed;
static int feed_error;

static void queue_idle(struct metal_device *dev, struct metal_generic_shm *shm)
{
	fed_last[fed++ % 8] = shm;
	if (!feed_error)
		assert_int_equal(metal_shm_hold(shm, dev, W, 0), 0);
	metal_shm_free(shm, NULL);
}

static void idle_frames_feed_a_device(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm = metal_shm_pool_get(bench->pool, 0);

	fed = 0;
	feed_error = 0;
	assert_int_equal(metal_shm_pool_feed(bench->pool, bench->camera->dev, queue_idle), 0);
	assert_int_equal(fed, 2);
	assert_int_equal(metal_shm_pool_feed(bench->pool, bench->display->dev, queue_idle), -EBUSY);
	metal_shm_free(shm, NULL);
	assert_int_equal(fed, 3);
	assert_int_equal(metal_shm_unhold(shm, bench->camera->dev, 0), 0);
	assert_int_equal(fed, 4);
	assert_int_equal(metal_shm_pool_feed(bench->pool, bench->camera->dev, NULL), 0);
	assert_int_equal(metal_shm_unhold(shm, bench->camera->dev, 0), 0);
	assert_int_equal(fed, 4);
	assert_ptr_equal(metal_shm_pool_get(bench->pool, 0), shm);
	metal_shm_pool_destroy(bench->pool);
	bench->pool = NULL;
	metal_shm_free(shm, NULL);
	assert_int_equal(bench->source->live, 2);
	assert_int_equal(metal_shm_unhold(fed_last[0], bench->camera->dev, 0), 0);
	assert_int_equal(metal_shm_unhold(fed_last[1], bench->camera->dev, 0), 0);
	assert_int_equal(bench->source->live, 0);
}

static void a_feeder_that_takes_nothing_ends_its_turn(void **state)
{
	struct bench *bench = *state;

	fed = 0;
	feed_error = 1;
	assert_int_equal(metal_shm_pool_feed(bench->pool, bench->camera->dev, queue_idle), 0);
	assert_int_equal(fed, 3);
	assert_int_equal(metal_shm_pool_feed(bench->pool, bench->camera->dev, NULL), 0);
}

static bool own_work_is_done;
static struct metal_device *done_by;

static void *end_work(void *shm)
{
	metal_shm_unhold(shm, done_by, 0);
	return NULL;
}

/* While the last of three is offered another thread says that work is done. */
static void queue_and_be_overtaken(struct metal_device *dev, struct metal_generic_shm *shm)
{
	pthread_t thread;

	queue_idle(dev, shm);
	if (fed != 3)
		return;
	done_by = dev;
	assert_int_equal(
		pthread_create(&thread, NULL, end_work, own_work_is_done ? shm : fed_last[0]), 0);
	pthread_join(thread, NULL);
}

static void end_all_work(struct bench *bench)
{
	assert_int_equal(metal_shm_pool_feed(bench->pool, bench->camera->dev, NULL), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(metal_shm_unhold(fed_last[i], bench->camera->dev, 0), 0);
}

static void a_frame_that_comes_back_while_the_last_is_offered_is_fed(void **state)
{
	struct bench *bench = *state;

	fed = 0;
	feed_error = 0;
	own_work_is_done = false;
	assert_int_equal(
		metal_shm_pool_feed(bench->pool, bench->camera->dev, queue_and_be_overtaken), 0);
	assert_int_equal(fed, 4);
	assert_ptr_equal(fed_last[3], fed_last[0]);
	end_all_work(bench);
}

static void a_frame_that_is_done_before_its_offer_ends_is_fed_again(void **state)
{
	struct bench *bench = *state;

	fed = 0;
	feed_error = 0;
	own_work_is_done = true;
	assert_int_equal(
		metal_shm_pool_feed(bench->pool, bench->camera->dev, queue_and_be_overtaken), 0);
	assert_int_equal(fed, 4);
	assert_ptr_equal(fed_last[3], fed_last[2]);
	end_all_work(bench);
}

static struct metal_shm_pool *restarted;

/* Declines the last of three, and the device begins again before it does. */
static void start_anew(struct metal_device *dev, struct metal_generic_shm *shm)
{
	if (fed < 2) {
		queue_idle(dev, shm);
		return;
	}
	assert_int_equal(metal_shm_pool_feed(restarted, dev, NULL), 0);
	assert_int_equal(metal_shm_pool_feed(restarted, dev, queue_idle), 0);
	metal_shm_free(shm, NULL);
}

static void what_an_ended_feeder_declines_is_the_next_ones(void **state)
{
	struct bench *bench = *state;

	fed = 0;
	feed_error = 0;
	restarted = bench->pool;
	assert_int_equal(metal_shm_pool_feed(bench->pool, bench->camera->dev, start_anew), 0);
	assert_int_equal(fed, 3);
	assert_null(metal_shm_pool_get(bench->pool, 0));
	end_all_work(bench);
}

static void a_feeder_is_a_device_of_the_pool(void **state)
{
	struct bench *bench = *state;
	struct fake_importer *other = fake_importer_new("other", METAL_SHM_ACCESS_DMA);

	assert_int_equal(metal_shm_pool_feed(bench->pool, other->dev, queue_idle), -EINVAL);
	assert_non_null(strstr(metal_shm_last_error(), "other is no device of the pool"));
	fake_importer_end(other);
}

static void a_feeder_may_outlive_the_pool(void **state)
{
	struct bench *bench = *state;

	feed_error = 1;
	assert_int_equal(metal_shm_pool_feed(bench->pool, bench->camera->dev, queue_idle), 0);
	metal_shm_pool_destroy(bench->pool);
	assert_int_equal(bench->source->live, 0);
	assert_int_equal(metal_shm_pool_feed(bench->pool, bench->camera->dev, queue_idle), -EINVAL);
	assert_int_equal(metal_shm_pool_feed(bench->pool, bench->camera->dev, NULL), 0);
	assert_int_equal(metal_shm_pool_feed(bench->pool, bench->camera->dev, NULL), -EINVAL);
	bench->pool = NULL;
}

static void a_destroyed_pool_waits_for_its_frames(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm = metal_shm_pool_get(bench->pool, 0);
	struct metal_shm_stats before = { .struct_size = sizeof(before) }, now = before;

	metal_shm_pool_destroy(bench->pool);
	assert_int_equal(bench->source->live, 1);
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ));
	metal_shm_free(shm, NULL);
	assert_int_equal(bench->source->live, 0);
	assert_int_equal(metal_shm_stats(&before), 0);
	metal_shm_pool_destroy(bench->pool);
	assert_int_equal(metal_shm_stats(&now), 0);
	assert_int_equal(now.misuse, before.misuse + 1);
	bench->pool = NULL;
}

static void a_pool_that_fails_halfway_leaves_nothing(void **state)
{
	struct bench *bench = *state;
	struct metal_shm_pool *pool = NULL;

	bench->display->fail_attach = -ENOSPC;
	assert_int_equal(metal_shm_pool_create(10, 4, bench->devs, 3, 0, &pool), -ENOTSUP);
	bench->display->fail_attach = 0;
	bench->source->fail_allocate = -ENOMEM;
	assert_int_equal(metal_shm_pool_create(1000, 4, bench->devs, 3, 0, &pool), -ENOMEM);
	assert_null(pool);
	assert_int_equal(bench->source->live, 3);
}

static void a_pool_of_nothing_is_refused(void **state)
{
	struct bench *bench = *state;
	struct metal_shm_frame frame = { .fourcc = METAL_SHM_FOURCC('X', 'R', '2', '4'),
					 .width = 4,
					 .height = 4 };
	struct metal_shm_pool *pool = NULL;

	assert_int_equal(metal_shm_pool_create(0, 1, bench->devs, 3, 0, &pool), -EINVAL);
	assert_int_equal(metal_shm_pool_create(1, 0, bench->devs, 3, 0, &pool), -EINVAL);
	assert_int_equal(metal_shm_pool_create(1, 65, bench->devs, 3, 0, &pool), -EINVAL);
	assert_int_equal(metal_shm_pool_create(1, 1, NULL, 3, 0, &pool), -EINVAL);
	assert_int_equal(metal_shm_pool_create(1, 1, bench->devs, 3, 1u << 30, &pool), -EINVAL);
	assert_int_equal(metal_shm_pool_create_frames(&frame, bench->devs, 3, 1, &pool), -EINVAL);
	assert_null(metal_shm_pool_get(NULL, 0));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(metal_shm_frame_negotiate(&frame, bench->devs, 3), 0);
	assert_int_equal(metal_shm_pool_create_frames(&frame, bench->devs, 3, 1, &pool), 0);
	assert_memory_equal(metal_shm_pool_frame(pool), &frame, sizeof(frame));
	metal_shm_pool_destroy(pool);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_pools_buffers_are_attached_to_all),
		CASE(an_empty_pool_times_out),
		CASE(a_freed_frame_is_misuse_to_free_again),
		CASE(a_held_frame_comes_back_when_its_work_is_done),
		CASE(a_part_keeps_its_frame_out_of_the_pool),
		CASE(a_waiting_get_wakes_at_a_free),
		CASE(a_wait_ends_when_a_frame_comes_back),
		CASE(a_wait_dispatches_the_pools_devices),
		CASE(an_event_that_brings_nothing_back_ends_no_wait),
		CASE(a_wait_sleeps_once_and_for_its_time),
		CASE(a_wait_ends_at_its_callers_descriptor),
		CASE(idle_frames_feed_a_device),
		CASE(a_feeder_that_takes_nothing_ends_its_turn),
		CASE(a_frame_that_comes_back_while_the_last_is_offered_is_fed),
		CASE(a_frame_that_is_done_before_its_offer_ends_is_fed_again),
		CASE(what_an_ended_feeder_declines_is_the_next_ones),
		CASE(a_feeder_is_a_device_of_the_pool),
		CASE(a_feeder_may_outlive_the_pool),
		CASE(a_destroyed_pool_waits_for_its_frames),
		CASE(a_pool_that_fails_halfway_leaves_nothing),
		CASE(a_pool_of_nothing_is_refused),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
