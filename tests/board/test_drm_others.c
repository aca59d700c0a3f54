/* SPDX-License-Identifier: BSD-3-Clause */
/* The board's display among others: fences, other programs, what was shown before. */
#include "drm_card.h"

#include <signal.h>
#include <sys/wait.h>

/* /sys/kernel/debug/sync/sw_sync: a timeline whose fences a program signals */
struct sw_sync_create_fence_data {
	uint32_t value;
	char name[32];
	int32_t fence;
};

#define SW_SYNC_CREATE_FENCE _IOWR('W', 0, struct sw_sync_create_fence_data)
#define SW_SYNC_INC          _IOW('W', 1, uint32_t)

static int make_fence(int *ret_timeline)
{
	struct sw_sync_create_fence_data data = { .value = 1, .name = "test" };

	*ret_timeline = open("/sys/kernel/debug/sync/sw_sync", O_RDWR | O_CLOEXEC);
	assert_true(*ret_timeline >= 0);
	assert_int_equal(ioctl(*ret_timeline, SW_SYNC_CREATE_FENCE, &data), 0);
	return data.fence;
}

static void signal_fence(int timeline)
{
	uint32_t one = 1;

	assert_int_equal(ioctl(timeline, SW_SYNC_INC, &one), 0);
}

static void out_fence_signals_when_the_frame_is_shown(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 2);
	struct metal_generic_shm *a = get_filled(pool, 1), *b = get_filled(pool, 2);
	int timeline, in = make_fence(&timeline), out = -1;

	(void)state;
	show(dev, a);
	assert_ok(metal_shm_drm_present_fenced(dev, b, in, &out));
	assert_true(out >= 0);
	assert_int_equal(fcntl(out, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_false(readable(out, 100));
	signal_fence(timeline);
	assert_true(readable(out, 2000));
	close(out);
	close(in);
	close(timeline);
	metal_shm_free(a, NULL);
	metal_shm_free(b, NULL);
	end(pool, dev);
}

static void in_fence_delays_the_flip(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 2);
	struct metal_generic_shm *a = get_filled(pool, 1), *b = get_filled(pool, 2);
	int timeline, in = make_fence(&timeline);
	uint32_t crc;

	(void)state;
	show(dev, a);
	crc = read_crc(dev);
	assert_ok(metal_shm_drm_present_fenced(dev, b, in, NULL));
	assert_int_equal(metal_shm_drm_wait(dev, 0), -ETIMEDOUT);
	assert_int_equal(metal_shm_drm_wait(dev, SECOND / 5), -ETIMEDOUT);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(a, METAL_SHM_DIR_DEV_R, 0), -ETIMEDOUT);
	signal_fence(timeline);
	assert_ok(metal_shm_drm_wait(dev, 2 * SECOND));
	assert_ok(metal_shm_sync_for_cpu_timeout(a, METAL_SHM_DIR_DEV_R, 0));
	assert_int_not_equal(read_crc(dev), crc);
	close(in);
	close(timeline);
	metal_shm_free(a, NULL);
	metal_shm_free(b, NULL);
	end(pool, dev);
}

static void first_frame_can_have_an_in_fence(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 1);
	struct metal_generic_shm *shm = get_filled(pool, 1);
	int timeline, in = make_fence(&timeline);

	(void)state;
	assert_ok(metal_shm_drm_present_fenced(dev, shm, in, NULL));
	assert_int_equal(metal_shm_drm_wait(dev, SECOND / 10), -ETIMEDOUT);
	signal_fence(timeline);
	assert_ok(metal_shm_drm_wait(dev, 2 * SECOND));
	close(in);
	close(timeline);
	metal_shm_free(shm, NULL);
	end(pool, dev);
}

