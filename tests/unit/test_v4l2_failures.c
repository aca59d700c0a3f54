/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames and drivers that fail: nothing is passed on as good, nothing is lost, nobody waits in vain. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <shm/observe.h>

#include "v4l2_bench.h"

static int wait_now(struct bench *b, struct metal_shm_v4l2_info *info)
{
	struct metal_generic_shm *shm = NULL;
	int error;

	*info = (struct metal_shm_v4l2_info){ .struct_size = sizeof(*info) };
	error = metal_shm_v4l2_wait(b->camera, 0, info, &shm);
	if (!error)
		metal_shm_free(shm, NULL);
	else
		assert_null(shm);
	return error;
}

/* The bad frame is queued again: as many good ones as there are buffers follow in any order. */
static void a_bad_frame_is_told_and_queued_again(struct bench *b, uint32_t bytes, uint32_t flags,
						 enum metal_shm_v4l2_error kind)
{
	struct metal_shm_v4l2_info info;
	int bad;

	metal_shm_free(next_frame(b), NULL);
	bad = fake_v4l2_done(bytes, flags);
	assert_int_equal(wait_now(b, &info), -EIO);
	assert_int_equal(info.error, kind);
	assert_int_equal(info.sequence, 1);
	assert_int_equal(info.index, bad);
	assert_int_equal(info.bytes_used, bytes);
	assert_true(b->driver->buffer[bad].queued);
	b->driver->data_offset = 0;
	for (unsigned i = 0; i < FRAMES; i++)
		metal_shm_free(next_frame(b), NULL);
}

static void a_flagged_frame_is_eio(void **state)
{
	a_bad_frame_is_told_and_queued_again(*state, PICTURE, V4L2_BUF_FLAG_ERROR,
					     METAL_SHM_V4L2_FLAGGED);
	assert_reason("damaged");
}

static void a_short_frame_is_eio(void **state)
{
	a_bad_frame_is_told_and_queued_again(*state, PICTURE - 1, 0, METAL_SHM_V4L2_SHORT);
	assert_reason("9999 bytes of 10000");
}

static void an_empty_frame_is_eio(void **state)
{
	a_bad_frame_is_told_and_queued_again(*state, 0, 0, METAL_SHM_V4L2_SHORT);
}

static void a_picture_that_moves_in_the_buffer_is_eio(void **state)
{
	struct bench *b = *state;
	struct metal_shm_v4l2_info info;

	assert_int_equal(tear_down(state), 0);
	b->driver = fake_v4l2_new();
	b->driver->caps = V4L2_CAP_VIDEO_CAPTURE_MPLANE | V4L2_CAP_STREAMING;
	b->driver->late_offset = true;
	bench_open(b);
	bench_start(b);
	metal_shm_free(next_frame(b), NULL);
	b->driver->data_offset = 64;
	assert_true(fake_v4l2_done(PICTURE + 64, 0) >= 0);
	assert_int_equal(wait_now(b, &info), -EIO);
	assert_int_equal(info.error, METAL_SHM_V4L2_MOVED);
	assert_reason("first byte");
}

static void dispatch_keeps_bad_frames_for_wait_in_their_order(void **state)
{
	struct bench *b = *state;
	struct metal_shm_v4l2_info info;

	fake_v4l2_done(PICTURE, 0);
	fake_v4l2_done(PICTURE, V4L2_BUF_FLAG_ERROR);
	fake_v4l2_done(PICTURE, 0);
	assert_int_equal(metal_shm_device_dispatch(b->camera), 0);
	assert_int_equal(wait_now(b, &info), 0);
	assert_int_equal(info.sequence, 0);
	assert_int_equal(wait_now(b, &info), -EIO);
	assert_int_equal(info.sequence, 1);
	assert_int_equal(wait_now(b, &info), 0);
	assert_int_equal(info.sequence, 2);
}

