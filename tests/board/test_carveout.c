/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel module shm_carveout: memory that was set aside, seen by the CPU, the coprocessor and nobody else. */
#include <linux/dma-buf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "coprocessor_board.h"
#include "heap_memory.h"
#include "import_board.h"
#include "importer.h"
#include "uapi/shm_carveout.h"

#define MODULE "shm_carveout"

enum { MIB = 1 << 20 };

static int add_region(const char *region)
{
	int file = open("/sys/module/" MODULE "/parameters/region", O_WRONLY | O_CLOEXEC), error;

	assert_true(file >= 0);
	error = write(file, region, strlen(region)) < 0 ? -errno : 0;
	close(file);
	return error;
}

/* What the board has: 4 MiB uncached, 1 MiB cached, 1 MiB that only the coprocessor may use. */
static int load(void **state)
{
	(void)state;
	coprocessor_start();
	module_load(MODULE,
		    "region=sram,0x31000000+0x400000 region=fast,0x31400000+0x100000,cached "
		    "region=vault,0x31500000+0x100000,secure,nobody,board-coprocessor");
	return 0;
}

static int unload(void **state)
{
	(void)state;
	return module_remove(MODULE);
}

static int allocate(const char *name, size_t size)
{
	char node[64];

	snprintf(node, sizeof(node), SHM_CARVEOUT_FOLDER "%s", name);
	return heap_memory_at(node, size, O_RDWR);
}

static struct shm_carveout_info info_of(const char *name)
{
	struct shm_carveout_info info = { 0 };
	char node[64];
	int file;

	snprintf(node, sizeof(node), SHM_CARVEOUT_FOLDER "%s", name);
	file = open(node, O_RDWR | O_CLOEXEC);
	assert_true(file >= 0);
	assert_int_equal(ioctl(file, SHM_CARVEOUT_INFO, &info), 0);
	close(file);
	return info;
}

static unsigned char *map(int memory, size_t size)
{
	unsigned char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);

	if (bytes == MAP_FAILED)
		fail_msg("mmap: %s", strerror(errno));
	return bytes;
}

static int sync_cpu(int memory, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags | DMA_BUF_SYNC_RW };

	return ioctl(memory, DMA_BUF_IOCTL_SYNC, &sync) ? -errno : 0;
}

/* CPU and coprocessor see each other's bytes, the latter where it must be. */
static void both_work_on(const char *name, uint64_t expected)
{
	int memory = allocate(name, MIB), importer = import_open(), channel;
	struct shm_import_attach attach = { 0 };
	unsigned char *bytes;

	assert_true(memory >= 0);
	bytes = map(memory, MIB);
	channel = coprocessor_channel(COPROCESSOR_WORK);
	assert_int_equal(sync_cpu(memory, DMA_BUF_SYNC_START), 0);
	for (size_t i = 0; i < MIB; i++)
		bytes[i] = (unsigned char)(i * 7 + (i >> 8));
	assert_int_equal(sync_cpu(memory, DMA_BUF_SYNC_END), 0);

	attach = import_attach(importer, memory);
	assert_int_equal(import_address(importer, attach.id), expected + COPROCESSOR_OFFSET);
	coprocessor_work(channel, COPROCESSOR_ADD, import_address(importer, attach.id), MIB, 1);
	assert_int_equal(sync_cpu(memory, DMA_BUF_SYNC_START), 0);
	for (size_t i = 0; i < MIB; i++)
		assert_int_equal(bytes[i], (unsigned char)(i * 7 + (i >> 8) + 1));
	assert_int_equal(sync_cpu(memory, DMA_BUF_SYNC_END), 0);
	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	close(channel);
	close(importer);
	munmap(bytes, MIB);
	close(memory);
}

static void cpu_and_coprocessor_work_on_memory_set_aside(void **state)
{
	(void)state;
	both_work_on("sram", ASIDE_BASE);
	both_work_on("fast", ASIDE_BASE + 4 * MIB);
	assert_int_equal(info_of("sram").flags, 0);
	assert_int_equal(info_of("fast").flags, SHM_CARVEOUT_CACHED);
}

static void a_carveout_of_the_resource_table_is_shared(void **state)
{
	(void)state;
	assert_int_equal(add_region("dsp,remoteproc=board/shared,cached\n"), 0);
	assert_int_equal(info_of("dsp").size, COPROCESSOR_SHARED_SIZE);
	both_work_on("dsp", COPROCESSOR_BASE + COPROCESSOR_SHARED);
	/* it is the driver's, so it stays when the core stops */
	coprocessor_stop();
	coprocessor_start();
	both_work_on("dsp", COPROCESSOR_BASE + COPROCESSOR_SHARED);
}

static void the_next_owner_finds_zeros(void **state)
{
	static const char *const names[] = { "sram", "fast" };
	unsigned char *bytes;
	int memory;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		for (int round = 0; round < 2; round++) {
			memory = allocate(names[i], MIB);
			assert_true(memory >= 0);
			bytes = map(memory, MIB);
			for (size_t at = 0; at < MIB; at++)
				assert_int_equal(bytes[at], 0);
			memset(bytes, 0xaa, MIB);
			munmap(bytes, MIB);
			close(memory);
		}
	}
}

