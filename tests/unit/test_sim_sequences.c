/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes are what they must be, whatever is done in whatever order: sequences at random on a simulated
 * machine that is not coherent, against a model of each byte.
 */
#include <stdlib.h>
#include <sys/random.h>

#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"
#include "sim_sequence.h"

#ifndef OPERATIONS
#define OPERATIONS 20000u
#endif

/* Long enough for states that need many steps, short enough to begin anew often. */
#define SEQUENCE 250u

/* The same each time, so that a case which held holds again; what is new is found by the long run. */
static unsigned choose_seed(void)
{
	const char *given = getenv("SHM_TEST_SEED");
	unsigned value = OPERATIONS;

	if (given)
		value = (unsigned)strtoul(given, NULL, 0);
	else if (OPERATIONS > 20000)
		assert_int_equal(getrandom(&value, sizeof(value), 0), sizeof(value));
	print_message("SHM_TEST_SEED=%u\n", value);
	return value;
}

/* From the first sequence that fails, what is left of it; NULL ops: none does. */
static struct sim_sequence find_failure(unsigned seed, unsigned operations, unsigned mistakes,
					struct sim_tally *sum)
{
	const uint64_t first = (uint64_t)seed << 32;

	for (unsigned i = 0; i < operations / SEQUENCE; i++) {
		struct sim_sequence sequence;
		struct sim_outcome outcome =
			sim_sequence_make(first + i, SEQUENCE, mistakes, &sequence);

		sim_tally_add(sum, &outcome.tally);
		if (outcome.why[0]) {
			sim_sequence_shrink(&sequence, mistakes);
			return sequence;
		}
		free(sequence.ops);
	}
	return (struct sim_sequence){ 0 };
}

/* Refusals are rare, but happen, in as many operations as that can be said of. */
static void check_refusals(const struct sim_tally *tally)
{
	const unsigned handovers =
		tally->done[SIM_TO_DEVICE] + tally->done[SIM_QUEUE] + tally->done[SIM_TO_CPU];
	unsigned sum = 0;

	for (unsigned i = 0; i < SIM_KINDS; i++) {
		assert_in_range(tally->refused[i], 0, handovers / 20);
		sum += tally->refused[i];
	}
	assert_in_range(sum, 1, handovers / 20);
	assert_in_range(tally->lost, 1, handovers / 20);
}

static void must_hold(unsigned seed, unsigned operations)
{
	struct sim_tally tally = { 0 };
	struct sim_sequence failing = find_failure(seed, operations, 0, &tally);

	sim_tally_print(&tally);
	if (failing.ops) {
		sim_sequence_print(&failing, sim_sequence_run(failing.ops, failing.count, 0).why,
				   "what_failed_once");
		free(failing.ops);
		fail_msg("a sequence fails");
	}
	if (operations >= 20000)
		check_refusals(&tally);
}

static void every_byte_is_what_its_owner_wrote(void **state)
{
	(void)state;
	must_hold(choose_seed(), OPERATIONS);
}

static void it_is_too_where_nothing_is_elided(void **state)
{
	(void)state;
	metal_shm_set_paranoid(true);
	must_hold(choose_seed(), OPERATIONS / 4);
}

static int end_paranoia(void **state)
{
	(void)state;
	metal_shm_set_paranoid(false);
	return 0;
}

/* The machine does wrong, and little is left of the sequence that shows it. */
static void is_found(unsigned mistake, size_t most)
{
	struct sim_tally tally = { 0 };
	struct sim_sequence failing = find_failure(1, 20 * SEQUENCE, mistake, &tally);

	assert_non_null(failing.ops);
	sim_sequence_print(&failing, sim_sequence_run(failing.ops, failing.count, mistake).why,
			   "what_must_fail");
	assert_in_range(failing.count, 1, most);
	assert_string_equal(sim_sequence_run(failing.ops, failing.count, 0).why, "");
	free(failing.ops);
}

static void a_forgotten_read_in_is_found(void **state)
{
	(void)state;
	is_found(SIM_FORGETS_STARTS, 7);
}

static void a_forgotten_write_back_is_found(void **state)
{
	(void)state;
	is_found(SIM_FORGETS_ENDS, 7);
}

