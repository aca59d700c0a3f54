/* SPDX-License-Identifier: BSD-3-Clause */
/* What vivid can be told to do wrong: damaged frames, refused calls, a broken queue, being unplugged. */
#include <poll.h>
#include <pthread.h>

#include "v4l2_board.h"

static int begin(void **state, const char *node)
{
	static struct camera c;

	camera_open(&c, node);
	camera_pool(&c, YUYV, "heap:system");
	*state = &c;
	return 0;
}

static int set_up_single(void **state)
{
	return begin(state, "vivid-000-vid-cap");
}

static int set_up_multi(void **state)
{
	return begin(state, "vivid-001-vid-cap");
}

static int tear_down(void **state)
{
	camera_close(*state);
	return 0;
}

/* The answer of the first wait that isn't a good frame. */
static int first_error(struct camera *c, struct metal_shm_v4l2_info *info)
{
	struct metal_generic_shm *shm = NULL;
	int error = 0;

	for (unsigned i = 0; i < 50 && !error; i++) {
		*info = (struct metal_shm_v4l2_info){ .struct_size = sizeof(*info) };
		error = metal_shm_v4l2_wait(c->dev, 5 * SECOND, info, &shm);
		if (!error)
			metal_shm_free(shm, NULL);
	}
	return error;
}

/* Frames of every buffer come, so none was lost. */
static void every_buffer_takes_part(struct camera *c)
{
	struct metal_shm_v4l2_info info;
	unsigned seen = 0;

	for (unsigned i = 0; i < 4 * FRAMES; i++) {
		metal_shm_free(camera_next(c, &info), NULL);
		seen |= 1u << info.index;
	}
	assert_int_equal(seen, (1u << FRAMES) - 1);
}

static void a_flagged_frame_is_eio_and_queued_again(void **state)
{
	struct camera *c = *state;
	struct metal_shm_v4l2_info info;

	ok(metal_shm_v4l2_start(c->dev, c->pool));
	for (unsigned i = 0; i < 5; i++) {
		set_control(c->dev, "Inject V4L2_BUF_FLAG_ERROR", 1);
		assert_int_equal(first_error(c, &info), -EIO);
		assert_int_equal(info.error, METAL_SHM_V4L2_FLAGGED);
		assert_true(info.flags & V4L2_BUF_FLAG_ERROR);
		assert_reason("damaged");
	}
	every_buffer_takes_part(c);
}

static void a_refused_reqbufs_fails_the_start(void **state)
{
	struct camera *c = *state;

	set_control(c->dev, "Inject VIDIOC_REQBUFS Error", 1);
	assert_int_equal(metal_shm_v4l2_start(c->dev, c->pool), -EINVAL);
	assert_reason("VIDIOC_REQBUFS");
	all_frames_are_in_the_pool(c);
	ok(metal_shm_v4l2_start(c->dev, c->pool));
	every_buffer_takes_part(c);
}

static void a_refused_qbuf_fails_the_start(void **state)
{
	struct camera *c = *state;

	set_control(c->dev, "Inject VIDIOC_QBUF Error", 1);
	assert_int_equal(metal_shm_v4l2_start(c->dev, c->pool), -EINVAL);
	assert_reason("VIDIOC_QBUF");
	all_frames_are_in_the_pool(c);
	ok(metal_shm_v4l2_start(c->dev, c->pool));
	every_buffer_takes_part(c);
}

static void a_refused_streamon_fails_the_start(void **state)
{
	struct camera *c = *state;

	set_control(c->dev, "Inject VIDIOC_STREAMON Error", 1);
	assert_int_equal(metal_shm_v4l2_start(c->dev, c->pool), -EINVAL);
	assert_reason("VIDIOC_STREAMON");
	all_frames_are_in_the_pool(c);
	ok(metal_shm_v4l2_start(c->dev, c->pool));
	every_buffer_takes_part(c);
}