static void bad_frames_that_nobody_asks_about_are_forgotten_good_ones_never(void **state)
{
	struct bench *b = *state;
	struct metal_shm_v4l2_info info;
	unsigned good = 0, bad = 0;
	int error;

	for (unsigned i = 0; i < 100; i++) {
		fake_v4l2_done(PICTURE, V4L2_BUF_FLAG_ERROR);
		assert_int_equal(metal_shm_device_dispatch(b->camera), 0);
	}
	fake_v4l2_done(PICTURE, 0);
	assert_int_equal(metal_shm_device_dispatch(b->camera), 0);
	while ((error = wait_now(b, &info)) != -ETIMEDOUT) {
		good += !error;
		bad += error == -EIO;
	}
	assert_int_equal(good, 1);
	assert_int_equal(bad, 32);
}

static void a_frame_that_cannot_be_queued_again_is_told_and_tried_again(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm = next_frame(b);
	struct metal_shm_v4l2_info info;

	b->driver->fail = VIDIOC_QBUF;
	b->driver->error = ENOMEM;
	metal_shm_free(shm, NULL);
	assert_int_equal(wait_now(b, &info), -EIO);
	assert_int_equal(info.error, METAL_SHM_V4L2_NOT_QUEUED);
	assert_reason("could not queue a frame again");
	assert_int_equal(wait_now(b, &info), -ETIMEDOUT);
	for (unsigned i = 0; i < FRAMES; i++)
		assert_true(fake_v4l2_done(PICTURE, 0) >= 0);
}

static void a_bad_frame_that_cannot_be_queued_again_is_tried_again(void **state)
{
	struct bench *b = *state;
	struct metal_shm_v4l2_info info;

	fake_v4l2_done(PICTURE, V4L2_BUF_FLAG_ERROR);
	b->driver->fail = VIDIOC_QBUF;
	b->driver->error = ENOMEM;
	assert_int_equal(wait_now(b, &info), -EIO);
	assert_int_equal(info.error, METAL_SHM_V4L2_FLAGGED);
	assert_int_equal(wait_now(b, &info), -EIO);
	assert_int_equal(info.error, METAL_SHM_V4L2_NOT_QUEUED);
	for (unsigned i = 0; i < FRAMES; i++)
		assert_true(fake_v4l2_done(PICTURE, 0) >= 0);
}

static void stop_frees_what_could_not_be_queued(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm = next_frame(b);

	b->driver->fail = VIDIOC_QBUF;
	b->driver->error = ENOMEM;
	metal_shm_free(shm, NULL);
	/* tear_down: all frames are in the pool */
}

static void an_unplugged_device_is_enodev(void **state)
{
	struct bench *b = *state;
	struct metal_shm_v4l2_info info;
	struct metal_generic_shm *shm;

	fake_v4l2_unplug();
	assert_int_equal(metal_shm_v4l2_wait(b->camera, METAL_SHM_FOREVER, NULL, &shm), -ENODEV);
	assert_int_equal(wait_now(b, &info), -ENODEV);
	assert_int_equal(metal_shm_device_dispatch(b->camera), -ENODEV);
	all_frames_are_in_the_pool(b);
}

static void frames_done_before_the_unplugging_are_answered(void **state)
{
	struct bench *b = *state;
	struct metal_shm_v4l2_info info;

	fake_v4l2_done(PICTURE, 0);
	assert_int_equal(metal_shm_device_dispatch(b->camera), 0);
	fake_v4l2_unplug();
	assert_int_equal(wait_now(b, &info), 0);
	assert_int_equal(wait_now(b, &info), -ENODEV);
}

static void who_waits_for_a_frame_of_an_unplugged_camera_is_told(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm = next_frame(b);

	assert_int_equal(metal_shm_v4l2_queue(b->camera, shm), 0);
	fake_v4l2_unplug();
	assert_int_equal(metal_shm_sync_for_cpu(shm, RW), -ENODEV);
	assert_reason("v4l2:");
	assert_int_equal(metal_shm_v4l2_queue(b->camera, shm), -ENODEV);
	metal_shm_free(shm, NULL);
}

static void a_frame_given_back_to_an_unplugged_camera_stays_in_the_pool(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm = next_frame(b);
	struct metal_shm_v4l2_info info;

	fake_v4l2_unplug();
	metal_shm_free(shm, NULL);
	assert_int_equal(wait_now(b, &info), -ENODEV);
	all_frames_are_in_the_pool(b);
}

