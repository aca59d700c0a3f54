/* SPDX-License-Identifier: BSD-3-Clause */
/* Fences that come in. The board does the same with the kernel's. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>

#include "fence_bench.h"

#define MS INT64_C(1000000)

static void the_program_waits_for_a_fence_and_no_longer_than_told(void **state)
{
	struct bench b = new_bench();
	int fence = work(&b, W);
	struct timespec before, after;

	(void)state;
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b.shm, RW, 0), -ETIMEDOUT);
	expect_reason("fence");
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b.shm, RW, 20 * MS), -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true((after.tv_sec - before.tv_sec) * INT64_C(1000000000) + after.tv_nsec -
			    before.tv_nsec >=
		    20 * MS);
	assert_int_equal(b.heap->starts, 0);
	/* nothing changed: the device has it still */
	assert_int_equal(metal_shm_sync_for_cpu(b.shm, R), -EINVAL);
	fake_fence_signal(fence, 1);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b.shm, RW, 0), 0);
	assert_int_equal(b.heap->starts, 1);
	close(fence);
	end_bench(&b);
}

static void another_device_waits_for_a_fence_no_longer_than_told(void **state)
{
	struct bench b = new_bench();
	struct fake_importer *display = fake_importer_new("display", METAL_SHM_ACCESS_DMA);
	struct metal_generic_shm *view = metal_shm_attach(b.shm, display->dev);
	int fence = work(&b, W);

	(void)state;
	assert_int_equal(metal_shm_sync_for_device_timeout(b.shm, display->dev, R, 5 * MS),
			 -ETIMEDOUT);
	expect_reason("fence");
	assert_int_equal(metal_shm_hold(b.shm, display->dev, R, 0), -ETIMEDOUT);
	/* the gpu has it still, and the display nothing to give back */
	assert_int_equal(metal_shm_unhold(b.shm, display->dev, 0), -EINVAL);
	assert_int_equal(metal_shm_sync_for_cpu(b.shm, R), -EINVAL);
	expect_reason("gpu keeps writing");
	fake_fence_signal(fence, 1);
	assert_int_equal(metal_shm_hold(b.shm, display->dev, R, 0), 0);
	assert_int_equal(metal_shm_unhold(b.shm, display->dev, 0), 0);
	close(fence);
	metal_shm_detach(view, display->dev);
	fake_importer_end(display);
	end_bench(&b);
}

static void *signal_later(void *user)
{
	const struct timespec time = { .tv_nsec = 20 * MS };

	nanosleep(&time, NULL);
	fake_fence_signal(*(int *)user, 1);
	return NULL;
}

static void a_fence_that_signals_ends_the_wait(void **state)
{
	struct bench b = new_bench();
	int fence = work(&b, W);
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, signal_later, &fence), 0);
	assert_int_equal(metal_shm_sync_for_cpu(b.shm, RW), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(fake_fence_status(fence), 1);
	close(fence);
	end_bench(&b);
}

static void only_writers_wait_for_a_readers_fence(void **state)
{
	struct bench b = new_bench();
	struct fake_importer *other = fake_importer_new("other", METAL_SHM_ACCESS_DMA);
	struct metal_generic_shm *view = metal_shm_attach(b.shm, other->dev);
	int fence = work(&b, R);

	(void)state;
	assert_int_equal(metal_shm_sync_for_device_timeout(b.shm, other->dev, R, 0), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b.shm, W, 0), 0);
	assert_int_equal(metal_shm_sync_for_device_timeout(b.shm, other->dev, W, 0), -ETIMEDOUT);
	assert_int_equal(metal_shm_hold(b.shm, other->dev, W, 0), -ETIMEDOUT);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b.shm, RW, 0), -ETIMEDOUT);
	fake_fence_signal(fence, 1);
	assert_int_equal(metal_shm_sync_for_device_timeout(b.shm, other->dev, W, 0), 0);
	metal_shm_detach(view, other->dev);
	fake_importer_end(other);
	close(fence);
	end_bench(&b);
}

