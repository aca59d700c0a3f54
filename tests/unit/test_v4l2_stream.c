/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of a driver that behaves: what each costs, who has it, and who is told. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <shm/linux.h>
#include <shm/observe.h>

#include "fake.h"
#include "v4l2_bench.h"

#define MS INT64_C(1000000)

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void a_frame_costs_one_dqbuf_and_one_qbuf(void **state)
{
	struct bench *b = *state;
	unsigned before = b->driver->calls;

	for (unsigned i = 0; i < 100; i++)
		metal_shm_free(next_frame(b), NULL);
	assert_int_equal(b->driver->calls - before, 200);
	assert_int_equal(b->driver->dqbufs, 100);
	assert_int_equal(b->driver->qbufs, 100);
}

static void a_buffer_keeps_its_index_and_descriptor(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm;
	struct metal_shm_v4l2_info info = { .struct_size = sizeof(info) };
	uint32_t index;

	for (unsigned i = 0; i < 100; i++) {
		assert_true(fake_v4l2_done(PICTURE, 0) >= 0);
		assert_int_equal(metal_shm_v4l2_wait(b->camera, 0, &info, &shm), 0);
		assert_int_equal(metal_shm_v4l2_index(b->camera, shm, &index), 0);
		assert_int_equal(index, info.index);
		metal_shm_free(shm, NULL);
	}
	assert_int_equal(b->driver->moved, 0);
}

static void what_the_driver_says_is_answered(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm;
	struct metal_shm_v4l2_info info = { .struct_size = sizeof(info) };

	metal_shm_free(next_frame(b), NULL);
	fake_v4l2_done(PICTURE + 5, V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC);
	assert_int_equal(metal_shm_v4l2_wait(b->camera, 0, &info, &shm), 0);
	assert_int_equal(info.sequence, 1);
	assert_int_equal(info.timestamp_ns, 7000001000);
	assert_int_equal(info.bytes_used, PICTURE + 5);
	assert_int_equal(info.error, METAL_SHM_V4L2_GOOD);
	assert_int_equal(info.field, V4L2_FIELD_NONE);
	assert_int_equal(info.flags, V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC);
	metal_shm_free(shm, NULL);
}

static void a_shorter_info_is_filled_as_far_as_it_goes(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm;
	struct metal_shm_v4l2_info info = { .struct_size = 8, .bytes_used = 99 };

	fake_v4l2_done(PICTURE, 0);
	assert_int_equal(metal_shm_v4l2_wait(b->camera, 0, &info, &shm), 0);
	assert_int_equal(info.struct_size, 8);
	assert_int_equal(info.bytes_used, 99);
	metal_shm_free(shm, NULL);
	info.struct_size = 0;
	assert_int_equal(metal_shm_v4l2_wait(b->camera, 0, &info, &shm), -EINVAL);
}

static void queued_frames_are_the_cameras(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm = next_frame(b);

	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, W, 0), 0);
	assert_int_equal(metal_shm_v4l2_queue(b->camera, shm), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, W, 0), -ETIMEDOUT);
	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, W, 0), 0);
	metal_shm_free(shm, NULL);
}

static void a_buffer_is_queued_once(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm = next_frame(b);

	assert_int_equal(metal_shm_v4l2_queue(b->camera, shm), 0);
	assert_int_equal(metal_shm_v4l2_queue(b->camera, shm), -EBUSY);
	assert_reason("queued already");
	for (unsigned i = 0; i < FRAMES; i++)
		fake_v4l2_done(PICTURE, 0);
	assert_int_equal(metal_shm_device_dispatch(b->camera), 0);
	assert_int_equal(metal_shm_v4l2_queue(b->camera, shm), -EBUSY);
	assert_reason("not taken");
	metal_shm_free(shm, NULL);
}

static void a_buffer_that_is_not_attached_is_enotconn(void **state)
{
	struct bench *b = *state;
	struct metal_device *memory = fake_v4l2_memory();
	struct metal_generic_shm *shm = metal_shm_allocate(PICTURE, memory, 0);
	uint32_t index;

	assert_int_equal(metal_shm_v4l2_queue(b->camera, shm), -ENOTCONN);
	assert_int_equal(metal_shm_v4l2_index(b->camera, shm, &index), -ENOTCONN);
	metal_shm_free(shm, memory);
	metal_shm_device_close(memory);
}

