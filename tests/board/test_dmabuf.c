/* SPDX-License-Identifier: BSD-3-Clause */
/* What the Linux side makes of real DMA-BUFs: fences, syncs, identity, the list of heaps. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/dma-buf.h>

#include <shm/linux.h>

#include "core.h"
#include "dmabuf.h"
#include "drivers.h"

#include "fence.h"
#include "shm_test.h"

#define MS INT64_C(1000000)

struct fixture {
	struct metal_device *dev;
	struct metal_generic_shm *shm;
	int fd;
	int timeline;
};

static int set_up(void **state)
{
	static struct fixture f;

	if (metal_shm_device_open("heap:system", &f.dev))
		return -1;
	f.shm = metal_shm_allocate(4096, f.dev, 0);
	f.fd = metal_shm_export(f.shm, METAL_SHM_EXPORT_DMABUF);
	f.timeline = open(TIMELINE, O_RDWR | O_CLOEXEC);
	*state = &f;
	return f.fd < 0 || f.timeline < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	close(f->timeline);
	close(f->fd);
	metal_shm_free(f->shm, f->dev);
	metal_shm_device_close(f->dev);
	return 0;
}

/* A fence that the timeline's next step signals, as a driver's that reads or writes. */
static void add_fence(const struct fixture *f, uint32_t flags)
{
	struct timeline_fence fence = { .value = 1, .name = "test" };
	struct dma_buf_import_sync_file import = { .flags = flags };

	assert_int_equal(ioctl(f->timeline, TIMELINE_FENCE, &fence), 0);
	import.fd = fence.fd;
	assert_int_equal(ioctl(f->fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import), 0);
	close(fence.fd);
}

static void signal_fence(const struct fixture *f)
{
	uint32_t steps = 1;

	assert_int_equal(ioctl(f->timeline, TIMELINE_STEP, &steps), 0);
}

static void fence_of_a_writer_keeps_everybody_out(void **state)
{
	const struct fixture *f = *state;

	add_fence(f, DMA_BUF_SYNC_WRITE);
	assert_int_equal(shm__os_wait_fences(f->fd, false, 0), -ETIMEDOUT);
	assert_int_equal(shm__os_wait_fences(f->fd, true, 0), -ETIMEDOUT);
	signal_fence(f);
	assert_int_equal(shm__os_wait_fences(f->fd, false, METAL_SHM_FOREVER), 0);
	assert_int_equal(shm__os_wait_fences(f->fd, true, METAL_SHM_FOREVER), 0);
}

static void fence_of_a_reader_keeps_writers_out(void **state)
{
	const struct fixture *f = *state;

	add_fence(f, DMA_BUF_SYNC_READ);
	assert_int_equal(shm__os_wait_fences(f->fd, false, METAL_SHM_FOREVER), 0);
	assert_int_equal(shm__os_wait_fences(f->fd, true, shm__os_now_ns() + MS), -ETIMEDOUT);
	signal_fence(f);
	assert_int_equal(shm__os_wait_fences(f->fd, true, METAL_SHM_FOREVER), 0);
}

static void *signal_later(void *data)
{
	uint32_t steps = 1;
	const struct fixture *f = data;

	usleep(50000);
	return ioctl(f->timeline, TIMELINE_STEP, &steps) ? data : NULL;
}

static void fence_that_signals_ends_the_wait(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;
	void *failed;

	add_fence(f, DMA_BUF_SYNC_WRITE);
	assert_int_equal(pthread_create(&thread, NULL, signal_later, f), 0);
	assert_int_equal(shm__os_wait_fences(f->fd, true, METAL_SHM_FOREVER), 0);
	assert_int_equal(shm__os_wait_fences(f->fd, false, 0), 0);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
}

static void each_direction_is_a_sync_that_the_kernel_takes(void **state)
{
	const struct fixture *f = *state;

	for (enum metal_shm_dir dir = METAL_SHM_DIR_DEV_R; dir <= METAL_SHM_DIR_DEV_RW; dir++) {
		assert_int_equal(shm__dmabuf_start(f->fd, dir), 0);
		assert_int_equal(shm__dmabuf_end(f->fd, dir), 0);
	}
	assert_int_equal(shm__dmabuf_start(f->fd, (enum metal_shm_dir)0), -EINVAL);
	assert_int_equal(shm__dmabuf_end(f->fd, (enum metal_shm_dir)0), -EINVAL);
}

