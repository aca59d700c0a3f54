/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices that aren't there, aren't permitted or go away, and frames that none of them has. */
#include <grp.h>

#include <shm/opencl.h>

#include "again.h"
#include "bad_input.h"

#define NOBODY 65534
#define VIDEO  44

#define UNBIND "/sys/bus/platform/drivers/vivid/unbind"
#define BIND   "/sys/bus/platform/drivers/vivid/bind"

static void names_of_no_device_say_what_is_wrong(void **state)
{
	static const struct {
		const char *name;
		int error;
		const char *word;
	} wrong[] = {
		{ "", EINVAL, "is not SCHEME or SCHEME:REST" },
		{ "v4l2:", EINVAL, "v4l2 needs a node" },
		{ "v4l2:/dev/video99", ENOENT, "/dev/video99: No such file" },
		{ "v4l2:/dev/null/video0", ENOENT, "/dev/null/video0" },
		{ "v4l2:/proc/version", ENODEV, "/proc/version is not a V4L2 device" },
		{ "v4l2:/dev/udmabuf", ENODEV, "/dev/udmabuf is not a V4L2 device" },
		{ "v4l2:/dev/dri/card0", ENODEV, "/dev/dri/card0 is not a V4L2 device" },
		{ "drm:/dev/dri/card99", ENOENT, "/dev/dri/card99: No such file" },
		{ "drm:/proc/version", EINVAL, "/proc/version is not a DRM node" },
		{ "drm:/dev/udmabuf", EINVAL, "/dev/udmabuf is not a DRM node" },
		{ "drm:/dev/video0", EINVAL, "/dev/video0 is not a DRM node" },
		{ "heap:../udmabuf", EINVAL, "heap" },
		{ "memfd:1", EINVAL, "memfd" },
		{ "nonesuch:1", EPROTONOSUPPORT, "nonesuch" },
	};

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(wrong); i++) {
		struct metal_device *dev = NULL;
		int error = metal_shm_device_open(wrong[i].name, &dev);

		if (error != -wrong[i].error)
			fail_msg("%s: %d, %s", wrong[i].name, error, metal_shm_last_error());
		assert_reason(wrong[i].word);
		assert_null(dev);
	}
}

/* In another process, which gives up all that root may. */
static int open_as_nobody(const char *name)
{
	struct metal_device *dev = NULL;

	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		return 1;
	return say_result(metal_shm_device_open(name, &dev));
}

/* With the node as given; node is the part of the name that is its path, or the one that is meant. */
static void refuse_nobody(const char *name, const char *node, gid_t group, mode_t mode,
			  const char *word)
{
	struct stat before;
	char reason[1024];
	int error;

	assert_int_equal(stat(node, &before), 0);
	assert_int_equal(chown(node, 0, group), 0);
	assert_int_equal(chmod(node, mode), 0);
	error = result_of_again("open-as-nobody", name, NULL, reason, sizeof(reason));
	assert_int_equal(chown(node, before.st_uid, before.st_gid), 0);
	assert_int_equal(chmod(node, before.st_mode & 07777), 0);
	if (error != -EACCES || !strstr(reason, node) || !strstr(reason, word))
		fail_msg("%s: %d, %s", name, error, reason);
}

static void program_without_privileges_is_told_which_group_or_rule_helps(void **state)
{
	const char *camera = video_path("vivid-000-vid-cap"), *card = card_path("vkms");
	char camera_name[320], card_name[64];

	(void)state;
	snprintf(camera_name, sizeof(camera_name), "v4l2:%s", camera);
	snprintf(card_name, sizeof(card_name), "drm:%s", card);
	refuse_nobody(camera_name, camera, VIDEO, 0660, "join the group video");
	refuse_nobody(camera_name, camera, 0, 0600, "a udev rule");
	refuse_nobody(card_name, card, VIDEO, 0660, "join the group video");
	refuse_nobody(card_name, card, 0, 0600, "a udev rule");
	refuse_nobody("heap:system", "/dev/dma_heap/system", VIDEO, 0660, "join the group video");
	refuse_nobody("udmabuf", "/dev/udmabuf", 0, 0600, "a udev rule");
}