static void buffers_attached_after_the_start_wait_for_the_next(void **state)
{
	struct bench *b = *state;
	struct metal_device *memory = fake_v4l2_memory();
	struct metal_generic_shm *shm = metal_shm_allocate(PICTURE, memory, 0);
	struct metal_generic_shm *view = metal_shm_attach(shm, b->camera);

	assert_int_equal(metal_shm_v4l2_queue(b->camera, shm), -EBUSY);
	assert_reason("attached");
	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	assert_int_equal(metal_shm_v4l2_start(b->camera, b->pool), 0);
	assert_int_equal(metal_shm_v4l2_queue(b->camera, view), 0);
	metal_shm_detach(view, b->camera);
	metal_shm_free(shm, memory);
	metal_shm_device_close(memory);
}

static void buffers_smaller_than_the_frames_are_told_apart(void **state)
{
	struct bench *b = *state;
	struct metal_device *memory = fake_v4l2_memory();
	struct metal_generic_shm *shm = metal_shm_allocate(PICTURE - 1, memory, 0);
	struct metal_generic_shm *view = metal_shm_attach(shm, b->camera);
	unsigned queued;

	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	assert_int_equal(metal_shm_v4l2_start(b->camera, b->pool), 0);
	queued = b->driver->qbufs;
	assert_int_equal(metal_shm_v4l2_queue(b->camera, shm), -EINVAL);
	assert_reason("a buffer of 9999 bytes for frames of 10000");
	assert_int_equal(b->driver->qbufs, queued);
	metal_shm_detach(view, b->camera);
	metal_shm_free(shm, memory);
	metal_shm_device_close(memory);
}

static void work_is_for_outputs(void **state)
{
	struct bench *b = *state;
	struct metal_shm_v4l2_work work = { .struct_size = sizeof(work) };
	struct metal_generic_shm *shm = next_frame(b);

	assert_int_equal(metal_shm_v4l2_queue_work(b->camera, shm, &work), -EINVAL);
	assert_reason("captures");
	metal_shm_free(shm, NULL);
}

static void nothing_streams_without_a_start(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm = next_frame(b);

	assert_int_equal(metal_shm_v4l2_start(b->camera, b->pool), -EBUSY);
	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	assert_int_equal(metal_shm_v4l2_wait(b->camera, METAL_SHM_FOREVER, NULL, &shm), -EINVAL);
	assert_int_equal(metal_shm_v4l2_queue(b->camera, shm), -EINVAL);
	assert_reason("not started");
	assert_int_equal(metal_shm_v4l2_start(b->camera, NULL), -EINVAL);
	metal_shm_free(shm, NULL);
}

static void a_part_from_elsewhere_than_the_first_byte_is_copied_or_refused(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm = next_frame(b), *part = metal_shm_sub(shm, 16, 64, 0);
	struct metal_generic_shm *strict = metal_shm_sub(shm, 16, 64, METAL_SHM_SUB_NO_COPY);
	struct metal_generic_shm *view = metal_shm_attach(part, b->camera);

	assert_int_equal(metal_shm_view_mode(view), METAL_SHM_VIEW_SHADOW);
	assert_null(metal_shm_attach(strict, b->camera));
	assert_int_equal(errno, ENOTSUP);
	assert_reason("forbids");
	metal_shm_detach(view, b->camera);
	assert_null(metal_shm_attach(strict, b->camera));
	assert_reason("takes no part of a buffer");
	metal_shm_free(strict, NULL);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
}

static void memory_that_is_no_dmabuf_is_refused(void **state)
{
	struct bench *b = *state;
	struct metal_device *memfd;
	struct metal_generic_shm *shm;

	assert_int_equal(metal_shm_device_open("memfd", &memfd), 0);
	shm = metal_shm_allocate(PICTURE, memfd, 0);
	assert_null(metal_shm_attach(shm, b->camera));
	assert_int_equal(errno, ENOTSUP);
	metal_shm_free(shm, memfd);
	metal_shm_device_close(memfd);
}