static void dmabuf_is_recognised(void **state)
{
	const struct fixture *f = *state;

	assert_true(shm__fd_is_dmabuf(f->fd));
}

static void two_dmabufs_have_two_identities(void **state)
{
	const struct fixture *f = *state;
	struct metal_generic_shm *other = metal_shm_allocate(4096, f->dev, 0);
	struct shm__identity a, b, c;

	assert_non_null(other);
	assert_int_equal(shm__os_identity(f->fd, &a), 0);
	assert_int_equal(shm__os_identity(f->shm->root->memory.os_handle, &b), 0);
	assert_int_equal(shm__os_identity(other->root->memory.os_handle, &c), 0);
	assert_true(a.inode && a.inode == b.inode && a.device == b.device);
	assert_true(a.inode != c.inode);
	metal_shm_free(other, f->dev);
}

/* The driver itself refuses that END: the source must not. */
static void udmabuf_takes_an_end_before_any_start(void **state)
{
	const struct metal_shm_range all = { 0, 4096 };
	struct metal_device *dev;
	struct metal_generic_shm *shm;
	struct metal_shm_memory *memory;

	(void)state;
	assert_int_equal(metal_shm_device_open("udmabuf", &dev), 0);
	shm = metal_shm_allocate(4096, dev, 0);
	memory = &shm->root->memory;
	assert_int_equal(shm__dmabuf_end(memory->os_handle, METAL_SHM_DIR_DEV_R), -EINVAL);
	assert_int_equal(dev->ops->sync_for_device(dev, memory, &all, METAL_SHM_DIR_DEV_R), 0);
	assert_int_equal(shm__dmabuf_end(memory->os_handle, METAL_SHM_DIR_DEV_R), 0);
	assert_int_equal(dev->ops->sync_for_device(dev, memory, &all, (enum metal_shm_dir)0),
			 -EINVAL);
	metal_shm_free(shm, dev);
	metal_shm_device_close(dev);
}

struct names {
	char text[256];
	int left;
};

static int add_name(void *user, const char *name)
{
	struct names *names = user;

	strcat(names->text, name);
	strcat(names->text, " ");
	return --names->left ? 0 : -ECANCELED;
}

static void create(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void heaps_are_listed_cheapest_first_and_the_cma_heap_once(void **state)
{
	struct names names = { .left = 100 };

	(void)state;
	create("/dev/dma_heap/aaa");
	create("/dev/dma_heap/linux,cma");
	create("/dev/dma_heap/zzz");
	assert_int_equal(shm__heap_driver.enumerate(add_name, &names), 0);
	unlink("/dev/dma_heap/aaa");
	unlink("/dev/dma_heap/linux,cma");
	unlink("/dev/dma_heap/zzz");
	assert_string_equal(names.text, "heap:system heap:reserved heap:aaa heap:zzz ");
}

static void listing_stops_where_it_is_told_to(void **state)
{
	struct names names = { .left = 1 };

	(void)state;
	assert_int_equal(shm__heap_driver.enumerate(add_name, &names), -ECANCELED);
	assert_string_equal(names.text, "heap:system ");
	names = (struct names){ .left = 1 };
	assert_int_equal(shm__udmabuf_driver.enumerate(add_name, &names), -ECANCELED);
	assert_string_equal(names.text, "udmabuf ");
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fence_of_a_writer_keeps_everybody_out, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(fence_of_a_reader_keeps_writers_out, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(fence_that_signals_ends_the_wait, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(each_direction_is_a_sync_that_the_kernel_takes,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(dmabuf_is_recognised, set_up, tear_down),
		cmocka_unit_test_setup_teardown(two_dmabufs_have_two_identities, set_up, tear_down),
		cmocka_unit_test(udmabuf_takes_an_end_before_any_start),
		cmocka_unit_test(heaps_are_listed_cheapest_first_and_the_cma_heap_once),
		cmocka_unit_test(listing_stops_where_it_is_told_to),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
