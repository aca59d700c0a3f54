/* SPDX-License-Identifier: BSD-3-Clause */
/* Handles that are none, that ended, or that a driver still works with. */
#include <shm/opencl.h>

#include "bad_input.h"

/* What other libraries' pointers point at: as long as a record of ours, and without its tag. */
static uint64_t foreign[128];

static void *garbage(unsigned fill)
{
	memset(foreign, (int)fill, sizeof(foreign));
	return foreign;
}

static void refuse_handle(struct metal_generic_shm *wrong, struct metal_device *camera,
			  struct metal_device *display)
{
	struct metal_shm_properties p = { .struct_size = sizeof(p) };
	struct metal_shm_frame frame = { .fourcc = XR24, .width = WIDTH, .height = HEIGHT };
	uint32_t id;

	ok(metal_shm_frame_negotiate(&frame, &display, 1));
	refused(metal_shm_sub(wrong, 0, 1, 0), EINVAL, "not a handle");
	refused(metal_shm_ref(wrong), EINVAL, "not a handle");
	refused(metal_shm_attach(wrong, camera), EINVAL, "not a handle");
	refused(metal_shm_view(wrong, camera), EINVAL, "not a handle");
	refused(metal_shm_map(wrong, METAL_SHM_READ), EINVAL, "not a handle");
	refused(metal_shm_frame_of(wrong), EINVAL, "not a handle");
	refused(metal_shm_size(wrong), EINVAL, "not a handle");
	fails(metal_shm_unmap(wrong, METAL_SHM_READ), EINVAL, "not a handle");
	fails(metal_shm_properties(wrong, &p), EINVAL, "not a handle");
	fails(metal_shm_view_mode(wrong), EINVAL, "not a handle");
	fails(metal_shm_export(wrong, 0), EINVAL, "not a handle");
	fails(metal_shm_sync_for_cpu(wrong, W), EINVAL, "not a handle");
	fails(metal_shm_sync_for_device(wrong, camera, W), EINVAL, "not a handle");
	fails(metal_shm_frame_set(wrong, &frame), EINVAL, "not a handle");
	fails(metal_shm_v4l2_queue(camera, wrong), EINVAL, "not a handle");
	fails(metal_shm_v4l2_index(camera, wrong, &id), EINVAL, "not a handle");
	fails(metal_shm_drm_present(display, wrong), EINVAL, "not a handle");
	fails(metal_shm_drm_framebuffer(display, wrong, &id), EINVAL, "not a handle");
	is_misuse(metal_shm_free(wrong, NULL), "not a handle");
	is_misuse(metal_shm_detach(wrong, display), "not a view");
}

static void handle_of_another_library_is_recognised_by_each_call(void **state)
{
	struct metal_device *camera = NULL, *display = open_card(0);

	(void)state;
	ok(metal_shm_v4l2_open(video_path("vivid-000-vid-cap"), &camera));
	refuse_handle(garbage(0), camera, display);
	refuse_handle(garbage(0xff), camera, display);
	refuse_handle(garbage(0x5a), camera, display);
	refuse_handle((void *)camera, camera, display);
	metal_shm_device_close(camera);
	metal_shm_device_close(display);
}

static void refuse_device(struct metal_device *wrong, struct metal_generic_shm *shm,
			  struct metal_shm_pool *pool)
{
	struct metal_shm_properties p = { .struct_size = sizeof(p) };
	struct metal_shm_frame frame = { .fourcc = XR24, .width = WIDTH, .height = HEIGHT };
	struct metal_shm_pool *made = NULL;
	struct metal_generic_shm *got = NULL;

	refused(metal_shm_allocate(4096, wrong, 0), EINVAL, "not a device");
	refused(metal_shm_allocate_for(4096, &wrong, 1, 0), EINVAL, "not a device");
	refused(metal_shm_attach(shm, wrong), EINVAL, "not a device");
	refused(metal_shm_view(shm, wrong), EINVAL, "not a device");
	refused(metal_shm_device_name(wrong), EINVAL, "not a device");
	fails(metal_shm_device_dispatch(wrong), EINVAL, "not a device");
	fails(metal_shm_device_poll_fd(wrong), EINVAL, "not a device");
	fails(metal_shm_device_properties(wrong, &p), EINVAL, "not a device");
	fails(metal_shm_frame_negotiate(&frame, &wrong, 1), EINVAL, "not a device");
	fails(metal_shm_pool_create(4096, 1, &wrong, 1, 0, &made), EINVAL, "not a device");
	fails(metal_shm_sync_for_device(shm, wrong, W), EINVAL, "not a device");
	fails(metal_shm_v4l2_start(wrong, pool), EINVAL, "not a device");
	fails(metal_shm_v4l2_stop(wrong), EINVAL, "not a device");
	fails(metal_shm_v4l2_queue(wrong, shm), EINVAL, "not a device");
	fails(metal_shm_v4l2_wait(wrong, 0, NULL, &got), EINVAL, "not a device");
	fails(metal_shm_v4l2_fd(wrong), EINVAL, "not a device");
	fails(metal_shm_drm_present(wrong, shm), EINVAL, "not a device");
	fails(metal_shm_drm_wait(wrong, 0), EINVAL, "not a device");
	fails(metal_shm_drm_off(wrong), EINVAL, "not a device");
	fails(metal_shm_opencl_acquire(wrong, shm, W), EINVAL, "not a device");
	is_misuse(metal_shm_device_close(wrong), "not an open device");
	assert_true(!made && !got);
}