static void a_frame_that_is_not_taken_back_is_told_and_tried_again(void **state)
{
	struct camera *c = *state;
	struct metal_shm_v4l2_info info;
	struct metal_generic_shm *shm;

	ok(metal_shm_v4l2_start(c->dev, c->pool));
	shm = camera_next(c, &info);
	set_control(c->dev, "Inject VIDIOC_QBUF Error", 1);
	metal_shm_free(shm, NULL);
	assert_int_equal(first_error(c, &info), -EIO);
	assert_int_equal(info.error, METAL_SHM_V4L2_NOT_QUEUED);
	every_buffer_takes_part(c);
}

static void a_broken_queue_streams_after_a_new_start(void **state)
{
	struct camera *c = *state;
	struct metal_shm_v4l2_info info;

	ok(metal_shm_v4l2_start(c->dev, c->pool));
	metal_shm_free(camera_next(c, &info), NULL);
	set_control(c->dev, "Inject Fatal Streaming Error", 1);
	assert_int_equal(first_error(c, &info), -EIO);
	assert_int_equal(info.error, METAL_SHM_V4L2_BROKEN);
	all_frames_are_in_the_pool(c);
	ok(metal_shm_v4l2_stop(c->dev));
	ok(metal_shm_v4l2_start(c->dev, c->pool));
	every_buffer_takes_part(c);
}

static void dropped_frames_leave_gaps_in_the_sequence(void **state)
{
	struct camera *c = *state;
	struct metal_shm_v4l2_info info;
	uint32_t first;

	set_control(c->dev, "Percentage of Dropped Buffers", 50);
	ok(metal_shm_v4l2_start(c->dev, c->pool));
	metal_shm_free(camera_next(c, &info), NULL);
	first = info.sequence;
	for (unsigned i = 0; i < 20; i++)
		metal_shm_free(camera_next(c, &info), NULL);
	assert_true(info.sequence > first + 20);
	set_control(c->dev, "Percentage of Dropped Buffers", 0);
}

static long dmabufs(void)
{
	FILE *info = fopen("/sys/kernel/debug/dma_buf/bufinfo", "re");
	char line[256];
	long n = -1;

	assert_non_null(info);
	while (fgets(line, sizeof(line), info))
		sscanf(line, "Total %ld objects", &n);
	fclose(info);
	return n;
}

static void an_unplugged_camera_is_enodev_and_a_clean_end(void **state)
{
	struct camera *c = *state;
	struct metal_generic_shm *taken, *none = NULL;
	struct metal_shm_v4l2_info info;

	ok(metal_shm_v4l2_start(c->dev, c->pool));
	taken = camera_next(c, &info);
	set_control(c->dev, "Disconnect", 1);
	assert_int_equal(first_error(c, &info), -ENODEV);
	assert_int_equal(metal_shm_v4l2_wait(c->dev, 0, NULL, &none), -ENODEV);
	assert_int_equal(metal_shm_v4l2_queue(c->dev, taken), -ENODEV);
	assert_int_equal(metal_shm_device_dispatch(c->dev), -ENODEV);
	metal_shm_free(taken, NULL);
	all_frames_are_in_the_pool(c);
	assert_int_equal(metal_shm_v4l2_stop(c->dev), 0);
	assert_int_not_equal(metal_shm_v4l2_start(c->dev, c->pool), 0);
	assert_reason("No such device");
	/* the driver has let go of the frames, with the device still open */
	camera_drop_pool(c);
	assert_int_equal(dmabufs(), 0);
}

static void *wait_for_frames(void *data)
{
	struct camera *c = data;
	struct metal_shm_v4l2_info info;

	return (void *)(intptr_t)first_error(c, &info);
}

static void unplugging_wakes_who_waits(void **state)
{
	struct camera *c = *state;
	struct metal_shm_v4l2_info info;
	struct metal_generic_shm *shm;
	pthread_t thread;
	void *error;

	ok(metal_shm_v4l2_start(c->dev, c->pool));
	shm = camera_next(c, &info);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_frames, c), 0);
	usleep(100000);
	set_control(c->dev, "Disconnect", 1);
	pthread_join(thread, &error);
	assert_int_equal((intptr_t)error, -ENODEV);
	metal_shm_free(shm, NULL);
}

