/* SPDX-License-Identifier: BSD-3-Clause */
/* Runtimes that copy, fail or forget, and runtimes with the import extensions, emulated. */
#include "opencl_emulation.h"

#define SIZE 16384u
#define BIT  METAL_SHM_OPENCL_PATH_BIT

static void refuse(const char *why)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_device *gpu = open_paths(0, 0);

	emu.copies_buffers = true;
	errno = 0;
	assert_null(metal_shm_attach(shm, gpu));
	assert_int_equal(errno, ENOTSUP);
	assert_reason_has(why);
	/* the verdict stands: it was about the device and this kind of memory */
	emu.copies_buffers = false;
	assert_null(metal_shm_attach(shm, gpu));
	metal_shm_device_close(gpu);
	metal_shm_free(shm, NULL);
}

static void a_buffer_that_is_secretly_a_copy_is_found_out(void **state)
{
	(void)state;
	refuse("host-pointer: a kernel doesn't see what the CPU writes");
}

static void a_secret_copy_that_is_written_back_is_found_out(void **state)
{
	(void)state;
	emu.writes_through = true;
	refuse("host-pointer: a kernel doesn't see what the CPU writes");
}

static void a_secret_copy_that_is_read_afresh_is_found_out(void **state)
{
	(void)state;
	emu.reads_fresh = true;
	refuse("host-pointer: the CPU doesn't see what a kernel writes");
}

static void a_copying_runtime_serves_who_allows_copies(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, METAL_SHM_ZEROED), *view;
	struct metal_device *gpu = open_paths(0, METAL_SHM_OPENCL_ALLOW_COPY);
	unsigned char *bytes = metal_shm_map(shm, READ_WRITE);

	(void)state;
	emu.copies_buffers = true;
	view = metal_shm_attach(shm, gpu);
	assert_non_null(view);
	assert_int_equal(metal_shm_opencl_path(gpu, shm), METAL_SHM_OPENCL_COPY);
	run_on(gpu, shm, "add", 3);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	assert_true(all_are(bytes, SIZE, 3));
	metal_shm_detach(view, gpu);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(gpu);
}

static void an_image_that_is_secretly_a_copy_is_found_out_apart_from_buffers(void **state)
{
	struct metal_shm_frame frame = { .fourcc = METAL_SHM_FOURCC('A', 'R', '2', '4'),
					 .width = 16,
					 .height = 4 };
	struct metal_generic_shm *shm, *view;
	cl_mem image = NULL;

	(void)state;
	assert_int_equal(metal_shm_frame_negotiate(&frame, &fx.gpu, 1), 0);
	shm = metal_shm_allocate(frame.size, fx.memfd, 0);
	assert_int_equal(metal_shm_frame_set(shm, &frame), 0);
	view = metal_shm_attach(shm, fx.gpu);
	assert_non_null(view);
	emu.copies_images = true;
	assert_int_equal(metal_shm_opencl_image(fx.gpu, shm, 0, &image), -ENOTSUP);
	assert_reason_has("a kernel doesn't see in the image what the CPU writes");
	assert_null(image);
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
}

static void a_callback_after_the_end_harms_nothing_and_nobody_waits_for_it(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_generic_shm *view = metal_shm_attach(shm, fx.gpu);

	(void)state;
	emu.defers_callbacks = true;
	for (int i = 0; i < 3; i++) {
		cl_event gate = gate_new();
		int64_t begin = now_ns();
		pthread_t thread;

		queue_fill(fx.gpu, shm, gate, 1);
		assert_int_equal(pthread_create(&thread, NULL, open_gate_later, gate), 0);
		assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, DEV_RW, INT64_C(5000000000)),
				 0);
		assert_true(now_ns() - begin < INT64_C(4000000000));
		pthread_join(thread, NULL);
		clReleaseEvent(gate);
	}
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
}

/* PoCL 3.1 calls nobody back about it. */
static void a_failed_command_is_the_next_owners_error_once(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_generic_shm *view = metal_shm_attach(shm, fx.gpu);
	cl_int code;
	cl_event gate = clCreateUserEvent(fx.context, &code);

	(void)state;
	emu.defers_callbacks = true;
	assert_int_equal(metal_shm_opencl_acquire(fx.gpu, shm, DEV_W), 0);
	assert_int_equal(
		metal_shm_opencl_enqueue_release(fx.gpu, fx.out_of_order, shm, 1, &gate, NULL), 0);
	clSetUserEventStatus(gate, -1);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_W), -EIO);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_W), 0);
	clReleaseEvent(gate);
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
}

