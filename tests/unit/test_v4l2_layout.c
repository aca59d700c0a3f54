/* SPDX-License-Identifier: BSD-3-Clause */
/* What a V4L2 driver says of formats becomes constraints, refusals and a checked format at the start. */
#include <errno.h>
#include <string.h>

#include "fake_v4l2.h"
#include "shm_test.h"

#define XR24 METAL_SHM_FOURCC('X', 'R', '2', '4')
#define YUYV METAL_SHM_FOURCC('Y', 'U', 'Y', 'V')
#define NV12 METAL_SHM_FOURCC('N', 'V', '1', '2')
#define RG24 METAL_SHM_FOURCC('R', 'G', '2', '4')

#define assert_reason(word)                                                            \
	do {                                                                           \
		if (!strstr(metal_shm_last_error(), word))                             \
			fail_msg("'%s' is not in '%s'", word, metal_shm_last_error()); \
	} while (0)

static struct fake_v4l2 *driver;
static struct metal_device *camera;

static int set_up(void **state)
{
	(void)state;
	driver = fake_v4l2_new();
	return 0;
}

static void open_camera(void)
{
	if (fake_v4l2_open(&camera))
		fail_msg("open: %s", metal_shm_last_error());
}

static int negotiate(uint32_t fourcc, struct metal_shm_frame *frame)
{
	*frame = (struct metal_shm_frame){ .fourcc = fourcc, .width = 100, .height = 50 };
	return metal_shm_frame_negotiate(frame, &camera, 1);
}

static void refuse_format(uint32_t fourcc, const char *word)
{
	struct metal_shm_frame frame;

	open_camera();
	assert_int_equal(negotiate(fourcc, &frame), -ENOTSUP);
	assert_reason(word);
	metal_shm_device_close(camera);
}

static int make_pool(const struct metal_shm_frame *frame, unsigned count,
		     struct metal_shm_pool **ret_pool)
{
	struct metal_device *devs[] = { fake_v4l2_memory(), camera };
	int error = metal_shm_pool_create_frames(frame, devs, 2, count, ret_pool);

	metal_shm_device_close(devs[0]);
	return error;
}

/* A start that is refused leaves the pool whole and the device closed without complaint. */
static void refuse_start(const struct metal_shm_frame *frame, unsigned count, int error,
			 const char *word)
{
	struct metal_generic_shm *shm[8];
	struct metal_shm_pool *pool;

	assert_int_equal(make_pool(frame, count, &pool), 0);
	driver->log[0] = '\0';
	assert_int_equal(metal_shm_v4l2_start(camera, pool), -error);
	assert_reason(word);
	assert_false(driver->streaming);
	assert_int_equal(driver->buffers, 0);
	for (unsigned i = 0; i < count; i++)
		assert_non_null(shm[i] = metal_shm_pool_get(pool, 0));
	for (unsigned i = 0; i < count; i++)
		metal_shm_free(shm[i], NULL);
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(camera);
}

static void a_format_that_is_not_offered_is_refused_with_those_that_are(void **state)
{
	(void)state;
	refuse_format(RG24, "it offers YUYV XR24 NV12");
}

static void unknown_formats_of_the_driver_are_counted(void **state)
{
	(void)state;
	driver->formats[3] = V4L2_PIX_FMT_MJPEG;
	refuse_format(RG24, "and 1 formats that libshm doesn't know");
}

static void a_format_in_several_memories_is_refused_with_the_reason(void **state)
{
	(void)state;
	driver->formats[2] = V4L2_PIX_FMT_NV12M;
	refuse_format(NV12, "only with a memory for each plane");
}

static void a_size_that_is_adjusted_is_refused_with_the_nearest(void **state)
{
	(void)state;
	driver->width = 96;
	driver->height = 48;
	refuse_format(YUYV, "no 100x50 in YUYV; the nearest is 96x48");
}

static void fields_instead_of_frames_are_refused(void **state)
{
	(void)state;
	driver->field = V4L2_FIELD_ALTERNATE;
	refuse_format(YUYV, "fields");
}

static void frames_of_two_memories_are_refused(void **state)
{
	(void)state;
	driver->caps = V4L2_CAP_VIDEO_CAPTURE_MPLANE | V4L2_CAP_STREAMING;
	driver->planes = 2;
	refuse_format(NV12, "2 memories");
}

static void a_driver_that_takes_any_stride_is_asked_for_none(void **state)
{
	struct metal_shm_frame frame;

	(void)state;
	open_camera();
	assert_int_equal(negotiate(XR24, &frame), 0);
	assert_int_equal(frame.plane[0].stride, 400);
	frame = (struct metal_shm_frame){ .fourcc = XR24, .width = 100, .height = 50 };
	frame.plane[0].stride = 500;
	assert_int_equal(metal_shm_frame_negotiate(&frame, &camera, 1), 0);
	assert_int_equal(frame.plane[0].stride, 500);
	metal_shm_device_close(camera);
}

