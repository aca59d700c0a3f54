/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory as cl_mem: buffers, parts, paths, and what is left behind. */
#include "opencl_fixture.h"

#include <fcntl.h>
#include <sys/wait.h>

#define SIZE 65536u

static void a_kernel_writes_the_pages_that_another_mapping_sees(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, METAL_SHM_ZEROED);
	struct metal_generic_shm *view = metal_shm_attach(shm, fx.gpu);
	unsigned char *apart = map_apart(shm, SIZE);

	(void)state;
	assert_non_null(view);
	run_on(fx.gpu, shm, "fill", 0x5a);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	assert_true(all_are(apart, SIZE, 0x5a));
	munmap(apart, SIZE);
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
}

static void a_kernel_reads_what_the_cpu_wrote_after_attach(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, METAL_SHM_ZEROED);
	struct metal_generic_shm *view = metal_shm_attach(shm, fx.gpu);
	unsigned char *bytes = metal_shm_map(shm, READ_WRITE);

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < SIZE; i++)
			bytes[i] = (unsigned char)(i + (unsigned)round);
		run_on(fx.gpu, shm, "add", 7);
		assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
		for (unsigned i = 0; i < SIZE; i++)
			assert_int_equal(bytes[i], (unsigned char)(i + (unsigned)round + 7));
	}
	metal_shm_unmap(shm, READ_WRITE);
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
}

static void a_cpu_device_takes_host_pointers_and_copies_nothing(void **state)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_generic_shm *view = metal_shm_attach(shm, fx.gpu);
	cl_device_type type = 0;

	(void)state;
	clGetDeviceInfo(fx.device, CL_DEVICE_TYPE, sizeof(type), &type, NULL);
	if (!(type & CL_DEVICE_TYPE_CPU))
		shm_test_skip("the default device is not a CPU");
	assert_int_equal(metal_shm_opencl_path(fx.gpu, shm), METAL_SHM_OPENCL_HOST_PTR);
	assert_int_equal(metal_shm_view_mode(view), METAL_SHM_VIEW_IN_PLACE);
	run_on(fx.gpu, shm, "fill", 1);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	assert_int_equal(metal_shm_buffer_stats(shm, &stats), 0);
	assert_int_equal(stats.bytes_copied, 0);
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
}

static void a_part_is_written_at_its_offset_and_nowhere_else(void **state)
{
	static const struct {
		size_t offset, size;
	} ranges[] = { { 0, 100 },     { 4096, 4096 }, { 128, 1 },
		       { 5003, 3001 }, { 1, 1 },       { SIZE - 3, 3 } };
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, METAL_SHM_ZEROED);
	unsigned char *apart = map_apart(shm, SIZE);

	(void)state;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		struct metal_generic_shm *part, *view;
		size_t size = 0;

		memset(apart, 0, SIZE);
		part = metal_shm_sub(shm, ranges[i].offset, ranges[i].size, METAL_SHM_SUB_NO_COPY);
		view = metal_shm_attach(part, fx.gpu);
		assert_non_null(view);
		assert_int_equal(metal_shm_view_mode(view), METAL_SHM_VIEW_IN_PLACE);
		clGetMemObjectInfo(mem_of(fx.gpu, part), CL_MEM_SIZE, sizeof(size), &size, NULL);
		assert_int_equal(size, ranges[i].size);
		run_on(fx.gpu, part, "fill", 0xc3);
		assert_int_equal(metal_shm_sync_for_cpu(part, DEV_RW), 0);
		assert_true(all_are(apart, ranges[i].offset, 0));
		assert_true(all_are(apart + ranges[i].offset, ranges[i].size, 0xc3));
		assert_true(all_are(apart + ranges[i].offset + ranges[i].size,
				    SIZE - ranges[i].offset - ranges[i].size, 0));
		metal_shm_detach(view, fx.gpu);
		metal_shm_free(part, NULL);
	}
	munmap(apart, SIZE);
	metal_shm_free(shm, NULL);
}

