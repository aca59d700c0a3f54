/* SPDX-License-Identifier: BSD-3-Clause */
/* Wrong descriptors, sizes, properties and handles, given to the board's sources and drivers. */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <linux/dma-heap.h>

#include "bad_input.h"

#define CLOSED 1000 /* a number that no descriptor has */

static char dumb[64]; /* the name of a card as memory */

static const char *const sources[] = { "memfd",   "heap:system", "heap:reserved",
				       "udmabuf", "anon",        dumb };

static int name_dumb(void **state)
{
	(void)state;
	snprintf(dumb, sizeof(dumb), "drm:%s,memory", card_path("vgem"));
	return 0;
}

static void closed_descriptor_is_refused_by_each_call_that_takes_one(void **state)
{
	struct metal_device *dev = NULL;

	(void)state;
	assert_int_equal(fcntl(CLOSED, F_GETFD), -1);
	refused(metal_shm_import(CLOSED, 0, 0), EBADF, "descriptor 1000 is closed");
	refused(metal_shm_import(-1, 0, 0), EBADF, "descriptor -1 is closed");
	fails(metal_shm_v4l2_open_fd(CLOSED, NULL, &dev), EBADF, "descriptor 1000: Bad file");
	fails(metal_shm_drm_open_fd(CLOSED, 0, 0, 0, &dev), EBADF, "descriptor 1000: Bad file");
	assert_null(dev);
}

/* Everything that is neither memory nor a device of the adapter that is asked. */
static int open_kind(unsigned kind)
{
	static const char *const nodes[] = { "/proc/version", "/dev/null", "/dev/dma_heap/system",
					     "/dev/udmabuf" };
	int ends[2], flags = O_CLOEXEC, fd;

	if (kind < SHM_TEST_COUNT(nodes))
		return open(nodes[kind], (kind ? O_RDWR : O_RDONLY) | flags);
	switch (kind - (unsigned)SHM_TEST_COUNT(nodes)) {
	case 0:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 1:
		return eventfd(0, EFD_CLOEXEC);
	case 2: /* of a tmpfs, which has seals as a memfd has */
		fd = open("/tmp/bytes", O_CREAT | O_RDWR | flags, 0600);
		assert_int_equal(ftruncate(fd, 4096), 0);
		return fd;
	case 3:
		assert_int_equal(pipe2(ends, flags), 0);
		close(ends[1]);
		return ends[0];
	default:
		return -1;
	}
}

static void descriptor_of_another_kind_is_no_memory(void **state)
{
	int camera = open(video_path("vivid-000-vid-cap"), O_RDWR | O_CLOEXEC);
	int card = open(card_path("vkms"), O_RDWR | O_CLOEXEC), fd;
	unsigned kinds = 0;

	(void)state;
	for (; (fd = open_kind(kinds)) >= 0; kinds++) {
		refused(metal_shm_import(fd, 0, 0), EINVAL, "neither a DMA-BUF nor a memfd");
		assert_true(fcntl(fd, F_GETFD) >= 0);
		close(fd);
	}
	assert_int_equal(kinds, 8);
	refused(metal_shm_import(camera, 0, 0), EINVAL, "neither a DMA-BUF nor a memfd");
	refused(metal_shm_import(card, 0, 0), EINVAL, "neither a DMA-BUF nor a memfd");
	close(camera);
	close(card);
}

static void descriptor_of_another_kind_is_no_camera(void **state)
{
	int card = open(card_path("vkms"), O_RDWR | O_CLOEXEC), fd;
	struct metal_device *dev = NULL;

	(void)state;
	for (unsigned kind = 1; (fd = open_kind(kind)) >= 0; kind++) {
		bool readable_only = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;

		if (readable_only)
			fails(metal_shm_v4l2_open_fd(fd, NULL, &dev), EACCES,
			      "not open for reading and writing");
		else
			fails(metal_shm_v4l2_open_fd(fd, NULL, &dev), ENODEV,
			      "is not a V4L2 device");
		assert_int_equal(close(fd), 0);
	}
	fails(metal_shm_v4l2_open_fd(card, NULL, &dev), ENODEV, "is not a V4L2 device");
	close(card);
	assert_null(dev);
}

