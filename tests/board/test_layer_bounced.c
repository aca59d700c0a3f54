/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The layer on a machine whose devices see other bytes than the CPU until somebody syncs: the boot makes
 * each device work on copies. One device holds each buffer, from before its import; of two the kernel's
 * own sync makes a mess. What the layer leaves out, or does too early or too late, is wrong bytes here.
 */
#include "importer.h"
#include "layer_commands.h"

#define ROUNDS 20

static const char *const heaps[] = { "system", "reserved" };

#define HEAPS SHM_TEST_COUNT(heaps)

static struct held {
	struct memory memory;
	int device;
	cl_mem mem;
} held;

static unsigned char seen[BYTES], wrote[BYTES];

/* Memory that the device and the CPU see full of this, without an import. */
static void hold_memory(const char *exporter, unsigned char value)
{
	struct board_attachment attachment;

	held.mem = NULL;
	held.memory = memory_from(exporter);
	memset(held.memory.bytes, value, BYTES);
	held.device = importer_attach(held.memory.fd, &attachment);
	assert_int_equal(attachment.size, BYTES);
	assert_int_equal(attachment.bounced, attachment.pieces);
}

static void hold(const char *exporter, unsigned char value)
{
	hold_memory(exporter, value);
	held.mem = import_fd(held.memory.fd, BYTES);
}

static void let_go(void)
{
	if (held.mem)
		assert_cl(clReleaseMemObject(held.mem));
	close(held.device);
	memory_end(&held.memory);
}

static bool device_sees(unsigned char value)
{
	importer_read(held.device, seen, BYTES);
	return all_are(seen, BYTES, value);
}

static void device_writes(unsigned char value)
{
	memset(wrote, value, BYTES);
	importer_write(held.device, wrote, BYTES);
}

static bool opencl_reads(cl_command_queue queue, unsigned char value)
{
	static unsigned char bytes[BYTES];

	assert_cl(clEnqueueReadBuffer(queue, held.mem, CL_TRUE, 0, BYTES, bytes, 0, NULL, NULL));
	return all_are(bytes, BYTES, value);
}

/* Else none of what follows would show anything. */
static void without_an_import_both_sides_see_stale_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < HEAPS; i++) {
		cl_event event;
		cl_int code;

		hold_memory(heaps[i], 0x01);
		held.mem = clCreateBuffer(cl.context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR,
					  BYTES, held.memory.bytes, &code);
		assert_cl(code);
		write_by_fill(cl.queue, held.mem, 0x02, &event);
		wait_and_release(event);
		assert_all(held.memory.bytes, 0x02);
		assert_true(device_sees(0x01));
		device_writes(0x03);
		assert_true(opencl_reads(cl.queue, 0x02));
		let_go();
	}
}

static void what_a_command_wrote_is_the_devices_at_its_event(void **state)
{
	(void)state;
	for (size_t i = 0; i < HEAPS; i++) {
		hold(heaps[i], 0x01);
		for (size_t w = 0; w < WRITERS; w++) {
			unsigned char value = (unsigned char)(0x20 + w);
			cl_event event;

			writers[w].write(w % 2 ? cl.queue : cl.unordered, held.mem, value, &event);
			wait_and_release(event);
			if (!device_sees(value))
				fail_msg("%s: %s", heaps[i], writers[w].name);
		}
		let_go();
	}
}

static void what_the_device_wrote_is_the_next_commands(void **state)
{
	static unsigned char bytes[BYTES];

	(void)state;
	for (size_t i = 0; i < HEAPS; i++) {
		hold(heaps[i], 0x01);
		for (size_t r = 0; r < READERS; r++) {
			unsigned char value = (unsigned char)(0x50 + r);

			device_writes(value);
			memset(bytes, 0xee, BYTES);
			readers[r].read(r % 2 ? cl.queue : cl.unordered, held.mem, bytes);
			if (!all_are(bytes, BYTES, value))
				fail_msg("%s: %s", heaps[i], readers[r].name);
			if (!device_sees(value))
				fail_msg("%s: %s changed what the device sees", heaps[i],
					 readers[r].name);
		}
		let_go();
	}
}

static void device_and_kernel_take_turns(void **state)
{
	(void)state;
	for (size_t i = 0; i < HEAPS; i++) {
		unsigned char value = 0;

		hold(heaps[i], value);
		for (int round = 0; round < ROUNDS; round++) {
			cl_command_queue queue = round % 2 ? cl.queue : cl.unordered;
			cl_event event;

			enqueue_add(queue, held.mem, 3, 0, NULL, &event);
			wait_and_release(event);
			value += 3;
			assert_true(device_sees(value));
			value += 10;
			device_writes(value);
		}
		assert_true(opencl_reads(cl.queue, value));
		let_go();
	}
}

static void bytes_that_a_command_leaves_alone_stay_the_devices(void **state)
{
	const unsigned char value = 0x66;

	(void)state;
	for (size_t i = 0; i < HEAPS; i++) {
		cl_event event;

		hold(heaps[i], 0x01);
		device_writes(0x55);
		assert_cl(clEnqueueFillBuffer(cl.queue, held.mem, &value, 1, 4096, 64, 0, NULL,
					      &event));
		wait_and_release(event);
		importer_read(held.device, seen, BYTES);
		assert_true(all_are(seen, 4096, 0x55));
		assert_true(all_are(seen + 4096, 64, 0x66));
		assert_true(all_are(seen + 4160, BYTES - 4160, 0x55));
		let_go();
	}
}

