/* SPDX-License-Identifier: BSD-3-Clause */
/* The layer on true DMA-BUFs, as a program sees it that knows OpenCL's extensions and not libshm. */
#include "layer_commands.h"

#include <drm.h>
#include <drm_mode.h>

#define CARDS  16
#define ROUNDS 120

static const char *const exporters[] = { "system", "reserved", "udmabuf" };

#define EXPORTERS SHM_TEST_COUNT(exporters)

static void commands_write_the_pages_that_others_map(void **state)
{
	(void)state;
	for (size_t i = 0; i < EXPORTERS; i++) {
		struct memory memory = memory_from(exporters[i]);
		cl_mem mem = import_fd(memory.fd, BYTES);

		for (size_t w = 0; w < WRITERS; w++) {
			unsigned char value = (unsigned char)(0x20 + w);
			cl_event event;

			memset(memory.bytes, 0xee, BYTES);
			writers[w].write(w % 2 ? cl.queue : cl.unordered, mem, value, &event);
			wait_and_release(event);
			if (!all_are(memory.bytes, BYTES, value))
				fail_msg("%s: %s", exporters[i], writers[w].name);
		}
		assert_cl(clReleaseMemObject(mem));
		memory_end(&memory);
	}
}

static void commands_read_what_others_wrote(void **state)
{
	unsigned char *bytes = malloc(BYTES);

	(void)state;
	for (size_t i = 0; i < EXPORTERS; i++) {
		struct memory memory = memory_from(exporters[i]);
		cl_mem mem = import_fd(memory.fd, BYTES);

		for (size_t r = 0; r < READERS; r++) {
			unsigned char value = (unsigned char)(0x50 + r);

			memset(memory.bytes, value, BYTES);
			memset(bytes, 0xee, BYTES);
			readers[r].read(r % 2 ? cl.queue : cl.unordered, mem, bytes);
			if (!all_are(bytes, BYTES, value))
				fail_msg("%s: %s", exporters[i], readers[r].name);
		}
		assert_cl(clReleaseMemObject(mem));
		memory_end(&memory);
	}
	free(bytes);
}

static void imports_of_two_exporters_are_copied_to_one_another(void **state)
{
	(void)state;
	for (size_t i = 0; i < EXPORTERS; i++) {
		struct memory from = memory_from(exporters[i]);
		struct memory to = memory_from(exporters[(i + 1) % EXPORTERS]);
		cl_mem source = import_fd(from.fd, BYTES), copy = import_fd(to.fd, BYTES);
		cl_event event;

		memset(from.bytes, 0x61, BYTES);
		assert_cl(
			clEnqueueCopyBuffer(cl.queue, source, copy, 0, 0, BYTES, 0, NULL, &event));
		wait_and_release(event);
		assert_all(to.bytes, 0x61);
		assert_cl(clReleaseMemObject(source));
		assert_cl(clReleaseMemObject(copy));
		memory_end(&from);
		memory_end(&to);
	}
}

static void external_memory_is_written_between_acquire_and_release(void **state)
{
	unsigned char *bytes = malloc(BYTES);

	(void)state;
	for (size_t i = 0; i < EXPORTERS; i++) {
		struct memory memory = memory_from(exporters[i]);
		cl_mem mem = external_buffer(memory.fd);
		cl_event event;

		memset(memory.bytes, 0x33, BYTES);
		acquire(cl.queue, mem, NULL);
		read_by_read(cl.queue, mem, bytes);
		assert_all(bytes, 0x33);
		enqueue_add(cl.queue, mem, 4, 0, NULL, NULL);
		release(cl.queue, mem, &event);
		wait_and_release(event);
		assert_all(memory.bytes, 0x37);
		assert_cl(clReleaseMemObject(mem));
		memory_end(&memory);
	}
	free(bytes);
}