/* Everything from opening on, with the nth call failing; false when there are fewer calls. */
static bool use_with_failure(unsigned nth, uint32_t paths, uint32_t flags)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0), *part, *view, *again;
	struct metal_device *gpu = open_paths(paths, flags);

	part = metal_shm_sub(shm, 128, 4096, 0);
	emu.failed = 0;
	emu.fail_at = nth;
	view = metal_shm_attach(part, gpu);
	if (!view) {
		if (emu.failed != 1 || errno != ENOMEM)
			fail_msg("call %u: %s", nth, metal_shm_last_error());
	} else if (!metal_shm_opencl_acquire(gpu, part, DEV_RW)) {
		if (metal_shm_opencl_release(gpu, part)) {
			assert_int_equal(emu.failed, 1);
			assert_int_equal(metal_shm_opencl_release(gpu, part), 0);
		}
		assert_int_equal(metal_shm_sync_for_cpu(part, DEV_RW), 0);
	}
	emu.fail_at = 0;
	/* it was nothing lasting */
	again = metal_shm_attach(part, gpu);
	assert_non_null(again);
	assert_int_equal(metal_shm_opencl_acquire(gpu, part, DEV_RW), 0);
	assert_int_equal(metal_shm_opencl_release(gpu, part), 0);
	assert_int_equal(metal_shm_sync_for_cpu(part, DEV_RW), 0);
	metal_shm_detach(again, gpu);
	metal_shm_detach(view, gpu);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(gpu);
	return emu.failed;
}

static void each_failing_call_is_reported_and_leaves_nothing(void **state)
{
	unsigned n = 1;

	(void)state;
	while (use_with_failure(n, 0, 0))
		n++;
	assert_true(n > 8);
}

static void each_failing_call_of_a_copy_is_reported_and_leaves_nothing(void **state)
{
	unsigned n = 1;

	(void)state;
	while (use_with_failure(n, BIT(METAL_SHM_OPENCL_COPY), METAL_SHM_OPENCL_ALLOW_COPY))
		n++;
	assert_true(n > 2);
}

static void each_failing_call_of_an_import_ends_on_the_next_path_and_leaves_nothing(void **state)
{
	const uint32_t paths = BIT(METAL_SHM_OPENCL_KHR_EXTERNAL) | BIT(METAL_SHM_OPENCL_HOST_PTR);
	unsigned n = 1;

	(void)state;
	emu.dmabufs = true;
	emu.khr = true;
	while (use_with_failure(n, paths, 0))
		n++;
	assert_true(n > 8);
}

/* The content before, by both ends, and a kernel's work on it afterwards. */
static void use_import(struct metal_device *gpu, int path)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, METAL_SHM_ZEROED);
	struct metal_generic_shm *part = metal_shm_sub(shm, 4096, 256, 0), *view, *part_view;
	unsigned char *apart = map_apart(shm, SIZE);

	for (unsigned i = 0; i < SIZE; i++)
		apart[i] = (unsigned char)(i * 7);
	view = metal_shm_attach(shm, gpu);
	if (!view)
		fail_msg("%s", metal_shm_last_error());
	assert_int_equal(metal_shm_opencl_path(gpu, shm), path);
	for (unsigned i = 0; i < SIZE; i++)
		assert_int_equal(apart[i], (unsigned char)(i * 7));
	part_view = metal_shm_attach(part, gpu);
	assert_non_null(part_view);
	run_on(gpu, shm, "add", 1);
	run_on(gpu, part, "add", 2);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	for (unsigned i = 0; i < SIZE; i++)
		assert_int_equal(apart[i],
				 (unsigned char)(i * 7 + 1u + (i >= 4096 && i < 4352 ? 2u : 0u)));
	metal_shm_detach(part_view, gpu);
	metal_shm_detach(view, gpu);
	munmap(apart, SIZE);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
}

static void arm_import_comes_first_and_keeps_the_content(void **state)
{
	struct metal_device *gpu;

	(void)state;
	emu.dmabufs = emu.arm = emu.khr = true;
	gpu = open_paths(0, 0);
	use_import(gpu, METAL_SHM_OPENCL_ARM_IMPORT);
	assert_int_equal(emu.arm_imports, 2); /* the proof's, and one for the whole and the part */
	assert_int_equal(emu.khr_imports, 0);
	assert_true(emu.ends > 0 && emu.starts == emu.ends);
	metal_shm_device_close(gpu);
}

