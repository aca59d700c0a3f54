/* SPDX-License-Identifier: BSD-3-Clause */
/* A camera that needs one piece of memory (vivid.allocators=1): the right heap is found, with reasons. */
#include "v4l2_board.h"

static int set_up(void **state)
{
	static struct camera c;

	camera_open(&c, "vivid-000-vid-cap");
	*state = &c;
	return 0;
}

static int tear_down(void **state)
{
	camera_close(*state);
	return 0;
}

static void the_contiguous_heap_is_chosen_with_the_reason(void **state)
{
	struct camera *c = *state;
	struct metal_generic_shm *shm;
	char text[2048];

	/* large enough that no luck puts all pieces side by side */
	c->frame = (struct metal_shm_frame){ .fourcc = XR24, .width = 1280, .height = 720 };
	ok(metal_shm_frame_negotiate(&c->frame, &c->dev, 1));
	ok(metal_shm_pool_create_frames(&c->frame, &c->dev, 1, FRAMES, &c->pool));
	shm = metal_shm_pool_get(c->pool, 0);
	assert_non_null(shm);
	metal_shm_explain(shm, text, sizeof(text));
	if (!strstr(text, "memory: heap:reserved"))
		fail_msg("%s", text);
	if (!strstr(text, "refused heap:system: v4l2:/dev/video") ||
	    !strstr(text, "refused the memory at VIDIOC_QBUF with EFAULT: it is not contiguous"))
		fail_msg("%s", text);
	metal_shm_free(shm, NULL);
}

static void memory_in_pieces_is_refused_when_it_is_asked_for(void **state)
{
	struct camera *c = *state;
	struct metal_device *devs[2] = { c->dev };
	struct metal_shm_pool *pool = NULL;

	c->frame = (struct metal_shm_frame){ .fourcc = XR24, .width = 1280, .height = 720 };
	ok(metal_shm_frame_negotiate(&c->frame, devs, 1));
	ok(metal_shm_device_open("heap:system", &devs[1]));
	assert_int_equal(metal_shm_pool_create_frames(&c->frame, devs, 2, 2, &pool), -ENOTSUP);
	assert_reason("EFAULT");
	assert_null(pool);
	metal_shm_device_close(devs[1]);
}

static void contiguous_frames_stream(void **state)
{
	static const uint32_t formats[] = { UYVY, XR24, NV12, RG16, R8 };
	static unsigned char last[320 * 180 * 4];
	struct camera *c = *state;
	struct metal_shm_v4l2_info info;

	for (size_t f = 0; f < SHM_TEST_COUNT(formats); f++) {
		uint32_t sequence = 0;

		camera_pool(c, formats[f], NULL);
		ok(metal_shm_v4l2_start(c->dev, c->pool));
		for (unsigned i = 0; i < 10; i++) {
			struct metal_generic_shm *shm = camera_next(c, &info);
			const unsigned char *bytes = read_frame(shm);

			assert_int_equal(info.bytes_used, c->frame.size);
			if (i) {
				assert_true(info.sequence > sequence);
				assert_true(memcmp(last, bytes, (size_t)info.bytes_used));
			}
			sequence = info.sequence;
			memcpy(last, bytes, (size_t)info.bytes_used);
			metal_shm_free(shm, NULL);
		}
		ok(metal_shm_v4l2_stop(c->dev));
		camera_drop_pool(c);
	}
}

/* Of all DMA-BUFs, by all devices. */
static long attachments(void)
{
	FILE *f = fopen("/sys/kernel/debug/dma_buf/bufinfo", "re");
	char line[512];
	long n, all = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Total %ld devices attached", &n) == 1 && strstr(line, "devices"))
			all += n;
	fclose(f);
	return all;
}

static void stop_makes_the_driver_let_go_of_the_memory(void **state)
{
	struct camera *c = *state;
	struct metal_shm_v4l2_info info;

	camera_pool(c, XR24, NULL);
	ok(metal_shm_v4l2_start(c->dev, c->pool));
	metal_shm_free(camera_next(c, &info), NULL);
	/* this allocator attaches to the DMA-BUFs, which debugfs shows */
	assert_true(attachments() >= FRAMES);
	ok(metal_shm_v4l2_stop(c->dev));
	assert_int_equal(attachments(), 0);
}

/* vivid as a multi-planar device begins YUYV pictures at byte 128: that is no frame of libshm's. */
static void yuyv_starts_at_the_first_byte_or_is_refused(void **state)
{
	struct camera *c = *state;
	struct metal_shm_v4l2_info info;
	struct metal_shm_pool *pool = NULL;
	struct v4l2_format f = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };

	if (!ioctl(metal_shm_v4l2_fd(c->dev), VIDIOC_G_FMT, &f)) {
		camera_pool(c, YUYV, NULL);
		ok(metal_shm_v4l2_start(c->dev, c->pool));
		metal_shm_free(camera_next(c, &info), NULL);
		return;
	}
	c->frame = (struct metal_shm_frame){ .fourcc = YUYV, .width = 320, .height = 180 };
	ok(metal_shm_frame_negotiate(&c->frame, &c->dev, 1));
	assert_int_equal(metal_shm_pool_create_frames(&c->frame, &c->dev, 1, 2, &pool), -ENOTSUP);
	assert_reason("puts the picture at byte 128");
	assert_null(pool);
}

int main(int argc, char **argv)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		CASE(the_contiguous_heap_is_chosen_with_the_reason),
		CASE(memory_in_pieces_is_refused_when_it_is_asked_for),
		CASE(contiguous_frames_stream),
		CASE(stop_makes_the_driver_let_go_of_the_memory),
		CASE(yuyv_starts_at_the_first_byte_or_is_refused),
	};

	warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
