/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_importer and a remoteproc with an IOMMU of its own: addresses are the module's choice within a window that
 * the integrator names, and the IOMMU keeps the device from everything else. The device is QEMU's edu, which moves
 * bytes between its buffer and memory, 100 ms each time.
 */
#include <linux/dma-buf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "coprocessor_board.h"
#include "heap_memory.h"
#include "import_board.h"

#define REGISTERS "/sys/bus/pci/devices/0000:00:03.0/resource0"
#define REMOTE    "board_edu_remoteproc"

enum {
	KIB = 1024,
	SIZE = 200 * KIB, /* pieces of 64 and 4 KiB */
	RW = SHM_IMPORT_READ | SHM_IMPORT_WRITE,
	WINDOW = 0x4000000,
	WINDOW_SIZE = 0x80000,
	BUFFER = 0x40000, /* the device's own */
	COUNT = 1024,
};

enum { SOURCE = 0x80, DESTINATION = 0x88, LENGTH = 0x90, COMMAND = 0x98, START = 1, TO_MEMORY = 2 };

static int load(void **state)
{
	(void)state;
	coprocessor_load(""); /* for where the firmware lies */
	module_load("shm_importer", "iova=edu:0x4000000+0x80000");
	module_load(REMOTE, "");
	return 0;
}

static int unload(void **state)
{
	(void)state;
	return module_remove(REMOTE) || module_remove("shm_importer");
}

static void move(uint64_t from, uint64_t to, uint64_t command)
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	int file = open(REGISTERS, O_RDWR | O_CLOEXEC);
	volatile uint64_t *registers;

	assert_true(file >= 0);
	registers = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	assert_ptr_not_equal(registers, MAP_FAILED);
	close(file);
	registers[SOURCE / 8] = from;
	registers[DESTINATION / 8] = to;
	registers[LENGTH / 8] = COUNT;
	registers[COMMAND / 8] = command | START;
	while (registers[COMMAND / 8] & START)
		nanosleep(&moment, NULL);
	munmap((void *)(uintptr_t)registers, 0x1000);
}

static void device_reads(uint64_t address)
{
	move(address, BUFFER, 0);
}

static void device_writes(uint64_t address)
{
	move(BUFFER, address, TO_MEMORY);
}

/* A buffer of the scattered heap, filled. */
static unsigned char *buffer(int *ret_memory)
{
	unsigned char *bytes;

	*ret_memory = heap_memory("system", SIZE, O_RDWR);
	bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, *ret_memory, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (unsigned char)(i * 7 + (i >> 8));
	return bytes;
}

static void scattered_memory_is_one_piece_behind_the_iommu(void **state)
{
	int importer = import_open_of("edu"), memory;
	unsigned char *bytes = buffer(&memory);
	struct shm_import_attach attach;
	uint64_t address;

	(void)state;
	attach = import_attach(importer, memory);
	assert_int_equal(attach.flags, SHM_IMPORT_COHERENT | SHM_IMPORT_IOMMU);
	address = import_address(importer, attach.id);
	assert_in_range(address, WINDOW, WINDOW + WINDOW_SIZE - SIZE);
	/* the last page's bytes to the middle of the buffer, over the edge of two pages */
	device_reads(address + SIZE - 4 * KIB);
	device_writes(address + 64 * KIB - 512);
	assert_memory_equal(bytes + 64 * KIB - 512, bytes + SIZE - 4 * KIB, COUNT);
	assert_int_equal(bytes[64 * KIB - 513],
			 (unsigned char)((64 * KIB - 513) * 7 + ((64 * KIB - 513) >> 8)));
	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	munmap(bytes, SIZE);
	close(memory);
	close(importer);
}

static void memory_for_reading_cannot_be_written(void **state)
{
	int importer = import_open_of("edu"), memory;
	unsigned char *bytes = buffer(&memory), before[COUNT];
	struct shm_import_attach attach = { 0 };
	uint64_t address;

	(void)state;
	assert_int_equal(import_try(importer, memory, SHM_IMPORT_READ, &attach), 0);
	address = import_address(importer, attach.id);
	memcpy(before, bytes, COUNT);
	device_reads(address + 8 * KIB);
	device_writes(address);
	assert_memory_equal(bytes, before, COUNT);
	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	munmap(bytes, SIZE);
	close(memory);
	close(importer);
}