static void an_import_that_shares_nothing_gives_way_to_the_next_path(void **state)
{
	struct metal_device *gpu;

	(void)state;
	emu.dmabufs = emu.arm = emu.copies_imports = true;
	gpu = open_paths(0, 0);
	use_import(gpu, METAL_SHM_OPENCL_HOST_PTR);
	assert_int_equal(emu.arm_imports, 1);
	metal_shm_device_close(gpu);
}

static void khr_memory_is_used_between_acquire_and_release(void **state)
{
	struct metal_device *gpu;

	(void)state;
	emu.dmabufs = emu.khr = true;
	gpu = open_paths(0, 0);
	use_import(gpu, METAL_SHM_OPENCL_KHR_EXTERNAL);
	assert_int_equal(emu.khr_imports, 2);
	/* the proof's, the whole's and the part's, unless the last two overlapped */
	assert_true(emu.acquires == 3 || emu.acquires == 2);
	assert_int_equal(emu.releases, emu.acquires);
	metal_shm_device_close(gpu);
}

static void overlapping_acquires_are_one_for_the_runtime(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, METAL_SHM_ZEROED), *view;
	struct metal_device *gpu;
	unsigned before;

	(void)state;
	emu.dmabufs = emu.khr = true;
	gpu = open_paths(0, 0);
	view = metal_shm_attach(shm, gpu);
	assert_non_null(view);
	before = emu.acquires;
	assert_int_equal(metal_shm_opencl_acquire(gpu, shm, DEV_R), 0);
	assert_int_equal(
		metal_shm_opencl_enqueue_acquire(gpu, fx.out_of_order, shm, DEV_W, 0, NULL, NULL),
		0);
	assert_int_equal(emu.acquires, before + 1);
	enqueue_fill(fx.out_of_order, "fill", mem_of(gpu, shm), 6, SIZE, 0, NULL, NULL);
	assert_int_equal(metal_shm_opencl_enqueue_release(gpu, fx.out_of_order, shm, 0, NULL, NULL),
			 0);
	assert_int_equal(emu.releases, before);
	assert_int_equal(metal_shm_opencl_release(gpu, shm), 0);
	assert_int_equal(emu.releases, before + 1);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	assert_true(all_are(metal_shm_map(shm, METAL_SHM_READ), SIZE, 6));
	metal_shm_detach(view, gpu);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(gpu);
}

static void an_extension_for_host_memory_is_not_the_one_for_dma_bufs(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_device *gpu;

	(void)state;
	emu.dmabufs = emu.arm_host_only = true;
	gpu = open_paths(BIT(METAL_SHM_OPENCL_ARM_IMPORT), 0);
	assert_null(metal_shm_attach(shm, gpu));
	assert_reason_has("no cl_arm_import_memory_dma_buf");
	metal_shm_device_close(gpu);
	metal_shm_free(shm, NULL);
}

static void a_device_that_only_imports_wants_dma_bufs(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, fx.memfd, 0);
	struct metal_device *gpu;

	(void)state;
	emu.arm = true;
	gpu = open_paths(BIT(METAL_SHM_OPENCL_ARM_IMPORT), 0);
	errno = 0;
	assert_null(metal_shm_attach(shm, gpu));
	assert_int_equal(errno, ENOTSUP);
	assert_reason_has("METAL_SHM_DMABUF");
	metal_shm_device_close(gpu);
	metal_shm_free(shm, NULL);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		emulation_case(a_buffer_that_is_secretly_a_copy_is_found_out),
		emulation_case(a_secret_copy_that_is_written_back_is_found_out),
		emulation_case(a_secret_copy_that_is_read_afresh_is_found_out),
		emulation_case(a_copying_runtime_serves_who_allows_copies),
		emulation_case(an_image_that_is_secretly_a_copy_is_found_out_apart_from_buffers),
		emulation_case(a_callback_after_the_end_harms_nothing_and_nobody_waits_for_it),
		emulation_case(a_failed_command_is_the_next_owners_error_once),
		emulation_case(each_failing_call_is_reported_and_leaves_nothing),
		emulation_case(each_failing_call_of_a_copy_is_reported_and_leaves_nothing),
		emulation_case(
			each_failing_call_of_an_import_ends_on_the_next_path_and_leaves_nothing),
		emulation_case(arm_import_comes_first_and_keeps_the_content),
		emulation_case(an_import_that_shares_nothing_gives_way_to_the_next_path),
		emulation_case(khr_memory_is_used_between_acquire_and_release),
		emulation_case(overlapping_acquires_are_one_for_the_runtime),
		emulation_case(an_extension_for_host_memory_is_not_the_one_for_dma_bufs),
		emulation_case(a_device_that_only_imports_wants_dma_bufs),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