/* Sequences that failed once. */

static void a_device_keeps_what_it_has_by_another_view(void **state)
{
	static const struct sim_op ops[] = {
		{ SIM_ALLOCATE, .size = 167 },
		{ SIM_SUB, .handle = 1, .size = 1 },
		{ SIM_ATTACH, .handle = 1, .view = 1, .device = 3 },
		{ SIM_ATTACH, .device = 3 },
		{ SIM_TO_DEVICE, .device = 3, .dir = 2 },
		{ SIM_DETACH, .view = 1 },
		{ SIM_TO_CPU, .handle = 1, .dir = 1 },
	};

	(void)state;
	sim_sequence_must_hold(ops, SHM_TEST_COUNT(ops));
}

static void what_devices_wrote_beside_can_be_taken_after_the_cpu_wrote(void **state)
{
	static const struct sim_op ops[] = {
		{ SIM_ALLOCATE, .size = 523 },
		{ SIM_SUB, .handle = 1, .size = 1 },
		{ SIM_ATTACH, .handle = 1, .view = 1, .device = 4 },
		{ SIM_ATTACH, .view = 0 },
		{ SIM_TO_DEVICE, .dir = 2 },
		{ SIM_TO_DEVICE, .handle = 1, .device = 4, .dir = 2 },
		{ SIM_DETACH, .view = 0 },
		{ SIM_TO_CPU, .handle = 1, .dir = 3 },
		{ SIM_TO_CPU, .dir = 3 },
	};

	(void)state;
	sim_sequence_must_hold(ops, SHM_TEST_COUNT(ops));
}

/* The start of its line was the device's still. */
static void a_line_is_read_in_whole_before_the_cpu_writes_in_it(void **state)
{
	static const struct sim_op ops[] = {
		{ SIM_ALLOCATE, .source = 1, .size = 584 },
		{ SIM_ATTACH, .device = 1 },
		{ SIM_SUB, .handle = 1, .offset = 1, .size = 8 },
		{ SIM_QUEUE, .device = 1, .dir = 2 },
		{ SIM_COMPLETE, .view = 0 },
		{ SIM_MAP, .handle = 1, .dir = 3 },
		{ SIM_TO_CPU, .handle = 1, .dir = 3 },
		{ SIM_CPU_WRITE, .handle = 1, .size = 1, .value = 1 },
		{ SIM_TO_CPU, .dir = 3 },
	};

	(void)state;
	sim_sequence_must_hold(ops, SHM_TEST_COUNT(ops));
}

static void what_the_cpu_wrote_reaches_an_unknown_device_beside_a_devices_bytes(void **state)
{
	static const struct sim_op ops[] = {
		{ SIM_ALLOCATE, .source = 1, .size = 527, .value = 1 },
		{ SIM_MAP, .dir = 3 },
		{ SIM_SUB, .handle = 1, .offset = 320, .size = 128 },
		{ SIM_ATTACH, .device = 1 },
		{ SIM_ATTACH, .view = 1, .device = 4 },
		{ SIM_TO_DEVICE, .device = 1, .dir = 2 },
		{ SIM_TO_CPU, .handle = 1, .dir = 2 },
		{ SIM_CPU_WRITE, .offset = 435, .size = 1, .value = 1 },
		{ SIM_TO_DEVICE, .device = 4, .dir = 3 },
	};

	(void)state;
	sim_sequence_must_hold(ops, SHM_TEST_COUNT(ops));
}

static void queued_work_of_an_unknown_device_goes_on_over_a_hand_over(void **state)
{
	static const struct sim_op ops[] = {
		{ SIM_ALLOCATE, .size = 1 },
		{ SIM_ATTACH, .device = 4 },
		{ SIM_QUEUE, .device = 4, .dir = 2 },
		{ SIM_TO_DEVICE, .device = 4, .dir = 1 },
		{ SIM_DEVICE_WRITE, .size = 1, .value = 1 },
	};

	(void)state;
	sim_sequence_must_hold(ops, SHM_TEST_COUNT(ops));
}