static void an_alignment_of_strides_is_found_out(void **state)
{
	struct metal_shm_frame frame;

	(void)state;
	driver->alignment = 64;
	open_camera();
	assert_int_equal(negotiate(XR24, &frame), 0);
	assert_int_equal(frame.plane[0].stride, 448);
	frame = (struct metal_shm_frame){ .fourcc = XR24, .width = 100, .height = 50 };
	frame.plane[0].stride = 449;
	assert_int_equal(metal_shm_frame_negotiate(&frame, &camera, 1), 0);
	assert_int_equal(frame.plane[0].stride, 512);
	metal_shm_device_close(camera);
}

static void a_fixed_stride_is_refused_to_those_who_want_another(void **state)
{
	struct metal_shm_frame frame;

	(void)state;
	driver->alignment = 0;
	open_camera();
	assert_int_equal(negotiate(XR24, &frame), 0);
	frame = (struct metal_shm_frame){ .fourcc = XR24, .width = 100, .height = 50 };
	frame.plane[0].stride = 512;
	assert_int_equal(metal_shm_frame_negotiate(&frame, &camera, 1), -ENOTSUP);
	assert_reason("stride =400");
	metal_shm_device_close(camera);
}

static void bytes_beyond_the_picture_are_part_of_the_frame(void **state)
{
	struct metal_shm_frame frame;

	(void)state;
	driver->padding = 1000;
	open_camera();
	assert_int_equal(negotiate(NV12, &frame), 0);
	assert_int_equal(frame.size, 100 * 50 * 3 / 2 + 1000);
	metal_shm_device_close(camera);
}

static void planes_follow_one_another(void **state)
{
	struct metal_shm_frame frame;

	(void)state;
	driver->alignment = 32;
	open_camera();
	assert_int_equal(negotiate(NV12, &frame), 0);
	assert_int_equal(frame.plane_count, 2);
	assert_int_equal(frame.plane[1].stride, 128);
	assert_int_equal(frame.plane[1].offset, 128 * 50);
	metal_shm_device_close(camera);
}

static void a_trial_refuses_a_stride_that_the_driver_changes(void **state)
{
	struct metal_shm_frame frame;
	struct metal_shm_pool *pool;

	(void)state;
	open_camera();
	assert_int_equal(negotiate(XR24, &frame), 0);
	driver->stride = 512;
	assert_int_equal(make_pool(&frame, 2, &pool), -ENOTSUP);
	assert_reason("wants a stride of 512");
	metal_shm_device_close(camera);
}

static void start_refuses_a_format_that_the_device_has_no_more(void **state)
{
	struct metal_shm_frame frame;
	struct metal_shm_pool *pool;

	(void)state;
	open_camera();
	assert_int_equal(negotiate(XR24, &frame), 0);
	assert_int_equal(make_pool(&frame, 2, &pool), 0);
	driver->width = 64;
	assert_int_equal(metal_shm_v4l2_start(camera, pool), -ENOTSUP);
	assert_reason("no 100x50 in XR24");
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(camera);
}

static void start_refuses_more_buffers_than_the_driver_takes(void **state)
{
	struct metal_shm_frame frame;

	(void)state;
	driver->most_buffers = 3;
	open_camera();
	assert_int_equal(negotiate(XR24, &frame), 0);
	refuse_start(&frame, 4, ENOSPC, "takes 3 buffers");
}

static void start_refuses_fewer_buffers_than_the_driver_needs(void **state)
{
	struct metal_shm_frame frame;

	(void)state;
	driver->least_buffers = 3;
	open_camera();
	assert_int_equal(negotiate(XR24, &frame), 0);
	refuse_start(&frame, 2, ENOTSUP, "3 buffers at least");
}

static void start_says_which_call_failed(void **state)
{
	static const struct {
		unsigned long request;
		const char *name;
	} calls[] = {
		{ VIDIOC_S_FMT, "VIDIOC_S_FMT" },
		{ VIDIOC_REQBUFS, "VIDIOC_REQBUFS" },
		{ VIDIOC_QBUF, "VIDIOC_QBUF" },
		{ VIDIOC_STREAMON, "VIDIOC_STREAMON" },
	};
	struct metal_shm_frame frame;
	struct metal_shm_pool *pool;

	(void)state;
	open_camera();
	assert_int_equal(negotiate(XR24, &frame), 0);
	assert_int_equal(make_pool(&frame, 2, &pool), 0);
	for (size_t i = 0; i < SHM_TEST_COUNT(calls); i++) {
		driver->fail = calls[i].request;
		driver->error = ENOMEM;
		assert_int_equal(metal_shm_v4l2_start(camera, pool), -ENOMEM);
		assert_reason(calls[i].name);
		assert_false(driver->streaming);
		assert_int_equal(driver->buffers, 0);
	}
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(camera);
}

