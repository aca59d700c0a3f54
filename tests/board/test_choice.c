/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that camera, GPU and display all take, and layouts that they agree on, or why there is none. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "camera_path.h"
#include "card_path.h"
#include "pipeline.h"

#define AR24 METAL_SHM_FOURCC('A', 'R', '2', '4')
#define NV12 METAL_SHM_FOURCC('N', 'V', '1', '2')
#define R8   METAL_SHM_FOURCC('R', '8', ' ', ' ')

enum { CAMERA, GPU, DISPLAY, DEVICES };

static struct metal_device *devs[DEVICES];

static int open_all(void **state)
{
	(void)state;
	assert_ok(metal_shm_v4l2_open(video_path("vivid-*-vid-cap"), &devs[CAMERA]));
	assert_ok(metal_shm_opencl_open(NULL, NULL, &devs[GPU]));
	assert_ok(metal_shm_drm_open(card_path("vkms"), &devs[DISPLAY]));
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	for (int i = DEVICES - 1; i >= 0; i--)
		metal_shm_device_close(devs[i]);
	return 0;
}

/* vivid's memory: one piece (dma-contig) or any (vmalloc). */
static bool camera_wants_one_piece(void)
{
	FILE *file = fopen("/sys/module/vivid/parameters/allocators", "re");
	int allocators = -1;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &allocators), 1);
	fclose(file);
	return allocators == 1;
}

static uint64_t trials(void)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	assert_ok(metal_shm_stats(&stats));
	return stats.trials;
}

static struct metal_shm_frame picture(uint32_t fourcc)
{
	return (struct metal_shm_frame){ .fourcc = fourcc, .width = 1280, .height = 720 };
}

/* The line of a text that begins so, or a failure that shows the text. */
static const char *line_of(const char *text, const char *begin)
{
	static char line[512];
	const char *at = strstr(text, begin);

	if (!at) {
		fail_msg("'%s' is not in '%s'", begin, text);
		return "";
	}
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n;"), at);
	return line;
}

static void assert_line(const char *text, const char *begin, const char *word)
{
	if (!strstr(line_of(text, begin), word))
		fail_msg("'%s' is not in '%s'", word, line_of(text, begin));
}

static void explain_pool(struct metal_shm_frame *frame, size_t n, char text[], size_t size)
{
	struct metal_generic_shm *shm;
	struct metal_shm_pool *pool;

	assert_ok(metal_shm_frame_negotiate(frame, devs, n));
	assert_ok(metal_shm_pool_create_frames(frame, devs, n, 3, &pool));
	shm = metal_shm_pool_get(pool, 0);
	assert_non_null(shm);
	metal_shm_explain(shm, text, size);
	metal_shm_free(shm, NULL);
	metal_shm_pool_destroy(pool);
}

static void cheapest_memory_that_works_with_all_is_chosen(void **state)
{
	struct metal_shm_frame frame = picture(XR24);
	char text[2048];

	(void)state;
	explain_pool(&frame, DEVICES, text, sizeof(text));
	assert_line(text, "refused memfd", "METAL_SHM_DMABUF");
	/* libshm tries the camera first, at QBUF with STREAMON */
	assert_line(text, "refused udmabuf", "v4l2:");
	if (camera_wants_one_piece()) {
		assert_line(text, "refused heap:system", "contiguous");
		assert_line(text, "memory: ", "heap:reserved");
	} else {
		assert_line(text, "memory: ", "heap:system");
	}
}

/*
 * The few blocks of a buffer this small may happen to lie one after another, and then the system heap works
 * for a camera that wants one piece, too. Those of a pool of frames don't.
 */
static void plain_buffer_for_all_is_chosen_the_same_way(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate_for(1 << 20, devs, DEVICES, 0);
	char text[2048];

	(void)state;
	if (!shm)
		fail_msg("%s", metal_shm_last_error());
	metal_shm_explain(shm, text, sizeof(text));
	assert_line(text, "refused memfd", "METAL_SHM_DMABUF");
	assert_line(text, "refused udmabuf", "");
	if (strstr(text, "refused heap:system")) {
		assert_true(camera_wants_one_piece());
		assert_line(text, "refused heap:system", "contiguous");
		assert_line(text, "memory: ", "heap:reserved");
	} else {
		assert_line(text, "memory: ", "heap:system");
	}
	metal_shm_free(shm, NULL);
}

static void display_alone_refuses_udmabuf_at_the_commit(void **state)
{
	struct metal_shm_frame frame = picture(XR24);
	struct metal_shm_pool *pool = NULL;
	struct metal_generic_shm *shm;
	char text[2048];

	(void)state;
	assert_ok(metal_shm_frame_negotiate(&frame, &devs[DISPLAY], 1));
	assert_ok(metal_shm_pool_create_frames(&frame, &devs[DISPLAY], 1, 1, &pool));
	shm = metal_shm_pool_get(pool, 0);
	metal_shm_explain(shm, text, sizeof(text));
	assert_line(text, "refused udmabuf", "commit");
	assert_line(text, "memory: ", "heap:");
	metal_shm_free(shm, NULL);
	metal_shm_pool_destroy(pool);
}