static void a_whole_and_its_parts_are_one_buffer_object(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_generic_shm *part = metal_shm_sub(shm, 4096, 4096, 0);
	struct metal_generic_shm *whole_view = metal_shm_attach(shm, fx.gpu);
	struct metal_generic_shm *part_view = metal_shm_attach(part, fx.gpu);
	cl_mem parent = NULL;
	size_t offset = 0;

	(void)state;
	clGetMemObjectInfo(mem_of(fx.gpu, part), CL_MEM_ASSOCIATED_MEMOBJECT, sizeof(parent),
			   &parent, NULL);
	clGetMemObjectInfo(mem_of(fx.gpu, part), CL_MEM_OFFSET, sizeof(offset), &offset, NULL);
	assert_ptr_equal(parent, mem_of(fx.gpu, shm));
	assert_int_equal(offset, 4096);
	/* the whole goes first: the part keeps what it stands on */
	metal_shm_detach(whole_view, fx.gpu);
	run_on(fx.gpu, part, "fill", 9);
	assert_int_equal(metal_shm_sync_for_cpu(part, DEV_RW), 0);
	metal_shm_detach(part_view, fx.gpu);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
}

static void two_attaches_are_one_view(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_generic_shm *a = metal_shm_attach(shm, fx.gpu),
				 *b = metal_shm_attach(shm, fx.gpu);
	cl_mem mem = mem_of(fx.gpu, shm);

	(void)state;
	assert_ptr_equal(a, b);
	metal_shm_detach(a, fx.gpu);
	assert_ptr_equal(mem_of(fx.gpu, shm), mem);
	metal_shm_detach(b, fx.gpu);
	assert_int_equal(metal_shm_opencl_mem(fx.gpu, shm, &mem), -ENOTCONN);
	metal_shm_free(shm, NULL);
}

static void wrapped_memory_is_used_in_place(void **state)
{
	unsigned char *memory = aligned_alloc(4096, SIZE);
	struct metal_generic_shm *shm = metal_shm_wrap(memory, SIZE, NULL, NULL);
	struct metal_generic_shm *view = metal_shm_attach(shm, fx.gpu);

	(void)state;
	memset(memory, 3, SIZE);
	assert_non_null(view);
	run_on(fx.gpu, shm, "add", 4);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	assert_true(all_are(memory, SIZE, 7));
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
	free(memory);
}

static void read_only_memory_is_read_and_never_written(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, METAL_SHM_ZEROED);
	struct metal_generic_shm *again, *view;
	unsigned char *apart = map_apart(shm, SIZE);
	char path[64];
	cl_mem_flags flags = 0;
	int fd = metal_shm_export(shm, 0), read_only;

	(void)state;
	memset(apart, 0x11, SIZE);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	metal_shm_free(shm, NULL); /* or the import is that buffer again, which may be written */
	again = metal_shm_import(read_only, 0, 0);
	assert_non_null(again);
	view = metal_shm_attach(again, fx.gpu);
	assert_non_null(view);
	clGetMemObjectInfo(mem_of(fx.gpu, again), CL_MEM_FLAGS, sizeof(flags), &flags, NULL);
	assert_true(flags & CL_MEM_READ_ONLY);
	assert_int_equal(metal_shm_opencl_acquire(fx.gpu, again, DEV_W), -EACCES);
	assert_int_equal(metal_shm_opencl_acquire(fx.gpu, again, DEV_R), 0);
	assert_int_equal(metal_shm_opencl_release(fx.gpu, again), 0);
	assert_int_equal(metal_shm_sync_for_cpu(again, DEV_R), 0);
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(again, NULL);
	close(read_only);
	close(fd);
	assert_true(all_are(apart, SIZE, 0x11));
	munmap(apart, SIZE);
}