static void a_map_is_the_cpus_until_its_unmap(void **state)
{
	(void)state;
	for (size_t i = 0; i < HEAPS; i++) {
		cl_event event;
		cl_int code;
		unsigned char *bytes;

		hold(heaps[i], 0x01);
		device_writes(0x11);
		bytes = clEnqueueMapBuffer(cl.queue, held.mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE,
					   0, BYTES, 0, NULL, NULL, &code);
		assert_cl(code);
		assert_all(bytes, 0x11);
		memset(bytes, 0x12, BYTES);
		assert_true(device_sees(0x11));
		assert_cl(clEnqueueUnmapMemObject(cl.queue, held.mem, bytes, 0, NULL, &event));
		wait_and_release(event);
		assert_true(device_sees(0x12));
		let_go();
	}
}

/* The brackets of map and command are one, which ends with the later. */
static void what_is_written_beside_a_map_is_the_devices_at_the_unmap(void **state)
{
	const unsigned char value = 0x23;

	(void)state;
	for (size_t i = 0; i < HEAPS; i++) {
		cl_event event;
		cl_int code;
		unsigned char *bytes;

		hold(heaps[i], 0x21);
		bytes = clEnqueueMapBuffer(cl.queue, held.mem, CL_TRUE, CL_MAP_READ, 0, BYTES / 2,
					   0, NULL, NULL, &code);
		assert_cl(code);
		assert_cl(clEnqueueFillBuffer(cl.queue, held.mem, &value, 1, BYTES / 2, BYTES / 2,
					      0, NULL, &event));
		wait_and_release(event);
		assert_true(device_sees(0x21));
		assert_cl(clEnqueueUnmapMemObject(cl.queue, held.mem, bytes, 0, NULL, &event));
		wait_and_release(event);
		importer_read(held.device, seen, BYTES);
		assert_true(all_are(seen, BYTES / 2, 0x21));
		assert_true(all_are(seen + BYTES / 2, BYTES / 2, value));
		let_go();
	}
}

static void external_memory_changes_hands_at_acquire_and_release(void **state)
{
	(void)state;
	for (size_t i = 0; i < HEAPS; i++) {
		cl_event event;

		hold_memory(heaps[i], 0x01);
		held.mem = external_buffer(held.memory.fd);
		device_writes(0x31);
		acquire(cl.queue, held.mem, NULL);
		assert_true(opencl_reads(cl.queue, 0x31));
		enqueue_add(cl.queue, held.mem, 1, 0, NULL, &event);
		wait_and_release(event);
		assert_true(device_sees(0x31));
		release(cl.queue, held.mem, &event);
		wait_and_release(event);
		assert_true(device_sees(0x32));
		device_writes(0x41);
		acquire(cl.unordered, held.mem, &event);
		wait_and_release(event);
		assert_true(opencl_reads(cl.unordered, 0x41));
		release(cl.unordered, held.mem, &event);
		wait_and_release(event);
		let_go();
	}
}

/* START alone would copy first and wait for the fence then: the bytes of before. */
static void what_a_device_writes_before_its_fence_signals_is_read(void **state)
{
	static unsigned char bytes[BYTES];

	(void)state;
	for (size_t i = 0; i < HEAPS; i++) {
		cl_event event;
		int timeline;

		hold(heaps[i], 0x01);
		timeline = put_fence(held.memory.fd, DMA_BUF_SYNC_WRITE);
		assert_cl(clEnqueueReadBuffer(cl.queue, held.mem, CL_FALSE, 0, BYTES, bytes, 0,
					      NULL, &event));
		pause_ms(100);
		assert_false(is_complete(event));
		device_writes(0x77);
		end_fence(timeline);
		wait_and_release(event);
		assert_all(bytes, 0x77);
		let_go();
	}
}

/*
 * A limit of this kernel's udmabuf, not of the layer: its sync cares for a mapping of its own and for no
 * attachment. A kernel that mends it fails here, and README.md can drop its line.
 */
static void udmabuf_memory_stays_stale_whatever_is_synced(void **state)
{
	cl_event event;

	(void)state;
	hold("udmabuf", 0x01);
	write_by_fill(cl.queue, held.mem, 0x02, &event);
	wait_and_release(event);
	assert_all(held.memory.bytes, 0x02);
	assert_true(device_sees(0x01));
	device_writes(0x03);
	assert_true(opencl_reads(cl.queue, 0x02));
	let_go();
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_an_import_both_sides_see_stale_bytes),
		cmocka_unit_test(what_a_command_wrote_is_the_devices_at_its_event),
		cmocka_unit_test(what_the_device_wrote_is_the_next_commands),
		cmocka_unit_test(device_and_kernel_take_turns),
		cmocka_unit_test(bytes_that_a_command_leaves_alone_stay_the_devices),
		cmocka_unit_test(a_map_is_the_cpus_until_its_unmap),
		cmocka_unit_test(what_is_written_beside_a_map_is_the_devices_at_the_unmap),
		cmocka_unit_test(external_memory_changes_hands_at_acquire_and_release),
		cmocka_unit_test(what_a_device_writes_before_its_fence_signals_is_read),
		cmocka_unit_test(udmabuf_memory_stays_stale_whatever_is_synced),
	};

	return layer_board_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
