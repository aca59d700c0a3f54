/* SPDX-License-Identifier: BSD-3-Clause */
/* V4L2 without a driver: the names of formats, and what is refused. */
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shm/linux.h>
#include <shm/shm.h>
#include <shm/v4l2.h>

#include "shm_test.h"

#define F METAL_SHM_FOURCC

#define assert_reason(word)                                                            \
	do {                                                                           \
		if (!strstr(metal_shm_last_error(), word))                             \
			fail_msg("'%s' is not in '%s'", word, metal_shm_last_error()); \
	} while (0)

static const struct {
	uint32_t fourcc, pixelformat;
} formats[] = {
	{ F('X', 'R', '2', '4'), V4L2_PIX_FMT_XBGR32 },
	{ F('A', 'R', '2', '4'), V4L2_PIX_FMT_ABGR32 },
	{ F('X', 'B', '2', '4'), V4L2_PIX_FMT_RGBX32 },
	{ F('A', 'B', '2', '4'), V4L2_PIX_FMT_RGBA32 },
	{ F('R', 'G', '1', '6'), V4L2_PIX_FMT_RGB565 },
	{ F('R', 'G', '2', '4'), V4L2_PIX_FMT_BGR24 },
	{ F('B', 'G', '2', '4'), V4L2_PIX_FMT_RGB24 },
	{ F('R', '8', ' ', ' '), V4L2_PIX_FMT_GREY },
	{ F('Y', 'U', 'Y', 'V'), V4L2_PIX_FMT_YUYV },
	{ F('U', 'Y', 'V', 'Y'), V4L2_PIX_FMT_UYVY },
	{ F('N', 'V', '1', '2'), V4L2_PIX_FMT_NV12 },
	{ F('N', 'V', '2', '1'), V4L2_PIX_FMT_NV21 },
	{ F('N', 'V', '1', '6'), V4L2_PIX_FMT_NV16 },
	{ F('Y', 'U', '1', '2'), V4L2_PIX_FMT_YUV420 },
};

static void each_format_has_its_v4l2_name(void **state)
{
	uint32_t answer;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(formats); i++) {
		assert_int_equal(metal_shm_v4l2_pixelformat(formats[i].fourcc, &answer), 0);
		assert_int_equal(answer, formats[i].pixelformat);
	}
}

static void each_v4l2_name_leads_back_to_its_format(void **state)
{
	uint32_t answer;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(formats); i++) {
		assert_int_equal(metal_shm_v4l2_fourcc(formats[i].pixelformat, &answer), 0);
		assert_int_equal(answer, formats[i].fourcc);
	}
}

static void every_format_of_the_library_has_a_v4l2_name(void **state)
{
	struct metal_shm_format format;
	uint32_t answer;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(formats); i++)
		assert_int_equal(metal_shm_format_of(formats[i].fourcc, &format), 0);
	assert_int_equal(metal_shm_v4l2_pixelformat(F('Q', 'Q', 'Q', 'Q'), &answer), -ENOTSUP);
	assert_reason("QQQQ");
}

static void formats_of_several_memories_have_no_name(void **state)
{
	uint32_t answer;

	(void)state;
	assert_int_equal(metal_shm_v4l2_fourcc(V4L2_PIX_FMT_NV12M, &answer), -ENOTSUP);
	assert_int_equal(metal_shm_v4l2_fourcc(V4L2_PIX_FMT_YUV420M, &answer), -ENOTSUP);
	assert_int_equal(metal_shm_v4l2_fourcc(0, &answer), -ENOTSUP);
}

static void refused(int answer, int error, const char *word)
{
	assert_int_equal(answer, -error);
	assert_reason(word);
}

static void a_path_that_is_not_there_is_enoent(void **state)
{
	struct metal_device *dev = NULL, *other = NULL;

	(void)state;
	refused(metal_shm_v4l2_open("/dev/nonesuch", &dev), ENOENT, "/dev/nonesuch");
	refused(metal_shm_v4l2_open_output("/dev/nonesuch", &dev), ENOENT, "/dev/nonesuch");
	refused(metal_shm_v4l2_open_m2m("/dev/nonesuch", &dev, &other), ENOENT, "/dev/nonesuch");
	refused(metal_shm_v4l2_open("/dev/null/video0", &dev), ENOENT, "/dev/null/video0");
	refused(metal_shm_v4l2_open("", &dev), ENOENT, "");
	assert_null(dev);
	assert_null(other);
}

static void what_is_no_v4l2_device_is_enodev(void **state)
{
	static const char *const paths[] = { "/dev/null", "/dev/zero", "/proc/self/maps", "/",
					     "/dev/shm" };
	struct metal_device *dev = NULL;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(paths); i++)
		refused(metal_shm_v4l2_open(paths[i], &dev), ENODEV, "not a V4L2 device");
	assert_null(dev);
}