static void frames_of_impossible_sizes_are_refused(void **state)
{
	static const uint32_t sides[][2] = {
		{ 0, 0 },     { 0, 480 }, { 640, 0 }, { 65536, 65536 }, { UINT32_MAX, UINT32_MAX },
		{ 1, 65536 },
	};
	struct metal_device *devs[3] = { NULL, open_card(0), open_memory("heap:system") };
	struct metal_generic_shm *shm = metal_shm_allocate(1 << 20, devs[2], 0);
	struct metal_shm_pool *pool = NULL;

	(void)state;
	ok(metal_shm_v4l2_open(video_path("vivid-000-vid-cap"), &devs[0]));
	for (size_t i = 0; i < SHM_TEST_COUNT(sides); i++) {
		struct metal_shm_frame frame = { XR24, sides[i][0], sides[i][1], .modifier = 0 };
		struct metal_shm_frame before = frame;
		char word[64];

		snprintf(word, sizeof(word), "a frame of %ux%u", frame.width, frame.height);
		fails(metal_shm_frame_negotiate(&frame, devs, 2), EINVAL, word);
		assert_memory_equal(&frame, &before, sizeof(frame));
		fails(metal_shm_pool_create_frames(&frame, devs, 3, 2, &pool), EINVAL,
		      "negotiate the frame first");
		/* as if it were negotiated */
		frame.plane_count = 1;
		frame.plane[0].stride = frame.width * 4;
		frame.size = 1 << 20;
		fails(metal_shm_pool_create_frames(&frame, devs, 3, 2, &pool), EINVAL, word);
		fails(metal_shm_frame_set(shm, &frame), EINVAL, word);
	}
	assert_null(pool);
	metal_shm_free(shm, devs[2]);
	for (size_t i = 0; i < SHM_TEST_COUNT(devs); i++)
		metal_shm_device_close(devs[i]);
}

static void frame_larger_than_each_device_has_is_refused_with_what_it_has(void **state)
{
	struct metal_shm_frame frame = { XR24, 65535, 65535, .modifier = 0 };
	struct metal_device *devs[2] = { NULL, open_card(0) };

	(void)state;
	ok(metal_shm_v4l2_open(video_path("vivid-000-vid-cap"), &devs[0]));
	fails(metal_shm_frame_negotiate(&frame, &devs[0], 1), ENOTSUP, "the nearest is");
	fails(metal_shm_frame_negotiate(&frame, &devs[1], 1), ENOTSUP, "takes frames of");
	fails(metal_shm_frame_negotiate(&frame, devs, 2), ENOTSUP, "the nearest is");
	assert_reason("takes frames of");
	metal_shm_device_close(devs[0]);
	metal_shm_device_close(devs[1]);
}