static void a_shadow_comes_home_to_no_line_that_a_device_writes(void **state)
{
	static const struct sim_op ops[] = {
		{ SIM_ALLOCATE, .source = 1, .size = 28 },
		{ SIM_SUB, .handle = 1, .size = 1 },
		{ SIM_SUB, .handle = 2, .size = 12 },
		{ SIM_ATTACH, .view = 0, .device = 1 },
		{ SIM_ATTACH, .view = 1, .device = 0 },
		{ SIM_ATTACH, .handle = 1, .view = 2, .device = 1 },
		{ SIM_ATTACH, .handle = 2, .view = 3, .device = 4 },
		{ SIM_TO_DEVICE, .device = 1, .dir = 2 },
		{ SIM_TO_DEVICE, .handle = 1, .device = 1, .dir = 2 },
		{ SIM_TO_DEVICE, .handle = 2, .device = 4, .dir = 1 },
		{ SIM_DEVICE_WRITE, .view = 0, .size = 14, .value = 1 },
		{ SIM_TO_DEVICE, .device = 0, .dir = 1 },
	};

	(void)state;
	sim_sequence_must_hold(ops, SHM_TEST_COUNT(ops));
}

static void a_shadow_comes_home_beside_a_device_that_goes_on(void **state)
{
	static const struct sim_op ops[] = {
		{ SIM_ALLOCATE, .handle = 1, .source = 3, .size = 8371, .value = 1 },
		{ SIM_SUB, .handle = 11, .of = 1, .offset = 512, .size = 7859, .value = 1 },
		{ SIM_SUB, .handle = 7, .of = 1, .offset = 4096, .size = 4096, .value = 1 },
		{ SIM_ATTACH, .handle = 11, .view = 9, .value = 1 },
		{ SIM_ATTACH, .handle = 7, .view = 2, .device = 4, .value = 1 },
		{ SIM_TO_DEVICE, .handle = 11, .dir = 3, .value = 1 },
		{ SIM_QUEUE, .handle = 7, .device = 4, .dir = 3, .value = 1 },
		{ SIM_DETACH, .view = 9, .value = 1 },
		{ SIM_DEVICE_WRITE, .view = 2, .size = 1, .value = 1 },
	};

	(void)state;
	sim_sequence_must_hold(ops, SHM_TEST_COUNT(ops));
}

static void what_the_paranoid_issue_spares_the_bytes_beside_a_part(void **state)
{
	static const struct sim_op ops[] = {
		{ SIM_ALLOCATE, .handle = 7, .size = 4096, .value = 1 },
		{ SIM_MAP, .handle = 7, .dir = 3, .value = 1 },
		{ SIM_SUB, .handle = 4, .of = 7, .size = 1, .value = 1 },
		{ SIM_ATTACH, .handle = 4, .view = 12, .device = 4, .value = 1 },
		{ SIM_TO_DEVICE, .handle = 4, .device = 4, .dir = 2, .value = 1 },
		{ SIM_ATTACH, .handle = 7, .view = 14, .value = 1 },
		{ SIM_CPU_WRITE, .handle = 7, .size = 2, .value = 1 },
	};

	(void)state;
	metal_shm_set_paranoid(true);
	sim_sequence_must_hold(ops, SHM_TEST_COUNT(ops));
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_is_what_its_owner_wrote),
		cmocka_unit_test_teardown(it_is_too_where_nothing_is_elided, end_paranoia),
		cmocka_unit_test(a_forgotten_read_in_is_found),
		cmocka_unit_test(a_forgotten_write_back_is_found),
		cmocka_unit_test(a_device_keeps_what_it_has_by_another_view),
		cmocka_unit_test(what_devices_wrote_beside_can_be_taken_after_the_cpu_wrote),
		cmocka_unit_test(a_line_is_read_in_whole_before_the_cpu_writes_in_it),
		cmocka_unit_test(
			what_the_cpu_wrote_reaches_an_unknown_device_beside_a_devices_bytes),
		cmocka_unit_test(queued_work_of_an_unknown_device_goes_on_over_a_hand_over),
		cmocka_unit_test(a_shadow_comes_home_to_no_line_that_a_device_writes),
		cmocka_unit_test(a_shadow_comes_home_beside_a_device_that_goes_on),
		cmocka_unit_test_teardown(what_the_paranoid_issue_spares_the_bytes_beside_a_part,
					  end_paranoia),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
