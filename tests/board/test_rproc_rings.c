/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A firmware without RPMsg: program and coprocessor speak through two rings in a carveout. No doorbell reaches a
 * program on this board, so both sides look by themselves, and what isn't answered ends by its deadline.
 */
#include "rproc_board.h"

#define SLOTS 16u

struct signature {
	char mark[4];
	uint32_t number;
	uint64_t bytes, sum;
};

static struct metal_device *carveout;
static struct metal_generic_shm *words, *words_view;

/* The module's, from the address that the firmware was built with. */
static void make_rings(struct metal_device *dsp)
{
	struct metal_shm_rproc_rings rings = {
		.struct_size = sizeof(rings),
		.slots = SLOTS,
		.to_core = 0,
		.from_core = COPROCESSOR_RING_SIZE,
		.borrow_bell_fd = -1,
	};
	uint64_t address;

	if (!words) {
		module_load("shm_carveout", "");
		carveout = memory_open("rproc:board/shared");
		words = metal_shm_allocate((size_t)2 * COPROCESSOR_RING_SIZE, carveout, 0);
		if (!words)
			fail_msg("%s", metal_shm_last_error());
	}
	/* so that nobody gets it while the core runs */
	words_view = metal_shm_attach(words, dsp);
	if (!words_view)
		fail_msg("%s", metal_shm_last_error());
	ok(metal_shm_device_address(words_view, &address));
	assert_int_equal(address,
			 COPROCESSOR_BASE + (uint64_t)COPROCESSOR_OFFSET + COPROCESSOR_SHARED);
	rings.shm = words;
	ok(metal_shm_rproc_set_rings(dsp, &rings));
}

static struct metal_device *start(const char *firmware)
{
	struct metal_device *dsp = dsp_open();

	ok(metal_shm_rproc_start(dsp, firmware, 0));
	make_rings(dsp);
	return dsp;
}

static void part_ways(struct metal_device *dsp)
{
	metal_shm_detach(words_view, dsp);
	dsp_close(dsp);
	metal_shm_free(words, carveout);
	metal_shm_device_close(carveout);
	words = NULL;
	assert_int_equal(module_remove("shm_carveout"), 0);
}

/* Given, worked on in place by the firmware, and back, with what it says of it before. */
static void go_round(struct shared *s, unsigned seed)
{
	struct signature signature = { .number = 0 };
	uint64_t sum = 0;

	fill(s, seed);
	ok(metal_shm_sync_for_device(s->shm, s->dsp, RW));
	ok(metal_shm_sync_for_cpu_timeout(s->shm, RW, LONG));
	expect(s, seed, 1);
	for (size_t i = 0; i < s->size; i++)
		sum += s->bytes[i];
	ok(metal_shm_rproc_receive(s->dsp, &signature, sizeof(signature), LONG));
	assert_string_equal(signature.mark, "INC");
	assert_int_equal(signature.bytes, s->size);
	assert_int_equal(signature.sum, sum);
}

static void bytes_go_round_by_rings_alone(void **state)
{
	struct metal_device *dsp = start("board-rings.elf");
	static const char *const sources[] = { "heap:reserved", "heap:system" };

	(void)state;
	ok(metal_shm_rproc_connect(dsp, LONG));
	assert_false(coprocessor_has_channel(COPROCESSOR_LIBSHM));
	for (size_t i = 0; i < SHM_TEST_COUNT(sources); i++) {
		struct shared s = share(dsp, sources[i], MIB + 5 * 4096);

		for (unsigned seed = 1; seed <= 5; seed++)
			go_round(&s, seed);
		unshare(&s);
	}
	assert_int_equal(dsp_info(dsp).faults, 0);
	part_ways(dsp);
}

/* More records each way than the rings have slots. */
static void three_frames_are_in_flight_at_a_time(void **state)
{
	struct metal_device *dsp = start("board-rings.elf");
	const size_t frame = (size_t)320 * 180 * 4;
	struct shared s[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		s[i] = share(dsp, "heap:reserved", frame);
	for (unsigned round = 0; round < 63; round++) {
		struct shared *one = &s[round % 3];
		struct signature signature;

		if (round >= 3) {
			ok(metal_shm_sync_for_cpu_timeout(one->shm, RW, LONG));
			expect(one, round - 3, 1);
			ok(metal_shm_rproc_receive(dsp, &signature, sizeof(signature), LONG));
		}
		if (round >= 60)
			continue;
		fill(one, round);
		ok(metal_shm_sync_for_device(one->shm, dsp, RW));
	}
	for (unsigned i = 0; i < 3; i++)
		unshare(&s[i]);
	part_ways(dsp);
}

static void next_program_takes_the_rings_over(void **state)
{
	struct metal_device *first = start("board-rings.elf"), *dsp = NULL;
	struct metal_generic_shm *first_view = words_view;
	struct shared s;

	(void)state;
	s = share(first, "heap:reserved", 65536);
	go_round(&s, 1);
	/* it says no word more, as if it were killed */
	ok(metal_shm_rproc_open("board", &dsp));
	make_rings(dsp);
	ok(metal_shm_rproc_connect(dsp, LONG));
	{
		struct shared t = share(dsp, "heap:reserved", 65536);

		go_round(&t, 7);
		unshare(&t);
	}
	ok(metal_shm_rproc_stop(dsp));
	ok(metal_shm_rproc_stop(first));
	unshare(&s);
	metal_shm_detach(first_view, first);
	metal_shm_device_close(first);
	part_ways(dsp);
}

static void core_is_stopped_and_started_with_the_same_rings(void **state)
{
	struct metal_device *dsp = start("board-rings.elf");
	struct shared s = share(dsp, "heap:reserved", 65536);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		go_round(&s, i);
		ok(metal_shm_rproc_stop(dsp));
		unshare(&s);
		metal_shm_detach(words_view, dsp);
		ok(metal_shm_rproc_start(dsp, NULL, 0));
		words_view = metal_shm_attach(words, dsp);
		assert_non_null(words_view);
		s = share(dsp, "heap:reserved", 65536);
	}
	go_round(&s, 9);
	unshare(&s);
	part_ways(dsp);
}

static void firmware_that_knows_no_rings_is_told_of_in_time(void **state)
{
	struct metal_device *dsp = start("board-coprocessor.elf");
	int64_t began = now_ns();

	(void)state;
	fails(metal_shm_rproc_connect(dsp, SECOND / 2), ETIMEDOUT, "doesn't answer");
	assert_true(now_ns() - began >= SECOND / 2);
	part_ways(dsp);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_round_by_rings_alone),
		cmocka_unit_test(three_frames_are_in_flight_at_a_time),
		cmocka_unit_test(next_program_takes_the_rings_over),
		cmocka_unit_test(core_is_stopped_and_started_with_the_same_rings),
		cmocka_unit_test(firmware_that_knows_no_rings_is_told_of_in_time),
	};

	wait_once();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
