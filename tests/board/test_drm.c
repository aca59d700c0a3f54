/* SPDX-License-Identifier: BSD-3-Clause */
/* Cards on the board: what is opened and refused, dumb memory, negotiation, choosing. */
#include "drm_card.h"

#include <linux/dma-buf.h>

static void refuse(const char *path, uint32_t flags, int error, const char *word)
{
	const struct metal_shm_drm_options options = {
		.struct_size = sizeof(options),
		.flags = flags,
	};
	struct metal_device *dev = NULL;

	assert_int_equal(metal_shm_drm_open_options(path, &options, &dev), -error);
	assert_null(dev);
	assert_reason(word);
}

static void card_without_a_display_is_refused(void **state)
{
	(void)state;
	refuse(card_path("vgem"), 0, ENOTSUP, "(vgem) has no display");
}

static void render_node_is_refused(void **state)
{
	(void)state;
	refuse("/dev/dri/renderD128", 0, ENOTSUP, "render node");
	refuse("/dev/dri/renderD128", METAL_SHM_DRM_MEMORY, ENOTSUP, "render node");
}

static void card_of_another_master_is_refused(void **state)
{
	const char *path = card_path("vkms");
	int master = open(path, O_RDWR | O_CLOEXEC);

	(void)state;
	assert_true(drmIsMaster(master));
	refuse(path, 0, EBUSY, "another program is the card's master");
	close(master);
}

static void card_opened_for_memory_leaves_the_display_to_others(void **state)
{
	struct metal_device *dev = open_card(METAL_SHM_DRM_MEMORY);
	int other = open(card_path("vkms"), O_RDWR | O_CLOEXEC);

	(void)state;
	assert_true(drmIsMaster(other));
	close(other);
	metal_shm_device_close(dev);
}

static void objects_that_the_card_lacks_are_refused(void **state)
{
	const struct metal_shm_drm_options wrong[] = {
		{ .struct_size = sizeof(wrong[0]), .connector = 9999 },
		{ .struct_size = sizeof(wrong[0]), .crtc = 9999 },
		{ .struct_size = sizeof(wrong[0]), .plane = 9999 },
	};
	struct metal_device *dev = NULL;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(wrong); i++)
		assert_int_equal(metal_shm_drm_open_options(card_path("vkms"), &wrong[i], &dev),
				 -ENOENT);
	assert_null(dev);
}

static void card_opens_by_its_scheme(void **state)
{
	struct metal_device *dev = NULL;
	char name[64];
	uint32_t width, height, refresh;

	(void)state;
	snprintf(name, sizeof(name), "drm:%s", card_path("vkms"));
	assert_ok(metal_shm_device_open(name, &dev));
	assert_string_equal(metal_shm_device_name(dev), name);
	assert_ok(metal_shm_drm_mode(dev, &width, &height, &refresh));
	assert_int_equal(width, 1024);
	assert_int_equal(height, 768);
	assert_in_range(refresh, 59000, 61000);
	metal_shm_device_close(dev);
}

static void closed_card_is_free_for_others_while_a_view_is_left(void **state)
{
	struct metal_device *dev = open_card(0), *heap = open_memory("heap:system");
	struct metal_generic_shm *shm = metal_shm_allocate(65536, heap, 0), *view;
	int other;

	(void)state;
	view = metal_shm_attach(shm, dev);
	assert_non_null(view);
	metal_shm_device_close(dev);
	other = open(card_path("vkms"), O_RDWR | O_CLOEXEC);
	assert_true(drmIsMaster(other));
	close(other);
	metal_shm_detach(view, dev);
	metal_shm_free(shm, heap);
	metal_shm_device_close(heap);
}

static void lease_shows_frames(void **state)
{
	int fd = open(card_path("vkms"), O_RDWR | O_CLOEXEC), lease;
	struct objects found = find_objects(fd);
	struct metal_device *dev = NULL;
	struct metal_shm_pool *pool;
	struct metal_generic_shm *shm;
	uint32_t lessee;

	(void)state;
	lease = drmModeCreateLease(fd, &found.crtc, 3, O_CLOEXEC, &lessee);
	if (lease < 0)
		lease = drmModeCreateLease(fd,
					   (uint32_t[]){ found.connector, found.crtc, found.plane },
					   3, O_CLOEXEC, &lessee);
	assert_true(lease >= 0);
	assert_ok(metal_shm_drm_open_fd(lease, 0, 0, 0, &dev));
	pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 1);
	shm = get_filled(pool, 1);
	assert_ok(metal_shm_drm_present(dev, shm));
	assert_ok(metal_shm_drm_wait(dev, 2 * SECOND));
	metal_shm_free(shm, NULL);
	end(pool, dev);
	close(fd);
}

