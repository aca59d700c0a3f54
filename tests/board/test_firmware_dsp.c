/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DSP example on the coprocessor, through libshm at both ends: frames of a heap go round, three in flight,
 * and each byte that comes back is that of the same filter run here on a copy.
 */
#include "dsp_image.h"
#include "rproc_board.h"

#define FRAMES 36
#define FLIGHT 3
#define WIDTH  320u
#define HEIGHT 180u

static uint8_t lines[DSP_LINES][DSP_LINE_SIZE];

struct frame {
	struct shared shared;
	unsigned char *want;
	uint32_t histogram[256];
	unsigned number;
};

static struct shared tell_of(struct metal_device *dsp, struct dsp_job job, const char *source,
			     size_t size)
{
	struct shared s = share(dsp, source, size);

	job.magic = DSP_JOB;
	ok(metal_shm_rproc_share(dsp, s.shm, RW, &job.id));
	ok(metal_shm_rproc_send(dsp, &job, sizeof(job)));
	return s;
}

static struct metal_device *begin(void)
{
	struct metal_device *dsp = dsp_open();

	ok(metal_shm_rproc_start(dsp, "board-dsp.elf", METAL_SHM_RPROC_STOP_WITH_US));
	ok(metal_shm_rproc_connect(dsp, LONG));
	return dsp;
}

static struct dsp_image picture(uint8_t *pixels, uint32_t bytes)
{
	return (struct dsp_image){
		.pixels = pixels,
		.width = WIDTH,
		.height = HEIGHT,
		.stride = WIDTH * bytes,
		.bytes = bytes,
	};
}

static void give(struct frame *frame, uint32_t bytes, unsigned number)
{
	const struct dsp_image image = picture(frame->want, bytes);

	fill(&frame->shared, number);
	memcpy(frame->want, frame->shared.bytes, frame->shared.size);
	dsp_filter(&image, lines);
	dsp_count(&image, lines, frame->histogram);
	dsp_sign(&image, (uint16_t)number);
	frame->number = number;
	ok(metal_shm_sync_for_device(frame->shared.shm, frame->shared.dsp, RW));
}

static void take(struct frame *frame, uint32_t bytes)
{
	const struct dsp_image image = picture(frame->shared.bytes, bytes);
	uint16_t number = 0;

	ok(metal_shm_sync_for_cpu_timeout(frame->shared.shm, RW, LONG));
	assert_true(dsp_signed(&image, &number));
	assert_int_equal(number, frame->number);
	assert_memory_equal(frame->shared.bytes, frame->want, frame->shared.size);
}

static void read_counters(const struct shared *counters, struct dsp_control *ret)
{
	ok(metal_shm_sync_for_cpu_timeout(counters->shm, RW, LONG));
	memcpy(ret, counters->bytes, sizeof(*ret));
	assert_int_equal(ret->magic, DSP_CONTROL);
}

static void frames_go_round(uint32_t bytes, const char *source)
{
	const struct dsp_job job = { 0, 0, DSP_FRAME, WIDTH, HEIGHT, WIDTH * bytes, bytes, 0 };
	struct metal_device *dsp = begin();
	struct shared counters =
		tell_of(dsp, (struct dsp_job){ .what = DSP_COUNTERS }, "heap:reserved", 4096);
	struct frame frames[FLIGHT];
	struct dsp_control control;

	for (unsigned i = 0; i < FLIGHT; i++) {
		frames[i].shared = tell_of(dsp, job, source, WIDTH * HEIGHT * bytes);
		frames[i].want = malloc(frames[i].shared.size);
		assert_non_null(frames[i].want);
	}
	ok(metal_shm_sync_for_device(counters.shm, dsp, RW));
	for (unsigned n = 1; n <= FRAMES + FLIGHT; n++) {
		struct frame *frame = &frames[n % FLIGHT];

		if (n > FLIGHT)
			take(frame, bytes);
		if (n <= FRAMES)
			give(frame, bytes, n);
	}
	read_counters(&counters, &control);
	assert_int_equal(control.frames, FRAMES);
	assert_int_equal(control.refused, 0);
	assert_int_equal(control.width, WIDTH);
	assert_memory_equal(control.histogram, frames[FRAMES % FLIGHT].histogram,
			    sizeof(control.histogram));
	shm_test_note("%u bytes a pixel: %.1f ms a frame", bytes, (double)control.time_ns / 1e6);
	/* once more, after the counters were the program's */
	ok(metal_shm_sync_for_device(counters.shm, dsp, RW));
	give(&frames[0], bytes, FRAMES + 1);
	take(&frames[0], bytes);
	read_counters(&counters, &control);
	assert_int_equal(control.frames, FRAMES + 1);

	for (unsigned i = 0; i < FLIGHT; i++) {
		unshare(&frames[i].shared);
		free(frames[i].want);
	}
	unshare(&counters);
	dsp_close(dsp);
}

static void xr24_frames_are_filtered_in_place(void **state)
{
	(void)state;
	frames_go_round(4, "heap:reserved");
}

static void grey_frames_are_filtered_in_place(void **state)
{
	(void)state;
	frames_go_round(1, "heap:reserved");
}

/* Pieces of 64 KiB and less, which end in the midst of lines. */
static void scattered_frames_are_filtered_in_place(void **state)
{
	(void)state;
	frames_go_round(4, "heap:system");
}

/* A picture that can't be is a failure; what nobody told of, or told nonsense of, comes back unused. */
static void what_is_no_frame_comes_back_as_it_was(void **state)
{
	const struct {
		struct dsp_job job;
		bool fails;
	} bad[] = {
		{ { 0, 0, DSP_FRAME, WIDTH, HEIGHT, WIDTH * 4, 4, 4 }, true },
		{ { 0, 0, DSP_FRAME, DSP_WIDTH_MAX + 1, 16, UINT32_MAX, 4, 0 }, true },
		{ { 0, 0, DSP_FRAME, WIDTH, HEIGHT, WIDTH * 4, 4, UINT32_MAX }, true },
		{ { 0, 0, 77, WIDTH, HEIGHT, WIDTH * 4, 4, 0 }, false },
	};
	struct metal_device *dsp = begin();

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(bad); i++) {
		struct shared s = tell_of(dsp, bad[i].job, "heap:reserved", WIDTH * HEIGHT * 4);

		fill(&s, 1);
		ok(metal_shm_sync_for_device(s.shm, dsp, RW));
		assert_int_equal(metal_shm_sync_for_cpu_timeout(s.shm, RW, LONG),
				 bad[i].fails ? -EIO : 0);
		expect(&s, 1, 0);
		unshare(&s);
	}
	dsp_close(dsp);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(xr24_frames_are_filtered_in_place),
		cmocka_unit_test(grey_frames_are_filtered_in_place),
		cmocka_unit_test(scattered_frames_are_filtered_in_place),
		cmocka_unit_test(what_is_no_frame_comes_back_as_it_was),
	};

	wait_once();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
