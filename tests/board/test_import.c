/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel module shm_importer: addresses against the known offset, bytes written by the coprocessor, what is
 * refused. test_import_held.c is about memory whose owner is gone.
 */
#include <linux/dma-buf.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "coprocessor_board.h"
#include "heap_memory.h"
#include "import_board.h"

/* The heap makes it of pieces of 1 MiB, 64 KiB and 4 KiB. */
enum { SCATTERED = 3 * (1 << 20) + 7 * 65536 + 5 * 4096 };

enum { MIB = 1 << 20, RW = SHM_IMPORT_READ | SHM_IMPORT_WRITE };

static void sync_cpu(int dmabuf, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	assert_int_equal(ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &sync), 0);
}

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 7 + (i >> 8));
}

static unsigned char *map(int dmabuf, size_t size)
{
	unsigned char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);

	if (bytes == MAP_FAILED)
		fail_msg("mmap: %s", strerror(errno));
	return bytes;
}

/* Every byte is worked on in place by the coprocessor, at the addresses that the module answers. */
static uint32_t works_on(const char *heap, size_t size)
{
	int memory = heap_memory(heap, size, O_RDWR), importer, channel;
	unsigned char *bytes = map(memory, size);
	struct shm_import_segment *segments;
	struct shm_import_attach attach = { 0 };
	bool contiguous = !strcmp(heap, "reserved");
	size_t place = 0;

	coprocessor_start();
	importer = import_open();
	channel = coprocessor_channel(COPROCESSOR_WORK);
	sync_cpu(memory, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	for (size_t i = 0; i < size; i++)
		bytes[i] = pattern(i);
	sync_cpu(memory, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);

	attach = import_attach(importer, memory);
	assert_int_equal(attach.size, size);
	assert_int_equal(attach.flags, SHM_IMPORT_COHERENT);
	segments = calloc(attach.segments + 1, sizeof(*segments));
	assert_non_null(segments);
	assert_int_equal(import_segments(importer, attach.id, 0, attach.segments + 1, segments),
			 attach.segments);
	for (uint32_t i = 0; i < attach.segments; i++) {
		/* nobody tells where pages of the other heap are; that the bytes come right must do */
		for (size_t page = 0; contiguous && page < segments[i].length; page += 4096)
			assert_int_equal(segments[i].address + page,
					 physical_address(bytes + place + page) +
						 COPROCESSOR_OFFSET);
		coprocessor_work(channel, COPROCESSOR_ADD, segments[i].address, segments[i].length,
				 1);
		place += segments[i].length;
	}
	assert_int_equal(place, size);
	sync_cpu(memory, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], (unsigned char)(pattern(i) + 1));
	sync_cpu(memory, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);

	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	free(segments);
	close(channel);
	close(importer);
	munmap(bytes, size);
	close(memory);
	return attach.segments;
}

static void the_coprocessor_works_on_contiguous_memory(void **state)
{
	(void)state;
	assert_int_equal(works_on("reserved", 4 * MIB), 1);
}

static void the_coprocessor_works_on_scattered_memory(void **state)
{
	(void)state;
	assert_true(works_on("system", SCATTERED) > 1);
}

static void segments_come_in_parts_as_asked_for(void **state)
{
	int memory = heap_memory("system", SCATTERED, O_RDWR), importer;
	struct shm_import_segment all[64] = { 0 }, part[64] = { 0 };
	struct shm_import_attach attach = { 0 };

	(void)state;
	coprocessor_start();
	importer = import_open();
	attach = import_attach(importer, memory);
	assert_true(attach.segments > 1 && attach.segments < 64);
	assert_int_equal(import_segments(importer, attach.id, 0, 64, all), attach.segments);
	for (uint32_t first = 0; first < attach.segments; first++) {
		assert_int_equal(import_segments(importer, attach.id, first, 1, part), 1);
		assert_memory_equal(part, all + first, sizeof(*part));
	}
	assert_int_equal(import_segments(importer, attach.id, attach.segments, 1, part), 0);
	assert_int_equal(import_segments(importer, attach.id, UINT32_MAX, 1, part), 0);
	assert_int_equal(import_segments(importer, attach.id + 1, 0, 1, part), -ENOENT);
	assert_int_equal(import_segments(importer, attach.id, 0, 1, NULL), -EFAULT);
	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	close(importer);
	close(memory);
}

static void a_descriptor_for_reading_gives_memory_for_reading(void **state)
{
	int memory = heap_memory("reserved", MIB, O_RDWR), channel, importer, reader;
	struct shm_import_attach attach = { 0 };

	(void)state;
	coprocessor_start();
	importer = import_open();
	channel = coprocessor_channel(COPROCESSOR_WORK);
	reader = heap_memory("reserved", MIB, O_RDONLY);
	assert_int_equal(import_try(importer, reader, RW, &attach), -EACCES);
	assert_int_equal(import_try(importer, reader, SHM_IMPORT_WRITE, &attach), -EACCES);
	assert_int_equal(import_try(importer, reader, SHM_IMPORT_READ, &attach), 0);
	assert_int_equal(coprocessor_work(channel, COPROCESSOR_SUM,
					  import_address(importer, attach.id), MIB, 0),
			 0);
	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	assert_int_equal(import_try(importer, memory, 0, &attach), -EINVAL);
	assert_int_equal(import_try(importer, memory, 4, &attach), -EINVAL);
	close(reader);
	close(channel);
	close(importer);
	close(memory);
}

