/* SPDX-License-Identifier: BSD-3-Clause */
/* Negotiation: one layout for all, or a reason that sets the wishes against one another. */
#include <errno.h>
#include <string.h>

#include "fake.h"
#include "shm_test.h"

#define YUYV METAL_SHM_FOURCC('Y', 'U', 'Y', 'V')
#define XR24 METAL_SHM_FOURCC('X', 'R', '2', '4')
#define NV12 METAL_SHM_FOURCC('N', 'V', '1', '2')
#define YU12 METAL_SHM_FOURCC('Y', 'U', '1', '2')

struct pair {
	struct fake_importer *a, *b;
	struct metal_device *devs[2];
};

static int set_up(void **state)
{
	struct pair *pair = test_calloc(1, sizeof(*pair));

	pair->a = fake_importer_new("camera", METAL_SHM_ACCESS_DMA);
	pair->b = fake_importer_new("display", METAL_SHM_ACCESS_DMA);
	pair->devs[0] = pair->a->dev;
	pair->devs[1] = pair->b->dev;
	*state = pair;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *pair = *state;

	fake_importer_end(pair->a);
	fake_importer_end(pair->b);
	test_free(pair);
	return 0;
}

static struct metal_shm_frame ask(uint32_t fourcc, uint32_t width, uint32_t height)
{
	return (struct metal_shm_frame){ .fourcc = fourcc, .width = width, .height = height };
}

static void without_wishes_lines_are_tight(void **state)
{
	struct pair *pair = *state;
	struct metal_shm_frame frame = ask(YUYV, 641, 480);

	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), 0);
	assert_int_equal(frame.plane_count, 1);
	assert_int_equal(frame.plane[0].stride, 1284);
	assert_int_equal(frame.size, 1284 * 480);
	frame = ask(NV12, 640, 481);
	assert_int_equal(metal_shm_frame_negotiate(&frame, NULL, 0), 0);
	assert_int_equal(frame.plane[1].offset, 640 * 481);
	assert_int_equal(frame.size, 640 * 481 + 640 * 241);
}

static void the_stride_serves_both_alignments(void **state)
{
	struct pair *pair = *state;
	struct metal_shm_frame frame = ask(XR24, 100, 10);

	pair->a->layout.stride_alignment = 96;
	pair->b->layout.stride_alignment = 256;
	pair->b->layout.size_min = 100000;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), 0);
	assert_int_equal(frame.plane[0].stride, 768);
	assert_int_equal(frame.size, 100000);
}

static void every_planes_stride_is_aligned(void **state)
{
	struct pair *pair = *state;
	struct metal_shm_frame frame = ask(YU12, 640, 480);

	pair->a->layout.stride_alignment = 256;
	pair->b->layout.offset_alignment = 4096;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), 0);
	assert_int_equal(frame.plane[0].stride, 1024);
	assert_int_equal(frame.plane[1].stride, 512);
	assert_int_equal(frame.plane[1].offset % 4096, 0);
	assert_int_equal(frame.plane[2].offset % 4096, 0);
	assert_true(frame.plane[2].offset >= frame.plane[1].offset + 512 * 240);
}

static void a_wished_stride_is_a_least_one(void **state)
{
	struct pair *pair = *state;
	struct metal_shm_frame frame = ask(XR24, 100, 10);

	frame.plane[0].stride = 500;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), 0);
	assert_int_equal(frame.plane[0].stride, 500);
}

static void a_fixed_stride_that_suits_nobody_else_is_refused_with_both(void **state)
{
	struct pair *pair = *state;
	struct metal_shm_frame frame = ask(XR24, 100, 10), before = frame;

	pair->a->layout.stride_min = 400;
	pair->a->layout.flags = METAL_SHM_LAYOUT_STRIDE_FIXED;
	pair->b->layout.stride_alignment = 256;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), -ENOTSUP);
	assert_memory_equal(&frame, &before, sizeof(frame));
	assert_non_null(strstr(metal_shm_last_error(), "XR24 100x10"));
	assert_non_null(strstr(metal_shm_last_error(), "camera wants stride =400"));
	assert_non_null(strstr(metal_shm_last_error(), "display wants stride >=0"));
	assert_non_null(strstr(metal_shm_last_error(), "multiple of 256"));
	pair->b->layout.stride_alignment = 16;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), 0);
	assert_int_equal(frame.plane[0].stride, 400);
}

static void a_stride_limit_is_kept(void **state)
{
	struct pair *pair = *state;
	struct metal_shm_frame frame = ask(XR24, 100, 10);

	pair->a->layout.stride_min = 1000;
	pair->b->layout.stride_max = 999;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), -ENOTSUP);
	pair->b->layout.stride_max = 1000;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), 0);
	assert_int_equal(frame.plane[0].stride, 1000);
}

static void packed_planes_follow_without_a_gap(void **state)
{
	struct pair *pair = *state;
	struct metal_shm_frame frame = ask(NV12, 100, 10);

	pair->a->layout.flags = METAL_SHM_LAYOUT_PACKED;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), 0);
	assert_int_equal(frame.plane[1].offset, 1000);
	pair->b->layout.offset_alignment = 64;
	frame = ask(NV12, 100, 10);
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), 0);
	assert_int_equal(frame.plane[1].offset % 64, 0);
	assert_int_equal(frame.plane[1].offset, frame.plane[0].stride * 10);
}

static void a_format_that_one_lacks_is_refused_with_its_reason(void **state)
{
	struct pair *pair = *state;
	struct metal_shm_frame frame = ask(NV12, 100, 10);

	pair->b->layout_error = -ENOTSUP;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), -ENOTSUP);
	assert_non_null(strstr(metal_shm_last_error(), "display refuses: "));
	assert_non_null(strstr(metal_shm_last_error(), "has no such format"));
	assert_null(strstr(metal_shm_last_error(), ":;"));
	assert_non_null(strstr(metal_shm_last_error(), "camera wants"));
}