/* A driver that is gone answers REQBUFS(0) with ENODEV and keeps the memory until its file is closed. */
static void stopping_an_unplugged_camera_closes_its_file(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm;
	char link[64] = "", path[64];
	unsigned calls;
	int fd = metal_shm_v4l2_fd(b->camera);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fake_v4l2_unplug();
	assert_int_equal(metal_shm_v4l2_wait(b->camera, METAL_SHM_FOREVER, NULL, &shm), -ENODEV);
	assert_true(readlink(path, link, sizeof(link) - 1) > 0);
	assert_string_not_equal(link, "/dev/null");
	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	memset(link, 0, sizeof(link));
	assert_true(readlink(path, link, sizeof(link) - 1) > 0);
	assert_string_equal(link, "/dev/null");
	assert_int_equal(metal_shm_v4l2_fd(b->camera), fd);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	calls = b->driver->calls;
	assert_int_equal(metal_shm_v4l2_start(b->camera, b->pool), -ENODEV);
	assert_int_equal(b->driver->calls, calls);
}

static void a_broken_queue_is_eio_until_it_starts_again(void **state)
{
	struct bench *b = *state;
	struct metal_shm_v4l2_info info;

	b->driver->fail = VIDIOC_DQBUF;
	b->driver->error = EIO;
	assert_int_equal(wait_now(b, &info), -EIO);
	assert_int_equal(info.error, METAL_SHM_V4L2_BROKEN);
	assert_reason("stop it and start again");
	assert_false(b->driver->streaming);
	assert_int_equal(wait_now(b, &info), -EIO);
	assert_int_equal(info.error, METAL_SHM_V4L2_BROKEN);
	all_frames_are_in_the_pool(b);
	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	bench_start(b);
	metal_shm_free(next_frame(b), NULL);
}

/* An output's pool feeds nothing, so nothing else would notice before the first frame. */
static void an_output_refuses_a_pool_made_for_others(void **state)
{
	struct bench *b = *state;
	struct metal_shm_frame frame;
	struct metal_shm_pool *others;
	struct metal_generic_shm *shm, *view;
	struct metal_device *memory;

	assert_int_equal(tear_down(state), 0);
	b->driver = fake_v4l2_new();
	b->driver->caps = V4L2_CAP_VIDEO_OUTPUT | V4L2_CAP_STREAMING;
	bench_open(b);
	frame = *metal_shm_pool_frame(b->pool);
	memory = fake_v4l2_memory();
	assert_int_equal(metal_shm_pool_create_frames(&frame, &memory, 1, 1, &others), 0);
	assert_int_equal(metal_shm_v4l2_start(b->camera, others), -EINVAL);
	assert_reason("no frame of this pool");
	assert_string_equal(b->driver->log, "");
	/* one that the program attached can be queued */
	shm = metal_shm_pool_get(others, 0);
	view = metal_shm_attach(shm, b->camera);
	assert_int_equal(metal_shm_v4l2_start(b->camera, others), 0);
	assert_int_equal(metal_shm_v4l2_queue(b->camera, shm), 0);
	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	metal_shm_detach(view, b->camera);
	metal_shm_free(shm, NULL);
	metal_shm_pool_destroy(others);
	metal_shm_device_close(memory);
}

static void a_codecs_last_frame_is_followed_by_epipe(void **state)
{
	struct bench *b = *state;
	struct metal_shm_v4l2_info info;

	b->driver->fail = VIDIOC_DQBUF;
	b->driver->error = EPIPE;
	assert_int_equal(wait_now(b, &info), -EPIPE);
}

static void an_index_that_nobody_queued_is_not_believed(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm = next_frame(b);
	struct metal_shm_v4l2_info info;
	uint32_t index;

	assert_int_equal(metal_shm_v4l2_index(b->camera, shm, &index), 0);
	fake_v4l2_answer(index);
	assert_int_equal(wait_now(b, &info), -EPROTO);
	metal_shm_free(shm, NULL);
}