static void memory_that_is_sealed_against_writing_is_read_only(void **state)
{
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct metal_generic_shm *shm, *view;
	cl_mem_flags flags = 0;

	(void)state;
	assert_int_equal(ftruncate(fd, SIZE), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK), 0);
	shm = metal_shm_import(fd, 0, 0);
	assert_non_null(shm);
	view = metal_shm_attach(shm, fx.gpu);
	if (!view)
		fail_msg("%s", metal_shm_last_error());
	clGetMemObjectInfo(mem_of(fx.gpu, shm), CL_MEM_FLAGS, sizeof(flags), &flags, NULL);
	assert_true(flags & CL_MEM_READ_ONLY);
	assert_int_equal(metal_shm_opencl_acquire(fx.gpu, shm, DEV_RW), -EACCES);
	assert_int_equal(metal_shm_opencl_acquire(fx.gpu, shm, DEV_R), 0);
	assert_int_equal(metal_shm_opencl_release(fx.gpu, shm), 0);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_R), 0);
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
	close(fd);
}

static void allocate_for_tries_a_kernel_once_and_remembers(void **state)
{
	struct metal_shm_stats before = { .struct_size = sizeof(before) }, after = before;
	struct metal_generic_shm *a, *b;

	(void)state;
	metal_shm_stats(&before);
	a = metal_shm_allocate_for(100, &fx.gpu, 1, METAL_SHM_ZEROED);
	b = metal_shm_allocate_for(100, &fx.gpu, 1, METAL_SHM_ZEROED);
	metal_shm_stats(&after);
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal(after.trials - before.trials, 1);
	assert_int_equal(after.refusals, before.refusals);
	assert_true(all_are(metal_shm_map(a, METAL_SHM_READ), 100, 0));
	metal_shm_free(a, NULL);
	metal_shm_free(b, NULL);
}

static void a_copy_is_refused_unless_asked_for(void **state)
{
	const uint32_t copy = METAL_SHM_OPENCL_PATH_BIT(METAL_SHM_OPENCL_COPY);
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_device *gpu = open_paths(copy, 0);

	(void)state;
	errno = 0;
	assert_null(metal_shm_attach(shm, gpu));
	assert_int_equal(errno, ENOTSUP);
	assert_reason_has("copy: not asked for");
	metal_shm_device_close(gpu);
	metal_shm_free(shm, NULL);
}

static void a_copy_that_was_asked_for_is_counted(void **state)
{
	const uint32_t copy = METAL_SHM_OPENCL_PATH_BIT(METAL_SHM_OPENCL_COPY);
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, METAL_SHM_ZEROED);
	struct metal_device *gpu = open_paths(copy, METAL_SHM_OPENCL_ALLOW_COPY);
	struct metal_generic_shm *view = metal_shm_attach(shm, gpu);
	unsigned char *bytes = metal_shm_map(shm, READ_WRITE);

	(void)state;
	assert_non_null(view);
	assert_int_equal(metal_shm_opencl_path(gpu, shm), METAL_SHM_OPENCL_COPY);
	assert_int_equal(metal_shm_view_mode(view), METAL_SHM_VIEW_SHADOW);
	memset(bytes, 40, SIZE);
	run_on(gpu, shm, "add", 2);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	assert_true(all_are(bytes, SIZE, 42));
	metal_shm_buffer_stats(shm, &stats);
	assert_int_equal(stats.bytes_copied, 2 * SIZE);
	metal_shm_opencl_acquire(gpu, shm, DEV_R);
	metal_shm_opencl_release(gpu, shm);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_R), 0);
	metal_shm_buffer_stats(shm, &stats);
	assert_int_equal(stats.bytes_copied, 3 * SIZE);
	metal_shm_detach(view, gpu);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(gpu);
}