static void dumb_memory_is_a_zeroed_dmabuf(void **state)
{
	struct metal_device *dev = open_card(METAL_SHM_DRM_MEMORY);
	struct metal_generic_shm *shm;
	const uint8_t *bytes;
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ };
	int fd;

	(void)state;
	shm = metal_shm_allocate(100001, dev, METAL_SHM_DMABUF | METAL_SHM_ZEROED);
	assert_non_null(shm);
	assert_int_equal(metal_shm_size(shm), 100001);
	bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	assert_non_null(bytes);
	for (size_t i = 0; i < 100001; i++)
		assert_int_equal(bytes[i], 0);
	fd = metal_shm_export(shm, METAL_SHM_EXPORT_DMABUF);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync), 0);
	close(fd);
	metal_shm_free(shm, dev);
	metal_shm_device_close(dev);
}

static void dumb_memory_promises_no_more_than_it_is(void **state)
{
	struct metal_device *dev = open_card(METAL_SHM_DRM_MEMORY);

	(void)state;
	errno = 0;
	assert_null(metal_shm_allocate(4096, dev, METAL_SHM_CONTIGUOUS));
	assert_int_equal(errno, ENOTSUP);
	assert_null(metal_shm_allocate(4096, dev, METAL_SHM_CACHED));
	assert_int_equal(errno, ENOTSUP);
	assert_null(metal_shm_allocate((size_t)5 << 30, dev, 0));
	assert_int_equal(errno, ENOMEM);
	assert_null(metal_shm_allocate(SIZE_MAX, dev, 0));
	metal_shm_device_close(dev);
}

static void dumb_memory_outlives_its_card(void **state)
{
	struct metal_device *dev = open_card(METAL_SHM_DRM_MEMORY);
	struct metal_generic_shm *shm = metal_shm_allocate(8192, dev, 0);

	(void)state;
	assert_non_null(shm);
	metal_shm_device_close(dev);
	fill(shm, 1);
	metal_shm_free(shm, NULL);
}

static void dumb_memory_comes_back_to_its_card_as_one_handle(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_generic_shm *shm = metal_shm_allocate(65536, dev, 0), *part, *views[2];

	(void)state;
	part = metal_shm_sub(shm, 4096, 4096, 0);
	views[0] = metal_shm_attach(shm, dev);
	views[1] = metal_shm_attach(part, dev);
	assert_true(views[0] && views[1]);
	metal_shm_detach(views[0], dev);
	/* were its handle closed with the first, this would export nothing */
	views[0] = metal_shm_attach(shm, dev);
	assert_non_null(views[0]);
	metal_shm_detach(views[1], dev);
	metal_shm_detach(views[0], dev);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, dev);
	metal_shm_device_close(dev);
}

static void memory_without_a_dmabuf_is_refused(void **state)
{
	struct metal_device *dev = open_card(0), *memfd = open_memory("memfd");
	struct metal_generic_shm *shm = metal_shm_allocate(65536, memfd, 0);

	(void)state;
	errno = 0;
	assert_null(metal_shm_attach(shm, dev));
	assert_int_equal(errno, ENOTSUP);
	metal_shm_free(shm, memfd);
	metal_shm_device_close(memfd);
	metal_shm_device_close(dev);
}

static void formats_that_the_plane_lacks_are_refused_by_name(void **state)
{
	const struct {
		uint32_t fourcc;
		const char *name;
	} wrong[] = { { AR24, "AR24" }, { NV12, "NV12" }, { YUYV, "YUYV" } };
	struct metal_device *dev = open_card(0);

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(wrong); i++) {
		struct metal_shm_frame frame = { wrong[i].fourcc, WIDTH, HEIGHT, .modifier = 0 };
		struct metal_shm_frame before = frame;

		assert_int_equal(metal_shm_frame_negotiate(&frame, &dev, 1), -ENOTSUP);
		assert_reason("shows XR24, ");
		assert_reason("RG16, not ");
		assert_reason(wrong[i].name);
		assert_memory_equal(&frame, &before, sizeof(frame));
	}
	metal_shm_device_close(dev);
}