static void a_picture_at_another_byte_is_refused_before_a_pool_is_made(void **state)
{
	struct metal_shm_frame frame;
	struct metal_shm_pool *pool;

	(void)state;
	driver->caps = V4L2_CAP_VIDEO_CAPTURE_MPLANE | V4L2_CAP_STREAMING;
	driver->data_offset = 128;
	open_camera();
	assert_int_equal(negotiate(YUYV, &frame), 0);
	assert_int_equal(make_pool(&frame, 2, &pool), -ENOTSUP);
	assert_reason("at byte 128");
	metal_shm_device_close(camera);
}

static void the_interval_is_set_after_the_format(void **state)
{
	struct metal_shm_frame frame;
	struct metal_shm_pool *pool;

	(void)state;
	open_camera();
	assert_int_equal(metal_shm_v4l2_set_interval(camera, 0, 25), -EINVAL);
	assert_int_equal(metal_shm_v4l2_set_interval(camera, 1, 25), 0);
	assert_int_equal(negotiate(XR24, &frame), 0);
	assert_int_equal(make_pool(&frame, 2, &pool), 0);
	driver->log[0] = '\0';
	assert_int_equal(metal_shm_v4l2_start(camera, pool), 0);
	assert_string_equal(driver->log, "FPR2QQ+");
	assert_int_equal(metal_shm_v4l2_set_interval(camera, 1, 5), -EBUSY);
	metal_shm_device_close(camera);
	metal_shm_pool_destroy(pool);
}

static void a_trial_streams_and_puts_the_format_back(void **state)
{
	struct metal_shm_frame frame;
	struct metal_shm_pool *pool;

	(void)state;
	driver->format.fmt.pix.width = 77;
	open_camera();
	assert_int_equal(negotiate(XR24, &frame), 0);
	driver->log[0] = '\0';
	assert_int_equal(make_pool(&frame, 2, &pool), 0);
	assert_string_equal(driver->log, "FR1Q+-R0FP");
	assert_int_equal(driver->format.fmt.pix.width, 77);
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(camera);
}

static void memory_that_promises_nothing_is_mapped_when_it_is_attached(void **state)
{
	struct metal_device *memory = fake_v4l2_memory();
	struct metal_generic_shm *shm, *view;

	(void)state;
	driver->contiguous = METAL_SHM_UNKNOWN;
	open_camera();
	shm = metal_shm_allocate(4096, memory, 0);
	view = metal_shm_attach(shm, camera);
	assert_non_null(view);
	assert_string_equal(driver->log, "R1Q-R0FP");
	assert_int_equal(driver->buffers, 0);
	metal_shm_detach(view, camera);
	driver->fail = VIDIOC_QBUF;
	driver->error = EFAULT;
	assert_null(metal_shm_attach(shm, camera));
	assert_int_equal(errno, ENOTSUP);
	assert_reason("EFAULT");
	assert_int_equal(driver->buffers, 0);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(memory);
	metal_shm_device_close(camera);
}

static void a_device_that_is_busy_takes_any_memory_for_now(void **state)
{
	struct metal_device *memory = fake_v4l2_memory();
	struct metal_generic_shm *shm, *view;

	(void)state;
	driver->contiguous = METAL_SHM_UNKNOWN;
	open_camera();
	shm = metal_shm_allocate(4096, memory, 0);
	driver->fail = VIDIOC_REQBUFS;
	driver->error = EBUSY;
	view = metal_shm_attach(shm, camera);
	assert_non_null(view);
	metal_shm_detach(view, camera);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(memory);
	metal_shm_device_close(camera);
}

int main(int argc, char **argv)
{
#define CASE(f) cmocka_unit_test_setup(f, set_up)
	static const struct CMUnitTest tests[] = {
		CASE(a_format_that_is_not_offered_is_refused_with_those_that_are),
		CASE(unknown_formats_of_the_driver_are_counted),
		CASE(a_format_in_several_memories_is_refused_with_the_reason),
		CASE(a_size_that_is_adjusted_is_refused_with_the_nearest),
		CASE(fields_instead_of_frames_are_refused),
		CASE(frames_of_two_memories_are_refused),
		CASE(a_driver_that_takes_any_stride_is_asked_for_none),
		CASE(an_alignment_of_strides_is_found_out),
		CASE(a_fixed_stride_is_refused_to_those_who_want_another),
		CASE(bytes_beyond_the_picture_are_part_of_the_frame),
		CASE(planes_follow_one_another),
		CASE(a_trial_refuses_a_stride_that_the_driver_changes),
		CASE(start_refuses_a_format_that_the_device_has_no_more),
		CASE(start_refuses_more_buffers_than_the_driver_takes),
		CASE(start_refuses_fewer_buffers_than_the_driver_needs),
		CASE(start_says_which_call_failed),
		CASE(a_picture_at_another_byte_is_refused_before_a_pool_is_made),
		CASE(the_interval_is_set_after_the_format),
		CASE(a_trial_streams_and_puts_the_format_back),
		CASE(memory_that_promises_nothing_is_mapped_when_it_is_attached),
		CASE(a_device_that_is_busy_takes_any_memory_for_now),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
