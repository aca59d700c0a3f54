/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_importer where every device works on copies (swiotlb=force), as a coprocessor without coherent caches does:
 * it tells so, and a sync is what carries bytes.
 */
#include <linux/dma-buf.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "coprocessor_board.h"
#include "heap_memory.h"
#include "import_board.h"

enum { SIZE = 65536 };

static void sync_cpu(int memory, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	assert_int_equal(ioctl(memory, DMA_BUF_IOCTL_SYNC, &sync), 0);
}

static void copies_are_told_and_syncs_carry_bytes(void **state)
{
	int memory = heap_memory("reserved", SIZE, O_RDWR), importer, channel;
	unsigned char *bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	struct shm_import_segment segment = { 0 };
	struct shm_import_attach attach;
	uint64_t physical;

	(void)state;
	assert_ptr_not_equal(bytes, MAP_FAILED);
	coprocessor_start();
	importer = import_open();
	channel = coprocessor_channel(COPROCESSOR_WORK);
	attach = import_attach(importer, memory);
	assert_int_equal(attach.flags, SHM_IMPORT_NEEDS_SYNC | SHM_IMPORT_BOUNCED);
	assert_int_equal(import_segments(importer, attach.id, 0, 1, &segment), 1);
	assert_int_equal(segment.flags, SHM_IMPORT_NEEDS_SYNC | SHM_IMPORT_BOUNCED);

	sync_cpu(memory, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	memset(bytes, 2, SIZE);
	physical = physical_address(bytes);
	assert_int_not_equal(segment.address, physical + COPROCESSOR_OFFSET);
	assert_int_equal(coprocessor_work(channel, COPROCESSOR_SUM, segment.address, SIZE, 0), 0);
	sync_cpu(memory, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	assert_int_equal(coprocessor_work(channel, COPROCESSOR_SUM, segment.address, SIZE, 0),
			 2 * SIZE);
	coprocessor_work(channel, COPROCESSOR_ADD, segment.address, SIZE, 1);
	assert_int_equal(bytes[SIZE - 1], 2);
	sync_cpu(memory, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	for (size_t i = 0; i < SIZE; i++)
		assert_int_equal(bytes[i], 3);
	sync_cpu(memory, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);

	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	close(channel);
	close(importer);
	munmap(bytes, SIZE);
	close(memory);
}

static void memory_set_aside_is_never_copied(void **state)
{
	struct shm_import_segment segment = { 0 };
	struct shm_import_attach attach;
	int memory, importer;

	(void)state;
	coprocessor_start();
	importer = import_open();
	module_load("shm_carveout", "region=sram,0x31000000+0x400000");
	memory = heap_memory_at("/dev/shm_carveout/sram", SIZE, O_RDWR);
	attach = import_attach(importer, memory);
	assert_int_equal(attach.flags, SHM_IMPORT_COHERENT);
	assert_int_equal(import_segments(importer, attach.id, 0, 1, &segment), 1);
	assert_int_equal(segment.address, ASIDE_BASE + (uint64_t)COPROCESSOR_OFFSET);
	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	close(memory);
	close(importer);
	assert_int_equal(module_remove("shm_carveout"), 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_are_told_and_syncs_carry_bytes),
		cmocka_unit_test(memory_set_aside_is_never_copied),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
