/* SPDX-License-Identifier: BSD-3-Clause */
/* Cameras as they should be: vivid by the single- and the multi-planar API, in each format and heap. */
#include "v4l2_board.h"

static int begin(void **state, const char *node)
{
	static struct camera c;

	camera_open(&c, node);
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

static const uint32_t formats[] = { YUYV, XR24, NV12, RG16, R8 };
static const char *const heaps[] = { "heap:system", "heap:reserved" };

/* Run a check over ten frames of each format in each heap. */
static void in_each_format_and_heap(struct camera *c, void (*check)(struct camera *c))
{
	for (size_t h = 0; h < SHM_TEST_COUNT(heaps); h++) {
		for (size_t f = 0; f < SHM_TEST_COUNT(formats); f++) {
			camera_pool(c, formats[f], heaps[h]);
			ok(metal_shm_v4l2_start(c->dev, c->pool));
			check(c);
			ok(metal_shm_v4l2_stop(c->dev));
			camera_drop_pool(c);
		}
	}
}

static void check_sequence(struct camera *c)
{
	struct metal_shm_v4l2_info info;
	uint64_t time = 0;
	uint32_t first = 0, last = 0;

	for (unsigned i = 0; i < 10; i++) {
		metal_shm_free(camera_next(c, &info), NULL);
		/* vivid counts by the clock: where it draws for longer than a frame lasts, one twice */
		assert_true(info.sequence >= last);
		/* vivid writes the time just after it completes the frame */
		assert_true(info.timestamp_ns >= time || !info.timestamp_ns);
		assert_true(info.flags & V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC);
		first = i ? first : info.sequence;
		last = info.sequence;
		time = info.timestamp_ns;
	}
	assert_true(time);
	assert_true(last > first);
}

static void sequence_and_time_grow(void **state)
{
	in_each_format_and_heap(*state, check_sequence);
}

static void check_content(struct camera *c)
{
	static unsigned char last[320 * 180 * 4];
	struct metal_shm_v4l2_info info;

	for (unsigned i = 0; i < 10; i++) {
		struct metal_generic_shm *shm = camera_next(c, &info);
		const unsigned char *bytes = read_frame(shm);

		assert_true(info.bytes_used <= sizeof(last));
		assert_int_equal(info.bytes_used, c->frame.size);
		if (i)
			assert_true(memcmp(last, bytes, (size_t)info.bytes_used));
		memcpy(last, bytes, (size_t)info.bytes_used);
		metal_shm_free(shm, NULL);
	}
}

static void each_frame_differs_from_the_last(void **state)
{
	struct camera *c = *state;

	/* the time in the picture, and a pattern that moves */
	set_control(c->dev, "OSD Text Mode", 0);
	set_control(c->dev, "Horizontal Movement", 5);
	in_each_format_and_heap(c, check_content);
	set_control(c->dev, "Horizontal Movement", 3);
}

static bool near(unsigned value, unsigned wanted)
{
	return value + 24 >= wanted && value <= wanted + 24;
}

/* Red by BT.709: Y 63, U 102, V 240; by BT.601: Y 81, U 90, V 240. */
static bool is_red_yuv(unsigned y, unsigned u, unsigned v)
{
	return near(y, 72) && near(u, 96) && near(v, 240);
}

/* Whether the pixel in the middle is red, read as DRM defines the format. */
static bool is_red(const struct metal_shm_frame *f, const unsigned char *bytes)
{
	const unsigned x = f->width / 2, y = f->height / 2;
	const unsigned char *p = bytes + f->plane[0].offset + (size_t)y * f->plane[0].stride;
	const unsigned char *c = bytes + f->plane[1].offset + (size_t)y / 2 * f->plane[1].stride;
	const unsigned char *d = bytes + f->plane[2].offset + (size_t)y / 2 * f->plane[2].stride;

	switch (f->fourcc) {
	case XR24:
	case AR24:
		return p[4 * x] < 24 && p[4 * x + 1] < 24 && p[4 * x + 2] > 231;
	case XB24:
	case AB24:
		return p[4 * x] > 231 && p[4 * x + 1] < 24 && p[4 * x + 2] < 24;
	case RG24:
		return p[3 * x] < 24 && p[3 * x + 1] < 24 && p[3 * x + 2] > 231;
	case BG24:
		return p[3 * x] > 231 && p[3 * x + 1] < 24 && p[3 * x + 2] < 24;
	case RG16:
		return p[2 * x + 1] >= 0xf0 && p[2 * x] < 8;
	case R8:
		return near(p[x], 72);
	case YUYV:
		return is_red_yuv(p[2 * x], p[2 * x + 1], p[2 * x + 3]);
	case UYVY:
		return is_red_yuv(p[2 * x + 1], p[2 * x], p[2 * x + 2]);
	case NV12:
		return is_red_yuv(p[x], c[x], c[x + 1]);
	case NV21:
		return is_red_yuv(p[x], c[x + 1], c[x]);
	case NV16:
		c = bytes + f->plane[1].offset + (size_t)y * f->plane[1].stride;
		return is_red_yuv(p[x], c[x], c[x + 1]);
	case YU12:
		return is_red_yuv(p[x], c[x / 2], d[x / 2]);
	default:
		return false;
	}
}

static void each_format_has_the_bytes_that_drm_says(void **state)
{
	static const uint32_t all[] = { XR24, AR24, XB24, AB24, RG16, RG24, BG24,
					R8,   YUYV, UYVY, NV12, NV21, NV16, YU12 };
	struct camera *c = *state;

	set_control(c->dev, "OSD Text Mode", 2);
	set_control(c->dev, "Test Pattern", 7); /* 100% red */
	for (size_t i = 0; i < SHM_TEST_COUNT(all); i++) {
		struct metal_shm_v4l2_info info;
		struct metal_generic_shm *shm;

		camera_pool(c, all[i], "heap:system");
		ok(metal_shm_v4l2_start(c->dev, c->pool));
		shm = camera_next(c, &info);
		if (!is_red(&c->frame, read_frame(shm)))
			fail_msg("%.4s is not red", (const char *)&all[i]);
		metal_shm_free(shm, NULL);
		ok(metal_shm_v4l2_stop(c->dev));
		camera_drop_pool(c);
	}
	set_control(c->dev, "OSD Text Mode", 0);
	set_control(c->dev, "Test Pattern", 0);
}

static ino_t inode_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

/* The descriptor that the driver holds at an index. */
static int driver_fd(struct camera *c, uint32_t index)
{
	struct v4l2_plane plane = { 0 };
	struct v4l2_buffer b = { .index = index, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
	int fd = metal_shm_v4l2_fd(c->dev);

	if (!ioctl(fd, VIDIOC_QUERYBUF, &b))
		return b.m.fd;
	b.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
	b.m.planes = &plane;
	b.length = 1;
	assert_int_equal(ioctl(fd, VIDIOC_QUERYBUF, &b), 0);
	return plane.m.fd;
}

static void vivid_keeps_a_buffers_index(void **state)
{
	struct camera *c = *state;
	struct metal_shm_v4l2_info info;
	ino_t memory[FRAMES] = { 0 };
	uint32_t index;

	camera_pool(c, YUYV, "heap:system");
	ok(metal_shm_v4l2_start(c->dev, c->pool));
	for (unsigned i = 0; i < 100; i++) {
		struct metal_generic_shm *shm = camera_next(c, &info);
		int fd = metal_shm_export(shm, METAL_SHM_EXPORT_DMABUF);

		ok(metal_shm_v4l2_index(c->dev, shm, &index));
		assert_int_equal(index, info.index);
		assert_true(index < FRAMES);
		if (!memory[index])
			memory[index] = inode_of(fd);
		assert_int_equal(inode_of(fd), memory[index]);
		assert_int_equal(inode_of(driver_fd(c, index)), memory[index]);
		close(fd);
		metal_shm_free(shm, NULL);
	}
}

static void stop_gives_the_frames_back(void **state)
{
	struct camera *c = *state;
	struct metal_shm_v4l2_info info;

	camera_pool(c, XR24, NULL);
	ok(metal_shm_v4l2_start(c->dev, c->pool));
	metal_shm_free(camera_next(c, &info), NULL);
	ok(metal_shm_v4l2_stop(c->dev));
	all_frames_are_in_the_pool(c);
}

/* The driver lets go of the memory while the device stays open: the harness counts DMA-BUFs. */
static long dmabufs(void)
{
	FILE *f = fopen("/sys/kernel/debug/dma_buf/bufinfo", "re");
	char line[512];
	long n = -1;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "Total %ld objects", &n);
	fclose(f);
	return n;
}

static void stop_makes_the_driver_let_go_of_the_memory(void **state)
{
	struct camera *c = *state;
	struct metal_shm_v4l2_info info;
	long before = dmabufs();

	camera_pool(c, XR24, "heap:system");
	ok(metal_shm_v4l2_start(c->dev, c->pool));
	metal_shm_free(camera_next(c, &info), NULL);
	assert_int_equal(dmabufs(), before + FRAMES);
	ok(metal_shm_v4l2_stop(c->dev));
	camera_drop_pool(c);
	for (unsigned i = 0; i < 50 && dmabufs() != before; i++)
		usleep(10000);
	assert_int_equal(dmabufs(), before);
}

static void a_camera_starts_again(void **state)
{
	struct camera *c = *state;
	struct metal_shm_v4l2_info info;

	camera_pool(c, NV12, NULL);
	for (unsigned i = 0; i < 3; i++) {
		ok(metal_shm_v4l2_start(c->dev, c->pool));
		for (unsigned j = 0; j < 2 * FRAMES; j++)
			metal_shm_free(camera_next(c, &info), NULL);
		ok(metal_shm_v4l2_stop(c->dev));
	}
}

static void udmabuf_is_refused_and_the_system_heap_taken(void **state)
{
	struct camera *c = *state;
	struct metal_generic_shm *shm;
	char text[2048];

	camera_pool(c, YUYV, NULL);
	shm = metal_shm_pool_get(c->pool, 0);
	assert_non_null(shm);
	metal_shm_explain(shm, text, sizeof(text));
	assert_non_null(strstr(text, "memory: heap:system"));
	assert_non_null(strstr(text, "refused udmabuf: v4l2:"));
	metal_shm_free(shm, NULL);
}

static void a_trial_leaves_the_format_alone(void **state)
{
	struct camera *c = *state;
	struct v4l2_format before = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE }, after;
	int fd = metal_shm_v4l2_fd(c->dev);

	if (ioctl(fd, VIDIOC_G_FMT, &before)) {
		before.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
		assert_int_equal(ioctl(fd, VIDIOC_G_FMT, &before), 0);
	}
	after = (struct v4l2_format){ .type = before.type };
	camera_pool(c, before.fmt.pix.pixelformat == V4L2_PIX_FMT_YUYV ? NV12 : YUYV, NULL);
	assert_int_equal(ioctl(fd, VIDIOC_G_FMT, &after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
}

int main(int argc, char **argv)
{
#define BOTH(f)                                                      \
	{ #f "_single_planar", f, set_up_single, tear_down, NULL },  \
	{                                                            \
#f "_multi_planar", f, set_up_multi, tear_down, NULL \
	}
	static const struct CMUnitTest tests[] = {
		BOTH(sequence_and_time_grow),
		BOTH(each_frame_differs_from_the_last),
		BOTH(each_format_has_the_bytes_that_drm_says),
		BOTH(vivid_keeps_a_buffers_index),
		BOTH(stop_gives_the_frames_back),
		BOTH(stop_makes_the_driver_let_go_of_the_memory),
		BOTH(a_camera_starts_again),
		BOTH(udmabuf_is_refused_and_the_system_heap_taken),
		BOTH(a_trial_leaves_the_format_alone),
	};

	warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
