/* SPDX-License-Identifier: BSD-3-Clause */
/* Pictures read back from the board's display through its writeback connector. */
#include "drm_card.h"

/* The fourth byte of a pixel of XR24 means nothing. */
static void assert_pictures_equal(struct metal_generic_shm *a, struct metal_generic_shm *b)
{
	const uint32_t *x = metal_shm_map(a, METAL_SHM_READ);
	const uint32_t *y = metal_shm_map(b, METAL_SHM_READ);
	size_t differing = 0;

	assert_true(x && y);
	for (size_t i = 0; i < metal_shm_size(a) / 4; i++)
		differing += ((x[i] ^ y[i]) & 0xffffff) != 0;
	assert_int_equal(differing, 0);
	metal_shm_unmap(a, METAL_SHM_READ);
	metal_shm_unmap(b, METAL_SHM_READ);
}

static void check_bytes(const char *memory)
{
	struct metal_device *dev = open_card(METAL_SHM_DRM_WRITEBACK);
	struct metal_shm_pool *pool = make_pool(memory, dev, XR24, WIDTH, HEIGHT, 3);

	for (uint32_t i = 0; i < 5; i++) {
		struct metal_generic_shm *shown = get_filled(pool, i), *into = get_filled(pool, 99);

		assert_ok(metal_shm_drm_present_writeback(dev, shown, into));
		assert_ok(metal_shm_sync_for_cpu_timeout(into, METAL_SHM_DIR_DEV_W, 5 * SECOND));
		assert_ok(metal_shm_sync_for_cpu_timeout(shown, METAL_SHM_DIR_DEV_W, 0));
		assert_pictures_equal(shown, into);
		metal_shm_free(shown, NULL);
		metal_shm_free(into, NULL);
	}
	end(pool, dev);
}

static void system_heap_pictures_come_back_byte_for_byte(void **state)
{
	(void)state;
	check_bytes("heap:system");
}

static void contiguous_heap_pictures_come_back_byte_for_byte(void **state)
{
	(void)state;
	check_bytes("heap:contiguous");
}

static void rg16_picture_comes_back_as_rg16(void **state)
{
	struct metal_device *dev = open_card(METAL_SHM_DRM_WRITEBACK);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, RG16, WIDTH, HEIGHT, 2);
	struct metal_generic_shm *shown = get_filled(pool, 5), *into = get_filled(pool, 6);
	void *a, *b;

	(void)state;
	assert_ok(metal_shm_drm_present_writeback(dev, shown, into));
	assert_ok(metal_shm_sync_for_cpu(into, METAL_SHM_DIR_DEV_W));
	a = metal_shm_map(shown, METAL_SHM_READ);
	b = metal_shm_map(into, METAL_SHM_READ);
	assert_memory_equal(a, b, WIDTH * HEIGHT * 2);
	metal_shm_free(shown, NULL);
	metal_shm_free(into, NULL);
	end(pool, dev);
}

static void poll_fd_says_when_a_picture_is_written(void **state)
{
	struct metal_device *dev = open_card(METAL_SHM_DRM_WRITEBACK);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, 1024, 768, 2);
	struct metal_generic_shm *shown = get_filled(pool, 1), *into = get_filled(pool, 2);
	int fd = metal_shm_device_poll_fd(dev), ret, rounds = 0;

	(void)state;
	assert_ok(metal_shm_drm_present_writeback(dev, shown, into));
	assert_int_equal(metal_shm_sync_for_cpu_timeout(into, METAL_SHM_DIR_DEV_W, 0), -ETIMEDOUT);
	do {
		assert_true(readable(fd, 5000));
		assert_ok(metal_shm_device_dispatch(dev));
		ret = metal_shm_sync_for_cpu_timeout(into, METAL_SHM_DIR_DEV_W, 0);
	} while (ret == -ETIMEDOUT && ++rounds < 4);
	assert_int_equal(ret, 0);
	assert_pictures_equal(shown, into);
	assert_false(readable(fd, 0));
	metal_shm_free(shown, NULL);
	metal_shm_free(into, NULL);
	end(pool, dev);
}

static void plain_presents_go_between_writebacks(void **state)
{
	struct metal_device *dev = open_card(METAL_SHM_DRM_WRITEBACK);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 4);

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		struct metal_generic_shm *shown = get_filled(pool, i), *into = get_filled(pool, 9);
		struct metal_generic_shm *plain = get_filled(pool, i + 50);

		/* neither waits here: the second commit must not take the first one's writeback */
		assert_ok(metal_shm_drm_present_writeback(dev, shown, into));
		assert_ok(metal_shm_drm_present(dev, plain));
		assert_ok(metal_shm_sync_for_cpu_timeout(into, METAL_SHM_DIR_DEV_W, 5 * SECOND));
		assert_pictures_equal(shown, into);
		metal_shm_free(shown, NULL);
		metal_shm_free(into, NULL);
		metal_shm_free(plain, NULL);
	}
	end(pool, dev);
}