static void more_buffers_than_v4l2_has_are_enospc(void **state)
{
	struct bench *b = *state;
	struct metal_device *memory = fake_v4l2_memory();
	struct metal_generic_shm *shm[32], *view[32];
	unsigned n;

	for (n = 0; n < 32; n++) {
		shm[n] = metal_shm_allocate(1, memory, 0);
		view[n] = metal_shm_attach(shm[n], b->camera);
		if (!view[n])
			break;
	}
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(n, 32 - FRAMES);
	metal_shm_free(shm[n], memory);
	while (n--) {
		metal_shm_detach(view[n], b->camera);
		metal_shm_free(shm[n], memory);
	}
	metal_shm_device_close(memory);
}

static void a_poll_descriptor_and_dispatch_serve_a_loop(void **state)
{
	struct bench *b = *state;
	struct pollfd fd = { .fd = metal_shm_device_poll_fd(b->camera), .events = POLLIN };
	struct metal_generic_shm *shm;
	struct metal_shm_v4l2_info info = { .struct_size = sizeof(info) };

	assert_int_equal(poll(&fd, 1, 0), 0);
	fake_v4l2_done(PICTURE, 0);
	fake_v4l2_done(PICTURE, 0);
	assert_int_equal(poll(&fd, 1, 0), 1);
	assert_int_equal(metal_shm_device_dispatch(b->camera), 0);
	assert_int_equal(poll(&fd, 1, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(metal_shm_v4l2_wait(b->camera, 0, &info, &shm), 0);
		assert_int_equal(info.sequence, i);
		metal_shm_free(shm, NULL);
	}
	assert_int_equal(metal_shm_v4l2_wait(b->camera, 0, &info, &shm), -ETIMEDOUT);
}

static void frames_that_nobody_took_are_dropped_by_stop(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < FRAMES; i++)
		fake_v4l2_done(PICTURE, 0);
	assert_int_equal(metal_shm_device_dispatch(b->camera), 0);
	/* the rest is tear_down's: all frames are in the pool */
}

static void a_wait_with_no_frame_queued_says_so(void **state)
{
	struct bench *b = *state;
	struct metal_shm_stats before = { .struct_size = sizeof(before) }, now = before;
	struct metal_generic_shm *shm[FRAMES], *none;
	int64_t start;

	for (unsigned i = 0; i < FRAMES; i++)
		shm[i] = next_frame(b);
	assert_int_equal(metal_shm_stats(&before), 0);
	start = now_ms();
	assert_int_equal(metal_shm_v4l2_wait(b->camera, 30 * MS, NULL, &none), -ETIMEDOUT);
	assert_reason("none is queued");
	assert_in_range(now_ms() - start, 29, 1000);
	assert_int_equal(metal_shm_stats(&now), 0);
	assert_int_equal(now.waits, before.waits + 1);
	for (unsigned i = 0; i < FRAMES; i++)
		metal_shm_free(shm[i], NULL);
	metal_shm_free(next_frame(b), NULL);
}

/* Camera to display with as many frames as the display holds: only its event brings one back. */
static void a_wait_looks_after_the_other_devices_of_the_pool(void **state)
{
	struct bench *b = *state;
	struct fake_importer *display = fake_importer_new("display", METAL_SHM_ACCESS_DMA);
	struct metal_device *devs[] = { b->camera, display->dev, fake_v4l2_memory() };
	struct metal_shm_frame frame = *metal_shm_pool_frame(b->pool);
	struct metal_generic_shm *shm, *none;
	struct metal_shm_pool *pool;

	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	assert_int_equal(metal_shm_pool_create_frames(&frame, devs, 3, 2, &pool), 0);
	assert_int_equal(metal_shm_v4l2_start(b->camera, pool), 0);
	for (unsigned i = 0; i < 2; i++) {
		shm = next_frame(b);
		assert_int_equal(fake_queue(display, shm, METAL_SHM_DIR_DEV_R), 0);
		metal_shm_free(shm, NULL);
	}
	assert_int_equal(metal_shm_v4l2_wait(b->camera, 10 * MS, NULL, &none), -ETIMEDOUT);
	assert_int_equal(fake_v4l2_done(PICTURE, 0), -1);
	fake_complete(display, 1);
	assert_int_equal(metal_shm_v4l2_wait(b->camera, 10 * MS, NULL, &none), -ETIMEDOUT);
	metal_shm_free(next_frame(b), NULL);

	fake_complete(display, 1);
	assert_int_equal(metal_shm_device_dispatch(display->dev), 0);
	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(devs[2]);
	fake_importer_end(display);
}