static void it_tells_what_is_free(void **state)
{
	int memory[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		memory[i] = allocate("sram", i == 3 ? MIB - 1 : MIB);
		assert_true(memory[i] >= 0);
	}
	assert_int_equal(info_of("sram").free, 0);
	assert_int_equal(info_of("sram").largest, 0);
	assert_int_equal(allocate("sram", 1), -ENOMEM);
	close(memory[0]);
	close(memory[2]);
	assert_int_equal(info_of("sram").free, 2 * MIB);
	assert_int_equal(info_of("sram").largest, MIB);
	assert_int_equal(allocate("sram", MIB + 1), -ENOMEM);
	close(memory[1]);
	assert_int_equal(info_of("sram").largest, 3 * MIB);
	close(memory[3]);
	assert_int_equal(info_of("sram").free, 4 * MIB);
	assert_int_equal(info_of("sram").size, 4 * MIB);
}

static void secure_memory_is_for_listed_devices_alone(void **state)
{
	int memory = allocate("vault", MIB), importer = import_open(), channel, other;
	struct board_attachment wanted = { .fd = memory };
	struct shm_import_attach attach = { 0 };

	(void)state;
	assert_true(memory >= 0);
	assert_int_equal(info_of("vault").flags, SHM_CARVEOUT_SECURE);
	assert_ptr_equal(mmap(NULL, MIB, PROT_READ, MAP_SHARED, memory, 0), MAP_FAILED);
	assert_int_equal(errno, EACCES);
	assert_int_equal(sync_cpu(memory, DMA_BUF_SYNC_START), -EACCES);
	other = importer_open();
	assert_int_equal(ioctl(other, BOARD_ATTACH, &wanted), -1);
	assert_int_equal(errno, EACCES);

	attach = import_attach(importer, memory);
	channel = coprocessor_channel(COPROCESSOR_WORK);
	coprocessor_work(channel, COPROCESSOR_FILL, import_address(importer, attach.id), MIB, 3);
	assert_int_equal(coprocessor_work(channel, COPROCESSOR_SUM,
					  import_address(importer, attach.id), MIB, 0),
			 3 * MIB);
	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	close(channel);
	close(other);
	close(importer);
	close(memory);
}

static void other_devices_are_told_the_address_that_is_theirs(void **state)
{
	int memory = allocate("sram", MIB), other;
	struct board_attachment attachment = { 0 };

	(void)state;
	assert_true(memory >= 0);
	other = importer_attach(memory, &attachment);
	assert_int_equal(attachment.pieces, 1);
	assert_int_equal(attachment.address, ASIDE_BASE);
	close(other);
	close(memory);
}

static void memory_beyond_a_devices_reach_is_refused_at_attach(void **state)
{
	int memory = allocate("sram", MIB), importer;
	struct shm_import_attach attach = { 0 };

	(void)state;
	assert_int_equal(coprocessor_unload(), 0);
	coprocessor_load("reach=0x31000000");
	coprocessor_start();
	importer = import_open();
	assert_int_equal(import_try(importer, memory, SHM_IMPORT_READ, &attach), -ERANGE);
	close(importer);
	close(memory);
	assert_int_equal(coprocessor_unload(), 0);
	coprocessor_start();
}

static void what_a_running_coprocessor_may_write_stays_taken(void **state)
{
	int memory = allocate("sram", MIB), importer = import_open(), watch = import_open();

	(void)state;
	import_attach(importer, memory);
	close(importer);
	close(memory);
	assert_int_equal(info_of("sram").free, 3 * MIB);
	assert_int_equal(module_remove(MODULE), -EWOULDBLOCK);
	coprocessor_stop();
	for (int waited = 0; waited < 1000 && info_of("sram").free != 4 * MIB; waited += 10)
		usleep(10000);
	assert_int_equal(info_of("sram").free, 4 * MIB);
	coprocessor_start();
	close(watch);
}