static void descriptor_of_another_kind_is_no_display(void **state)
{
	struct metal_device *dev = NULL;
	int fd;

	(void)state;
	for (unsigned kind = 0; (fd = open_kind(kind)) >= 0; kind++) {
		fails(metal_shm_drm_open_fd(fd, 0, 0, 0, &dev), EINVAL, "is not a DRM node");
		assert_int_equal(fcntl(fd, F_GETFD), -1);
	}
	fd = open(video_path("vivid-000-vid-cap"), O_RDWR | O_CLOEXEC);
	fails(metal_shm_drm_open_fd(fd, 0, 0, 0, &dev), EINVAL, "is not a DRM node");
	assert_null(dev);
}

/* A heap's memory on a descriptor of its own. */
static int heap_fd(const char *heap, size_t size, uint32_t flags)
{
	struct dma_heap_allocation_data data = { .len = size, .fd_flags = flags | O_CLOEXEC };
	int fd = open(heap, O_RDONLY | O_CLOEXEC);

	assert_int_equal(ioctl(fd, DMA_HEAP_IOCTL_ALLOC, &data), 0);
	close(fd);
	return (int)data.fd;
}

static void read_only_heap_memory_is_refused_to_a_camera(void **state)
{
	int fd = heap_fd("/dev/dma_heap/system", 1 << 20, O_RDONLY);
	struct metal_generic_shm *shm, *view;
	struct metal_shm_v4l2_info info;
	struct camera c;

	(void)state;
	camera_open(&c, "vivid-000-vid-cap");
	camera_pool(&c, YUYV, "heap:system");
	shm = metal_shm_import(fd, 0, 0);
	view = metal_shm_attach(shm, c.dev);
	if (!view)
		fail_msg("%s", metal_shm_last_error());
	fails(metal_shm_sync_for_device(shm, c.dev, W), EACCES, "imported read-only");
	ok(metal_shm_v4l2_start(c.dev, c.pool));
	fails(metal_shm_v4l2_queue(c.dev, shm), EACCES, "imported read-only");
	metal_shm_free(camera_next(&c, &info), NULL);
	metal_shm_detach(view, c.dev);
	metal_shm_free(shm, NULL);
	close(fd);
	camera_close(&c);
}

static void memory_too_small_for_the_frame_is_refused_to_a_camera(void **state)
{
	int fd = heap_fd("/dev/dma_heap/system", 4096, O_RDWR);
	struct metal_generic_shm *shm, *view;
	struct metal_shm_v4l2_info info;
	struct camera c;

	(void)state;
	camera_open(&c, "vivid-000-vid-cap");
	camera_pool(&c, YUYV, "heap:system");
	shm = metal_shm_import(fd, 0, 0);
	fails(metal_shm_frame_set(shm, &c.frame), ERANGE, "ends outside the 4096 bytes");
	view = metal_shm_attach(shm, c.dev);
	if (!view)
		fail_msg("%s", metal_shm_last_error());
	ok(metal_shm_v4l2_start(c.dev, c.pool));
	fails(metal_shm_v4l2_queue(c.dev, shm), EINVAL, "4096 bytes");
	assert_reason("115200");
	for (unsigned i = 0; i < 2 * FRAMES; i++)
		metal_shm_free(camera_next(&c, &info), NULL);
	metal_shm_detach(view, c.dev);
	metal_shm_free(shm, NULL);
	close(fd);
	camera_close(&c);
}

static void memory_too_small_for_the_frame_is_refused_to_a_display(void **state)
{
	int fd = heap_fd("/dev/dma_heap/reserved", 4096, O_RDWR);
	struct metal_device *dev = open_card(0);
	struct metal_shm_frame frame = { .fourcc = XR24, .width = WIDTH, .height = HEIGHT };
	struct metal_generic_shm *shm = metal_shm_import(fd, 0, 0), *part, *view;

	(void)state;
	assert_non_null(shm);
	ok(metal_shm_frame_negotiate(&frame, &dev, 1));
	fails(metal_shm_frame_set(shm, &frame), ERANGE, "ends outside the 4096 bytes");
	refused(metal_shm_import(fd, 0, frame.size), ERANGE, "outside the memory's 4096");
	refused(metal_shm_import(fd, 4096, 0), ERANGE, "outside the memory's 4096");
	refused(metal_shm_import(fd, UINT64_MAX, 2), ERANGE, "outside the memory's 4096");
	refused(metal_shm_import(fd, 1, SIZE_MAX), ERANGE, "outside the memory's 4096");
	refused(metal_shm_sub(shm, SIZE_MAX, 2, 0), ERANGE, "outside the 4096 bytes");
	refused(metal_shm_sub(shm, 1, SIZE_MAX, 0), ERANGE, "outside the 4096 bytes");
	part = metal_shm_sub(shm, 0, 4095, 0);
	view = metal_shm_attach(shm, dev);
	assert_non_null(view);
	fails(metal_shm_drm_present(dev, shm), EINVAL, "the buffer has no frame");
	metal_shm_detach(view, dev);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(dev);
	close(fd);
}