/* A dumb buffer of vgem, handed on for reading only; the card's own mapping writes it. */
static struct memory read_only_memory(void)
{
	for (int i = 0; i < CARDS; i++) {
		char path[32], name[32] = "";
		struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };
		struct drm_mode_create_dumb create = { .width = BYTES / 4, .height = 1, .bpp = 32 };
		struct drm_prime_handle prime = { .flags = DRM_CLOEXEC };
		struct drm_mode_map_dumb map = { 0 };
		struct memory memory;
		int card;

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		card = open(path, O_RDWR | O_CLOEXEC);
		if (card < 0)
			continue;
		if (ioctl(card, DRM_IOCTL_VERSION, &version) || strcmp(name, "vgem") != 0) {
			close(card);
			continue;
		}
		assert_int_equal(ioctl(card, DRM_IOCTL_MODE_CREATE_DUMB, &create), 0);
		map.handle = prime.handle = create.handle;
		assert_int_equal(ioctl(card, DRM_IOCTL_MODE_MAP_DUMB, &map), 0);
		assert_int_equal(ioctl(card, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), 0);
		memory.fd = prime.fd;
		memory.bytes = map_bytes(card, (off_t)map.offset);
		close(card);
		return memory;
	}
	fail_msg("no card is vgem's");
	return (struct memory){ 0 };
}

static void read_only_descriptors_are_read_and_not_written(void **state)
{
	struct memory memory = read_only_memory();
	cl_mem mem = import_fd(memory.fd, BYTES);
	unsigned char *bytes = malloc(BYTES), value = 1;
	const size_t count = BYTES;
	cl_int code;

	(void)state;
	memset(memory.bytes, 0x71, BYTES);
	for (size_t r = 0; r < READERS; r++) {
		/* a native kernel doesn't say what it only reads */
		if (readers[r].read == read_by_native)
			continue;
		memset(bytes, 0, BYTES);
		readers[r].read(cl.queue, mem, bytes);
		assert_all(bytes, 0x71);
	}
	assert_int_equal(clEnqueueFillBuffer(cl.queue, mem, &value, 1, 0, BYTES, 0, NULL, NULL),
			 CL_INVALID_OPERATION);
	assert_int_equal(clEnqueueWriteBuffer(cl.queue, mem, CL_TRUE, 0, 1, &value, 0, NULL, NULL),
			 CL_INVALID_OPERATION);
	assert_null(clEnqueueMapBuffer(cl.queue, mem, CL_TRUE, CL_MAP_WRITE, 0, BYTES, 0, NULL,
				       NULL, &code));
	assert_int_equal(code, CL_INVALID_OPERATION);
	assert_cl(clSetKernelArg(layer.add, 0, sizeof(mem), &mem));
	assert_cl(clSetKernelArg(layer.add, 1, sizeof(value), &value));
	assert_int_equal(
		clEnqueueNDRangeKernel(cl.queue, layer.add, 1, NULL, &count, NULL, 0, NULL, NULL),
		CL_INVALID_OPERATION);
	assert_all(memory.bytes, 0x71);
	assert_cl(clReleaseMemObject(mem));
	free(bytes);
	memory_end(&memory);
}

static void memory_lives_from_import_to_the_last_release(void **state)
{
	const cl_buffer_region half = { BYTES / 2, BYTES / 2 };
	long before = dmabufs();

	(void)state;
	for (size_t i = 0; i < EXPORTERS; i++) {
		struct memory memory = memory_from(exporters[i]);
		cl_mem mem = import_fd(memory.fd, BYTES), part;
		unsigned char last;
		cl_event event;
		cl_int code;

		memset(memory.bytes, 0x19, BYTES);
		memory_end(&memory);
		part = clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &half, &code);
		assert_cl(code);
		enqueue_add(cl.queue, mem, 1, 0, NULL, &event);
		assert_cl(clReleaseMemObject(mem));
		wait_and_release(event);
		assert_int_equal(dmabufs(), before + 1);
		assert_cl(clEnqueueReadBuffer(cl.queue, part, CL_TRUE, half.size - 1, 1, &last, 0,
					      NULL, NULL));
		assert_int_equal(last, 0x1a);
		assert_cl(clReleaseMemObject(part));
		wait_for_dmabufs(before);
	}
}

