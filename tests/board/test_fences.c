/* SPDX-License-Identifier: BSD-3-Clause */
/* Fences through the library on real DMA-BUFs, and holders that put none there. */
#include "drm_card.h"

#include <pthread.h>
#include <time.h>

#include <linux/sync_file.h>

#include <shm/opencl.h>
#include <shm/v4l2.h>

#include "camera_path.h"
#include "fake.h"
#include "fence.h"

#define R  METAL_SHM_DIR_DEV_R
#define W  METAL_SHM_DIR_DEV_W
#define RW METAL_SHM_DIR_DEV_RW
#define MS INT64_C(1000000)

static const char *const sources[] = { "heap:system", "heap:contiguous", "udmabuf" };

/* Memory, and a device whose work ends as a timeline says. */
struct fixture {
	struct metal_device *src;
	struct fake_importer *gpu;
	struct metal_generic_shm *shm, *view;
	int timeline;
};

static struct fixture set_up(const char *source)
{
	struct fixture f = {
		.src = open_memory(source),
		.gpu = fake_importer_new("gpu", METAL_SHM_ACCESS_DMA),
		.timeline = open(TIMELINE, O_RDWR | O_CLOEXEC),
	};

	assert_true(f.timeline >= 0);
	f.shm = metal_shm_allocate(65536, f.src, 0);
	assert_non_null(f.shm);
	f.view = metal_shm_attach(f.shm, f.gpu->dev);
	assert_non_null(f.view);
	return f;
}

static void tear_down(struct fixture *f)
{
	if (f->timeline >= 0)
		close(f->timeline);
	metal_shm_detach(f->view, f->gpu->dev);
	metal_shm_free(f->shm, f->src);
	fake_importer_end(f->gpu);
	metal_shm_device_close(f->src);
}

static void work(struct fixture *f, enum metal_shm_dir dir)
{
	struct timeline_fence fence = { .value = 1, .name = "test" };

	assert_int_equal(ioctl(f->timeline, TIMELINE_FENCE, &fence), 0);
	assert_ok(metal_shm_sync_for_device(f->shm, f->gpu->dev, dir));
	assert_ok(metal_shm_import_fence(f->shm, f->gpu->dev, dir, fence.fd));
	close(fence.fd);
}

static void step(const struct fixture *f)
{
	uint32_t one = 1;

	assert_int_equal(ioctl(f->timeline, TIMELINE_STEP, &one), 0);
}

static void an_imported_fence_is_waited_for_here_and_in_the_kernel(void **state)
{
	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(sources); i++) {
		struct fixture f = set_up(sources[i]);
		int fd = metal_shm_export(f.shm, METAL_SHM_EXPORT_DMABUF);
		struct pollfd other = { .fd = fd, .events = POLLIN };

		work(&f, W);
		assert_int_equal(metal_shm_sync_for_cpu_timeout(f.shm, RW, 0), -ETIMEDOUT);
		assert_reason("fence");
		assert_int_equal(metal_shm_sync_for_cpu_timeout(f.shm, RW, 20 * MS), -ETIMEDOUT);
		assert_int_equal(poll(&other, 1, 0), 0);
		step(&f);
		assert_int_equal(poll(&other, 1, 2000), 1);
		assert_ok(metal_shm_sync_for_cpu_timeout(f.shm, RW, 0));
		close(fd);
		tear_down(&f);
	}
}

static void *step_later(void *user)
{
	const struct timespec time = { .tv_nsec = 50 * MS };

	nanosleep(&time, NULL);
	step(user);
	return NULL;
}

static void a_fence_that_signals_ends_the_wait(void **state)
{
	struct fixture f = set_up("heap:system");
	pthread_t thread;

	(void)state;
	work(&f, W);
	assert_int_equal(pthread_create(&thread, NULL, step_later, &f), 0);
	assert_ok(metal_shm_sync_for_cpu(f.shm, RW));
	assert_int_equal(pthread_join(thread, NULL), 0);
	tear_down(&f);
}