static void stop_tells_that_a_call_failed_and_ends_all_the_same(void **state)
{
	struct bench *b = *state;

	b->driver->fail = VIDIOC_STREAMOFF;
	b->driver->error = EINVAL;
	assert_int_equal(metal_shm_v4l2_stop(b->camera), -EINVAL);
	assert_reason("VIDIOC_STREAMOFF");
	all_frames_are_in_the_pool(b);
	bench_start(b);
	b->driver->fail = VIDIOC_REQBUFS;
	b->driver->error = EBUSY;
	assert_int_equal(metal_shm_v4l2_stop(b->camera), -EBUSY);
	assert_reason("VIDIOC_REQBUFS");
}

/* Whatever call fails, each frame is in the pool after the stop: tear_down looks. */
static void any_call_may_fail_at_any_time(void **state)
{
	static const int errors[] = { EINVAL, EIO, ENODEV, EFAULT, EBUSY };
	struct bench *b = *state;
	struct metal_shm_v4l2_info info;

	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	for (size_t e = 0; e < SHM_TEST_COUNT(errors); e++) {
		for (int nth = 1; nth < 30; nth++) {
			b->driver->error = errors[e];
			b->driver->fail_nth = nth;
			if (!metal_shm_v4l2_start(b->camera, b->pool)) {
				for (unsigned i = 0; i < 5; i++) {
					fake_v4l2_done(PICTURE, i == 2 ? V4L2_BUF_FLAG_ERROR : 0);
					wait_now(b, &info);
				}
			}
			metal_shm_v4l2_stop(b->camera);
			b->driver->fail_nth = 0;
			all_frames_are_in_the_pool(b);
		}
	}
	bench_start(b);
	metal_shm_free(next_frame(b), NULL);
}

/* As above, with a device that is opened and a memory that is tried: the harness counts leaks. */
static void any_call_may_fail_while_a_pool_is_made(void **state)
{
	struct fake_v4l2 *driver;
	struct metal_device *camera, *devs[2];
	struct metal_shm_pool *pool;

	(void)state;
	for (int nth = 1; nth < 30; nth++) {
		struct metal_shm_frame frame = { .fourcc = METAL_SHM_FOURCC('Y', 'U', 'Y', 'V'),
						 .width = 100,
						 .height = 50 };

		driver = fake_v4l2_new();
		driver->error = EINVAL;
		driver->fail_nth = nth;
		if (fake_v4l2_open(&camera))
			continue;
		devs[0] = camera;
		devs[1] = fake_v4l2_memory();
		if (!metal_shm_frame_negotiate(&frame, devs, 1) &&
		    !metal_shm_pool_create_frames(&frame, devs, 2, FRAMES, &pool))
			metal_shm_pool_destroy(pool);
		metal_shm_device_close(devs[1]);
		metal_shm_device_close(camera);
	}
}

int main(int argc, char **argv)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		CASE(a_flagged_frame_is_eio),
		CASE(a_short_frame_is_eio),
		CASE(an_empty_frame_is_eio),
		CASE(a_picture_that_moves_in_the_buffer_is_eio),
		CASE(dispatch_keeps_bad_frames_for_wait_in_their_order),
		CASE(bad_frames_that_nobody_asks_about_are_forgotten_good_ones_never),
		CASE(a_frame_that_cannot_be_queued_again_is_told_and_tried_again),
		CASE(a_bad_frame_that_cannot_be_queued_again_is_tried_again),
		CASE(stop_frees_what_could_not_be_queued),
		CASE(an_unplugged_device_is_enodev),
		CASE(frames_done_before_the_unplugging_are_answered),
		CASE(who_waits_for_a_frame_of_an_unplugged_camera_is_told),
		CASE(a_frame_given_back_to_an_unplugged_camera_stays_in_the_pool),
		CASE(stopping_an_unplugged_camera_closes_its_file),
		CASE(a_broken_queue_is_eio_until_it_starts_again),
		CASE(an_output_refuses_a_pool_made_for_others),
		CASE(a_codecs_last_frame_is_followed_by_epipe),
		CASE(an_index_that_nobody_queued_is_not_believed),
		CASE(stop_tells_that_a_call_failed_and_ends_all_the_same),
		CASE(any_call_may_fail_at_any_time),
		cmocka_unit_test(any_call_may_fail_while_a_pool_is_made),
	};

	fake_v4l2_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
