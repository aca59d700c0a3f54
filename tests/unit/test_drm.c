/* SPDX-License-Identifier: BSD-3-Clause */
/* What is opened as a card and what is not, and what becomes of a descriptor that was handed over. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drm_fixture.h"

#define NOBODY 65534

static void refuse_path(const char *path, int error, const char *word)
{
	struct metal_device *dev = NULL;

	assert_int_equal(metal_shm_drm_open(path, &dev), -error);
	assert_null(dev);
	assert_reason(word);
}

static void refuse_fd(int take_fd, int error, const char *word)
{
	struct metal_device *dev = NULL;

	assert_int_equal(metal_shm_drm_open_fd(take_fd, 0, 0, 0, &dev), -error);
	assert_null(dev);
	assert_reason(word);
	assert_int_equal(fcntl(take_fd, F_GETFD), -1);
}

static void refuse_driver(int error, const char *word)
{
	struct metal_device *dev = NULL;

	assert_int_equal(fake_drm_open(&dev), -error);
	assert_null(dev);
	assert_reason(word);
	fake_drm_end();
}

static void missing_path_is_enoent(void **state)
{
	(void)state;
	refuse_path("/dev/dri/card99", ENOENT, "/dev/dri/card99");
}

static void paths_of_other_kinds_are_einval(void **state)
{
	char fifo[] = "/tmp/libshm-drm-XXXXXX";

	(void)state;
	refuse_path("/dev/null", EINVAL, "/dev/null is not a DRM node");
	refuse_path("/proc/self/exe", EINVAL, "is not a DRM node");
	refuse_path("/", EINVAL, "is not a DRM node");
	refuse_path("", ENOENT, "");
	refuse_path("/dev/null/card0", EINVAL, "is not a DRM node");
	assert_non_null(mkdtemp(fifo));
	rmdir(fifo);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	refuse_path(fifo, EINVAL, "is not a DRM node");
	unlink(fifo);
}

static void null_is_einval(void **state)
{
	struct metal_device *dev = NULL;

	(void)state;
	assert_int_equal(metal_shm_drm_open(NULL, &dev), -EINVAL);
	assert_int_equal(metal_shm_drm_open("/dev/dri/card0", NULL), -EINVAL);
	assert_int_equal(metal_shm_drm_present(NULL, NULL), -EINVAL);
	assert_int_equal(metal_shm_drm_present_fenced(NULL, NULL, -1, NULL), -EINVAL);
	assert_int_equal(metal_shm_drm_present_writeback(NULL, NULL, NULL), -EINVAL);
	assert_int_equal(metal_shm_drm_wait(NULL, 0), -EINVAL);
	assert_int_equal(metal_shm_drm_off(NULL), -EINVAL);
	assert_int_equal(metal_shm_drm_mode(NULL, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(metal_shm_drm_last_flip(NULL, NULL), -EINVAL);
	assert_int_equal(metal_shm_drm_framebuffer(NULL, NULL, NULL), -EINVAL);
	assert_int_equal(metal_shm_drm_crc(NULL, 0, NULL), -EINVAL);
}

/* What somebody without privileges is told of a path that a group has. */
static void refuse_nobody(gid_t group, mode_t mode, const char *word)
{
	char path[] = "/tmp/libshm-drm-XXXXXX";
	int fd = mkstemp(path);

	if (geteuid())
		shm_test_skip("only root can be somebody else");
	assert_true(fd >= 0);
	assert_int_equal(fchown(fd, 0, group), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	refuse_path(path, EACCES, word);
	assert_int_equal(seteuid(0), 0);
	close(fd);
	unlink(path);
}

static void path_without_permission_names_the_group(void **state)
{
	(void)state;
	refuse_nobody(4242, 0660, "join the group 4242");
}

static void path_that_no_group_may_use_asks_for_a_rule(void **state)
{
	(void)state;
	refuse_nobody(0, 0600, "a udev rule");
	refuse_nobody(4242, 0640, "belongs to group 4242, mode 0640: a udev rule");
}

static void wrong_options_are_einval(void **state)
{
	const struct metal_shm_drm_options wrong[] = {
		{ .struct_size = 0 },
		{ .struct_size = sizeof(wrong[0]), .flags = 1u << 31 },
		{ .struct_size = sizeof(wrong[0]), .width = 640 },
		{ .struct_size = sizeof(wrong[0]), .reserved = 1 },
		{ .struct_size = sizeof(wrong[0]),
		  .flags = METAL_SHM_DRM_MEMORY | METAL_SHM_DRM_WRITEBACK },
	};
	struct metal_device *dev = NULL;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(wrong); i++)
		assert_int_equal(metal_shm_drm_open_options("/dev/null", &wrong[i], &dev), -EINVAL);
	assert_reason("memory alone");
	assert_null(dev);
}

static void scheme_names_what_it_knows(void **state)
{
	struct metal_device *dev = NULL;

	(void)state;
	assert_int_equal(metal_shm_device_open("drm:/dev/null", &dev), -EINVAL);
	assert_int_equal(metal_shm_device_open("drm:/dev/null,writeback", &dev), -EINVAL);
	assert_int_equal(metal_shm_device_open("drm:/dev/null,fast", &dev), -EINVAL);
	assert_reason("only ,writeback and ,memory are known");
	assert_int_equal(metal_shm_device_open("drm", &dev), -ENOENT);
}