static void a_copied_part_brings_no_foreign_bytes_back(void **state)
{
	const uint32_t copy = METAL_SHM_OPENCL_PATH_BIT(METAL_SHM_OPENCL_COPY);
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, METAL_SHM_ZEROED);
	struct metal_device *gpu = open_paths(copy, METAL_SHM_OPENCL_ALLOW_COPY);
	struct metal_generic_shm *part = metal_shm_sub(shm, 5003, 1000, 0);
	struct metal_generic_shm *view = metal_shm_attach(part, gpu);
	unsigned char *bytes = metal_shm_map(shm, READ_WRITE);

	(void)state;
	assert_non_null(view);
	memset(bytes, 7, SIZE);
	assert_int_equal(metal_shm_opencl_acquire(gpu, part, DEV_W), 0);
	enqueue_fill(fx.queue, "fill", mem_of(gpu, part), 8, 10, 0, NULL, NULL);
	assert_int_equal(metal_shm_opencl_release(gpu, part), 0);
	assert_int_equal(metal_shm_sync_for_cpu(part, DEV_RW), 0);
	assert_true(all_are(bytes, 5003, 7));
	assert_true(all_are(bytes + 5003, 10, 8));
	assert_true(all_are(bytes + 5013, SIZE - 5013, 7));
	metal_shm_detach(view, gpu);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(gpu);
}

static void a_part_that_forbids_copies_is_refused_rather_than_copied(void **state)
{
	const uint32_t copy = METAL_SHM_OPENCL_PATH_BIT(METAL_SHM_OPENCL_COPY);
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_device *gpu = open_paths(copy, METAL_SHM_OPENCL_ALLOW_COPY);
	struct metal_generic_shm *strict = metal_shm_sub(shm, 100, 1000, METAL_SHM_SUB_NO_COPY);
	struct metal_generic_shm *part = metal_shm_sub(shm, 100, 1000, 0), *view;

	(void)state;
	errno = 0;
	assert_null(metal_shm_attach(strict, gpu));
	assert_int_equal(errno, ENOTSUP);
	assert_reason_has("METAL_SHM_SUB_NO_COPY");
	/* nor is a view shared that others of the range have */
	view = metal_shm_attach(part, gpu);
	assert_non_null(view);
	errno = 0;
	assert_null(metal_shm_attach(strict, gpu));
	assert_int_equal(errno, ENOTSUP);
	metal_shm_detach(view, gpu);
	metal_shm_free(part, NULL);
	metal_shm_free(strict, NULL);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(gpu);
}

static void two_hundred_attachments_leave_nothing_behind(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	unsigned lines[2] = { 0 };

	(void)state;
	for (int round = 0; round < 2; round++) {
		char line[512];
		FILE *maps;

		for (int i = 0; i < 100; i++) {
			struct metal_generic_shm *part = metal_shm_sub(shm, 100 + (size_t)i, 64, 0);
			struct metal_generic_shm *a = metal_shm_attach(shm, fx.gpu);
			struct metal_generic_shm *b = metal_shm_attach(part, fx.gpu);

			assert_non_null(a);
			assert_non_null(b);
			run_on(fx.gpu, part, "fill", 1);
			assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
			metal_shm_detach(a, fx.gpu);
			metal_shm_detach(b, fx.gpu);
			metal_shm_free(part, NULL);
		}
		maps = fopen("/proc/self/maps", "re");
		while (fgets(line, sizeof(line), maps))
			lines[round] += strstr(line, "memfd:") != NULL;
		fclose(maps);
	}
	assert_int_equal(lines[0], lines[1]);
	metal_shm_free(shm, NULL);
}

static bool is_mapped(const void *address)
{
	unsigned char resident;

	return !mincore((void *)(uintptr_t)address, 4096, &resident);
}

static void a_mapping_stays_while_a_buffer_object_lives(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_generic_shm *view = metal_shm_attach(shm, fx.gpu);
	cl_mem mem = mem_of(fx.gpu, shm);
	void *address = NULL;

	(void)state;
	assert_int_equal(metal_shm_opencl_path(fx.gpu, shm), METAL_SHM_OPENCL_HOST_PTR);
	clGetMemObjectInfo(mem, CL_MEM_HOST_PTR, sizeof(address), &address, NULL);
	clRetainMemObject(mem); /* as a kernel's argument does it in some runtimes */
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
	assert_true(is_mapped(address));
	clReleaseMemObject(mem);
	assert_false(is_mapped(address));
}