static void frame_larger_than_any_mode_is_refused_with_sizes(void **state)
{
	const struct metal_shm_drm_options options = {
		.struct_size = sizeof(options),
		.width = 640,
		.height = 480,
	};
	struct metal_shm_frame frame = { XR24, 800, 600, .modifier = 0 };
	struct metal_device *dev = NULL;

	(void)state;
	assert_ok(metal_shm_drm_open_options(card_path("vkms"), &options, &dev));
	assert_int_equal(metal_shm_frame_negotiate(&frame, &dev, 1), -ENOTSUP);
	assert_reason("800x600");
	assert_reason("640x480");
	metal_shm_device_close(dev);
}

static void any_modifier_becomes_linear(void **state)
{
	struct metal_shm_frame frame = { XR24, 640, 480, .modifier = METAL_SHM_MODIFIER_ANY };
	struct metal_device *dev = open_card(0);

	(void)state;
	assert_ok(metal_shm_frame_negotiate(&frame, &dev, 1));
	assert_int_equal(frame.modifier, 0);
	assert_int_equal(frame.plane[0].stride, 2560);
	assert_int_equal(frame.size, 640 * 480 * 4);
	metal_shm_device_close(dev);
}

static void udmabuf_is_refused_at_the_commit(void **state)
{
	struct metal_device *devs[] = { open_card(0) };
	struct metal_generic_shm *shm = metal_shm_allocate_for(WIDTH * HEIGHT * 4, devs, 1, 0);
	char text[2000];

	(void)state;
	if (!shm)
		fail_msg("%s", metal_shm_last_error());
	assert_true(metal_shm_explain(shm, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "udmabuf"));
	assert_non_null(strstr(text, "made a framebuffer"));
	assert_non_null(strstr(text, "its commit failed: Invalid argument"));
	metal_shm_free(shm, NULL);
	metal_shm_device_close(devs[0]);
}

static void trial_leaves_the_display_as_it_was(void **state)
{
	struct metal_device *dev = open_card(0), *heap = open_memory("heap:system");
	struct metal_device *devs[] = { heap, dev };
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 2);
	struct metal_generic_shm *shm = get_filled(pool, 7), *other;
	uint32_t before;

	(void)state;
	assert_ok(metal_shm_drm_present(dev, shm));
	before = read_crc(dev);
	/* its trial shows a frame of the preferred mode */
	other = metal_shm_allocate_for(4096, devs, 2, 0);
	assert_non_null(other);
	assert_int_equal(read_crc(dev), before);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_R, 0), -ETIMEDOUT);
	metal_shm_free(other, NULL);
	metal_shm_free(shm, NULL);
	end(pool, dev);
	metal_shm_device_close(heap);
}

static void vkms_shows_memory_of_vgem(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool;
	struct metal_generic_shm *shm;
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "drm:%s,memory", card_path("vgem"));
	pool = make_pool(name, dev, XR24, WIDTH, HEIGHT, 1);
	shm = get_filled(pool, 3);
	assert_ok(metal_shm_drm_present(dev, shm));
	assert_ok(metal_shm_drm_wait(dev, 2 * SECOND));
	metal_shm_free(shm, NULL);
	end(pool, dev);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(card_without_a_display_is_refused),
		cmocka_unit_test(render_node_is_refused),
		cmocka_unit_test(card_of_another_master_is_refused),
		cmocka_unit_test(card_opened_for_memory_leaves_the_display_to_others),
		cmocka_unit_test(objects_that_the_card_lacks_are_refused),
		cmocka_unit_test(card_opens_by_its_scheme),
		cmocka_unit_test(closed_card_is_free_for_others_while_a_view_is_left),
		cmocka_unit_test(lease_shows_frames),
		cmocka_unit_test(dumb_memory_is_a_zeroed_dmabuf),
		cmocka_unit_test(dumb_memory_promises_no_more_than_it_is),
		cmocka_unit_test(dumb_memory_outlives_its_card),
		cmocka_unit_test(dumb_memory_comes_back_to_its_card_as_one_handle),
		cmocka_unit_test(memory_without_a_dmabuf_is_refused),
		cmocka_unit_test(formats_that_the_plane_lacks_are_refused_by_name),
		cmocka_unit_test(frame_larger_than_any_mode_is_refused_with_sizes),
		cmocka_unit_test(any_modifier_becomes_linear),
		cmocka_unit_test(udmabuf_is_refused_at_the_commit),
		cmocka_unit_test(trial_leaves_the_display_as_it_was),
		cmocka_unit_test(vkms_shows_memory_of_vgem),
	};

	wait_once();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