static void memory_beyond_its_reach_is_refused(void **state)
{
	int memory = heap_memory("reserved", MIB, O_RDWR), importer;
	struct shm_import_attach attach = { 0 };

	(void)state;
	coprocessor_load("");
	assert_int_equal(coprocessor_unload(), 0);
	coprocessor_load("reach=0x31000000");
	coprocessor_start();
	importer = import_open();
	assert_int_equal(import_try(importer, memory, RW, &attach), -ERANGE);
	close(importer);
	close(memory);
	assert_int_equal(coprocessor_unload(), 0);
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct shm_import_bind bind = { .name = "no such" };
	int memory = heap_memory("system", 4096, O_RDWR), importer, null;
	struct shm_import_attach attach = { .fd = memory, .access = RW };

	(void)state;
	coprocessor_start();
	close(import_open());
	importer = open(SHM_IMPORTER_NODE, O_RDWR | O_CLOEXEC);
	assert_true(importer >= 0);
	assert_int_equal(import_try(importer, memory, RW, &attach), -ENOTCONN);
	assert_int_equal(ioctl(importer, SHM_IMPORT_BIND, &bind), -1);
	assert_int_equal(errno, ENODEV);
	bind.name[0] = '\0';
	assert_int_equal(ioctl(importer, SHM_IMPORT_BIND, &bind), -1);
	assert_int_equal(errno, EINVAL);
	memset(bind.name, 'x', sizeof(bind.name));
	assert_int_equal(ioctl(importer, SHM_IMPORT_BIND, &bind), -1);
	assert_int_equal(errno, EINVAL);

	/* by the name of its device as well */
	strcpy(bind.name, "remoteproc0");
	assert_int_equal(ioctl(importer, SHM_IMPORT_BIND, &bind), 0);
	assert_int_equal(bind.version, SHM_IMPORTER_VERSION);
	assert_int_equal(bind.flags, SHM_IMPORT_COHERENT);
	assert_int_equal(bind.highest, UINT32_MAX);
	assert_int_equal(ioctl(importer, SHM_IMPORT_BIND, &bind), -1);
	assert_int_equal(errno, EBUSY);

	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(import_try(importer, null, RW, &attach), -EINVAL);
	assert_int_equal(import_try(importer, -1, RW, &attach), -EBADF);
	attach = (struct shm_import_attach){ .fd = memory, .access = RW, .reserved = 1 };
	assert_int_equal(ioctl(importer, SHM_IMPORT_ATTACH, &attach), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(import_release(importer, 12345678, SHM_IMPORT_UNSHARED), -ENOENT);
	assert_int_equal(import_release(importer, 12345678, 2), -EINVAL);
	assert_int_equal(ioctl(importer, _IO('S', 0x7f)), -1);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(ioctl(importer, SHM_IMPORT_STATUS, NULL), -1);
	assert_int_equal(errno, EFAULT);
	close(null);
	close(importer);
	close(memory);
}

static bool has_ended(int importer)
{
	struct pollfd ready = { .fd = importer, .events = POLLPRI };

	return poll(&ready, 1, 0) == 1 && (ready.revents & POLLPRI);
}

static void attachments_are_void_after_a_stop(void **state)
{
	int memory = heap_memory("system", MIB, O_RDWR), importer;
	struct shm_import_attach first, second = { 0 };
	struct shm_import_segment segment;

	(void)state;
	coprocessor_start();
	importer = import_open();
	first = import_attach(importer, memory);
	assert_false(has_ended(importer));
	coprocessor_stop();
	assert_true(has_ended(importer));
	assert_int_equal(import_status(importer).running, 0);
	assert_int_equal(import_status(importer).crashed, 0);
	assert_false(has_ended(importer));
	assert_int_equal(import_segments(importer, first.id, 0, 1, &segment), -ESTALE);
	assert_int_equal(import_try(importer, memory, RW, &second), -EHOSTDOWN);

	coprocessor_start();
	assert_int_equal(import_segments(importer, first.id, 0, 1, &segment), -ESTALE);
	second = import_attach(importer, memory);
	assert_int_equal(import_segments(importer, second.id, 0, 1, &segment), 1);
	/* nobody can use the first any more, so there is nothing to hold */
	assert_int_equal(import_release(importer, first.id, 0), 0);
	assert_int_equal(import_status(importer).held, 0);
	assert_int_equal(import_status(importer).attached, MIB);
	assert_int_equal(import_release(importer, second.id, SHM_IMPORT_UNSHARED), 0);
	close(importer);
	close(memory);
}

static void the_driver_may_go_while_memory_is_attached(void **state)
{
	int memory = heap_memory("system", MIB, O_RDWR), importer;
	struct shm_import_attach attach, other = { 0 };
	struct shm_import_segment segment;

	(void)state;
	coprocessor_start();
	importer = import_open();
	attach = import_attach(importer, memory);
	assert_int_equal(coprocessor_unload(), 0);
	assert_true(has_ended(importer));
	assert_int_equal(import_segments(importer, attach.id, 0, 1, &segment), -ESTALE);
	assert_int_equal(import_try(importer, memory, RW, &other), -ENODEV);
	assert_int_equal(import_release(importer, attach.id, 0), 0);
	coprocessor_start();
	/* another now, which this descriptor isn't bound to */
	assert_int_equal(import_try(importer, memory, RW, &other), -ENODEV);
	close(importer);
	importer = import_open();
	attach = import_attach(importer, memory);
	assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
	close(importer);
	close(memory);
}

static void another_kernel_module_may_attach(void **state)
{
	int memory = heap_memory("reserved", MIB, O_RDWR), client;
	unsigned char *bytes = map(memory, MIB);
	struct shm_import_segment segment;

	(void)state;
	coprocessor_start();
	close(import_open());
	module_load("board_import_client", "");
	client = open("/dev/board-import-client", O_RDWR | O_CLOEXEC);
	assert_int_equal(write(client, &memory, sizeof(memory)), sizeof(memory));
	assert_int_equal(module_remove("shm_importer"), -EWOULDBLOCK);
	bytes[0] = 0;
	assert_int_equal(read(client, &segment, sizeof(segment)), sizeof(segment));
	assert_int_equal(segment.address, physical_address(bytes) + COPROCESSOR_OFFSET);
	assert_int_equal(segment.length, MIB);
	assert_int_equal(read(client, &segment, sizeof(segment)), 0);
	coprocessor_stop();
	assert_int_equal(read(client, &segment, sizeof(segment)), -1);
	assert_int_equal(errno, ESTALE);
	close(client);
	munmap(bytes, MIB);
	close(memory);
	assert_int_equal(module_remove("board_import_client"), 0);
}

static void write_number(int file, int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", number);
	assert_int_equal(pwrite(file, text, strlen(text), 0), (int)strlen(text));
}

/* The case's own count of DMA-BUFs says whether anything was kept. */
static void each_failure_in_the_kernel_gives_back_what_was_taken(void **state)
{
	int memory = heap_memory("system", MIB, O_RDWR), importer, fail, nth, error;
	struct shm_import_attach attach = { 0 };
	char left[16] = "";

	(void)state;
	coprocessor_start();
	importer = import_open();
	fail = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	assert_true(fail >= 0);
	for (nth = 1; nth < 50; nth++) {
		write_number(fail, nth);
		error = import_try(importer, memory, RW, &attach);
		memset(left, 0, sizeof(left));
		assert_true(pread(fail, left, sizeof(left) - 1, 0) > 0);
		write_number(fail, 0);
		if (!error)
			assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED),
					 0);
		else
			assert_int_equal(error, -ENOMEM);
		assert_int_equal(import_status(importer).attached, 0);
		if (atoi(left))
			break;
	}
	assert_in_range(nth, 4, 49);
	close(fail);
	close(importer);
	close(memory);
}