static void only_writers_wait_for_a_readers_fence(void **state)
{
	struct fixture f = set_up("heap:system");
	struct fake_importer *other = fake_importer_new("other", METAL_SHM_ACCESS_DMA);
	struct metal_generic_shm *view = metal_shm_attach(f.shm, other->dev);

	(void)state;
	work(&f, R);
	assert_ok(metal_shm_sync_for_device_timeout(f.shm, other->dev, R, 0));
	assert_int_equal(metal_shm_sync_for_device_timeout(f.shm, other->dev, W, 0), -ETIMEDOUT);
	step(&f);
	assert_ok(metal_shm_sync_for_device_timeout(f.shm, other->dev, W, 0));
	metal_shm_detach(view, other->dev);
	fake_importer_end(other);
	tear_down(&f);
}

/* A timeline that is closed ends its fences with -ENOENT. */
static void a_fence_that_ends_with_an_error_reaches_the_next_reader_once(void **state)
{
	struct fixture f = set_up("heap:system");

	(void)state;
	work(&f, W);
	close(f.timeline);
	f.timeline = -1;
	assert_int_equal(metal_shm_sync_for_cpu(f.shm, RW), -EIO);
	assert_reason("a fence of gpu (-2) failed");
	assert_ok(metal_shm_sync_for_cpu(f.shm, RW));
	tear_down(&f);
}

static int status_of(int fence)
{
	struct sync_file_info info = { .status = 0 };

	assert_int_equal(ioctl(fence, SYNC_IOC_FILE_INFO, &info), 0);
	return info.status;
}

static void expect_exported(struct fixture *f, enum metal_shm_dir dir, int status)
{
	int fence = metal_shm_export_fence(f->shm, dir);

	if (fence < 0)
		fail_msg("%s", metal_shm_last_error());
	assert_int_equal(fcntl(fence, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(status_of(fence), status);
	close(fence);
}

static void an_exported_fence_tells_of_imported_ones(void **state)
{
	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(sources); i++) {
		struct fixture f = set_up(sources[i]);
		int out;

		expect_exported(&f, R, 1);
		expect_exported(&f, W, 1);
		work(&f, R);
		expect_exported(&f, R, 1);
		expect_exported(&f, W, 0);
		out = metal_shm_export_fence(f.shm, RW);
		assert_false(readable(out, 20));
		step(&f);
		assert_true(readable(out, 2000));
		close(out);
		tear_down(&f);
	}
}

static void a_first_mapping_waits_for_no_fence(void **state)
{
	struct fixture f = set_up("udmabuf");

	(void)state;
	work(&f, R);
	assert_non_null(metal_shm_map(f.shm, METAL_SHM_READ));
	step(&f);
	assert_ok(metal_shm_sync_for_cpu(f.shm, RW));
	tear_down(&f);
}

static void memory_may_go_before_its_fence(void **state)
{
	struct fixture f = set_up("heap:system");
	int timeline = f.timeline;

	(void)state;
	work(&f, W);
	f.timeline = -1;
	tear_down(&f);
	close(timeline);
}

static void a_display_waits_for_an_imported_fence(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 1);
	struct fixture f = set_up("heap:system");
	struct metal_generic_shm *shm = get_filled(pool, 1), *own = f.shm, *own_view = f.view;

	(void)state;
	f.shm = shm;
	f.view = metal_shm_attach(shm, f.gpu->dev);
	work(&f, W);
	assert_int_equal(metal_shm_sync_for_device_timeout(shm, dev, R, 20 * MS), -ETIMEDOUT);
	assert_reason("fence");
	step(&f);
	show(dev, shm);
	metal_shm_detach(f.view, f.gpu->dev);
	metal_shm_free(shm, NULL);
	f.shm = own;
	f.view = own_view;
	tear_down(&f);
	end(pool, dev);
}