static void missing_extensions_are_named(void **state)
{
	const uint32_t imports = METAL_SHM_OPENCL_PATH_BIT(METAL_SHM_OPENCL_ARM_IMPORT) |
				 METAL_SHM_OPENCL_PATH_BIT(METAL_SHM_OPENCL_KHR_EXTERNAL);
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_device *gpu = open_paths(imports, METAL_SHM_OPENCL_ALLOW_COPY);

	(void)state;
	errno = 0;
	assert_null(metal_shm_attach(shm, gpu));
	assert_int_equal(errno, ENOTSUP);
	assert_reason_has("arm-import: no cl_arm_import_memory_dma_buf");
	assert_reason_has("khr-external: no cl_khr_external_memory_dma_buf");
	assert_reason_has("host-pointer: left out by the options");
	metal_shm_device_close(gpu);
	metal_shm_free(shm, NULL);
}

/* The last words of a child that touches a byte. */
static void touch_in_a_child(volatile unsigned char *bytes, char *said, size_t size)
{
	int ends[2], status;
	size_t length = 0;
	ssize_t n;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (!child) {
		dup2(ends[1], STDERR_FILENO);
		bytes[17]++;
		_exit(1);
	}
	close(ends[1]);
	while ((n = read(ends[0], said + length, size - 1 - length)) > 0)
		length += (size_t)n;
	said[length] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

static void a_kernel_works_on_bytes_that_are_closed_to_the_program(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_generic_shm *view = metal_shm_attach(shm, fx.gpu);
	unsigned char *bytes = metal_shm_map(shm, READ_WRITE);
	char said[2048];
	cl_event gate = gate_new();

	(void)state;
	assert_int_equal(metal_shm_guard(shm, true), 0);
	memset(bytes, 1, SIZE);
	queue_fill(fx.gpu, shm, gate, 0x5a);
	touch_in_a_child(bytes, said, sizeof(said));
	assert_non_null(strstr(said, "at offset 17: "));
	assert_non_null(strstr(said, metal_shm_device_name(fx.gpu)));
	/* the call is the program's, which went through the adapter */
	assert_non_null(strstr(said, "test_opencl+0x"));
	clSetUserEventStatus(gate, CL_COMPLETE);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	assert_true(all_are(bytes, SIZE, 0x5a));
	clReleaseEvent(gate);
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		/* cmocka has handlers for each case; ours comes after those of the first guarded one */
		opencl_case(a_kernel_works_on_bytes_that_are_closed_to_the_program),
		opencl_case(a_kernel_writes_the_pages_that_another_mapping_sees),
		opencl_case(a_kernel_reads_what_the_cpu_wrote_after_attach),
		opencl_case(a_cpu_device_takes_host_pointers_and_copies_nothing),
		opencl_case(a_part_is_written_at_its_offset_and_nowhere_else),
		opencl_case(a_whole_and_its_parts_are_one_buffer_object),
		opencl_case(two_attaches_are_one_view),
		opencl_case(wrapped_memory_is_used_in_place),
		opencl_case(read_only_memory_is_read_and_never_written),
		opencl_case(memory_that_is_sealed_against_writing_is_read_only),
		opencl_case(allocate_for_tries_a_kernel_once_and_remembers),
		opencl_case(a_copy_is_refused_unless_asked_for),
		opencl_case(a_copy_that_was_asked_for_is_counted),
		opencl_case(a_copied_part_brings_no_foreign_bytes_back),
		opencl_case(a_part_that_forbids_copies_is_refused_rather_than_copied),
		opencl_case(two_hundred_attachments_leave_nothing_behind),
		opencl_case(a_mapping_stays_while_a_buffer_object_lives),
		opencl_case(missing_extensions_are_named),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