static void device_of_another_library_is_recognised_by_each_call(void **state)
{
	struct metal_device *heap = open_memory("heap:system");
	struct metal_generic_shm *shm = metal_shm_allocate(4096, heap, 0);
	struct metal_shm_pool *pool = NULL;

	(void)state;
	assert_non_null(shm);
	ok(metal_shm_pool_create(4096, 1, &heap, 1, 0, &pool));
	refuse_device(garbage(0), shm, pool);
	refuse_device(garbage(0xff), shm, pool);
	refuse_device((void *)shm, shm, pool);
	metal_shm_pool_destroy(pool);
	metal_shm_free(shm, heap);
	metal_shm_device_close(heap);
}

static void device_of_another_adapter_is_refused(void **state)
{
	struct metal_device *camera = NULL, *display = open_card(0);
	struct metal_device *heap = open_memory("heap:system");
	struct metal_generic_shm *shm = metal_shm_allocate(4096, heap, 0), *got = NULL;

	(void)state;
	ok(metal_shm_v4l2_open(video_path("vivid-000-vid-cap"), &camera));
	fails(metal_shm_drm_present(camera, shm), EINVAL, "is another kind of device");
	fails(metal_shm_drm_off(camera), EINVAL, "is another kind of device");
	fails(metal_shm_v4l2_queue(display, shm), EINVAL, "is another kind of device");
	fails(metal_shm_v4l2_wait(heap, 0, NULL, &got), EINVAL, "is another kind of device");
	fails(metal_shm_opencl_acquire(display, shm, W), EINVAL, "is another kind of device");
	refused(metal_shm_allocate(4096, camera, 0), ENOTSUP, "gives no memory");
	refused(metal_shm_attach(shm, heap), ENOTSUP, "uses no memory");
	metal_shm_free(shm, heap);
	metal_shm_device_close(heap);
	metal_shm_device_close(display);
	metal_shm_device_close(camera);
}

static void pool_of_another_library_is_recognised_by_each_call(void **state)
{
	struct metal_device *camera = NULL;
	struct metal_shm_pool *wrong = garbage(0x5a);

	(void)state;
	ok(metal_shm_v4l2_open(video_path("vivid-000-vid-cap"), &camera));
	refused(metal_shm_pool_get(wrong, 0), EINVAL, "not a pool");
	refused(metal_shm_pool_count(wrong), EINVAL, "not a pool");
	fails(metal_shm_v4l2_start(camera, wrong), EINVAL, "not a pool");
	is_misuse(metal_shm_pool_destroy(wrong), "not a pool");
	metal_shm_device_close(camera);
}

/* The second detach finds a view of which nothing is left; what it was attached to works on. */
static void second_detach_is_misuse(void **state)
{
	struct metal_device *camera = NULL, *devs[2] = { open_card(0), NULL };
	struct metal_device *heap = open_memory("heap:reserved");

	(void)state;
	ok(metal_shm_v4l2_open(video_path("vivid-000-vid-cap"), &camera));
	devs[1] = camera;
	for (size_t i = 0; i < SHM_TEST_COUNT(devs); i++) {
		struct metal_generic_shm *shm = metal_shm_allocate(1 << 20, heap, 0), *view;

		view = metal_shm_attach(shm, devs[i]);
		assert_non_null(view);
		assert_ptr_equal(metal_shm_attach(shm, devs[i]), view);
		is_misuse(metal_shm_detach(view, heap), "the view is another device's");
		is_misuse(metal_shm_detach(shm, devs[i]), "not a view");
		metal_shm_detach(view, devs[i]);
		metal_shm_detach(view, devs[i]);
		is_misuse(metal_shm_detach(view, devs[i]), "detached before");
		fails(metal_shm_sync_for_device(shm, devs[i], METAL_SHM_DIR_DEV_R), ENOTCONN,
		      "not attached to");
		view = metal_shm_attach(shm, devs[i]);
		assert_non_null(view);
		metal_shm_detach(view, devs[i]);
		metal_shm_free(shm, heap);
	}
	metal_shm_device_close(heap);
	metal_shm_device_close(camera);
	metal_shm_device_close(devs[0]);
}

