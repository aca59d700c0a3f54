/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames on the board's display: what is seen, and who has them when. */
#include "drm_card.h"

#include <pthread.h>

/* Equal content has equal checksums, different content different ones. */
static void check_pictures(const char *memory, uint32_t fourcc)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool(memory, dev, fourcc, WIDTH, HEIGHT, 3);
	struct metal_generic_shm *a = get_filled(pool, 1), *b = get_filled(pool, 2);
	struct metal_generic_shm *again = get_filled(pool, 1);
	uint32_t crc;

	show(dev, a);
	crc = read_crc(dev);
	show(dev, b);
	assert_int_not_equal(read_crc(dev), crc);
	show(dev, again);
	assert_int_equal(read_crc(dev), crc);
	metal_shm_free(a, NULL);
	metal_shm_free(b, NULL);
	metal_shm_free(again, NULL);
	end(pool, dev);
}

static void system_heap_frames_are_shown(void **state)
{
	(void)state;
	check_pictures("heap:system", XR24);
}

static void contiguous_heap_frames_are_shown(void **state)
{
	(void)state;
	check_pictures("heap:contiguous", XR24);
}

static void rg16_frames_are_shown(void **state)
{
	(void)state;
	check_pictures("heap:system", RG16);
}

static void each_present_is_one_flip(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 3);
	struct metal_shm_drm_flip flip = { .struct_size = sizeof(flip) };

	(void)state;
	assert_ok(metal_shm_drm_last_flip(dev, &flip));
	for (uint32_t i = 0; i < 10; i++) {
		struct metal_generic_shm *shm = get_filled(pool, i);
		struct metal_shm_drm_flip before = flip;

		show(dev, shm);
		metal_shm_free(shm, NULL);
		assert_ok(metal_shm_drm_last_flip(dev, &flip));
		assert_int_equal(flip.count, before.count + 1);
		if (i)
			assert_true(flip.sequence > before.sequence &&
				    flip.time_ns > before.time_ns);
	}
	end(pool, dev);
}

static void frame_is_the_displays_until_it_is_replaced(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 2);
	struct metal_generic_shm *a = get_filled(pool, 1), *b = get_filled(pool, 2);

	(void)state;
	show(dev, a);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(a, METAL_SHM_DIR_DEV_R, 0), -ETIMEDOUT);
	assert_reason("drm:/dev/dri/card");
	/* it is only read, so the CPU may read it, too */
	assert_ok(metal_shm_sync_for_cpu_timeout(a, METAL_SHM_DIR_DEV_W, 0));
	show(dev, b);
	assert_ok(metal_shm_sync_for_cpu_timeout(a, METAL_SHM_DIR_DEV_R, 0));
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b, METAL_SHM_DIR_DEV_R, 0), -ETIMEDOUT);
	metal_shm_free(a, NULL);
	metal_shm_free(b, NULL);
	end(pool, dev);
}

static void off_gives_the_frame_back(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 1);
	struct metal_generic_shm *shm = get_filled(pool, 1);

	(void)state;
	assert_ok(metal_shm_drm_off(dev));
	for (int i = 0; i < 2; i++) {
		assert_ok(metal_shm_drm_present(dev, shm));
		assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_R, 0),
				 -ETIMEDOUT);
		assert_ok(metal_shm_drm_off(dev));
		assert_ok(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_R, 0));
	}
	metal_shm_free(shm, NULL);
	end(pool, dev);
}

static void closing_gives_the_frame_back(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 1);
	struct metal_generic_shm *shm = get_filled(pool, 1);

	(void)state;
	show(dev, shm);
	metal_shm_device_close(dev);
	assert_ok(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_R, 0));
	assert_int_equal(metal_shm_drm_present(dev, shm), -ENODEV);
	metal_shm_free(shm, NULL);
	metal_shm_pool_destroy(pool);
}