static void format_that_nobody_has_is_refused(void **state)
{
	static const uint32_t formats[] = { METAL_SHM_FOURCC('N', 'O', 'N', 'E'), 0, UINT32_MAX };
	struct metal_device *devs[2] = { NULL, open_card(0) };
	struct metal_shm_frame frame = { .width = WIDTH, .height = HEIGHT };

	(void)state;
	ok(metal_shm_v4l2_open(video_path("vivid-000-vid-cap"), &devs[0]));
	for (size_t i = 0; i < SHM_TEST_COUNT(formats); i++) {
		frame.fourcc = formats[i];
		fails(metal_shm_frame_negotiate(&frame, devs, 2), ENOTSUP,
		      i ? "unknown pixel format" : "unknown pixel format NONE");
	}
	frame.fourcc = XR24;
	frame.modifier = UINT64_C(0x0100000000000001);
	fails(metal_shm_frame_negotiate(&frame, &devs[0], 1), ENOTSUP, "modifier");
	fails(metal_shm_frame_negotiate(&frame, &devs[1], 1), ENOTSUP, "modifier");
	metal_shm_device_close(devs[0]);
	metal_shm_device_close(devs[1]);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	if (write(fd, text, strlen(text)) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

static void streams(void)
{
	struct metal_shm_v4l2_info info;
	struct camera c;

	camera_open(&c, "vivid-000-vid-cap");
	camera_pool(&c, YUYV, "heap:system");
	ok(metal_shm_v4l2_start(c.dev, c.pool));
	for (unsigned i = 0; i < 2 * FRAMES; i++)
		metal_shm_free(camera_next(&c, &info), NULL);
	camera_close(&c);
}

/* Not by the driver's control, which pretends, but by taking the driver away from its device. */
static void camera_whose_driver_goes_while_it_streams_is_enodev(void **state)
{
	struct metal_generic_shm *taken, *got = NULL;
	struct metal_shm_v4l2_info info;
	struct camera c;
	int error = 0;

	(void)state;
	camera_open(&c, "vivid-000-vid-cap");
	camera_pool(&c, YUYV, "heap:system");
	ok(metal_shm_v4l2_start(c.dev, c.pool));
	taken = camera_next(&c, &info);
	write_text(UNBIND, "vivid.0");
	for (unsigned i = 0; i < 2 * FRAMES && !error; i++) {
		error = metal_shm_v4l2_wait(c.dev, 5 * SECOND, NULL, &got);
		if (!error)
			metal_shm_free(got, NULL);
	}
	fails(error, ENODEV, "v4l2:/dev/video");
	fails(metal_shm_v4l2_queue(c.dev, taken), ENODEV, "v4l2:/dev/video");
	fails(metal_shm_device_dispatch(c.dev), ENODEV, "v4l2:/dev/video");
	metal_shm_free(taken, NULL);
	all_frames_are_in_the_pool(&c);
	camera_close(&c);
	write_text(BIND, "vivid.0");
	streams();
}

static void display_taken_while_it_shows_is_left_to_who_took_it(void **state)
{
	int fd = open(card_path("vkms"), O_RDWR | O_CLOEXEC), other;
	struct metal_device *dev = NULL, *second = NULL;
	struct metal_shm_pool *pool;
	struct metal_generic_shm *a, *b;

	(void)state;
	ok(metal_shm_drm_open_fd(fcntl(fd, F_DUPFD_CLOEXEC, 3), 0, 0, 0, &dev));
	pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 2);
	a = get_filled(pool, 1);
	b = get_filled(pool, 2);
	show(dev, a);
	fails(metal_shm_drm_open(card_path("vkms"), &second), EBUSY,
	      "another program is the card's master");
	assert_int_equal(drmDropMaster(fd), 0);
	other = open(card_path("vkms"), O_RDWR | O_CLOEXEC);
	assert_true(drmIsMaster(other));
	fails(metal_shm_drm_present(dev, b), EACCES, "another program is the card's master now");
	fails(metal_shm_drm_off(dev), EACCES, "another program is the card's master now");
	metal_shm_free(a, NULL);
	metal_shm_free(b, NULL);
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(dev);
	assert_true(drmIsMaster(other));
	close(other);
	close(fd);
	/* and free again for who asks properly */
	dev = open_card(0);
	pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 1);
	a = get_filled(pool, 3);
	show(dev, a);
	metal_shm_free(a, NULL);
	end(pool, dev);
}

static void opencl_without_a_platform_says_what_to_install(void **state)
{
	char folder[] = "/tmp/vendors-XXXXXX", variable[64], reason[1024];
	char *variables[] = { variable, NULL };

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(variable, sizeof(variable), "OCL_ICD_VENDORS=%s", folder);
	assert_int_equal(result_of_again("open", "opencl", variables, reason, sizeof(reason)),
			 -ENODEV);
	assert_non_null(strstr(reason, "no OpenCL platform: install an OpenCL runtime"));
	assert_int_equal(result_of_again("open", "opencl:GPU", variables, reason, sizeof(reason)),
			 -ENODEV);
	assert_non_null(strstr(reason, "no OpenCL platform"));
	assert_int_equal(result_of_again("opencl-open", "", variables, reason, sizeof(reason)),
			 -ENODEV);
	assert_non_null(strstr(reason, "no OpenCL platform"));
	rmdir(folder);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_no_device_say_what_is_wrong),
		cmocka_unit_test(program_without_privileges_is_told_which_group_or_rule_helps),
		cmocka_unit_test(frames_of_impossible_sizes_are_refused),
		cmocka_unit_test(frame_larger_than_each_device_has_is_refused_with_what_it_has),
		cmocka_unit_test(format_that_nobody_has_is_refused),
		cmocka_unit_test(display_taken_while_it_shows_is_left_to_who_took_it),
		cmocka_unit_test(opencl_without_a_platform_says_what_to_install),
		cmocka_unit_test(camera_whose_driver_goes_while_it_streams_is_enodev),
	};
	struct metal_device *dev = NULL;

	if (argc == 2 && !strcmp(argv[0], "open-as-nobody"))
		return open_as_nobody(argv[1]);
	if (argc == 2 && !strcmp(argv[0], "open"))
		return say_result(metal_shm_device_open(argv[1], &dev));
	if (argc == 2 && !strcmp(argv[0], "opencl-open"))
		return say_result(metal_shm_opencl_open(NULL, NULL, &dev));
	warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