static void what_makes_no_sense_is_refused(void **state)
{
	static const char *const bad[] = {
		",",
		"x",
		"x,",
		"x,0x31600000",
		"x,0x31600000+0",
		"x,0x31600001+0x1000",
		"x,0x31600000+0x1001",
		"x,0xfffffffffffff000+0x2000",
		"x,0x31600000+0x1000,warm",
		"x,0x31600000+0x1000,cached,secure",
		"x,0x31600000+0x1000,secure,",
		"x,0x31600000+0x1000,secure,1,2,3,4,5,6,7,8,9",
		"a/b,0x31600000+0x1000",
		"a-name-that-is-longer-than-there-is-room,0x31600000+0x1000",
		"x,remoteproc=board",
	};
	struct dma_heap_allocation_data data = { .len = 4096, .heap_flags = 1 };
	int node, memory;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(bad); i++) {
		if (add_region(bad[i]) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
	}
	assert_int_equal(add_region("x,0x1000000+0x1000"), -EBUSY); /* the kernel's own memory */
	assert_int_equal(add_region("x,0x31300000+0x200000"), -EEXIST);
	assert_int_equal(add_region("sram,0x31600000+0x1000"), -EEXIST);
	assert_int_equal(add_region("x,remoteproc=none/shared"), -ENODEV);
	assert_int_equal(add_region("x,remoteproc=board/none"), -ENOENT);
	coprocessor_stop();
	assert_int_equal(add_region("x,remoteproc=board/shared"), -EHOSTDOWN);
	coprocessor_start();

	assert_int_equal(allocate("sram", 0), -EINVAL);
	assert_int_equal(allocate("sram", SIZE_MAX), -EINVAL);
	node = open(SHM_CARVEOUT_FOLDER "sram", O_RDWR | O_CLOEXEC);
	assert_int_equal(ioctl(node, DMA_HEAP_IOCTL_ALLOC, &data), -1);
	assert_int_equal(errno, EINVAL);
	data = (struct dma_heap_allocation_data){ .len = 4096, .fd_flags = O_APPEND };
	assert_int_equal(ioctl(node, DMA_HEAP_IOCTL_ALLOC, &data), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ioctl(node, DMA_HEAP_IOCTL_ALLOC, NULL), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(ioctl(node, _IO('S', 0x7f)), -1);
	assert_int_equal(errno, ENOTTY);
	close(node);

	memory = heap_memory_at(SHM_CARVEOUT_FOLDER "sram", 4096, O_RDONLY);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0),
			 MAP_FAILED);
	assert_ptr_equal(mmap(NULL, 8192, PROT_READ, MAP_SHARED, memory, 0), MAP_FAILED);
	close(memory);
}

static void each_failure_in_the_kernel_gives_back_what_was_taken(void **state)
{
	int fail = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC), nth, error;
	int node = open(SHM_CARVEOUT_FOLDER "sram", O_RDWR | O_CLOEXEC);
	struct dma_heap_allocation_data data;
	char text[16];

	(void)state;
	assert_true(fail >= 0 && node >= 0);
	for (nth = 1; nth < 50; nth++) {
		data = (struct dma_heap_allocation_data){ .len = MIB, .fd_flags = O_RDWR };
		snprintf(text, sizeof(text), "%d", nth);
		assert_int_equal(pwrite(fail, text, strlen(text), 0), (int)strlen(text));
		error = ioctl(node, DMA_HEAP_IOCTL_ALLOC, &data) ? -errno : 0;
		memset(text, 0, sizeof(text));
		assert_true(pread(fail, text, sizeof(text) - 1, 0) > 0);
		assert_int_equal(pwrite(fail, "0", 1, 0), 1);
		if (!error)
			close((int)data.fd);
		else
			assert_int_equal(error, -ENOMEM);
		assert_int_equal(info_of("sram").free, 4 * MIB);
		if (atoi(text))
			break;
	}
	assert_in_range(nth, 3, 49);
	close(node);
	close(fail);
}

static void the_module_goes_only_when_nobody_uses_it(void **state)
{
	int memory;

	(void)state;
	for (int round = 0; round < 100; round++) {
		load(NULL);
		memory = allocate("sram", MIB);
		assert_true(memory >= 0);
		assert_int_equal(module_remove(MODULE), -EWOULDBLOCK);
		close(memory);
		assert_int_equal(module_remove(MODULE), 0);
		assert_int_equal(access(SHM_CARVEOUT_FOLDER "sram", F_OK), -1);
	}
	assert_int_equal(module_insert(MODULE, "region=x,0x31000000+0x1000 region=bad"), -EINVAL);
	assert_int_equal(module_insert(MODULE, "region=x,0x31000000+0x1000"), 0);
}

int main(int argc, char **argv)
{
#define WITH_MODULE(test) cmocka_unit_test_setup_teardown(test, load, unload)
	static const struct CMUnitTest tests[] = {
		WITH_MODULE(cpu_and_coprocessor_work_on_memory_set_aside),
		WITH_MODULE(a_carveout_of_the_resource_table_is_shared),
		WITH_MODULE(the_next_owner_finds_zeros),
		WITH_MODULE(it_tells_what_is_free),
		WITH_MODULE(secure_memory_is_for_listed_devices_alone),
		WITH_MODULE(other_devices_are_told_the_address_that_is_theirs),
		WITH_MODULE(memory_beyond_a_devices_reach_is_refused_at_attach),
		WITH_MODULE(what_a_running_coprocessor_may_write_stays_taken),
		WITH_MODULE(what_makes_no_sense_is_refused),
		WITH_MODULE(each_failure_in_the_kernel_gives_back_what_was_taken),
		cmocka_unit_test_teardown(the_module_goes_only_when_nobody_uses_it, unload),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