static void pool_waits_for_the_flip(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 2);

	(void)state;
	for (uint32_t i = 0; i < 6; i++) {
		struct metal_generic_shm *shm = get_filled(pool, i);

		assert_ok(metal_shm_drm_present(dev, shm));
		metal_shm_free(shm, NULL);
	}
	end(pool, dev);
}

static void poll_fd_says_when_a_frame_is_shown(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 2);
	struct metal_generic_shm *a = get_filled(pool, 1), *b = get_filled(pool, 2);
	int fd = metal_shm_device_poll_fd(dev);

	(void)state;
	assert_true(fd >= 0);
	show(dev, a);
	assert_false(readable(fd, 0));
	assert_ok(metal_shm_drm_present(dev, b));
	assert_true(readable(fd, 2000));
	assert_ok(metal_shm_device_dispatch(dev));
	assert_false(readable(fd, 0));
	assert_ok(metal_shm_sync_for_cpu_timeout(a, METAL_SHM_DIR_DEV_R, 0));
	metal_shm_free(a, NULL);
	metal_shm_free(b, NULL);
	end(pool, dev);
}

static void same_frame_can_be_shown_again_and_again(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 1);
	struct metal_generic_shm *shm = get_filled(pool, 1);

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_ok(metal_shm_drm_present(dev, shm));
	assert_ok(metal_shm_drm_wait(dev, 2 * SECOND));
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_R, 0), -ETIMEDOUT);
	metal_shm_free(shm, NULL);
	end(pool, dev);
}

static void frames_of_two_sizes_take_turns(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *small = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 1);
	struct metal_shm_pool *large = make_pool("heap:system", dev, XR24, 640, 480, 1);
	struct metal_generic_shm *a = get_filled(small, 1), *b = get_filled(large, 2);
	uint32_t width, height;

	(void)state;
	for (int i = 0; i < 2; i++) {
		show(dev, a);
		assert_ok(metal_shm_drm_mode(dev, &width, &height, NULL));
		assert_int_equal(width, WIDTH);
		show(dev, b);
		assert_ok(metal_shm_drm_mode(dev, &width, &height, NULL));
		assert_int_equal(height, 480);
	}
	metal_shm_free(a, NULL);
	metal_shm_free(b, NULL);
	assert_ok(metal_shm_drm_off(dev));
	metal_shm_pool_destroy(small);
	end(large, dev);
}

static void plane_that_must_cover_the_crtc_refuses_a_smaller_frame(void **state)
{
	const struct metal_shm_drm_options options = {
		.struct_size = sizeof(options),
		.width = 1024,
		.height = 768,
	};
	struct metal_shm_frame frame = { XR24, 640, 480, .modifier = 0 };
	struct metal_device *devs[2] = { open_memory("heap:system"), NULL };
	struct metal_shm_pool *pool = NULL;

	(void)state;
	assert_ok(metal_shm_drm_open_options(card_path("vkms"), &options, &devs[1]));
	assert_ok(metal_shm_frame_negotiate(&frame, devs, 2));
	assert_int_equal(metal_shm_pool_create_frames(&frame, devs, 2, 1, &pool), -ENOTSUP);
	assert_reason("640x480");
	assert_reason("there is no mode of that size");
	metal_shm_device_close(devs[1]);
	metal_shm_device_close(devs[0]);
}

