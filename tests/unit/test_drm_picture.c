/* SPDX-License-Identifier: BSD-3-Clause */
/* How frames are shown: modes, places, connectors, what a frame costs, what was there before. */
#include "drm_fixture.h"

static void show(struct screen *s, unsigned int i)
{
	assert_ok(metal_shm_drm_present(s->dev, s->shm[i]));
	assert_ok(metal_shm_drm_wait(s->dev, 0));
}

static void frame_gets_the_mode_of_its_size(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	screen_open(&s);
	assert_ok(screen_fill(&s, 640, 480, 1));
	show(&s, 0);
	assert_int_equal(fake_drm_mode_width(), 640);
	assert_int_equal(primary(&s, FAKE_CRTC_X), 0);
	assert_int_equal(primary(&s, FAKE_SRC_W), 640u << 16);
	assert_int_equal(s.driver->value[FAKE_DRM_CONNECTOR][FAKE_CRTC_ID], FAKE_DRM_CRTC);
	screen_close(&s);
	fake_drm_end();
}

static void smaller_frame_lies_in_the_middle(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	screen_open(&s);
	assert_ok(screen_fill(&s, 320, 240, 1));
	show(&s, 0);
	assert_int_equal(fake_drm_mode_width(), 1024);
	assert_int_equal(primary(&s, FAKE_CRTC_X), 352);
	assert_int_equal(primary(&s, FAKE_CRTC_Y), 264);
	assert_int_equal(primary(&s, FAKE_CRTC_W), 320);
	screen_close(&s);
	fake_drm_end();
}

static void virtual_connector_takes_any_size(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	s.driver->virtual_connector = true;
	s.driver->covers = true;
	screen_open(&s);
	assert_ok(screen_fill(&s, 320, 180, 1));
	show(&s, 0);
	assert_int_equal(fake_drm_mode_width(), 320);
	screen_close(&s);
	fake_drm_end();
}

static void plane_that_must_cover_the_crtc_refuses_a_smaller_frame(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	s.driver->covers = true;
	screen_open(&s);
	assert_int_equal(screen_fill(&s, 320, 240, 1), -ENOTSUP);
	assert_reason("320x240");
	assert_reason("there is no mode of that size, and its plane can't be smaller");
	screen_close(&s);
	fake_drm_end();
}

static void frame_larger_than_the_preferred_mode_is_refused_before_allocation(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	screen_open(&s);
	assert_int_equal(screen_fill(&s, 1280, 1024, 1), -ENOTSUP);
	assert_reason("1280x1024");
	assert_reason("1024x768");
	assert_int_equal(screen_fill(&s, 8, 8, 1), -ENOTSUP);
	assert_reason("16x16 to 4096x4096, not 8x8");
	assert_int_equal(s.driver->tests, 0);
	screen_close(&s);
	fake_drm_end();
}

static void strides_are_aligned_as_the_driver_aligns_its_own(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	s.driver->alignment = 256;
	screen_open(&s);
	assert_ok(screen_fill(&s, 100, 50, 1));
	assert_int_equal(s.frame.plane[0].stride, 512);
	screen_close(&s);
	fake_drm_end();
}

static void modifier_of_the_plane_is_negotiated(void **state)
{
	struct screen s = { .driver = fake_drm_new() };
	struct metal_shm_frame frame = { .fourcc = XR24, .width = 640, .height = 480 };

	(void)state;
	s.driver->modifiers = true;
	screen_open(&s);
	frame.modifier = METAL_SHM_MODIFIER_ANY;
	assert_ok(metal_shm_frame_negotiate(&frame, &s.dev, 1));
	assert_int_equal(frame.modifier >> 56, 4); /* the vendor's tiles, which it lists first */
	frame = (struct metal_shm_frame){ METAL_SHM_FOURCC('R', 'G', '1', '6'), 640, 480,
					  .modifier = METAL_SHM_MODIFIER_ANY };
	assert_ok(metal_shm_frame_negotiate(&frame, &s.dev, 1));
	assert_int_equal(frame.modifier, 0);
	frame = (struct metal_shm_frame){ METAL_SHM_FOURCC('N', 'V', '1', '2'), 640, 480,
					  .modifier = 0 };
	assert_int_equal(metal_shm_frame_negotiate(&frame, &s.dev, 1), -ENOTSUP);
	assert_reason("shows XR24, AR24, RG16, not NV12");
	screen_close(&s);
	fake_drm_end();
}