static void the_module_loads_works_and_goes_a_hundred_times(void **state)
{
	int memory = heap_memory("system", MIB, O_RDWR), importer;
	struct shm_import_attach attach = { 0 };

	(void)state;
	coprocessor_start();
	for (int round = 0; round < 100; round++) {
		importer = import_open();
		attach = import_attach(importer, memory);
		assert_int_equal(module_remove("shm_importer"), -EWOULDBLOCK);
		assert_int_equal(import_release(importer, attach.id, SHM_IMPORT_UNSHARED), 0);
		close(importer);
		assert_int_equal(module_remove("shm_importer"), 0);
	}
	close(memory);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_coprocessor_works_on_contiguous_memory),
		cmocka_unit_test(the_coprocessor_works_on_scattered_memory),
		cmocka_unit_test(segments_come_in_parts_as_asked_for),
		cmocka_unit_test(a_descriptor_for_reading_gives_memory_for_reading),
		cmocka_unit_test(memory_beyond_its_reach_is_refused),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(attachments_are_void_after_a_stop),
		cmocka_unit_test(the_driver_may_go_while_memory_is_attached),
		cmocka_unit_test(another_kernel_module_may_attach),
		cmocka_unit_test(each_failure_in_the_kernel_gives_back_what_was_taken),
		cmocka_unit_test(the_module_loads_works_and_goes_a_hundred_times),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