static void descriptors_of_other_kinds_are_refused_and_closed(void **state)
{
	(void)state;
	refuse_fd(open("/dev/null", O_RDWR | O_CLOEXEC), EINVAL, "is not a DRM node");
	refuse_fd(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), EINVAL, "is not a DRM node");
	refuse_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), EINVAL, "is not a DRM node");
}

static void closed_descriptor_is_ebadf(void **state)
{
	(void)state;
	refuse_fd(-1, EBADF, "descriptor -1");
	refuse_fd(1000, EBADF, "descriptor 1000");
}

static void descriptor_is_closed_when_there_is_no_place_for_the_device(void **state)
{
	int fd;

	(void)state;
	fake_drm_new();
	fd = fake_drm_fd();
	assert_int_equal(metal_shm_drm_open_fd(fd, 0, 0, 0, NULL), -EINVAL);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fake_drm_end();
}

static void taken_descriptor_becomes_nonblocking_and_close_on_exec(void **state)
{
	struct metal_device *dev = NULL;
	int fd;

	(void)state;
	fake_drm_new();
	fd = fake_drm_fd();
	assert_int_equal(fcntl(fd, F_SETFD, 0), 0);
	assert_ok(metal_shm_drm_open_fd(fd, 0, 0, 0, &dev));
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	metal_shm_device_close(dev);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fake_drm_end();
}

static void card_without_a_display_is_refused(void **state)
{
	(void)state;
	fake_drm_new()->display = false;
	refuse_driver(ENOTSUP, "(fake) has no display");
}

static void card_without_atomic_is_refused(void **state)
{
	(void)state;
	fake_drm_new()->atomic = false;
	refuse_driver(ENOTSUP, "driver fake has no atomic commits");
}

static void card_without_prime_import_is_refused(void **state)
{
	(void)state;
	fake_drm_new()->import = false;
	refuse_driver(ENOTSUP, "driver fake shares no memory");
}

static void display_that_is_not_connected_is_refused(void **state)
{
	(void)state;
	fake_drm_new()->connected = false;
	refuse_driver(ENXIO, "nothing is connected");
}

static void card_of_another_master_is_refused(void **state)
{
	(void)state;
	fake_drm_new()->master = false;
	refuse_driver(EBUSY, "another program is the card's master");
}

static void master_is_taken_where_nobody_is(void **state)
{
	struct fake_drm *driver = fake_drm_new();
	struct metal_device *dev = NULL;

	(void)state;
	driver->master = false;
	driver->may_be_master = true;
	assert_ok(fake_drm_open(&dev));
	assert_true(driver->master);
	metal_shm_device_close(dev);
	assert_false(driver->master);
	fake_drm_end();
}

static void wrong_objects_are_enoent(void **state)
{
	const uint32_t ids[][3] = { { 99, 0, 0 }, { 0, 99, 0 }, { 0, 0, 99 } };
	struct metal_device *dev = NULL;

	(void)state;
	for (int i = 0; i < 3; i++) {
		fake_drm_new();
		assert_int_equal(
			metal_shm_drm_open_fd(fake_drm_fd(), ids[i][0], ids[i][1], ids[i][2], &dev),
			-ENOENT);
		fake_drm_end();
	}
	assert_null(dev);
}

static void mode_is_the_preferred_one_at_first(void **state)
{
	struct metal_device *dev = NULL;
	uint32_t width, height, refresh;

	(void)state;
	fake_drm_new();
	assert_ok(fake_drm_open(&dev));
	assert_ok(metal_shm_drm_mode(dev, &width, &height, &refresh));
	assert_int_equal(width, 1024);
	assert_int_equal(height, 768);
	assert_int_equal(refresh, 60000);
	metal_shm_device_close(dev);
	fake_drm_end();
}

static void opening_changes_nothing_on_the_screen(void **state)
{
	static uint64_t before[64][FAKE_PROPERTIES];
	struct fake_drm *driver = fake_drm_new();
	struct metal_device *dev = NULL;

	(void)state;
	fake_drm_show_other();
	memcpy(before, driver->value, sizeof(before));
	assert_ok(fake_drm_open(&dev));
	metal_shm_device_close(dev);
	assert_memory_equal(before, driver->value, sizeof(before));
	assert_int_equal(driver->commits, 0);
	fake_drm_end();
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_path_is_enoent),
		cmocka_unit_test(paths_of_other_kinds_are_einval),
		cmocka_unit_test(null_is_einval),
		cmocka_unit_test(path_without_permission_names_the_group),
		cmocka_unit_test(path_that_no_group_may_use_asks_for_a_rule),
		cmocka_unit_test(wrong_options_are_einval),
		cmocka_unit_test(scheme_names_what_it_knows),
		cmocka_unit_test(descriptors_of_other_kinds_are_refused_and_closed),
		cmocka_unit_test(closed_descriptor_is_ebadf),
		cmocka_unit_test(descriptor_is_closed_when_there_is_no_place_for_the_device),
		cmocka_unit_test(taken_descriptor_becomes_nonblocking_and_close_on_exec),
		cmocka_unit_test(card_without_a_display_is_refused),
		cmocka_unit_test(card_without_atomic_is_refused),
		cmocka_unit_test(card_without_prime_import_is_refused),
		cmocka_unit_test(display_that_is_not_connected_is_refused),
		cmocka_unit_test(card_of_another_master_is_refused),
		cmocka_unit_test(master_is_taken_where_nobody_is),
		cmocka_unit_test(wrong_objects_are_enoent),
		cmocka_unit_test(mode_is_the_preferred_one_at_first),
		cmocka_unit_test(opening_changes_nothing_on_the_screen),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