static void who_waits_for_a_frame_of_an_unplugged_camera_is_told(void **state)
{
	struct camera *c = *state;
	struct metal_shm_v4l2_info info;
	struct metal_generic_shm *shm;
	int error = 0;

	ok(metal_shm_v4l2_start(c->dev, c->pool));
	shm = camera_next(c, &info);
	for (unsigned i = 0; i < 50 && !error; i++) {
		/* another frame may come before: then this one was the camera's rightly */
		error = metal_shm_v4l2_queue(c->dev, shm);
		if (!error && !i)
			set_control(c->dev, "Disconnect", 1);
		if (!error)
			error = metal_shm_sync_for_cpu_timeout(shm, RW, 5 * SECOND);
	}
	assert_int_equal(error, -ENODEV);
	metal_shm_free(shm, NULL);
}

static void a_camera_that_was_plugged_in_again_streams(void **state)
{
	struct camera *c = *state;

	/* the cases before unplugged it; the last close plugged it in */
	ok(metal_shm_v4l2_start(c->dev, c->pool));
	every_buffer_takes_part(c);
}

static void a_loop_that_polls_and_dispatches_gets_each_frame(void **state)
{
	struct camera *c = *state;
	struct pollfd fd = { .fd = metal_shm_device_poll_fd(c->dev), .events = POLLIN };
	struct metal_shm_v4l2_info info = { .struct_size = sizeof(info) };
	struct metal_generic_shm *shm;
	unsigned frames = 0;

	/* polled before the start, which must not make the driver start its read() mode */
	assert_int_equal(poll(&fd, 1, 50), 0);
	ok(metal_shm_v4l2_start(c->dev, c->pool));
	while (frames < 10) {
		assert_int_equal(poll(&fd, 1, 5000), 1);
		ok(metal_shm_device_dispatch(c->dev));
		while (!metal_shm_v4l2_wait(c->dev, 0, &info, &shm)) {
			frames++;
			metal_shm_free(shm, NULL);
		}
	}
}

static void another_program_that_streams_is_ebusy(void **state)
{
	struct camera *c = *state, other;

	camera_open(&other, "vivid-000-vid-cap");
	camera_pool(&other, YUYV, "heap:system");
	ok(metal_shm_v4l2_start(other.dev, other.pool));
	assert_int_equal(metal_shm_v4l2_start(c->dev, c->pool), -EBUSY);
	camera_close(&other);
	ok(metal_shm_v4l2_start(c->dev, c->pool));
}

static void a_pool_of_other_devices_is_refused(void **state)
{
	struct camera *c = *state, other;

	camera_open(&other, "vivid-001-vid-cap");
	camera_pool(&other, YUYV, "heap:system");
	assert_int_equal(metal_shm_v4l2_start(c->dev, other.pool), -EINVAL);
	camera_close(&other);
}

int main(int argc, char **argv)
{
#define SINGLE(f) cmocka_unit_test_setup_teardown(f, set_up_single, tear_down)
#define BOTH(f)                                                      \
	{ #f "_single_planar", f, set_up_single, tear_down, NULL },  \
	{                                                            \
#f "_multi_planar", f, set_up_multi, tear_down, NULL \
	}
	static const struct CMUnitTest tests[] = {
		BOTH(a_flagged_frame_is_eio_and_queued_again),
		BOTH(a_refused_reqbufs_fails_the_start),
		BOTH(a_refused_qbuf_fails_the_start),
		BOTH(a_refused_streamon_fails_the_start),
		BOTH(a_frame_that_is_not_taken_back_is_told_and_tried_again),
		BOTH(a_broken_queue_streams_after_a_new_start),
		SINGLE(dropped_frames_leave_gaps_in_the_sequence),
		BOTH(an_unplugged_camera_is_enodev_and_a_clean_end),
		SINGLE(unplugging_wakes_who_waits),
		SINGLE(who_waits_for_a_frame_of_an_unplugged_camera_is_told),
		BOTH(a_camera_that_was_plugged_in_again_streams),
		BOTH(a_loop_that_polls_and_dispatches_gets_each_frame),
		SINGLE(another_program_that_streams_is_ebusy),
		SINGLE(a_pool_of_other_devices_is_refused),
	};

	warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