/* Its end can be polled for all the same. */
static void a_frame_on_the_screen_has_no_fence(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 2);
	struct metal_generic_shm *a = get_filled(pool, 1), *b = get_filled(pool, 2);
	int fence;

	(void)state;
	show(dev, a);
	assert_int_equal(metal_shm_export_fence(a, W), -ENOTSUP);
	assert_reason("drm:");
	fence = metal_shm_export_fence(a, R);
	assert_true(fence >= 0);
	close(fence);
	assert_ok(metal_shm_drm_present(dev, b));
	while (metal_shm_sync_for_cpu_timeout(a, RW, 0)) {
		assert_true(readable(metal_shm_device_poll_fd(dev), 2000));
		assert_ok(metal_shm_device_dispatch(dev));
	}
	fence = metal_shm_export_fence(a, W);
	assert_true(fence >= 0);
	close(fence);
	metal_shm_free(a, NULL);
	metal_shm_free(b, NULL);
	end(pool, dev);
}

static void a_frame_that_a_camera_fills_has_no_fence(void **state)
{
	struct metal_shm_frame frame = { .fourcc = YUYV, .width = 320, .height = 180 };
	struct metal_device *devs[2] = { open_memory("heap:system"), NULL };
	struct metal_shm_pool *pool = NULL;
	struct metal_generic_shm *shm;
	int fence;

	(void)state;
	assert_ok(metal_shm_v4l2_open(video_path("vivid-*-vid-cap"), &devs[1]));
	assert_ok(metal_shm_frame_negotiate(&frame, devs, 2));
	assert_ok(metal_shm_pool_create_frames(&frame, devs, 2, 4, &pool));
	/* a frame that the camera has by the program's word, beside those that it takes itself */
	shm = get_frame(pool);
	assert_ok(metal_shm_v4l2_start(devs[1], pool));
	assert_ok(metal_shm_v4l2_queue(devs[1], shm));
	assert_int_equal(metal_shm_export_fence(shm, R), -ENOTSUP);
	assert_reason("v4l2:");
	while (metal_shm_sync_for_cpu_timeout(shm, RW, 0)) {
		assert_true(readable(metal_shm_device_poll_fd(devs[1]), 2000));
		assert_ok(metal_shm_device_dispatch(devs[1]));
	}
	fence = metal_shm_export_fence(shm, R);
	assert_true(fence >= 0);
	close(fence);
	metal_shm_free(shm, NULL);
	assert_ok(metal_shm_v4l2_stop(devs[1]));
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(devs[1]);
	metal_shm_device_close(devs[0]);
}

static void a_kernel_on_the_cpu_has_no_fence(void **state)
{
	struct metal_device *src = open_memory("heap:system"), *gpu = NULL;
	struct metal_generic_shm *shm = metal_shm_allocate(65536, src, 0), *view;

	(void)state;
	shm_test_keeps("the OpenCL runtime");
	assert_ok(metal_shm_opencl_open(NULL, NULL, &gpu));
	view = metal_shm_attach(shm, gpu);
	assert_non_null(view);
	assert_ok(metal_shm_opencl_acquire(gpu, shm, W));
	assert_int_equal(metal_shm_export_fence(shm, R), -ENOTSUP);
	assert_ok(metal_shm_opencl_release(gpu, shm));
	while (metal_shm_sync_for_cpu_timeout(shm, RW, 0)) {
		assert_true(readable(metal_shm_device_poll_fd(gpu), 10000));
		assert_ok(metal_shm_device_dispatch(gpu));
	}
	metal_shm_detach(view, gpu);
	metal_shm_free(shm, src);
	metal_shm_device_close(gpu);
	metal_shm_device_close(src);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_imported_fence_is_waited_for_here_and_in_the_kernel),
		cmocka_unit_test(a_fence_that_signals_ends_the_wait),
		cmocka_unit_test(only_writers_wait_for_a_readers_fence),
		cmocka_unit_test(a_fence_that_ends_with_an_error_reaches_the_next_reader_once),
		cmocka_unit_test(an_exported_fence_tells_of_imported_ones),
		cmocka_unit_test(a_first_mapping_waits_for_no_fence),
		cmocka_unit_test(memory_may_go_before_its_fence),
		cmocka_unit_test(a_display_waits_for_an_imported_fence),
		cmocka_unit_test(a_frame_on_the_screen_has_no_fence),
		cmocka_unit_test(a_frame_that_a_camera_fills_has_no_fence),
		cmocka_unit_test(a_kernel_on_the_cpu_has_no_fence),
	};

	wait_once();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
