/* SPDX-License-Identifier: BSD-3-Clause */
/* V4L2 takes no offset into a buffer: parts reach a real camera as copies of their own, to the byte. */
#include "v4l2_board.h"

#define OFFSET 4099
#define BESIDE 3001 /* bytes of the buffer behind the part */
#define OURS   0x5a

struct scene {
	struct camera camera;
	struct metal_generic_shm *shm, *part, *view;
	unsigned char *bytes;
	size_t size; /* of the part */
};

static void begin(struct scene *s, const char *heap)
{
	struct camera *c = &s->camera;
	size_t all;

	camera_open(c, "vivid-000-vid-cap");
	camera_pool(c, YUYV, heap);
	s->size = (size_t)c->frame.size;
	all = OFFSET + s->size + BESIDE;
	s->shm = metal_shm_allocate(all, c->src, 0);
	assert_non_null(s->shm);
	s->bytes = metal_shm_map(s->shm, METAL_SHM_READ | METAL_SHM_WRITE);
	assert_non_null(s->bytes);
	memset(s->bytes, OURS, all);
	s->part = metal_shm_sub(s->shm, OFFSET, s->size, 0);
	s->view = metal_shm_attach(s->part, c->dev);
	if (!s->view)
		fail_msg("attach: %s", metal_shm_last_error());
	assert_int_equal(metal_shm_view_mode(s->view), METAL_SHM_VIEW_SHADOW);
	ok(metal_shm_v4l2_start(c->dev, c->pool));
}

static void end(struct scene *s)
{
	ok(metal_shm_v4l2_stop(s->camera.dev));
	metal_shm_detach(s->view, s->camera.dev);
	metal_shm_free(s->part, NULL);
	metal_shm_free(s->shm, NULL);
	camera_close(&s->camera);
}

/* The pool's frames come between. */
static void capture(struct scene *s)
{
	struct metal_shm_v4l2_info info = { 0 };
	struct metal_generic_shm *got = NULL;

	ok(metal_shm_v4l2_queue(s->camera.dev, s->part));
	while (got != s->part) {
		got = camera_next(&s->camera, &info);
		metal_shm_free(got, NULL);
	}
	assert_int_equal(info.bytes_used, s->size);
}

static size_t strange(const unsigned char *bytes, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += bytes[i] != OURS;
	return count;
}

static void check_frame(const char *heap)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	struct scene s = { 0 };

	begin(&s, heap);
	for (unsigned i = 1; i <= 3; i++) {
		capture(&s);
		/* what the program writes beside the part meanwhile stays as well */
		s.bytes[OFFSET - 1] = OURS;
		s.bytes[OFFSET + s.size] = OURS;
		ok(metal_shm_sync_for_cpu(s.part, W));
		assert_int_equal(strange(s.bytes, OFFSET), 0);
		assert_int_equal(strange(s.bytes + OFFSET + s.size, BESIDE), 0);
		assert_true(strange(s.bytes + OFFSET, s.size) > s.size / 2);
		assert_true(s.bytes[OFFSET] != OURS || s.bytes[OFFSET + 2] != OURS);
		assert_true(s.bytes[OFFSET + s.size - 1] != OURS ||
			    s.bytes[OFFSET + s.size - 3] != OURS);
		ok(metal_shm_buffer_stats(s.shm, &stats));
		assert_int_equal(stats.bytes_back, i * s.size);
		memset(s.bytes + OFFSET, OURS, s.size);
	}
	end(&s);
}

static void camera_fills_a_part_and_nothing_beside_it(void **state)
{
	(void)state;
	check_frame("heap:system");
	check_frame("heap:reserved");
}

static void two_handles_of_a_part_are_one_buffer_of_the_queue(void **state)
{
	struct scene s = { 0 };
	struct metal_generic_shm *twin, *view;

	(void)state;
	begin(&s, "heap:system");
	/* the same bytes by another handle are the same view */
	twin = metal_shm_sub(s.shm, OFFSET, s.size, 0);
	view = metal_shm_attach(twin, s.camera.dev);
	assert_ptr_equal(view, s.view);
	assert_int_equal(metal_shm_v4l2_queue(s.camera.dev, twin), 0);
	assert_int_equal(metal_shm_v4l2_queue(s.camera.dev, s.part), -EBUSY);
	metal_shm_detach(view, s.camera.dev);
	metal_shm_free(twin, NULL);
	end(&s);
}

static void no_copy_is_refused_with_the_reason(void **state)
{
	struct scene s = { 0 };
	struct metal_generic_shm *strict;

	(void)state;
	begin(&s, "heap:system");
	strict = metal_shm_sub(s.shm, 4096, s.size, METAL_SHM_SUB_NO_COPY);
	assert_null(metal_shm_attach(strict, s.camera.dev));
	assert_int_equal(errno, ENOTSUP);
	assert_reason("takes no part of a buffer");
	metal_shm_free(strict, NULL);
	end(&s);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(camera_fills_a_part_and_nothing_beside_it),
		cmocka_unit_test(two_handles_of_a_part_are_one_buffer_of_the_queue),
		cmocka_unit_test(no_copy_is_refused_with_the_reason),
	};

	warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
