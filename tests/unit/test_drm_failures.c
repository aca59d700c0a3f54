/* SPDX-License-Identifier: BSD-3-Clause */
/* Cards that fail, go away or change hands: nothing is left behind, and nobody waits in vain. */
#include "drm_fixture.h"

#include <unistd.h>
#include <xf86drm.h>

static const struct metal_shm_drm_options writeback = {
	.struct_size = sizeof(writeback),
	.flags = METAL_SHM_DRM_WRITEBACK,
};

/* All that a program does with a display, as far as it gets. */
static void live(struct screen *s)
{
	int out = -1;

	if (fake_drm_open_options(&writeback, &s->dev))
		return;
	if (!screen_fill(s, 320, 240, 3)) {
		metal_shm_drm_present(s->dev, s->shm[0]);
		metal_shm_drm_present_fenced(s->dev, s->shm[1], -1, &out);
		if (out >= 0)
			close(out);
		if (!metal_shm_drm_present_writeback(s->dev, s->shm[0], s->shm[2]))
			fake_drm_written(0);
		metal_shm_drm_wait(s->dev, 0);
		metal_shm_drm_off(s->dev);
		metal_shm_drm_present(s->dev, s->shm[1]);
	}
	screen_close(s);
}

/* The n-th call to the kernel fails, for each n there is. */
static void fail_each(int error)
{
	bool failed = true;

	for (int nth = 1; failed; nth++) {
		struct screen s = { .driver = fake_drm_new() };

		s.driver->written = true;
		fake_drm_show_other();
		s.driver->fail_nth = nth;
		s.driver->error = error;
		live(&s);
		failed = !s.driver->fail_nth;
		fake_drm_end();
	}
}

static void any_call_may_run_out_of_memory(void **state)
{
	(void)state;
	fail_each(ENOMEM);
}

static void any_call_may_be_invalid(void **state)
{
	(void)state;
	fail_each(EINVAL);
}

static void any_call_may_meet_another_master(void **state)
{
	(void)state;
	fail_each(EACCES);
}

static void refused_commit_refuses_the_memory(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	s.driver->refuses_commits = true;
	screen_open(&s);
	assert_int_equal(screen_fill(&s, 640, 480, 1), -ENOTSUP);
	assert_reason("made a framebuffer of 640x480 XR24 but its commit failed");
	screen_close(&s);
	fake_drm_end();
}

static void busy_mode_set_is_waited_for(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	s.driver->busy_modeset = true;
	screen_open(&s);
	assert_ok(screen_fill(&s, 640, 480, 1));
	assert_ok(metal_shm_drm_present(s.dev, s.shm[0]));
	assert_ok(metal_shm_drm_wait(s.dev, 0));
	screen_close(&s);
	fake_drm_end();
}

static void crtc_is_set_up_anew_after_another_master(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	screen_open(&s);
	assert_ok(screen_fill(&s, 640, 480, 2));
	assert_ok(metal_shm_drm_present(s.dev, s.shm[0]));
	s.driver->master = false;
	assert_int_equal(metal_shm_drm_present(s.dev, s.shm[1]), -EACCES);
	assert_reason("another program is the card's master now");
	assert_ok(metal_shm_sync_for_cpu_timeout(s.shm[1], METAL_SHM_DIR_DEV_R, 0));
	assert_int_equal(metal_shm_drm_off(s.dev), -EACCES);
	/* what it leaves */
	s.driver->value[FAKE_DRM_CRTC][FAKE_ACTIVE] = 0;
	s.driver->value[FAKE_DRM_PRIMARY][FAKE_CRTC_W] = 100;
	s.driver->master = true;
	assert_ok(metal_shm_drm_present(s.dev, s.shm[1]));
	assert_int_equal(s.driver->value[FAKE_DRM_CRTC][FAKE_ACTIVE], 1);
	assert_int_equal(primary(&s, FAKE_CRTC_W), 640);
	assert_ok(metal_shm_drm_wait(s.dev, 0));
	assert_ok(metal_shm_sync_for_cpu_timeout(s.shm[0], METAL_SHM_DIR_DEV_R, 0));
	screen_close(&s);
	fake_drm_end();
}

static void card_that_is_gone_has_no_frames(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	screen_open(&s);
	assert_ok(screen_fill(&s, 640, 480, 2));
	assert_ok(metal_shm_drm_present(s.dev, s.shm[0]));
	assert_ok(metal_shm_drm_wait(s.dev, 0));
	s.driver->gone = true;
	assert_int_equal(metal_shm_drm_present(s.dev, s.shm[1]), -ENODEV);
	assert_reason("is gone");
	assert_ok(metal_shm_sync_for_cpu_timeout(s.shm[0], METAL_SHM_DIR_DEV_R, 0));
	assert_ok(metal_shm_sync_for_cpu_timeout(s.shm[1], METAL_SHM_DIR_DEV_R, 0));
	assert_int_equal(metal_shm_drm_present(s.dev, s.shm[0]), -ENODEV);
	screen_close(&s);
	/* the kernel takes the rest back with the descriptor */
	fake_drm_forget();
}