static void stop_gives_the_memory_back_after_the_ownership(void **state)
{
	struct bench *b = *state;

	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	assert_string_equal(b->driver->log, "-R0");
	b->driver->log[0] = '\0';
	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	assert_string_equal(b->driver->log, "");
}

static void a_device_starts_again_after_a_stop(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 3; i++) {
		metal_shm_free(next_frame(b), NULL);
		assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
		bench_start(b);
	}
}

static void closing_stops(void **state)
{
	struct bench *b = *state;

	metal_shm_device_close(b->camera);
	assert_string_equal(b->driver->log, "-R0");
	metal_shm_pool_destroy(b->pool);
	bench_open(b);
}

static void a_pool_may_be_destroyed_before_the_stop(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm = next_frame(b), *none;

	metal_shm_pool_destroy(b->pool);
	metal_shm_free(shm, NULL);
	metal_shm_free(next_frame(b), NULL);
	assert_int_equal(b->driver->qbufs, 0);
	assert_int_equal(metal_shm_v4l2_wait(b->camera, 10 * MS, NULL, &none), -ETIMEDOUT);
	for (unsigned i = 2; i < FRAMES; i++)
		metal_shm_free(next_frame(b), NULL);
	assert_int_equal(metal_shm_v4l2_wait(b->camera, 10 * MS, NULL, &none), -ETIMEDOUT);
	metal_shm_device_close(b->camera);
	bench_open(b);
}

static void a_detach_during_the_stream_takes_effect_at_the_stop(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *shm = next_frame(b), *view = metal_shm_view(shm, b->camera);
	uint32_t index;

	metal_shm_detach(view, b->camera);
	assert_int_equal(metal_shm_v4l2_index(b->camera, shm, &index), 0);
	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	assert_int_equal(metal_shm_v4l2_index(b->camera, shm, &index), -ENOTCONN);
	assert_non_null(metal_shm_attach(shm, b->camera));
	metal_shm_free(shm, NULL);
}

int main(int argc, char **argv)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		CASE(a_frame_costs_one_dqbuf_and_one_qbuf),
		CASE(a_buffer_keeps_its_index_and_descriptor),
		CASE(what_the_driver_says_is_answered),
		CASE(a_shorter_info_is_filled_as_far_as_it_goes),
		CASE(queued_frames_are_the_cameras),
		CASE(a_buffer_is_queued_once),
		CASE(a_buffer_that_is_not_attached_is_enotconn),
		CASE(buffers_attached_after_the_start_wait_for_the_next),
		CASE(buffers_smaller_than_the_frames_are_told_apart),
		CASE(work_is_for_outputs),
		CASE(nothing_streams_without_a_start),
		CASE(a_part_from_elsewhere_than_the_first_byte_is_copied_or_refused),
		CASE(memory_that_is_no_dmabuf_is_refused),
		CASE(more_buffers_than_v4l2_has_are_enospc),
		CASE(a_poll_descriptor_and_dispatch_serve_a_loop),
		CASE(frames_that_nobody_took_are_dropped_by_stop),
		CASE(a_wait_with_no_frame_queued_says_so),
		CASE(a_wait_looks_after_the_other_devices_of_the_pool),
		CASE(stop_gives_the_memory_back_after_the_ownership),
		CASE(a_device_starts_again_after_a_stop),
		CASE(closing_stops),
		CASE(a_pool_may_be_destroyed_before_the_stop),
		CASE(a_detach_during_the_stream_takes_effect_at_the_stop),
	};

	fake_v4l2_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