static void in_fence_that_is_a_file_is_refused(void **state)
{
	struct metal_device *dev = open_card(0);
	struct metal_shm_pool *pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 1);
	struct metal_generic_shm *shm = get_filled(pool, 1);
	int file = open("/dev/null", O_RDWR | O_CLOEXEC), out = -7;

	(void)state;
	assert_ok(metal_shm_drm_present(dev, shm));
	assert_int_equal(metal_shm_drm_present_fenced(dev, shm, file, &out), -EINVAL);
	assert_reason("is not a sync_file");
	assert_int_equal(out, -7);
	close(file);
	metal_shm_free(shm, NULL);
	end(pool, dev);
}

static void crtc_has_the_very_memory_that_was_presented(void **state)
{
	int fd = open(card_path("vkms"), O_RDWR | O_CLOEXEC), ours, shown;
	struct objects found = find_objects(fd);
	struct metal_device *dev = NULL;
	struct metal_shm_pool *pool;
	struct metal_generic_shm *shm;
	struct stat a, b;
	drmModeFB2Ptr fb;
	uint32_t id;

	(void)state;
	assert_ok(metal_shm_drm_open_fd(fcntl(fd, F_DUPFD_CLOEXEC, 3), 0, 0, 0, &dev));
	pool = make_pool("heap:contiguous", dev, XR24, WIDTH, HEIGHT, 1);
	shm = get_filled(pool, 1);
	show(dev, shm);
	ours = metal_shm_export(shm, METAL_SHM_EXPORT_DMABUF);
	assert_true(ours >= 0);
	assert_ok(metal_shm_drm_framebuffer(dev, shm, &id));
	assert_int_equal(property(fd, found.plane, DRM_MODE_OBJECT_PLANE, "FB_ID"), id);
	fb = drmModeGetFB2(fd, id);
	assert_non_null(fb);
	/* the handle is the one that the import has: only the export ends here */
	assert_int_equal(drmPrimeHandleToFD(fd, fb->handles[0], DRM_CLOEXEC, &shown), 0);
	assert_int_equal(fstat(ours, &a), 0);
	assert_int_equal(fstat(shown, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(a.st_dev, b.st_dev);
	close(shown);
	close(ours);
	drmModeFreeFB2(fb);
	metal_shm_free(shm, NULL);
	end(pool, dev);
	close(fd);
}

static void lost_master_is_reported_and_the_frame_is_free(void **state)
{
	int fd = open(card_path("vkms"), O_RDWR | O_CLOEXEC);
	struct metal_device *dev = NULL;
	struct metal_shm_pool *pool;
	struct metal_generic_shm *a, *b;

	(void)state;
	assert_ok(metal_shm_drm_open_fd(fcntl(fd, F_DUPFD_CLOEXEC, 3), 0, 0, 0, &dev));
	pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 2);
	a = get_filled(pool, 1);
	b = get_filled(pool, 2);
	show(dev, a);
	assert_int_equal(drmDropMaster(fd), 0);
	assert_int_equal(metal_shm_drm_present(dev, b), -EACCES);
	assert_reason("another program is the card's master now");
	assert_ok(metal_shm_sync_for_cpu_timeout(b, METAL_SHM_DIR_DEV_R, 0));
	assert_int_equal(drmSetMaster(fd), 0);
	show(dev, b);
	metal_shm_free(a, NULL);
	metal_shm_free(b, NULL);
	end(pool, dev);
	close(fd);
}

/* A program that shows something of its own and then lets another be master. */
struct other {
	int fd;
	uint32_t fb;
	uint32_t handle;
	struct objects objects;
};

static void show_other(struct other *other)
{
	drmModeConnectorPtr connector;
	uint32_t pitch;
	uint64_t size;

	other->fd = open(card_path("vkms"), O_RDWR | O_CLOEXEC);
	other->objects = find_objects(other->fd);
	connector = drmModeGetConnector(other->fd, other->objects.connector);
	assert_int_equal(
		drmModeCreateDumbBuffer(other->fd, 1024, 768, 32, 0, &other->handle, &pitch, &size),
		0);
	assert_int_equal(
		drmModeAddFB(other->fd, 1024, 768, 24, 32, pitch, other->handle, &other->fb), 0);
	assert_int_equal(drmModeSetCrtc(other->fd, other->objects.crtc, other->fb, 0, 0,
					&other->objects.connector, 1, &connector->modes[0]),
			 0);
	assert_int_equal(drmDropMaster(other->fd), 0);
	drmModeFreeConnector(connector);
}

static uint64_t shown_fb(const struct other *other)
{
	return property(other->fd, other->objects.plane, DRM_MODE_OBJECT_PLANE, "FB_ID");
}

static void closing_puts_back_what_was_shown_before(void **state)
{
	struct other other;
	struct metal_device *dev;
	struct metal_shm_pool *pool;
	struct metal_generic_shm *shm;
	drmModeCrtcPtr crtc;

	(void)state;
	show_other(&other);
	assert_int_equal(shown_fb(&other), other.fb);
	dev = open_card(0);
	pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 1);
	assert_int_equal(shown_fb(&other), other.fb);
	shm = get_filled(pool, 1);
	show(dev, shm);
	assert_int_not_equal(shown_fb(&other), other.fb);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(dev);
	metal_shm_pool_destroy(pool);
	assert_int_equal(shown_fb(&other), other.fb);
	crtc = drmModeGetCrtc(other.fd, other.objects.crtc);
	assert_int_equal(crtc->mode.hdisplay, 1024);
	drmModeFreeCrtc(crtc);
	close(other.fd);
}