static void closing_during_a_writeback_ends_it(void **state)
{
	struct metal_device *dev = open_card(METAL_SHM_DRM_WRITEBACK);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, 1024, 768, 2);
	struct metal_generic_shm *shown = get_filled(pool, 1), *into = get_filled(pool, 2);

	(void)state;
	assert_ok(metal_shm_drm_present_writeback(dev, shown, into));
	metal_shm_device_close(dev);
	assert_ok(metal_shm_sync_for_cpu_timeout(into, METAL_SHM_DIR_DEV_RW, 0));
	assert_ok(metal_shm_sync_for_cpu_timeout(shown, METAL_SHM_DIR_DEV_RW, 0));
	assert_pictures_equal(shown, into);
	metal_shm_free(shown, NULL);
	metal_shm_free(into, NULL);
	metal_shm_pool_destroy(pool);
}

static void checksums_work_beside_writeback(void **state)
{
	struct metal_device *dev = open_card(METAL_SHM_DRM_WRITEBACK);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 3);
	struct metal_generic_shm *a = get_filled(pool, 1), *b = get_filled(pool, 2);
	struct metal_generic_shm *into = get_filled(pool, 3);
	uint32_t crc;

	(void)state;
	assert_ok(metal_shm_drm_present_writeback(dev, a, into));
	crc = read_crc(dev);
	assert_ok(metal_shm_drm_present_writeback(dev, b, into));
	assert_int_not_equal(read_crc(dev), crc);
	assert_ok(metal_shm_drm_present_writeback(dev, a, into));
	assert_int_equal(read_crc(dev), crc);
	metal_shm_free(a, NULL);
	metal_shm_free(b, NULL);
	metal_shm_free(into, NULL);
	end(pool, dev);
}

static void wrong_targets_are_refused(void **state)
{
	struct metal_device *dev = open_card(METAL_SHM_DRM_WRITEBACK);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 2);
	struct metal_shm_pool *other = make_pool("heap:system", dev, XR24, 640, 480, 1);
	struct metal_generic_shm *shown = get_filled(pool, 1), *into = get_filled(pool, 2);
	struct metal_generic_shm *large = get_filled(other, 3);

	(void)state;
	assert_int_equal(metal_shm_drm_present_writeback(dev, shown, shown), -EINVAL);
	assert_int_equal(metal_shm_drm_present_writeback(dev, shown, NULL), -EINVAL);
	assert_int_equal(metal_shm_drm_present_writeback(dev, shown, large), -EINVAL);
	assert_reason("640x480");
	assert_reason("320x180");
	assert_ok(metal_shm_sync_for_cpu_timeout(large, METAL_SHM_DIR_DEV_RW, 0));
	assert_ok(metal_shm_drm_present_writeback(dev, shown, into));
	metal_shm_free(shown, NULL);
	metal_shm_free(into, NULL);
	metal_shm_free(large, NULL);
	assert_ok(metal_shm_drm_off(dev));
	metal_shm_pool_destroy(other);
	end(pool, dev);
}

static void display_without_the_flag_writes_nothing_back(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 2);
	struct metal_generic_shm *shown = get_filled(pool, 1), *into = get_filled(pool, 2);

	(void)state;
	assert_int_equal(metal_shm_drm_present_writeback(dev, shown, into), -ENOTSUP);
	assert_reason("METAL_SHM_DRM_WRITEBACK");
	metal_shm_free(shown, NULL);
	metal_shm_free(into, NULL);
	end(pool, dev);
}

static void scheme_can_ask_for_writeback(void **state)
{
	struct metal_device *dev = NULL;
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "drm:%s,writeback", card_path("vkms"));
	assert_ok(metal_shm_device_open(name, &dev));
	metal_shm_device_close(dev);
	snprintf(name, sizeof(name), "drm:%s,other", card_path("vkms"));
	assert_int_equal(metal_shm_device_open(name, &dev), -EINVAL);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_heap_pictures_come_back_byte_for_byte),
		cmocka_unit_test(contiguous_heap_pictures_come_back_byte_for_byte),
		cmocka_unit_test(rg16_picture_comes_back_as_rg16),
		cmocka_unit_test(poll_fd_says_when_a_picture_is_written),
		cmocka_unit_test(plain_presents_go_between_writebacks),
		cmocka_unit_test(closing_during_a_writeback_ends_it),
		cmocka_unit_test(checksums_work_beside_writeback),
		cmocka_unit_test(wrong_targets_are_refused),
		cmocka_unit_test(display_without_the_flag_writes_nothing_back),
		cmocka_unit_test(scheme_can_ask_for_writeback),
	};

	wait_once();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