static void buffer_freed_while_attached_stays_until_the_detach(void **state)
{
	struct metal_device *display = open_card(0), *heap = open_memory("heap:system");
	struct metal_generic_shm *shm = metal_shm_allocate(1 << 20, heap, 0);
	struct metal_generic_shm *view = metal_shm_attach(shm, display);
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	unsigned char *bytes;

	(void)state;
	assert_non_null(view);
	is_misuse(metal_shm_free(view, heap), "a view is ended by metal_shm_detach()");
	is_misuse(metal_shm_free(shm, display), "the buffer came from another device");
	metal_shm_free(shm, heap);
	ok(metal_shm_stats(&stats));
	assert_int_equal(stats.deferred, 1);
	is_misuse(metal_shm_free(shm, heap), "before");
	/* the view stands for the memory, which is all there still */
	bytes = metal_shm_map(view, METAL_SHM_READ | METAL_SHM_WRITE);
	assert_non_null(bytes);
	memset(bytes, 1, 1 << 20);
	metal_shm_detach(view, display);
	ok(metal_shm_stats(&stats));
	assert_int_equal(stats.deferred, 0);
	is_misuse(metal_shm_detach(view, display), "before");
	metal_shm_device_close(heap);
	metal_shm_device_close(display);
}

static void buffer_freed_while_a_camera_fills_it_stays_until_it_is_filled(void **state)
{
	struct metal_generic_shm *shm, *view, *got = NULL;
	struct metal_shm_v4l2_info info = { 0 };
	struct camera c;

	(void)state;
	camera_open(&c, "vivid-000-vid-cap");
	camera_pool(&c, YUYV, "heap:system");
	shm = metal_shm_allocate((size_t)c.frame.size, c.src, 0);
	view = metal_shm_attach(shm, c.dev);
	assert_non_null(view);
	ok(metal_shm_v4l2_start(c.dev, c.pool));
	ok(metal_shm_v4l2_queue(c.dev, shm));
	fails(metal_shm_v4l2_queue(c.dev, shm), EBUSY, "queued already");
	metal_shm_detach(view, c.dev);
	metal_shm_free(shm, c.src);
	/* the queue's reference comes with the frame */
	for (unsigned i = 0; i < 4 * FRAMES && got != shm; i++) {
		got = camera_next(&c, &info);
		if (got != shm)
			metal_shm_free(got, NULL);
	}
	assert_ptr_equal(got, shm);
	assert_true(info.bytes_used >= 320 * 180 * 2);
	assert_non_null(read_frame(shm));
	metal_shm_free(shm, NULL);
	is_misuse(metal_shm_free(shm, NULL), "before");
	metal_shm_free(camera_next(&c, &info), NULL);
	camera_close(&c);
}

static void buffer_freed_while_it_is_shown_stays_until_it_is_replaced(void **state)
{
	struct metal_device *dev = open_card(0), *heap = open_memory("heap:system");
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 1);
	struct metal_generic_shm *next = get_filled(pool, 2), *shm, *view;
	struct metal_shm_frame frame = *metal_shm_frame_of(next);
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	uint32_t crc;

	(void)state;
	shm = metal_shm_allocate((size_t)frame.size, heap, 0);
	ok(metal_shm_frame_set(shm, &frame));
	view = metal_shm_attach(shm, dev);
	assert_non_null(view);
	fill(shm, 1);
	show(dev, shm);
	crc = read_crc(dev);
	metal_shm_detach(view, dev);
	metal_shm_free(shm, heap);
	is_misuse(metal_shm_free(shm, heap), "before");
	is_misuse(metal_shm_detach(view, dev), "before");
	assert_int_equal(read_crc(dev), crc);
	ok(metal_shm_stats(&stats));
	assert_int_equal(stats.deferred, 1);
	show(dev, next);
	assert_int_not_equal(read_crc(dev), crc);
	ok(metal_shm_stats(&stats));
	assert_int_equal(stats.deferred, 0);
	metal_shm_free(next, NULL);
	end(pool, dev);
	metal_shm_device_close(heap);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(handle_of_another_library_is_recognised_by_each_call),
		cmocka_unit_test(device_of_another_library_is_recognised_by_each_call),
		cmocka_unit_test(device_of_another_adapter_is_refused),
		cmocka_unit_test(pool_of_another_library_is_recognised_by_each_call),
		cmocka_unit_test(second_detach_is_misuse),
		cmocka_unit_test(buffer_freed_while_attached_stays_until_the_detach),
		cmocka_unit_test(buffer_freed_while_a_camera_fills_it_stays_until_it_is_filled),
		cmocka_unit_test(buffer_freed_while_it_is_shown_stays_until_it_is_replaced),
	};

	warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
