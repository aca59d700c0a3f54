/* SPDX-License-Identifier: BSD-3-Clause */
/* Windows of udmabuf: a part's own pages, as a device has them that the kernel maps them for. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <linux/dma-buf.h>

#include <shm/observe.h>

#include "fence.h"
#include "importer_device.h"
#include "shm_test.h"

#define R  METAL_SHM_DIR_DEV_R
#define W  METAL_SHM_DIR_DEV_W
#define RW METAL_SHM_DIR_DEV_RW

#define PAGE  ((size_t)4096)
#define PAGES 16
#define SIZE  (PAGES * PAGE)

struct bench {
	struct metal_device *src;
	struct importer_device device;
	struct metal_generic_shm *shm;
	unsigned char *bytes;
};

static int set_up(void **state)
{
	struct bench *b = test_calloc(1, sizeof(*b));

	if (metal_shm_device_open("udmabuf", &b->src))
		fail_msg("%s", metal_shm_last_error());
	importer_device_open(&b->device, "importer");
	b->shm = metal_shm_allocate(SIZE, b->src, METAL_SHM_DMABUF);
	assert_non_null(b->shm);
	b->bytes = metal_shm_map(b->shm, METAL_SHM_READ | METAL_SHM_WRITE);
	assert_non_null(b->bytes);
	memset(b->bytes, 1, SIZE);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	metal_shm_free(b->shm, NULL);
	importer_device_close(&b->device);
	metal_shm_device_close(b->src);
	test_free(b);
	return 0;
}

static struct metal_generic_shm *part_of(struct bench *b, size_t offset, size_t size,
					 enum metal_shm_view_mode mode)
{
	struct metal_generic_shm *part = metal_shm_sub(b->shm, offset, size, 0), *view;

	assert_non_null(part);
	view = metal_shm_attach(part, b->device.dev);
	if (!view)
		fail_msg("%s", metal_shm_last_error());
	assert_int_equal(metal_shm_view_mode(view), mode);
	return part;
}

static void end_part(struct bench *b, struct metal_generic_shm *part)
{
	metal_shm_detach(metal_shm_view(part, b->device.dev), b->device.dev);
	metal_shm_free(part, NULL);
}

static struct metal_shm_stats stats_of(const struct bench *b)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(metal_shm_buffer_stats(b->shm, &stats), 0);
	return stats;
}

/* Where the page of an address is, as the kernel tells root. */
static uint64_t physical(const void *address)
{
	uint64_t entry;
	int file = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	assert_true(file >= 0);
	assert_int_equal(pread(file, &entry, sizeof(entry),
			       (off_t)((uintptr_t)address / PAGE * sizeof(entry))),
			 sizeof(entry));
	close(file);
	assert_true(entry >> 63);
	return (entry & (((uint64_t)1 << 55) - 1)) * PAGE;
}

static void a_windows_pages_are_the_parts(void **state)
{
	struct bench *b = *state;

	for (size_t i = 0; i < PAGES; i++) {
		struct metal_generic_shm *part = part_of(b, i * PAGE, PAGE, METAL_SHM_VIEW_WINDOW);
		const struct board_attachment *seen = importer_device_look(&b->device, part);
		uint64_t address;

		assert_int_equal(seen->size, PAGE);
		assert_int_equal(seen->bounced, 0);
		assert_int_equal(seen->address, physical(b->bytes + i * PAGE));
		assert_int_equal(
			metal_shm_device_address(metal_shm_view(part, b->device.dev), &address), 0);
		assert_int_equal(address, seen->address);
		end_part(b, part);
	}
	assert_int_equal(stats_of(b).windows, PAGES);
}

