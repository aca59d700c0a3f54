/* SPDX-License-Identifier: BSD-3-Clause */
/* vim2m: two devices on one descriptor, bytes that arrive, frames that come home by themselves. */
#include <poll.h>

#include "v4l2_board.h"

struct converter {
	struct camera in, out; /* in: what it reads */
};

static int set_up(void **state)
{
	static struct converter m;

	memset(&m, 0, sizeof(m));
	ok(metal_shm_v4l2_open_m2m(video_path("vim2m"), &m.in.dev, &m.out.dev));
	camera_pool(&m.in, RG24, "heap:system");
	camera_pool(&m.out, RG24, "heap:reserved");
	*state = &m;
	return 0;
}

static int tear_down(void **state)
{
	struct converter *m = *state;

	camera_close(&m->in);
	camera_close(&m->out);
	return 0;
}

static void start(struct converter *m)
{
	ok(metal_shm_v4l2_start(m->in.dev, m->in.pool));
	ok(metal_shm_v4l2_start(m->out.dev, m->out.pool));
}

static void fill(struct metal_generic_shm *shm, unsigned seed)
{
	unsigned char *bytes = metal_shm_map(shm, METAL_SHM_WRITE);

	assert_non_null(bytes);
	ok(metal_shm_sync_for_cpu(shm, RW));
	for (size_t i = 0; i < metal_shm_size(shm); i++)
		bytes[i] = (unsigned char)(i * 31 + i / 251 + seed);
}

static struct metal_generic_shm *filled(struct converter *m, unsigned seed)
{
	struct metal_generic_shm *shm = metal_shm_pool_get(m->in.pool, 5 * SECOND);

	if (!shm)
		fail_msg("get: %s", metal_shm_last_error());
	fill(shm, seed);
	return shm;
}

static void queue_filled(struct converter *m, unsigned seed)
{
	struct metal_generic_shm *shm = filled(m, seed);

	ok(metal_shm_v4l2_queue(m->in.dev, shm));
	metal_shm_free(shm, NULL);
}

static void vim2m_copies_every_byte(void **state)
{
	struct converter *m = *state;
	struct metal_shm_v4l2_info info;

	start(m);
	for (unsigned seed = 0; seed < 20; seed++) {
		struct metal_generic_shm *shm;
		const unsigned char *bytes;

		queue_filled(m, seed);
		shm = camera_next(&m->out, &info);
		bytes = read_frame(shm);
		assert_int_equal(info.bytes_used, 320 * 180 * 3);
		for (size_t i = 0; i < info.bytes_used; i++)
			if (bytes[i] != (unsigned char)(i * 31 + i / 251 + seed))
				fail_msg("frame %u, byte %zu: %u", seed, i, bytes[i]);
		metal_shm_free(shm, NULL);
	}
}

static void outputs_come_home_by_themselves(void **state)
{
	struct converter *m = *state;
	struct metal_shm_v4l2_info info;
	struct metal_generic_shm *shm;

	start(m);
	/* many more than the pool has, and nobody asks the output for any */
	for (unsigned i = 0; i < 10 * FRAMES; i++) {
		queue_filled(m, i);
		if (!metal_shm_v4l2_wait(m->out.dev, 0, NULL, &shm))
			metal_shm_free(shm, NULL);
	}
	assert_int_equal(metal_shm_v4l2_wait(m->in.dev, METAL_SHM_FOREVER, &info, &shm), -ENODATA);
}