static void the_next_reader_learns_once_that_a_writer_failed(void **state)
{
	struct bench b = new_bench();
	struct fake_importer *other = fake_importer_new("other", METAL_SHM_ACCESS_DMA);
	struct metal_generic_shm *view = metal_shm_attach(b.shm, other->dev);
	int fence = work(&b, W);

	(void)state;
	fake_fence_signal(fence, -ETIMEDOUT);
	close(fence);
	assert_int_equal(metal_shm_sync_for_cpu(b.shm, RW), -EIO);
	expect_reason("a fence of gpu (-110) failed");
	assert_int_equal(metal_shm_sync_for_cpu(b.shm, RW), 0);
	fence = work(&b, W);
	fake_fence_signal(fence, -ENODEV);
	assert_int_equal(metal_shm_sync_for_device(b.shm, other->dev, R), -ENODEV);
	assert_int_equal(metal_shm_sync_for_device(b.shm, other->dev, R), 0);
	close(fence);
	/* one who only writes doesn't care */
	fence = work(&b, W);
	fake_fence_signal(fence, -EIO);
	assert_int_equal(metal_shm_sync_for_device(b.shm, other->dev, W), 0);
	assert_int_equal(metal_shm_sync_for_cpu(b.shm, RW), 0);
	close(fence);
	metal_shm_detach(view, other->dev);
	fake_importer_end(other);
	end_bench(&b);
}

static void a_reader_that_failed_spoils_nothing(void **state)
{
	struct bench b = new_bench();
	int fence = work(&b, R);

	(void)state;
	fake_fence_signal(fence, -EIO);
	assert_int_equal(metal_shm_sync_for_cpu(b.shm, RW), 0);
	close(fence);
	end_bench(&b);
}

static void a_failure_is_of_the_bytes_that_were_worked_on(void **state)
{
	struct bench b = new_bench_of(true);
	struct metal_generic_shm *half[2], *view[2];
	int fence = fake_fence_new();

	(void)state;
	for (int i = 0; i < 2; i++) {
		half[i] = metal_shm_sub(b.shm, i ? 4096 : 0, 4096, METAL_SHM_SUB_NO_COPY);
		view[i] = metal_shm_attach(half[i], b.gpu->dev);
		assert_non_null(view[i]);
	}
	/* the device has all of it in one piece */
	assert_int_equal(metal_shm_sync_for_device(b.shm, b.gpu->dev, W), 0);
	assert_int_equal(metal_shm_import_fence(half[1], b.gpu->dev, W, fence), 0);
	fake_fence_signal(fence, -EIO);
	close(fence);
	assert_int_equal(metal_shm_sync_for_cpu(half[0], RW), 0);
	assert_int_equal(metal_shm_sync_for_cpu(half[1], RW), -EIO);
	for (int i = 0; i < 2; i++) {
		metal_shm_detach(view[i], b.gpu->dev);
		metal_shm_free(half[i], NULL);
	}
	end_bench(&b);
}

static void memory_may_go_before_its_fence(void **state)
{
	struct bench b = new_bench();
	int fence = work(&b, W);

	(void)state;
	end_bench(&b);
	close(fence);
}

static void a_fence_needs_a_device_that_has_the_bytes(void **state)
{
	struct bench b = new_bench();
	struct fake_importer *other = fake_importer_new("other", METAL_SHM_ACCESS_DMA);
	int fence = fake_fence_new();

	(void)state;
	assert_int_equal(metal_shm_import_fence(b.shm, b.gpu->dev, W, fence), -EINVAL);
	expect_reason("gpu doesn't have the bytes");
	assert_int_equal(metal_shm_sync_for_device(b.shm, b.gpu->dev, R), 0);
	assert_int_equal(metal_shm_import_fence(b.shm, b.gpu->dev, W, fence), -EINVAL);
	assert_int_equal(metal_shm_import_fence(b.shm, b.gpu->dev, RW, fence), -EINVAL);
	assert_int_equal(metal_shm_import_fence(b.shm, other->dev, R, fence), -ENOTCONN);
	expect_reason("other");
	assert_int_equal(metal_shm_import_fence(b.shm, b.gpu->dev, (enum metal_shm_dir)0, fence),
			 -EINVAL);
	assert_int_equal(metal_shm_import_fence(b.shm, NULL, R, fence), -EINVAL);
	assert_int_equal(metal_shm_import_fence(NULL, b.gpu->dev, R, fence), -EINVAL);
	/* none of these is waited for */
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b.shm, RW, 0), 0);
	fake_importer_end(other);
	close(fence);
	end_bench(&b);
}

static void what_is_no_fence_is_refused(void **state)
{
	struct bench b = new_bench();
	int fence = fake_fence_new(), event = eventfd(0, EFD_CLOEXEC), pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(metal_shm_sync_for_device(b.shm, b.gpu->dev, W), 0);
	assert_int_equal(metal_shm_import_fence(b.shm, b.gpu->dev, W, event), -EINVAL);
	expect_reason("not a sync_file");
	assert_int_equal(metal_shm_import_fence(b.shm, b.gpu->dev, W, pair[0]), -EINVAL);
	assert_int_equal(metal_shm_import_fence(b.shm, b.gpu->dev, W, -1), -EBADF);
	close(fence);
	assert_int_equal(metal_shm_import_fence(b.shm, b.gpu->dev, W, fence), -EBADF);
	expect_reason("closed");
	close(event);
	close(pair[0]);
	close(pair[1]);
	end_bench(&b);
}