/* What another program does: this one, executed again. */
static uint32_t show_one(void)
{
	struct metal_shm_frame frame = { XR24, WIDTH, HEIGHT, .modifier = 0 };
	struct metal_shm_pool *pool = NULL;
	struct metal_device *dev = NULL;
	uint32_t fb = 0;

	if (!metal_shm_drm_open(card_path("vkms"), &dev) &&
	    !metal_shm_frame_negotiate(&frame, &dev, 1) &&
	    !metal_shm_pool_create_frames(&frame, &dev, 1, 1, &pool)) {
		struct metal_generic_shm *shm = metal_shm_pool_get(pool, 0);

		if (!metal_shm_drm_present(dev, shm) && !metal_shm_drm_wait(dev, 2 * SECOND))
			metal_shm_drm_framebuffer(dev, shm, &fb);
	}
	return fb;
}

static void killed_program_leaves_no_picture(void **state)
{
	struct other other;
	int ready[2], status;
	uint32_t fb = 0;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		/* the library refuses to work in a forked child of a program that used it */
		dup2(ready[1], STDOUT_FILENO);
		execl("/proc/self/exe", "show-one", NULL);
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &fb, sizeof(fb)), sizeof(fb));
	assert_int_not_equal(fb, 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	other.fd = open(card_path("vkms"), O_RDWR | O_CLOEXEC);
	other.objects = find_objects(other.fd);
	assert_int_not_equal(shown_fb(&other), fb);
	assert_true(drmIsMaster(other.fd));
	close(other.fd);
	close(ready[0]);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(out_fence_signals_when_the_frame_is_shown),
		cmocka_unit_test(in_fence_delays_the_flip),
		cmocka_unit_test(first_frame_can_have_an_in_fence),
		cmocka_unit_test(in_fence_that_is_a_file_is_refused),
		cmocka_unit_test(crtc_has_the_very_memory_that_was_presented),
		cmocka_unit_test(lost_master_is_reported_and_the_frame_is_free),
		cmocka_unit_test(closing_puts_back_what_was_shown_before),
		cmocka_unit_test(killed_program_leaves_no_picture),
	};

	if (!strcmp(argv[0], "show-one")) {
		uint32_t fb = show_one();

		return write(STDOUT_FILENO, &fb, sizeof(fb)) == sizeof(fb) && fb ? pause() : 1;
	}
	wait_once();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