static void bytes_go_both_ways_and_nothing_is_copied(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, 3 * PAGE, 2 * PAGE, METAL_SHM_VIEW_WINDOW);
	struct metal_shm_stats before = stats_of(b), now;
	unsigned char byte;

	b->bytes[3 * PAGE] = 2;
	assert_int_equal(metal_shm_sync_for_device(part, b->device.dev, RW), 0);
	importer_device_read(&b->device, part, 0, &byte, 1);
	assert_int_equal(byte, 2);
	byte = 3;
	importer_device_write(&b->device, part, 2 * PAGE - 1, &byte, 1);
	assert_int_equal(metal_shm_sync_for_cpu(part, RW), 0);
	assert_int_equal(b->bytes[5 * PAGE - 1], 3);
	assert_int_equal(b->bytes[5 * PAGE], 1);
	now = stats_of(b);
	assert_int_equal(now.bytes_copied, 0);
	assert_int_equal(now.starts - before.starts, 1);
	assert_int_equal(now.ends - before.ends, 1);
	assert_int_equal(now.ranged - before.ranged, 2);
	end_part(b, part);
}

static void a_part_with_others_in_its_pages_is_copied(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part;
	unsigned char byte;

	part = metal_shm_sub(b->shm, PAGE + 64, PAGE, METAL_SHM_SUB_NO_COPY);
	assert_null(metal_shm_attach(part, b->device.dev));
	assert_int_equal(errno, ENOTSUP);
	assert_non_null(strstr(metal_shm_last_error(), "others have bytes in the part's pages"));
	metal_shm_free(part, NULL);
	part = part_of(b, PAGE + 64, PAGE, METAL_SHM_VIEW_SHADOW);
	b->bytes[PAGE + 64] = 2;
	assert_int_equal(metal_shm_sync_for_device(part, b->device.dev, RW), 0);
	importer_device_read(&b->device, part, 0, &byte, 1);
	assert_int_equal(byte, 2);
	assert_int_equal(metal_shm_sync_for_cpu(part, RW), 0);
	assert_int_equal(stats_of(b).windows, 0);
	assert_int_equal(stats_of(b).bytes_out, PAGE);
	end_part(b, part);
}

/* They are on a DMA-BUF that is not the buffer's. */
static void a_windows_fence_is_waited_for(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part, *beside = metal_shm_sub(b->shm, 0, PAGE, 0);
	int fence;

	b->device.fences = true;
	part = part_of(b, PAGE, PAGE, METAL_SHM_VIEW_WINDOW);
	assert_int_equal(metal_shm_sync_for_device(part, b->device.dev, W), 0);
	fence = importer_device_fence(&b->device, part, DMA_BUF_SYNC_WRITE);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(beside, RW, 0), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(part, RW, 0), -ETIMEDOUT);
	assert_non_null(strstr(metal_shm_last_error(), "a fence of the buffer"));
	end_fence(fence);
	assert_int_equal(metal_shm_sync_for_cpu(part, RW), 0);
	metal_shm_free(beside, NULL);
	end_part(b, part);
}

static void pages_stay_while_only_a_window_has_them(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, PAGE, PAGE, METAL_SHM_VIEW_WINDOW);
	struct metal_generic_shm *view = metal_shm_view(part, b->device.dev);
	unsigned char byte;

	b->bytes[PAGE] = 2;
	assert_int_equal(metal_shm_sync_for_device(part, b->device.dev, R), 0);
	metal_shm_free(part, NULL);
	metal_shm_free(b->shm, NULL);
	importer_device_read(&b->device, view, 0, &byte, 1);
	assert_int_equal(byte, 2);
	metal_shm_detach(view, b->device.dev);
	b->shm = NULL;
}

static void out_of_descriptors_nothing_is_left_of_a_window(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = metal_shm_sub(b->shm, PAGE, PAGE, METAL_SHM_SUB_NO_COPY);
	int taken[4096], n = 0;

	while (n < 4096 && (taken[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	assert_int_equal(errno, EMFILE);
	assert_null(metal_shm_attach(part, b->device.dev));
	assert_int_equal(errno, EMFILE);
	while (n)
		close(taken[--n]);
	assert_non_null(metal_shm_attach(part, b->device.dev));
	end_part(b, part);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_windows_pages_are_the_parts),
		CASE(bytes_go_both_ways_and_nothing_is_copied),
		CASE(a_part_with_others_in_its_pages_is_copied),
		CASE(a_windows_fence_is_waited_for),
		CASE(pages_stay_while_only_a_window_has_them),
		CASE(out_of_descriptors_nothing_is_left_of_a_window),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