/* Neither driver has a way to the program's own pages. */
static void memory_that_is_no_dmabuf_is_refused_to_camera_and_display(void **state)
{
	static const char *const kinds[] = { "memfd", "anon" };
	static char own[8192];
	struct metal_device *card = open_card(0);
	struct metal_generic_shm *shm;
	struct camera c;

	(void)state;
	camera_open(&c, "vivid-000-vid-cap");
	for (size_t i = 0; i <= SHM_TEST_COUNT(kinds); i++) {
		struct metal_device *dev = NULL;

		if (i < SHM_TEST_COUNT(kinds)) {
			dev = open_memory(kinds[i]);
			shm = metal_shm_allocate(sizeof(own), dev, 0);
		} else {
			shm = metal_shm_wrap(own, sizeof(own), NULL, NULL);
		}
		assert_non_null(shm);
		refused(metal_shm_attach(shm, c.dev), ENOTSUP, "is no DMA-BUF, and v4l2:");
		refused(metal_shm_attach(shm, card), ENOTSUP, "is no DMA-BUF, and drm:");
		metal_shm_free(shm, NULL);
		metal_shm_device_close(dev);
	}
	metal_shm_device_close(c.dev);
	metal_shm_device_close(card);
}

static void impossible_sizes_are_refused_by_each_source(void **state)
{
	static const size_t overflows[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4095,
					    (size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1 };

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(sources); i++) {
		struct metal_device *dev = open_memory(sources[i]), *devs[] = { dev };
		struct metal_shm_pool *pool = NULL;

		refused(metal_shm_allocate(0, dev, 0), EINVAL, "0 bytes");
		refused(metal_shm_allocate_for(0, devs, 1, 0), EINVAL, "0 bytes");
		for (size_t k = 0; k < SHM_TEST_COUNT(overflows); k++) {
			refused(metal_shm_allocate(overflows[k], dev, 0), EOVERFLOW,
				"address space");
			refused(metal_shm_allocate_for(overflows[k], devs, 1, 0), EOVERFLOW,
				"address space");
		}
		fails(metal_shm_pool_create(0, 2, devs, 1, 0, &pool), EINVAL, "at least a byte");
		fails(metal_shm_pool_create(SIZE_MAX, 2, devs, 1, 0, &pool), EOVERFLOW,
		      "address space");
		fails(metal_shm_pool_create(4096, 65, devs, 1, 0, &pool), EINVAL, "64");
		assert_null(pool);
		metal_shm_device_close(dev);
	}
}

static void contradicting_properties_are_refused_by_each_source(void **state)
{
	const metal_shm_type both = METAL_SHM_CACHED | METAL_SHM_NOTCACHED;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(sources); i++) {
		struct metal_device *dev = open_memory(sources[i]), *devs[] = { dev };
		struct metal_shm_pool *pool = NULL;

		refused(metal_shm_allocate(4096, dev, both), EINVAL,
			"METAL_SHM_CACHED contradicts METAL_SHM_NOTCACHED");
		refused(metal_shm_allocate_for(4096, devs, 1, both), EINVAL, "contradicts");
		fails(metal_shm_pool_create(4096, 2, devs, 1, both, &pool), EINVAL, "contradicts");
		refused(metal_shm_allocate(4096, dev, 1u << 31), EINVAL, "unknown memory flags");
		assert_null(pool);
		metal_shm_device_close(dev);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_descriptor_is_refused_by_each_call_that_takes_one),
		cmocka_unit_test(descriptor_of_another_kind_is_no_memory),
		cmocka_unit_test(descriptor_of_another_kind_is_no_camera),
		cmocka_unit_test(descriptor_of_another_kind_is_no_display),
		cmocka_unit_test(read_only_heap_memory_is_refused_to_a_camera),
		cmocka_unit_test(memory_too_small_for_the_frame_is_refused_to_a_camera),
		cmocka_unit_test(memory_too_small_for_the_frame_is_refused_to_a_display),
		cmocka_unit_test(memory_that_is_no_dmabuf_is_refused_to_camera_and_display),
		cmocka_unit_test_setup(impossible_sizes_are_refused_by_each_source, name_dumb),
		cmocka_unit_test_setup(contradicting_properties_are_refused_by_each_source,
				       name_dumb),
	};

	warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