static void flip_that_does_not_come_is_waited_for_in_vain(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	screen_open(&s);
	assert_ok(screen_fill(&s, 640, 480, 2));
	s.driver->flips = false;
	assert_ok(metal_shm_drm_present(s.dev, s.shm[0]));
	assert_int_equal(metal_shm_drm_wait(s.dev, 0), -ETIMEDOUT);
	assert_int_equal(metal_shm_drm_wait(s.dev, SECOND / 50), -ETIMEDOUT);
	assert_reason("is not shown yet");
	assert_true(fake_drm_flip());
	assert_ok(metal_shm_drm_wait(s.dev, 0));
	screen_close(&s);
	fake_drm_end();
}

static void closing_gives_back_frames_that_are_never_shown(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	screen_open(&s);
	assert_ok(screen_fill(&s, 640, 480, 1));
	s.driver->flips = false;
	assert_ok(metal_shm_drm_present(s.dev, s.shm[0]));
	metal_shm_device_close(s.dev);
	assert_ok(metal_shm_sync_for_cpu_timeout(s.shm[0], METAL_SHM_DIR_DEV_R, 0));
	assert_int_equal(metal_shm_drm_present(s.dev, s.shm[0]), -ENODEV);
	fake_drm_flip();
	fake_drm_take_off();
	metal_shm_free(s.shm[0], NULL);
	metal_shm_pool_destroy(s.pool);
	fake_drm_end();
}

static void failed_writeback_is_the_next_owners_eio(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	s.driver->written = true;
	assert_ok(fake_drm_open_options(&writeback, &s.dev));
	assert_ok(screen_fill(&s, 640, 480, 2));
	s.driver->written = false;
	assert_ok(metal_shm_drm_present_writeback(s.dev, s.shm[0], s.shm[1]));
	assert_int_equal(metal_shm_sync_for_cpu_timeout(s.shm[1], METAL_SHM_DIR_DEV_W, 0),
			 -ETIMEDOUT);
	fake_drm_written(-EINVAL);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(s.shm[1], METAL_SHM_DIR_DEV_W, 0), -EIO);
	assert_ok(metal_shm_sync_for_cpu_timeout(s.shm[1], METAL_SHM_DIR_DEV_W, 0));
	screen_close(&s);
	fake_drm_end();
}

static void card_without_fences_says_so(void **state)
{
	struct screen s = { .driver = fake_drm_new() };
	int out = -1;

	(void)state;
	s.driver->fences = false;
	screen_open(&s);
	assert_ok(screen_fill(&s, 640, 480, 1));
	assert_int_equal(metal_shm_drm_present_fenced(s.dev, s.shm[0], -1, &out), -ENOTSUP);
	assert_int_equal(metal_shm_drm_present_fenced(s.dev, s.shm[0], 0, NULL), -ENOTSUP);
	assert_reason("has no fences");
	assert_int_equal(out, -1);
	assert_ok(metal_shm_drm_present_fenced(s.dev, s.shm[0], -1, NULL));
	screen_close(&s);
	fake_drm_end();
}

static void foreign_events_are_passed_over(void **state)
{
	struct screen s = { .driver = fake_drm_new() };

	(void)state;
	screen_open(&s);
	assert_ok(screen_fill(&s, 640, 480, 1));
	s.driver->flips = false;
	assert_ok(metal_shm_drm_present(s.dev, s.shm[0]));
	fake_drm_send_foreign();
	assert_ok(metal_shm_device_dispatch(s.dev));
	assert_int_equal(metal_shm_drm_wait(s.dev, 0), -ETIMEDOUT);
	fake_drm_flip();
	assert_ok(metal_shm_drm_wait(s.dev, 0));
	screen_close(&s);
	fake_drm_end();
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_call_may_run_out_of_memory),
		cmocka_unit_test(any_call_may_be_invalid),
		cmocka_unit_test(any_call_may_meet_another_master),
		cmocka_unit_test(refused_commit_refuses_the_memory),
		cmocka_unit_test(busy_mode_set_is_waited_for),
		cmocka_unit_test(crtc_is_set_up_anew_after_another_master),
		cmocka_unit_test(card_that_is_gone_has_no_frames),
		cmocka_unit_test(flip_that_does_not_come_is_waited_for_in_vain),
		cmocka_unit_test(closing_gives_back_frames_that_are_never_shown),
		cmocka_unit_test(failed_writeback_is_the_next_owners_eio),
		cmocka_unit_test(card_without_fences_says_so),
		cmocka_unit_test(foreign_events_are_passed_over),
	};

	fake_drm_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