static void an_output_is_reported_to_who_asked(void **state)
{
	struct converter *m = *state;
	struct metal_shm_v4l2_work work = { .struct_size = sizeof(work),
					    .flags = METAL_SHM_V4L2_REPORT };
	struct metal_shm_v4l2_info info = { .struct_size = sizeof(info) };
	struct metal_generic_shm *shm = filled(m, 1), *back;

	start(m);
	queue_filled(m, 0);
	ok(metal_shm_v4l2_queue_work(m->in.dev, shm, &work));
	ok(metal_shm_v4l2_wait(m->in.dev, 5 * SECOND, &info, &back));
	assert_ptr_equal(back, shm);
	metal_shm_free(back, NULL);
	assert_int_equal(metal_shm_v4l2_wait(m->in.dev, 0, &info, &back), -ENODATA);
	/* and the same through dispatch */
	ok(metal_shm_v4l2_queue_work(m->in.dev, shm, &work));
	ok(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_R, 5 * SECOND));
	ok(metal_shm_v4l2_wait(m->in.dev, 0, &info, &back));
	assert_ptr_equal(back, shm);
	metal_shm_free(back, NULL);
	metal_shm_free(shm, NULL);
}

static void a_timestamp_goes_through(void **state)
{
	struct converter *m = *state;
	struct metal_shm_v4l2_work work = { .struct_size = sizeof(work),
					    .timestamp_ns = 1234567891000 };
	struct metal_shm_v4l2_info info;
	struct metal_generic_shm *shm = filled(m, 1);

	start(m);
	ok(metal_shm_v4l2_queue_work(m->in.dev, shm, &work));
	metal_shm_free(shm, NULL);
	metal_shm_free(camera_next(&m->out, &info), NULL);
	assert_int_equal(info.timestamp_ns, work.timestamp_ns);
}

static void work_is_checked(void **state)
{
	struct converter *m = *state;
	struct metal_shm_v4l2_work work = { .struct_size = sizeof(work) };
	struct metal_generic_shm *shm = filled(m, 1);

	start(m);
	work.bytes_used = metal_shm_size(shm) + 1;
	assert_int_equal(metal_shm_v4l2_queue_work(m->in.dev, shm, &work), -EINVAL);
	work.bytes_used = 0;
	work.flags = 1u << 31;
	assert_int_equal(metal_shm_v4l2_queue_work(m->in.dev, shm, &work), -EINVAL);
	work.flags = 0;
	work.struct_size = 4;
	assert_int_equal(metal_shm_v4l2_queue_work(m->in.dev, shm, &work), -EINVAL);
	metal_shm_free(shm, NULL);
}

static void one_poll_descriptor_serves_both_queues(void **state)
{
	struct converter *m = *state;
	struct pollfd fd = { .fd = metal_shm_device_poll_fd(m->in.dev), .events = POLLIN };
	struct metal_generic_shm *shm = filled(m, 3), *result;
	struct metal_shm_v4l2_info info = { .struct_size = sizeof(info) };

	assert_int_equal(metal_shm_device_poll_fd(m->out.dev), fd.fd);
	start(m);
	ok(metal_shm_v4l2_queue(m->in.dev, shm));
	/* the output's own event is enough: the result is fetched along */
	for (unsigned i = 0; metal_shm_v4l2_wait(m->out.dev, 0, &info, &result); i++) {
		assert_true(i < 100);
		poll(&fd, 1, 1000);
		ok(metal_shm_device_dispatch(m->in.dev));
	}
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_R, 0), 0);
	metal_shm_free(result, NULL);
	metal_shm_free(shm, NULL);
}

static void an_idle_converter_is_quiet(void **state)
{
	struct converter *m = *state;
	struct pollfd fd = { .fd = metal_shm_device_poll_fd(m->in.dev), .events = POLLIN };

	/* the node itself reports an error as long as no queue has a buffer */
	ok(metal_shm_v4l2_start(m->in.dev, m->in.pool));
	ok(metal_shm_device_dispatch(m->in.dev));
	assert_int_equal(poll(&fd, 1, 50), 0);
}

static void either_queue_may_stop_and_start_alone(void **state)
{
	struct converter *m = *state;
	struct metal_shm_v4l2_info info;

	start(m);
	for (unsigned i = 0; i < 3; i++) {
		ok(metal_shm_v4l2_stop(i % 2 ? m->in.dev : m->out.dev));
		ok(metal_shm_v4l2_start(i % 2 ? m->in.dev : m->out.dev,
					i % 2 ? m->in.pool : m->out.pool));
		queue_filled(m, i);
		metal_shm_free(camera_next(&m->out, &info), NULL);
	}
}