static void open_writeback(struct screen *s)
{
	const struct metal_shm_drm_options options = {
		.struct_size = sizeof(options),
		.flags = METAL_SHM_DRM_WRITEBACK,
	};

	s->driver->written = true;
	assert_ok(fake_drm_open_options(&options, &s->dev));
}

static void writeback_goes_beside_the_display_where_it_can(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	open_writeback(&s);
	assert_ok(screen_fill(&s, 640, 480, 2));
	assert_ok(metal_shm_drm_present_writeback(s.dev, s.shm[0], s.shm[1]));
	assert_int_equal(s.driver->value[FAKE_DRM_CONNECTOR][FAKE_CRTC_ID], FAKE_DRM_CRTC);
	assert_int_equal(s.driver->value[FAKE_DRM_WRITEBACK][FAKE_CRTC_ID], FAKE_DRM_CRTC);
	screen_close(&s);
	fake_drm_end();
}

static void writeback_goes_alone_where_it_must(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	s.driver->clones = false;
	open_writeback(&s);
	assert_ok(screen_fill(&s, 640, 480, 2));
	show(&s, 0);
	assert_int_equal(s.driver->value[FAKE_DRM_CONNECTOR][FAKE_CRTC_ID], 0);
	assert_int_equal(s.driver->value[FAKE_DRM_WRITEBACK][FAKE_CRTC_ID], FAKE_DRM_CRTC);
	screen_close(&s);
	fake_drm_end();
}

static void crtc_without_a_writeback_connector_is_enxio(void **state)
{
	const struct metal_shm_drm_options options = {
		.struct_size = sizeof(options),
		.flags = METAL_SHM_DRM_WRITEBACK,
	};
	struct metal_device *dev = NULL;

	(void)state;
	fake_drm_new()->writeback = false;
	assert_int_equal(fake_drm_open_options(&options, &dev), -ENXIO);
	assert_reason("no writeback connector");
	fake_drm_end();
}

static void frame_costs_one_commit(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	screen_open(&s);
	assert_ok(screen_fill(&s, 640, 480, 3));
	show(&s, 0);
	for (unsigned int i = 1; i < 30; i++) {
		unsigned int calls = s.driver->calls;

		assert_ok(metal_shm_drm_present(s.dev, s.shm[i % 3]));
		assert_int_equal(s.driver->calls, calls + 1);
	}
	screen_close(&s);
	fake_drm_end();
}

static void second_attach_is_no_call(void **state)
{
	struct screen s = { .driver = fake_drm_new() };
	struct metal_generic_shm *view;
	unsigned int calls;

	(void)state;
	screen_open(&s);
	assert_ok(screen_fill(&s, 640, 480, 1));
	calls = s.driver->calls;
	view = metal_shm_attach(s.shm[0], s.dev);
	assert_non_null(view);
	metal_shm_detach(view, s.dev);
	assert_int_equal(s.driver->calls, calls);
	screen_close(&s);
	fake_drm_end();
}

static void handle_is_closed_with_its_last_use(void **state)
{
	struct screen s = { .driver = fake_drm_new() };
	struct metal_generic_shm *shm, *part, *views[2];

	(void)state;
	screen_open(&s);
	shm = metal_shm_allocate(65536, s.dev, 0);
	assert_non_null(shm);
	part = metal_shm_sub(shm, 4096, 4096, 0);
	views[0] = metal_shm_attach(shm, s.dev);
	views[1] = metal_shm_attach(part, s.dev);
	assert_true(views[0] && views[1]);
	assert_int_equal(metal_shm_view_mode(views[1]), METAL_SHM_VIEW_SHADOW);
	assert_int_equal(s.driver->handles, 2);
	metal_shm_detach(views[0], s.dev);
	assert_int_equal(s.driver->handles, 2);
	metal_shm_detach(views[1], s.dev);
	/* the copy waits for another part, as long as the buffer is there */
	assert_int_equal(s.driver->handles, 2);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, s.dev);
	assert_int_equal(s.driver->handles, 0);
	metal_shm_device_close(s.dev);
	fake_drm_end();
}