static void verdict_is_remembered(void **state)
{
	struct metal_shm_frame frame = picture(XR24);
	uint64_t before;
	char text[2048], again[2048];

	(void)state;
	before = trials();
	explain_pool(&frame, DEVICES, text, sizeof(text));
	assert_true(trials() > before);
	before = trials();
	explain_pool(&frame, DEVICES, again, sizeof(again));
	assert_int_equal(trials(), before);
	/* and it is told with the same reasons */
	assert_line(again, "refused memfd", "METAL_SHM_DMABUF");
	assert_string_equal(line_of(again, "refused udmabuf"), line_of(text, "refused udmabuf"));
}

static void demand_that_no_source_meets_lists_each_source(void **state)
{
	(void)state;
	assert_null(metal_shm_allocate_for(65536, devs, DEVICES, METAL_SHM_SECURE));
	assert_int_equal(errno, ENOTSUP);
	assert_line(metal_shm_last_error(), "refused memfd", "METAL_SHM_SECURE");
	assert_line(metal_shm_last_error(), "refused udmabuf", "METAL_SHM_SECURE");
	assert_line(metal_shm_last_error(), "refused heap:system", "METAL_SHM_SECURE");
	assert_line(metal_shm_last_error(), "refused heap:reserved", "METAL_SHM_SECURE");
}

static void source_that_a_device_refuses_is_named_with_its_constraint(void **state)
{
	struct metal_shm_frame frame = picture(XR24);
	struct metal_device *with[] = { devs[CAMERA], devs[DISPLAY], NULL };
	struct metal_shm_pool *pool = NULL;

	(void)state;
	assert_ok(metal_shm_device_open("udmabuf", &with[2]));
	assert_ok(metal_shm_frame_negotiate(&frame, with, 3));
	assert_int_equal(metal_shm_pool_create_frames(&frame, with, 3, 1, &pool), -ENOTSUP);
	assert_line(metal_shm_last_error(), "refused udmabuf", "v4l2:");
	assert_null(pool);
	metal_shm_device_close(with[2]);
}

static void refuse(uint32_t fourcc, const char *name, size_t first, size_t n)
{
	struct metal_shm_frame frame = picture(fourcc), before = frame;

	assert_int_equal(metal_shm_frame_negotiate(&frame, devs + first, n), -ENOTSUP);
	/* who refuses, what it was asked for, what it has instead */
	assert_reason("drm:/dev/dri/card");
	assert_reason(name);
	assert_reason("XR24");
	assert_memory_equal(&frame, &before, sizeof(frame));
}

static void formats_that_the_display_lacks_are_refused_with_its_own(void **state)
{
	(void)state;
	refuse(AR24, "AR24", CAMERA, DEVICES);
	refuse(NV12, "NV12", CAMERA, DEVICES);
	refuse(YUYV, "YUYV", CAMERA, DEVICES);
	refuse(R8, "R8", CAMERA, DEVICES);
	refuse(YUYV, "YUYV", GPU, 2);
}

static void all_agree_on_xr24(void **state)
{
	struct metal_shm_frame frame = picture(XR24);

	(void)state;
	assert_ok(metal_shm_frame_negotiate(&frame, devs, DEVICES));
	assert_int_equal(frame.plane_count, 1);
	assert_int_equal(frame.plane[0].offset, 0);
	assert_int_equal(frame.plane[0].stride, 1280 * 4);
	assert_true(frame.size >= 1280 * 720 * 4);
}

static void camera_and_gpu_agree_on_nv12_in_one_buffer(void **state)
{
	struct metal_shm_frame frame = picture(NV12);

	(void)state;
	assert_ok(metal_shm_frame_negotiate(&frame, devs, 2));
	assert_int_equal(frame.plane_count, 2);
	assert_int_equal(frame.plane[0].stride, 1280);
	assert_int_equal(frame.plane[1].stride, 1280);
	assert_int_equal(frame.plane[1].offset, 1280 * 720);
	assert_true(frame.size >= 1280 * 720 * 3 / 2);
}

static void size_that_the_camera_lacks_is_refused_with_the_one_it_has(void **state)
{
	struct metal_shm_frame frame = { .fourcc = XR24, .width = 1000, .height = 700 };

	(void)state;
	assert_int_equal(metal_shm_frame_negotiate(&frame, devs, DEVICES), -ENOTSUP);
	assert_reason("v4l2:");
	assert_reason("1000x700");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(cheapest_memory_that_works_with_all_is_chosen),
		CASE(plain_buffer_for_all_is_chosen_the_same_way),
		CASE(display_alone_refuses_udmabuf_at_the_commit),
		CASE(verdict_is_remembered),
		CASE(demand_that_no_source_meets_lists_each_source),
		CASE(source_that_a_device_refuses_is_named_with_its_constraint),
		CASE(formats_that_the_display_lacks_are_refused_with_its_own),
		CASE(all_agree_on_xr24),
		CASE(camera_and_gpu_agree_on_nv12_in_one_buffer),
		CASE(size_that_the_camera_lacks_is_refused_with_the_one_it_has),
	};

	if (getenv("SHM_TEST_BOARD"))
		pipeline_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