static void a_node_of_others_names_its_group(void **state)
{
	char path[] = "/tmp/libshm-node-XXXXXX";
	struct metal_device *dev = NULL;
	int error, fd;

	(void)state;
	fd = mkstemp(path);
	close(fd);
	unlink(path);
	if (geteuid())
		shm_test_skip("only root can make a device node of others");
	if (mknod(path, S_IFCHR | 0660, 0x0103))
		shm_test_skip("no device nodes can be made here");
	/* /dev/null under another name, of the group video; as somebody else */
	assert_int_equal(chown(path, 0, 44), 0);
	assert_int_equal(chmod(path, 0660), 0);
	assert_int_equal(seteuid(65534), 0);
	error = metal_shm_v4l2_open(path, &dev);
	assert_int_equal(seteuid(0), 0);
	unlink(path);
	refused(error, EACCES, "0660");
	assert_reason("join the group");
}

static void null_arguments_are_refused(void **state)
{
	struct metal_device *dev = NULL;
	struct metal_generic_shm *shm = NULL;
	uint32_t answer;

	(void)state;
	assert_int_equal(metal_shm_v4l2_open(NULL, &dev), -EINVAL);
	assert_int_equal(metal_shm_v4l2_open("/dev/video0", NULL), -EINVAL);
	assert_int_equal(metal_shm_v4l2_open_output(NULL, &dev), -EINVAL);
	assert_int_equal(metal_shm_v4l2_open_output("/dev/video0", NULL), -EINVAL);
	assert_int_equal(metal_shm_v4l2_open_m2m("/dev/video0", NULL, &dev), -EINVAL);
	assert_int_equal(metal_shm_v4l2_open_m2m("/dev/video0", &dev, NULL), -EINVAL);
	assert_int_equal(metal_shm_v4l2_open_m2m(NULL, &dev, &dev), -EINVAL);
	assert_int_equal(metal_shm_v4l2_open_fd(0, NULL, NULL), -EINVAL);
	assert_int_equal(metal_shm_v4l2_pixelformat(0, NULL), -EINVAL);
	assert_int_equal(metal_shm_v4l2_fourcc(0, NULL), -EINVAL);
	assert_int_equal(metal_shm_v4l2_fd(NULL), -EINVAL);
	assert_int_equal(metal_shm_v4l2_start(NULL, NULL), -EINVAL);
	assert_int_equal(metal_shm_v4l2_stop(NULL), -EINVAL);
	assert_int_equal(metal_shm_v4l2_queue(NULL, NULL), -EINVAL);
	assert_int_equal(metal_shm_v4l2_wait(NULL, 0, NULL, &shm), -EINVAL);
	assert_int_equal(metal_shm_v4l2_set_interval(NULL, 1, 25), -EINVAL);
	assert_int_equal(metal_shm_v4l2_index(NULL, NULL, &answer), -EINVAL);
}

static void a_device_of_another_kind_is_refused(void **state)
{
	struct metal_device *memfd;
	struct metal_generic_shm *shm;

	(void)state;
	assert_int_equal(metal_shm_device_open("memfd", &memfd), 0);
	refused(metal_shm_v4l2_stop(memfd), EINVAL, "another kind");
	assert_int_equal(metal_shm_v4l2_fd(memfd), -EINVAL);
	assert_int_equal(metal_shm_v4l2_set_interval(memfd, 1, 25), -EINVAL);
	assert_int_equal(metal_shm_v4l2_wait(memfd, 0, NULL, &shm), -EINVAL);
	metal_shm_device_close(memfd);
}

static void descriptors_of_other_kinds_stay_the_callers(void **state)
{
	struct metal_device *dev = NULL;
	int pair[2], fd;

	(void)state;
	assert_int_equal(metal_shm_v4l2_open_fd(-1, NULL, &dev), -EBADF);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	refused(metal_shm_v4l2_open_fd(fd, NULL, &dev), EACCES, "reading and writing");
	assert_int_equal(close(fd), 0);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	refused(metal_shm_v4l2_open_fd(fd, NULL, &dev), ENODEV, "not a V4L2 device");
	assert_int_equal(close(fd), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	refused(metal_shm_v4l2_open_fd(pair[0], &dev, NULL), ENODEV, "not a V4L2 device");
	assert_int_equal(close(pair[0]), 0);
	assert_int_equal(close(pair[1]), 0);
	assert_null(dev);
}

static void the_scheme_is_registered(void **state)
{
	struct metal_device *dev = NULL;

	(void)state;
	refused(metal_shm_device_open("v4l2:/dev/nonesuch", &dev), ENOENT, "/dev/nonesuch");
	refused(metal_shm_device_open("v4l2:/dev/null", &dev), ENODEV, "not a V4L2 device");
	refused(metal_shm_device_open("v4l2", &dev), EINVAL, "needs a node");
	assert_null(dev);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_format_has_its_v4l2_name),
		cmocka_unit_test(each_v4l2_name_leads_back_to_its_format),
		cmocka_unit_test(every_format_of_the_library_has_a_v4l2_name),
		cmocka_unit_test(formats_of_several_memories_have_no_name),
		cmocka_unit_test(a_path_that_is_not_there_is_enoent),
		cmocka_unit_test(what_is_no_v4l2_device_is_enodev),
		cmocka_unit_test(a_node_of_others_names_its_group),
		cmocka_unit_test(null_arguments_are_refused),
		cmocka_unit_test(a_device_of_another_kind_is_refused),
		cmocka_unit_test(descriptors_of_other_kinds_stay_the_callers),
		cmocka_unit_test(the_scheme_is_registered),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