static void wrong_handles_are_refused(void **state)
{
	struct metal_device *dev = open_card(0), *heap = open_memory("heap:system");
	struct metal_generic_shm *shm = metal_shm_allocate(WIDTH * HEIGHT * 4, heap, 0), *view;
	uint32_t fb;

	(void)state;
	assert_int_equal(metal_shm_drm_present(dev, shm), -ENOTCONN);
	assert_int_equal(metal_shm_drm_framebuffer(dev, shm, &fb), -ENOTCONN);
	view = metal_shm_attach(shm, dev);
	assert_non_null(view);
	assert_int_equal(metal_shm_drm_present(dev, shm), -EINVAL);
	assert_reason("no frame");
	assert_int_equal(metal_shm_drm_framebuffer(dev, shm, &fb), -EINVAL);
	assert_int_equal(metal_shm_drm_framebuffer(dev, shm, NULL), -EINVAL);
	assert_int_equal(metal_shm_drm_present(heap, shm), -EINVAL);
	assert_int_equal(metal_shm_drm_present(NULL, shm), -EINVAL);
	assert_int_equal(metal_shm_drm_present(dev, NULL), -EINVAL);
	assert_int_equal(metal_shm_drm_off(heap), -EINVAL);
	assert_int_equal(metal_shm_drm_wait(heap, 0), -EINVAL);
	assert_int_equal(metal_shm_drm_mode(heap, &fb, NULL, NULL), -EINVAL);
	metal_shm_detach(view, dev);
	metal_shm_free(shm, heap);
	metal_shm_device_close(heap);
	metal_shm_device_close(dev);
}

static void checksum_needs_a_picture(void **state)
{
	struct metal_shm_drm_crc crc = { .struct_size = sizeof(crc) };
	struct metal_device *dev = open_card(0);

	(void)state;
	assert_int_equal(metal_shm_drm_crc(dev, SECOND, &crc), -ENODATA);
	crc.struct_size = 0;
	assert_int_equal(metal_shm_drm_crc(dev, SECOND, &crc), -EINVAL);
	assert_int_equal(metal_shm_drm_crc(dev, SECOND, NULL), -EINVAL);
	metal_shm_device_close(dev);
}

struct watch {
	struct metal_device *dev;
	bool stop;
};

static void *watch(void *user)
{
	struct watch *w = user;
	int fd = metal_shm_device_poll_fd(w->dev);

	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		if (readable(fd, 10))
			metal_shm_device_dispatch(w->dev);
		metal_shm_drm_wait(w->dev, SECOND / 100);
	}
	return NULL;
}

static void presenters_and_watchers_share_a_display(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, 64, 64, 4);
	struct watch w = { .dev = dev };
	struct metal_shm_drm_flip flip = { .struct_size = sizeof(flip) };
	pthread_t threads[2];
	uint64_t trials;

	(void)state;
	assert_ok(metal_shm_drm_last_flip(dev, &flip));
	trials = flip.count;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, watch, &w), 0);
	for (uint32_t i = 0; i < 60; i++) {
		struct metal_generic_shm *shm = get_frame(pool);

		assert_ok(metal_shm_drm_present(dev, shm));
		metal_shm_free(shm, NULL);
	}
	assert_ok(metal_shm_drm_wait(dev, 2 * SECOND));
	__atomic_store_n(&w.stop, true, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_ok(metal_shm_drm_last_flip(dev, &flip));
	assert_int_equal(flip.count, trials + 60);
	end(pool, dev);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_heap_frames_are_shown),
		cmocka_unit_test(contiguous_heap_frames_are_shown),
		cmocka_unit_test(rg16_frames_are_shown),
		cmocka_unit_test(each_present_is_one_flip),
		cmocka_unit_test(frame_is_the_displays_until_it_is_replaced),
		cmocka_unit_test(off_gives_the_frame_back),
		cmocka_unit_test(closing_gives_the_frame_back),
		cmocka_unit_test(pool_waits_for_the_flip),
		cmocka_unit_test(poll_fd_says_when_a_frame_is_shown),
		cmocka_unit_test(same_frame_can_be_shown_again_and_again),
		cmocka_unit_test(frames_of_two_sizes_take_turns),
		cmocka_unit_test(plane_that_must_cover_the_crtc_refuses_a_smaller_frame),
		cmocka_unit_test(wrong_handles_are_refused),
		cmocka_unit_test(checksum_needs_a_picture),
		cmocka_unit_test(presenters_and_watchers_share_a_display),
	};

	wait_once();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