static void what_was_released_is_out_of_reach(void **state)
{
	int importer = import_open_of("edu"), memory;
	unsigned char *bytes = buffer(&memory), before[COUNT];
	struct shm_import_attach attach = { 0 };
	uint64_t address;

	(void)state;
	attach = import_attach(importer, memory);
	address = import_address(importer, attach.id);
	memcpy(before, bytes, COUNT);
	device_reads(address + 8 * KIB);
	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	device_writes(address);
	assert_memory_equal(bytes, before, COUNT);

	/* held: in reach still, and gone with the core */
	attach = import_attach(importer, memory);
	assert_int_equal(import_release(importer, attach.id, 0), 0);
	device_writes(address);
	assert_memory_equal(bytes, bytes + 8 * KIB, COUNT);
	assert_int_equal(import_status(importer).held, SIZE);
	assert_int_equal(module_remove(REMOTE), 0);
	assert_int_equal(import_status(importer).held, 0);
	munmap(bytes, SIZE);
	close(memory);
	close(importer);
	module_load(REMOTE, "");
}

static void the_window_is_all_there_is(void **state)
{
	int importer = import_open_of("edu"), memory[3];
	struct shm_import_attach attach[3] = { 0 };
	uint64_t address[2];

	(void)state;
	for (int i = 0; i < 3; i++)
		munmap(buffer(&memory[i]), SIZE);
	for (int i = 0; i < 2; i++) {
		attach[i] = import_attach(importer, memory[i]);
		address[i] = import_address(importer, attach[i].id);
	}
	assert_int_equal(address[0], WINDOW);
	assert_int_equal(address[1], WINDOW + SIZE);
	assert_int_equal(import_try(importer, memory[2], RW, &attach[2]), -ENOSPC);
	assert_int_equal(import_release(importer, attach[0].id, SHM_IMPORT_UNSHARED), 0);
	attach[2] = import_attach(importer, memory[2]);
	assert_int_equal(import_address(importer, attach[2].id), address[0]);
	assert_int_equal(import_release(importer, attach[1].id, SHM_IMPORT_UNSHARED), 0);
	assert_int_equal(import_release(importer, attach[2].id, SHM_IMPORT_UNSHARED), 0);
	for (int i = 0; i < 3; i++)
		close(memory[i]);
	close(importer);
}

static void without_a_window_nothing_is_guessed(void **state)
{
	struct shm_import_attach attach = { 0 };
	int importer, memory;

	(void)state;
	assert_int_equal(module_remove("shm_importer"), 0);
	importer = import_open_of("edu");
	memory = heap_memory("system", SIZE, O_RDWR);
	assert_int_equal(import_try(importer, memory, RW, &attach), -EOPNOTSUPP);
	close(importer);
	close(memory);
}

/* Bytes go from one page to another by the device. */
static void moves_in(int memory, int importer)
{
	unsigned char *bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	struct shm_import_segment segments[64] = { 0 };
	struct shm_import_attach attach;
	uint64_t address, last;

	assert_ptr_not_equal(bytes, MAP_FAILED);
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (unsigned char)(i * 7 + (i >> 8));
	attach = import_attach(importer, memory);
	/* what 6.1 says of all that is mapped there */
	assert_int_equal(attach.flags, SHM_IMPORT_NEEDS_SYNC);
	assert_in_range(import_segments(importer, attach.id, 0, 64, segments), 1, 64);
	address = segments[0].address;
	last = segments[attach.segments - 1].address + segments[attach.segments - 1].length;
	assert_true(last <= 1 << 28);
	device_reads(last - 4 * KIB);
	device_writes(address);
	assert_memory_equal(bytes, bytes + SIZE - 4 * KIB, COUNT);
	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	munmap(bytes, SIZE);
}

static void behind_the_iommu_of_the_dma_api_its_addresses_are_given(void **state)
{
	int importer, memory;

	(void)state;
	assert_int_equal(module_remove(REMOTE), 0);
	module_load(REMOTE, "own_iommu=0");
	module_load("shm_carveout", "region=sram,0x31000000+0x400000");
	importer = import_open_of("edu");
	memory = heap_memory("system", SIZE, O_RDWR);
	moves_in(memory, importer);
	close(memory);
	/* where the kernel has neither pages nor a mapping */
	memory = heap_memory_at("/dev/shm_carveout/sram", SIZE, O_RDWR);
	moves_in(memory, importer);
	close(memory);
	close(importer);
	assert_int_equal(module_remove("shm_carveout"), 0);
}

int main(int argc, char **argv)
{
#define WITH_EDU(test) cmocka_unit_test_setup_teardown(test, load, unload)
	static const struct CMUnitTest tests[] = {
		WITH_EDU(scattered_memory_is_one_piece_behind_the_iommu),
		WITH_EDU(memory_for_reading_cannot_be_written),
		WITH_EDU(what_was_released_is_out_of_reach),
		WITH_EDU(the_window_is_all_there_is),
		WITH_EDU(without_a_window_nothing_is_guessed),
		WITH_EDU(behind_the_iommu_of_the_dma_api_its_addresses_are_given),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
