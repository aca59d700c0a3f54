/* SPDX-License-Identifier: BSD-3-Clause */
/* Correct pictures: what the display writes back is what plain C makes of what the camera wrote. */
#include <stdlib.h>
#include <string.h>

#include "pipeline.h"

#define WIDTH  640u
#define HEIGHT 480u
#define FRAMES 30

/* What was seen of the frames before. */
struct judge {
	unsigned frames;
	uint32_t sequence;
	unsigned char captured[WIDTH * HEIGHT * 2];
};

static unsigned limited(long value)
{
	return value < 0 ? 0u : value > 255 ? 255u : (unsigned)value;
}

/* BT.601 in parts of 256. */
static uint32_t colour(long y, long u, long v)
{
	long c = 298 * (y - 16) + 128, d = u - 128, e = v - 128;
	/* a division that rounds down, for negative numbers too */
	long red = (c + 409 * e + 256 * 65536) / 256 - 65536;
	long green = (c - 100 * d - 208 * e + 256 * 65536) / 256 - 65536;
	long blue = (c + 516 * d + 256 * 65536) / 256 - 65536;

	return limited(red) << 16 | limited(green) << 8 | limited(blue);
}

static const unsigned char *bytes_of(struct metal_generic_shm *shm)
{
	const unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ);

	assert_ok(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_W));
	assert_non_null(bytes);
	return bytes;
}

/* Lines are mirrored: the reference fills the whole picture from the captured bytes alone. */
static void make_reference(const unsigned char *yuyv, uint32_t *xr24)
{
	for (size_t i = 0; i < (size_t)WIDTH * HEIGHT; i += 2) {
		const unsigned char *p = yuyv + 2 * i;
		size_t line = i / WIDTH * WIDTH, mirrored = line + (WIDTH - 1) - (i - line);

		xr24[mirrored] = colour(p[0], p[1], p[3]);
		xr24[mirrored - 1] = colour(p[2], p[1], p[3]);
	}
}

static bool is_reference(const unsigned char *captured, const unsigned char *written)
{
	static uint32_t reference[WIDTH * HEIGHT];

	make_reference(captured, reference);
	for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
		uint32_t pixel;

		memcpy(&pixel, written + 4 * i, sizeof(pixel));
		if ((pixel ^ reference[i]) & 0xffffff)
			return false;
	}
	return true;
}

/* NULL where the frame is right; else what is wrong. */
static const char *judge_frame(struct judge *judge, const struct pipeline_frame *frame)
{
	const unsigned char *captured = bytes_of(frame->captured);
	const char *wrong = NULL;

	if (judge->frames && (int32_t)(frame->info.sequence - judge->sequence) <= 0)
		wrong = "the sequence number does not grow";
	else if (judge->frames && !memcmp(captured, judge->captured, sizeof(judge->captured)))
		wrong = "the camera gave the same picture twice";
	else if (!is_reference(captured, bytes_of(frame->written)))
		wrong = "the display shows another picture than the reference";
	memcpy(judge->captured, captured, sizeof(judge->captured));
	judge->sequence = frame->info.sequence;
	judge->frames++;
	metal_shm_unmap(frame->captured, METAL_SHM_READ);
	metal_shm_unmap(frame->written, METAL_SHM_READ);
	return wrong;
}

static const char *judge_frames(struct pipeline *p, unsigned frames)
{
	static struct judge judge;
	const char *wrong = NULL;

	judge.frames = 0;
	while (frames-- && !wrong) {
		struct pipeline_frame frame;

		pipeline_next(p, &frame);
		wrong = judge_frame(&judge, &frame);
		pipeline_drop(&frame);
	}
	return wrong;
}

static void run_once(void)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	uint64_t copied_before;
	struct pipeline p;
	const char *wrong;

	assert_ok(metal_shm_stats(&stats));
	copied_before = stats.bytes_copied;
	pipeline_open(&p, WIDTH, HEIGHT);
	wrong = judge_frames(&p, FRAMES);
	pipeline_close(&p);
	if (wrong)
		fail_msg("%s", wrong);
	assert_ok(metal_shm_stats(&stats));
	assert_int_equal(stats.bytes_copied, copied_before);
}

static void thirty_displayed_frames_equal_the_reference(void **state)
{
	(void)state;
	run_once();
}

static void a_second_run_in_the_same_boot_does_as_well(void **state)
{
	(void)state;
	run_once();
}

static void a_frozen_camera_is_noticed(void **state)
{
	struct pipeline p;
	const char *wrong;

	(void)state;
	pipeline_open(&p, WIDTH, HEIGHT);
	camera_control(p.camera, "OSD Text Mode", 2); /* no time in the picture */
	pipeline_skip(&p, 6);
	wrong = judge_frames(&p, 2);
	camera_control(p.camera, "OSD Text Mode", 0);
	pipeline_close(&p);
	assert_non_null(wrong);
	assert_string_equal(wrong, "the camera gave the same picture twice");
}

static void a_repeated_frame_is_noticed(void **state)
{
	struct pipeline p;
	const char *wrong;

	(void)state;
	pipeline_open(&p, WIDTH, HEIGHT);
	p.repeats = true;
	wrong = judge_frames(&p, 2);
	pipeline_close(&p);
	assert_non_null(wrong);
	assert_string_equal(wrong, "the display shows another picture than the reference");
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(thirty_displayed_frames_equal_the_reference),
		cmocka_unit_test(a_second_run_in_the_same_boot_does_as_well),
		cmocka_unit_test(a_frozen_camera_is_noticed),
		cmocka_unit_test(a_repeated_frame_is_noticed),
	};

	if (getenv("SHM_TEST_BOARD"))
		pipeline_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