static void one_device_may_be_closed_before_the_other(void **state)
{
	struct converter *m = *state;

	start(m);
	queue_filled(m, 0);
	camera_drop_pool(&m->in);
	metal_shm_device_close(m->in.dev);
	assert_int_equal(metal_shm_device_dispatch(m->out.dev), 0);
	camera_close(&m->out);
	assert_int_equal(set_up(state), 0);
}

static void a_converter_is_not_opened_as_a_camera(void **state)
{
	struct metal_device *dev = NULL;

	(void)state;
	assert_int_equal(metal_shm_v4l2_open(video_path("vim2m"), &dev), -ENOTSUP);
	assert_reason("memory-to-memory");
	assert_int_equal(metal_shm_v4l2_open_output(video_path("vim2m"), &dev), -ENOTSUP);
	assert_int_equal(metal_shm_v4l2_open_m2m(video_path("vivid-000-vid-cap"), &dev, &dev),
			 -ENOTSUP);
	assert_int_equal(metal_shm_v4l2_open(video_path("vivid-000-vid-out"), &dev), -ENOTSUP);
	assert_reason("no video capture");
	assert_int_equal(metal_shm_v4l2_open_output(video_path("vivid-000-vid-cap"), &dev),
			 -ENOTSUP);
	assert_reason("no video output");
	assert_null(dev);
}

static void a_descriptor_of_ones_own_works_as_well(void **state)
{
	struct converter *m = *state;
	struct metal_shm_v4l2_info info;
	int fd = open(video_path("vim2m"), O_RDWR | O_CLOEXEC);

	assert_int_equal(tear_down(state), 0);
	memset(m, 0, sizeof(*m));
	ok(metal_shm_v4l2_open_fd(fd, &m->in.dev, &m->out.dev));
	assert_int_equal(metal_shm_v4l2_fd(m->in.dev), fd);
	camera_pool(&m->in, BG24, NULL);
	camera_pool(&m->out, BG24, NULL);
	start(m);
	queue_filled(m, 0);
	metal_shm_free(camera_next(&m->out, &info), NULL);
}

/* vivid's own output: it shows frames and gives them back. */
static void a_plain_output_takes_frames(void **state)
{
	struct camera c = { 0 };

	(void)state;
	ok(metal_shm_v4l2_open_output(video_path("vivid-000-vid-out"), &c.dev));
	c.frame = (struct metal_shm_frame){ .fourcc = YUYV, .width = 720, .height = 576 };
	ok(metal_shm_frame_negotiate(&c.frame, &c.dev, 1));
	ok(metal_shm_pool_create_frames(&c.frame, &c.dev, 1, FRAMES, &c.pool));
	ok(metal_shm_v4l2_start(c.dev, c.pool));
	for (unsigned i = 0; i < 3 * FRAMES; i++) {
		struct metal_generic_shm *shm = metal_shm_pool_get(c.pool, 5 * SECOND);

		if (!shm)
			fail_msg("frame %u: %s", i, metal_shm_last_error());
		ok(metal_shm_v4l2_queue(c.dev, shm));
		metal_shm_free(shm, NULL);
	}
	camera_close(&c);
}

int main(int argc, char **argv)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		CASE(vim2m_copies_every_byte),
		CASE(outputs_come_home_by_themselves),
		CASE(an_output_is_reported_to_who_asked),
		CASE(a_timestamp_goes_through),
		CASE(work_is_checked),
		CASE(one_poll_descriptor_serves_both_queues),
		CASE(an_idle_converter_is_quiet),
		CASE(either_queue_may_stop_and_start_alone),
		CASE(one_device_may_be_closed_before_the_other),
		CASE(a_descriptor_of_ones_own_works_as_well),
		cmocka_unit_test(a_converter_is_not_opened_as_a_camera),
		cmocka_unit_test(a_plain_output_takes_frames),
	};

	warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