static void the_first_common_modifier_is_chosen(void **state)
{
	static const uint64_t first[] = { 7, 5, 0 }, second[] = { 5, 0, 9 };
	struct pair *pair = *state;
	struct metal_shm_frame frame = ask(XR24, 100, 10);

	pair->a->layout.modifiers = first;
	pair->a->layout.modifier_count = 3;
	frame.modifier = METAL_SHM_MODIFIER_ANY;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), 0);
	assert_int_equal(frame.modifier, 0);
	pair->b->layout.modifiers = second;
	pair->b->layout.modifier_count = 3;
	frame = ask(XR24, 100, 10);
	frame.modifier = METAL_SHM_MODIFIER_ANY;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), 0);
	assert_int_equal(frame.modifier, 5);
	frame = ask(XR24, 100, 10);
	frame.modifier = 7;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), -ENOTSUP);
	assert_non_null(strstr(metal_shm_last_error(), "display doesn't take modifier 0x7"));
	pair->b->layout.modifier_count = 1;
	pair->a->layout.modifier_count = 1;
	frame.modifier = METAL_SHM_MODIFIER_ANY;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), -ENOTSUP);
}

static void sizes_that_no_frame_has_are_refused(void **state)
{
	static const uint32_t sides[][2] = { { 0, 0 },         { 0, 10 },    { 10, 0 },
					     { 65536, 65536 }, { 65536, 1 }, { 1, UINT32_MAX } };
	struct pair *pair = *state;

	for (size_t i = 0; i < SHM_TEST_COUNT(sides); i++) {
		struct metal_shm_frame frame = ask(XR24, sides[i][0], sides[i][1]);

		assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), -EINVAL);
	}
	assert_int_equal(metal_shm_frame_negotiate(NULL, pair->devs, 2), -EINVAL);
}

static void the_largest_frame_is_negotiated(void **state)
{
	struct pair *pair = *state;
	struct metal_shm_frame frame = ask(XR24, 65535, 65535);

	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), 0);
	assert_int_equal(frame.size, (uint64_t)65535 * 4 * 65535);
	pair->a->layout.stride_min = UINT32_MAX;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), 0);
	assert_int_equal(frame.plane[0].stride, UINT32_MAX);
	pair->b->layout.stride_alignment = 64;
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), -ENOTSUP);
}

static void a_format_nobody_has_is_refused(void **state)
{
	struct pair *pair = *state;
	struct metal_shm_frame frame = ask(METAL_SHM_FOURCC('Z', 'Z', 'Z', 'Z'), 10, 10);
	struct metal_shm_format format;

	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), -ENOTSUP);
	assert_non_null(strstr(metal_shm_last_error(), "ZZZZ"));
	assert_int_equal(metal_shm_format_of(XR24, NULL), -EINVAL);
	assert_int_equal(metal_shm_format_of(NV12, &format), 0);
	assert_int_equal(format.plane_count, 2);
	assert_int_equal(format.bytes[1], 2);
}

static void a_frame_is_said_once_and_inside_its_buffer(void **state)
{
	struct pair *pair = *state;
	struct fake_source *source = fake_source_new("src", false);
	struct metal_shm_frame frame = ask(XR24, 16, 4), other;
	struct metal_generic_shm *shm = fake_buffer(source, 16 * 4 * 4), *view;

	assert_null(metal_shm_frame_of(shm));
	assert_int_equal(errno, ENODATA);
	assert_int_equal(metal_shm_frame_set(shm, &frame), -EINVAL);
	assert_int_equal(metal_shm_frame_negotiate(&frame, pair->devs, 2), 0);
	other = frame;
	other.plane[0].offset = 1;
	assert_int_equal(metal_shm_frame_set(shm, &other), -ERANGE);
	other.plane[0].offset = UINT64_MAX;
	assert_int_equal(metal_shm_frame_set(shm, &other), -ERANGE);
	other = frame;
	other.plane[0].stride = 63;
	assert_int_equal(metal_shm_frame_set(shm, &other), -EINVAL);
	assert_int_equal(metal_shm_frame_set(shm, &frame), 0);
	assert_memory_equal(metal_shm_frame_of(shm), &frame, sizeof(frame));
	other = frame;
	other.height = 2;
	assert_int_equal(metal_shm_frame_set(shm, &other), -EBUSY);
	view = metal_shm_attach(shm, pair->a->dev);
	assert_ptr_equal(metal_shm_frame_of(view), metal_shm_frame_of(shm));
	assert_int_equal(metal_shm_frame_set(shm, &frame), -EBUSY);
	metal_shm_detach(view, pair->a->dev);
	metal_shm_free(shm, NULL);
	fake_source_end(source);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(without_wishes_lines_are_tight),
		CASE(the_stride_serves_both_alignments),
		CASE(every_planes_stride_is_aligned),
		CASE(a_wished_stride_is_a_least_one),
		CASE(a_fixed_stride_that_suits_nobody_else_is_refused_with_both),
		CASE(a_stride_limit_is_kept),
		CASE(packed_planes_follow_without_a_gap),
		CASE(a_format_that_one_lacks_is_refused_with_its_reason),
		CASE(the_first_common_modifier_is_chosen),
		CASE(sizes_that_no_frame_has_are_refused),
		CASE(the_largest_frame_is_negotiated),
		CASE(a_format_nobody_has_is_refused),
		CASE(a_frame_is_said_once_and_inside_its_buffer),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