static void what_the_kernel_refuses_leaves_nothing(void **state)
{
	struct bench b = new_bench();
	int fence = fake_fence_new();

	(void)state;
	assert_int_equal(metal_shm_sync_for_device(b.shm, b.gpu->dev, W), 0);
	b.heap->fail_put = ENOMEM;
	assert_int_equal(metal_shm_import_fence(b.shm, b.gpu->dev, W, fence), -ENOMEM);
	b.heap->old = true;
	assert_int_equal(metal_shm_import_fence(b.shm, b.gpu->dev, W, fence), -ENOTSUP);
	expect_reason("Linux 6.0");
	assert_int_equal(metal_shm_export_fence(b.shm, W), -ENOTSUP);
	expect_reason("Linux 6.0");
	b.heap->old = false;
	fake_fence_signal(fence, -EIO);
	assert_int_equal(metal_shm_sync_for_cpu(b.shm, RW), 0);
	close(fence);
	end_bench(&b);
}

static void sixteen_fences_are_kept_and_no_more(void **state)
{
	struct bench b = new_bench();
	int fences[17];

	(void)state;
	assert_int_equal(metal_shm_sync_for_device(b.shm, b.gpu->dev, W), 0);
	for (int i = 0; i < 17; i++) {
		fences[i] = fake_fence_new();
		assert_int_equal(metal_shm_import_fence(b.shm, b.gpu->dev, W, fences[i]),
				 i < 16 ? 0 : -EBUSY);
	}
	fake_fence_signal(fences[7], 1);
	assert_int_equal(metal_shm_import_fence(b.shm, b.gpu->dev, W, fences[16]), 0);
	for (int i = 0; i < 17; i++) {
		assert_int_equal(metal_shm_sync_for_cpu_timeout(b.shm, RW, 0), -ETIMEDOUT);
		if (i != 7)
			fake_fence_signal(fences[i], 1);
		close(fences[i]);
	}
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b.shm, RW, 0), 0);
	end_bench(&b);
}

static void a_first_mapping_waits_for_no_fence(void **state)
{
	struct bench b = new_bench();
	int fence = work(&b, R);

	(void)state;
	assert_non_null(metal_shm_map(b.shm, METAL_SHM_READ));
	assert_int_equal(b.heap->starts, 0);
	fake_fence_signal(fence, 1);
	assert_int_equal(metal_shm_sync_for_cpu(b.shm, RW), 0);
	close(fence);
	end_bench(&b);
}

static void a_forked_child_brings_no_fence(void **state)
{
	struct bench b = new_bench();
	int fence = work(&b, W), status;
	pid_t child;

	(void)state;
	child = fork();
	if (!child) {
		int bad = metal_shm_export_fence(b.shm, R) != -EPERM ||
			  metal_shm_import_fence(b.shm, b.gpu->dev, W, fence) != -EPERM;

		metal_shm_free(b.shm, NULL);
		_exit(bad);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	fake_fence_signal(fence, 1);
	close(fence);
	end_bench(&b);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_program_waits_for_a_fence_and_no_longer_than_told),
		cmocka_unit_test(another_device_waits_for_a_fence_no_longer_than_told),
		cmocka_unit_test(a_fence_that_signals_ends_the_wait),
		cmocka_unit_test(only_writers_wait_for_a_readers_fence),
		cmocka_unit_test(the_next_reader_learns_once_that_a_writer_failed),
		cmocka_unit_test(a_reader_that_failed_spoils_nothing),
		cmocka_unit_test(a_failure_is_of_the_bytes_that_were_worked_on),
		cmocka_unit_test(memory_may_go_before_its_fence),
		cmocka_unit_test(a_fence_needs_a_device_that_has_the_bytes),
		cmocka_unit_test(what_is_no_fence_is_refused),
		cmocka_unit_test(what_the_kernel_refuses_leaves_nothing),
		cmocka_unit_test(sixteen_fences_are_kept_and_no_more),
		cmocka_unit_test(a_first_mapping_waits_for_no_fence),
		cmocka_unit_test(a_forked_child_brings_no_fence),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