static void hundreds_of_imports_leave_nothing(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		int exporter = round % (int)EXPORTERS;
		int fd = exporter == 2 ? udmabuf_memory()
				       : heap_memory(exporters[exporter], BYTES, O_RDWR);
		cl_mem mem = import_fd(fd, BYTES);
		const cl_uint value = (cl_uint)round;
		cl_uint got = 0;

		close(fd);
		assert_cl(clEnqueueFillBuffer(cl.queue, mem, &value, sizeof(value), 0, 4096, 0,
					      NULL, NULL));
		assert_cl(clEnqueueReadBuffer(cl.queue, mem, CL_TRUE, 4092, sizeof(got), &got, 0,
					      NULL, NULL));
		assert_int_equal(got, value);
		assert_cl(clReleaseMemObject(mem));
	}
}

static void a_writers_fence_holds_back_its_readers_alone(void **state)
{
	unsigned char *bytes = malloc(BYTES), other[16];
	const unsigned char value = 0x44;

	(void)state;
	for (size_t i = 0; i < EXPORTERS; i++) {
		struct memory busy = memory_from(exporters[i]);
		struct memory idle = memory_from(exporters[i]);
		cl_mem held = import_fd(busy.fd, BYTES), free_one = import_fd(idle.fd, BYTES);
		int timeline = put_fence(busy.fd, DMA_BUF_SYNC_WRITE);
		cl_event event;

		memset(bytes, 0, BYTES);
		assert_cl(clEnqueueReadBuffer(cl.queue, held, CL_FALSE, 0, BYTES, bytes, 0, NULL,
					      &event));
		assert_cl(clEnqueueFillBuffer(cl.unordered, free_one, &value, 1, 0, BYTES, 0, NULL,
					      NULL));
		assert_cl(clEnqueueReadBuffer(cl.unordered, held, CL_FALSE, 0, 16, other, 0, NULL,
					      NULL));
		pause_ms(50);
		assert_false(is_complete(event));
		assert_all(idle.bytes, value);
		memset(busy.bytes, 0x45, BYTES);
		end_fence(timeline);
		wait_and_release(event);
		assert_cl(clFinish(cl.unordered));
		assert_all(bytes, 0x45);
		assert_true(all_are(other, sizeof(other), 0x45));
		assert_cl(clReleaseMemObject(held));
		assert_cl(clReleaseMemObject(free_one));
		memory_end(&busy);
		memory_end(&idle);
	}
	free(bytes);
}

static void a_readers_fence_holds_back_writers_alone(void **state)
{
	unsigned char *bytes = malloc(BYTES);

	(void)state;
	for (size_t i = 0; i < EXPORTERS; i++) {
		struct memory memory = memory_from(exporters[i]);
		cl_mem mem = import_fd(memory.fd, BYTES);
		int timeline = put_fence(memory.fd, DMA_BUF_SYNC_READ);
		cl_event event;

		memset(memory.bytes, 0x10, BYTES);
		read_by_read(cl.unordered, mem, bytes);
		assert_all(bytes, 0x10);
		enqueue_add(cl.queue, mem, 1, 0, NULL, &event);
		pause_ms(50);
		assert_false(is_complete(event));
		assert_all(memory.bytes, 0x10);
		end_fence(timeline);
		wait_and_release(event);
		assert_all(memory.bytes, 0x11);
		assert_cl(clReleaseMemObject(mem));
		memory_end(&memory);
	}
	free(bytes);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_write_the_pages_that_others_map),
		cmocka_unit_test(commands_read_what_others_wrote),
		cmocka_unit_test(imports_of_two_exporters_are_copied_to_one_another),
		cmocka_unit_test(external_memory_is_written_between_acquire_and_release),
		cmocka_unit_test(read_only_descriptors_are_read_and_not_written),
		cmocka_unit_test(memory_lives_from_import_to_the_last_release),
		cmocka_unit_test(hundreds_of_imports_leave_nothing),
		cmocka_unit_test(a_writers_fence_holds_back_its_readers_alone),
		cmocka_unit_test(a_readers_fence_holds_back_writers_alone),
	};

	return layer_board_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
