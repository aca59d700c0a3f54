/* SPDX-License-Identifier: BSD-3-Clause */
/* Fences that go out, and what has none. */
#include <errno.h>
#include <poll.h>

#include "fence_bench.h"

static int exported(struct bench *b, enum metal_shm_dir dir)
{
	int fence = metal_shm_export_fence(b->shm, dir);

	assert_true(fence >= 0);
	return fence;
}

static void expect_exported(struct bench *b, enum metal_shm_dir dir, int status)
{
	int fence = exported(b, dir);

	assert_int_equal(fake_fence_status(fence), status);
	close(fence);
}

static void an_exported_fence_tells_of_what_stands_against_the_access(void **state)
{
	struct bench b = new_bench();
	int fence, out;

	(void)state;
	expect_exported(&b, R, 1);
	expect_exported(&b, W, 1);
	fence = work(&b, R);
	expect_exported(&b, R, 1);
	expect_exported(&b, W, 0);
	expect_exported(&b, RW, 0);
	fake_fence_signal(fence, 1);
	close(fence);
	fence = work(&b, W);
	out = exported(&b, R);
	assert_int_equal(fake_fence_status(out), 0);
	fake_fence_signal(fence, 1);
	assert_int_equal(fake_fence_status(out), 1);
	close(out);
	close(fence);
	assert_int_equal(metal_shm_export_fence(b.shm, (enum metal_shm_dir)4), -EINVAL);
	assert_int_equal(metal_shm_export_fence(NULL, R), -EINVAL);
	end_bench(&b);
}

static void work_without_a_fence_is_not_exported_as_done(void **state)
{
	struct bench b = new_bench_of(true);
	struct fake_importer *screen = fake_importer_new("screen", METAL_SHM_ACCESS_DMA);
	struct metal_generic_shm *part = metal_shm_sub(b.shm, 0, 4096, 0);
	struct metal_generic_shm *other = metal_shm_sub(b.shm, 4096, 4096, 0);
	struct metal_generic_shm *view = metal_shm_attach(part, screen->dev);

	(void)state;
	assert_int_equal(fake_queue(screen, part, R), 0);
	expect_exported(&b, R, 1);
	assert_int_equal(metal_shm_export_fence(b.shm, W), -ENOTSUP);
	expect_reason("screen");
	assert_int_equal(metal_shm_export_fence(part, RW), -ENOTSUP);
	close(metal_shm_export_fence(other, W));
	fake_complete(screen, 1);
	assert_int_equal(metal_shm_device_dispatch(screen->dev), 0);
	expect_exported(&b, W, 1);
	assert_int_equal(fake_queue(screen, part, W), 0);
	assert_int_equal(metal_shm_export_fence(b.shm, R), -ENOTSUP);
	fake_complete(screen, 1);
	assert_int_equal(metal_shm_device_dispatch(screen->dev), 0);
	metal_shm_detach(view, screen->dev);
	/* and one that puts a fence there is */
	screen->flags = METAL_SHM_VIEW_FENCES;
	view = metal_shm_attach(part, screen->dev);
	assert_int_equal(fake_queue(screen, part, W), 0);
	expect_exported(&b, R, 1);
	fake_complete(screen, 1);
	assert_int_equal(metal_shm_device_dispatch(screen->dev), 0);
	metal_shm_detach(view, screen->dev);
	metal_shm_free(part, NULL);
	metal_shm_free(other, NULL);
	fake_importer_end(screen);
	end_bench(&b);
}

static void work_on_a_copy_has_no_fence_of_the_memory(void **state)
{
	struct bench b = new_bench();
	struct fake_importer *gpu = fake_importer_new("copier", METAL_SHM_ACCESS_DMA);
	struct metal_generic_shm *part = metal_shm_sub(b.shm, 0, 4096, 0), *view;
	int fence = fake_fence_new();

	(void)state;
	gpu->flags = METAL_SHM_VIEW_FENCES;
	view = metal_shm_attach(part, gpu->dev);
	assert_int_equal(metal_shm_view_mode(view), METAL_SHM_VIEW_SHADOW);
	assert_int_equal(fake_queue(gpu, part, W), 0);
	assert_int_equal(metal_shm_import_fence(part, gpu->dev, W, fence), -ENOTSUP);
	expect_reason("copy");
	assert_int_equal(metal_shm_export_fence(b.shm, R), -ENOTSUP);
	expect_reason("copier");
	fake_complete(gpu, 1);
	assert_int_equal(metal_shm_device_dispatch(gpu->dev), 0);
	metal_shm_detach(view, gpu->dev);
	metal_shm_free(part, NULL);
	fake_importer_end(gpu);
	close(fence);
	end_bench(&b);
}

static void memory_that_is_no_dma_buf_has_no_fences(void **state)
{
	struct fake_heap *heap = fake_heap_new();
	struct fake_importer *cpu = fake_importer_new("cpu", METAL_SHM_ACCESS_CPU_USER);
	struct metal_generic_shm *shm = metal_shm_allocate_for(4096, NULL, 0, 0);
	struct metal_generic_shm *view = metal_shm_attach(shm, cpu->dev);
	int fence = fake_fence_new();

	(void)state;
	(void)heap;
	assert_int_equal(metal_shm_sync_for_device(shm, cpu->dev, W), 0);
	assert_int_equal(metal_shm_import_fence(shm, cpu->dev, W, fence), -ENOTSUP);
	expect_reason("memfd memory is not a DMA-BUF");
	assert_int_equal(metal_shm_export_fence(shm, W), -ENOTSUP);
	expect_reason("memfd memory is not a DMA-BUF");
	metal_shm_detach(view, cpu->dev);
	metal_shm_free(shm, NULL);
	fake_importer_end(cpu);
	close(fence);
	fake_heap_end();
}

static void the_end_of_any_work_can_be_polled_for(void **state)
{
	struct bench b = new_bench();
	struct pollfd fd = { .fd = metal_shm_device_poll_fd(b.gpu->dev), .events = POLLIN };

	(void)state;
	assert_true(fd.fd >= 0);
	assert_int_equal(fake_queue(b.gpu, b.shm, W), 0);
	assert_int_equal(poll(&fd, 1, 0), 0);
	fake_complete(b.gpu, 1);
	assert_int_equal(poll(&fd, 1, -1), 1);
	assert_int_equal(metal_shm_device_dispatch(b.gpu->dev), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b.shm, RW, 0), 0);
	end_bench(&b);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_exported_fence_tells_of_what_stands_against_the_access),
		cmocka_unit_test(work_without_a_fence_is_not_exported_as_done),
		cmocka_unit_test(work_on_a_copy_has_no_fence_of_the_memory),
		cmocka_unit_test(memory_that_is_no_dma_buf_has_no_fences),
		cmocka_unit_test(the_end_of_any_work_can_be_polled_for),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