static void closing_puts_back_what_was_there(void **state)
{
	static uint64_t before[64][FAKE_PROPERTIES];
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	fake_drm_show_other();
	memcpy(before, s.driver->value, sizeof(before));
	screen_open(&s);
	assert_ok(screen_fill(&s, 1024, 768, 2));
	show(&s, 0);
	/* it would lie above the frame */
	assert_int_equal(s.driver->value[FAKE_DRM_OVERLAY][FAKE_FB_ID], 0);
	assert_ok(metal_shm_drm_off(s.dev));
	assert_int_equal(s.driver->value[FAKE_DRM_CRTC][FAKE_ACTIVE], 0);
	show(&s, 1);
	screen_close(&s);
	assert_int_equal(fake_drm_mode_width(), 640);
	/* by a blob of its own, since the other's may be gone */
	s.driver->value[FAKE_DRM_CRTC][FAKE_MODE_ID] = before[FAKE_DRM_CRTC][FAKE_MODE_ID];
	assert_memory_equal(before, s.driver->value, sizeof(before));
	fake_drm_end();
}

static void closing_after_off_puts_back_what_was_there(void **state)
{
	struct screen s = { .driver = fake_drm_new() };
	uint64_t other;

	(void)state;
	fake_drm_show_other();
	other = primary(&s, FAKE_FB_ID);
	screen_open(&s);
	assert_ok(screen_fill(&s, 640, 480, 1));
	show(&s, 0);
	assert_ok(metal_shm_drm_off(s.dev));
	screen_close(&s);
	assert_int_equal(primary(&s, FAKE_FB_ID), other);
	fake_drm_end();
}

static void closing_turns_off_what_can_not_be_put_back(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	fake_drm_show_other();
	screen_open(&s);
	assert_ok(screen_fill(&s, 640, 480, 1));
	show(&s, 0);
	fake_drm_remove_other();
	screen_close(&s);
	assert_int_equal(primary(&s, FAKE_FB_ID), 0);
	assert_int_equal(s.driver->value[FAKE_DRM_CRTC][FAKE_ACTIVE], 0);
	fake_drm_end();
}

static void trial_leaves_no_trace(void **state)
{
	static uint64_t before[64][FAKE_PROPERTIES];
	struct screen s = { .driver = fake_drm_new() };
	struct metal_generic_shm *shm;

	(void)state;
	screen_open(&s);
	memcpy(before, s.driver->value, sizeof(before));
	shm = metal_shm_allocate_for(4096, &s.dev, 1, 0);
	assert_non_null(shm);
	assert_true(s.driver->commits > 0);
	assert_memory_equal(before, s.driver->value, sizeof(before));
	assert_int_equal(s.driver->framebuffers, 0);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(s.dev);
	fake_drm_end();
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame_gets_the_mode_of_its_size),
		cmocka_unit_test(smaller_frame_lies_in_the_middle),
		cmocka_unit_test(virtual_connector_takes_any_size),
		cmocka_unit_test(plane_that_must_cover_the_crtc_refuses_a_smaller_frame),
		cmocka_unit_test(frame_larger_than_the_preferred_mode_is_refused_before_allocation),
		cmocka_unit_test(strides_are_aligned_as_the_driver_aligns_its_own),
		cmocka_unit_test(modifier_of_the_plane_is_negotiated),
		cmocka_unit_test(writeback_goes_beside_the_display_where_it_can),
		cmocka_unit_test(writeback_goes_alone_where_it_must),
		cmocka_unit_test(crtc_without_a_writeback_connector_is_enxio),
		cmocka_unit_test(frame_costs_one_commit),
		cmocka_unit_test(second_attach_is_no_call),
		cmocka_unit_test(handle_is_closed_with_its_last_use),
		cmocka_unit_test(closing_puts_back_what_was_there),
		cmocka_unit_test(closing_after_off_puts_back_what_was_there),
		cmocka_unit_test(closing_turns_off_what_can_not_be_put_back),
		cmocka_unit_test(trial_leaves_no_trace),
	};

	fake_drm_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
