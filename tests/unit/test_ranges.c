/* SPDX-License-Identifier: BSD-3-Clause */
/* The ordered set of ranges, beside an array that has a state for each byte. */
#include <stdlib.h>
#include <string.h>

#include "ranges.h"
#include "shm_test.h"

#define BYTES 300

struct model {
	struct shm__ranges ranges;
	uint8_t flags[BYTES];
};

static void check(struct model *model)
{
	size_t at = 0, count = 0;
	const struct shm__range *before = NULL;

	SHM__EACH_RANGE(range, &model->ranges, 0, BYTES) {
		assert_int_equal(range->start, at);
		assert_true(range->end > range->start);
		for (; at < range->end; at++)
			assert_int_equal(range->flags, model->flags[at]);
		if (before)
			assert_int_not_equal(before->flags, range->flags);
		before = range;
		count++;
	}
	assert_int_equal(at, BYTES);
	assert_int_equal(count, model->ranges.count);
}

static void set(struct model *model, size_t start, size_t end, uint8_t flags)
{
	assert_int_equal(shm__ranges_cut(&model->ranges, start, end), 0);
	SHM__EACH_RANGE(range, &model->ranges, start, end) {
		assert_true(range->start >= start && range->end <= end);
		range->flags = flags;
	}
	memset(model->flags + start, flags, end - start);
	shm__ranges_join(&model->ranges, start, end);
}

static void every_byte_has_the_state_that_it_was_given(void **state)
{
	unsigned seed = 5;

	(void)state;
	for (int round = 0; round < 50; round++) {
		struct model model = { 0 };

		shm__ranges_init(&model.ranges, BYTES, 0);
		check(&model);
		for (int i = 0; i < 200; i++) {
			size_t start = (size_t)rand_r(&seed) % BYTES;
			size_t size = 1 + (size_t)rand_r(&seed) % (BYTES - start);

			if (rand_r(&seed) % 4)
				size = size % 20 + 1 < BYTES - start ? size % 20 + 1 : size;
			set(&model, start, start + size, (uint8_t)(rand_r(&seed) % 3));
			check(&model);
		}
		shm__ranges_end(&model.ranges);
	}
}

static void cutting_changes_no_state_and_joining_undoes_it(void **state)
{
	struct shm__ranges ranges;

	(void)state;
	shm__ranges_init(&ranges, BYTES, 7);
	assert_int_equal(shm__ranges_cut(&ranges, 10, 20), 0);
	assert_int_equal(ranges.count, 3);
	assert_int_equal(shm__ranges_cut(&ranges, 10, 20), 0);
	assert_int_equal(shm__ranges_cut(&ranges, 0, BYTES), 0);
	assert_int_equal(ranges.count, 3);
	shm__ranges_join(&ranges, 10, 20);
	assert_int_equal(ranges.count, 1);
	assert_int_equal(shm__range_at(&ranges, 15)->flags, 7);
	shm__ranges_end(&ranges);
}

static void what_was_joined_is_found_as_one(void **state)
{
	struct shm__ranges ranges;

	(void)state;
	shm__ranges_init(&ranges, BYTES, 7);
	for (size_t at = 5; at < 25; at++) {
		assert_int_equal(shm__ranges_cut(&ranges, 10, 20), 0);
		assert_int_equal(shm__range_at(&ranges, 15)->start, 10);
		assert_int_equal(shm__range_at(&ranges, at)->flags, 7);
		shm__ranges_join(&ranges, 10, 20);
		assert_int_equal(shm__range_at(&ranges, 15)->end, BYTES);
		assert_int_equal(shm__range_at(&ranges, at)->end, BYTES);
	}
	shm__ranges_end(&ranges);
}

static void outside_there_is_no_range(void **state)
{
	struct shm__ranges ranges;

	(void)state;
	shm__ranges_init(&ranges, BYTES, 0);
	assert_null(shm__range_at(&ranges, BYTES));
	assert_null(shm__range_at(&ranges, SIZE_MAX));
	assert_non_null(shm__range_at(&ranges, BYTES - 1));
	shm__ranges_end(&ranges);
}

static void holders_are_kept_by_slot_and_the_idle_make_room(void **state)
{
	struct shm__ranges ranges;
	struct shm__range *range;

	(void)state;
	shm__ranges_init(&ranges, BYTES, 0);
	range = shm__range_at(&ranges, 0);
	for (unsigned slot = SHM__HOLDERS; slot-- > 0;) {
		struct shm__holder *holder = shm__range_add_holder(range, slot);

		holder->pending = slot != 3;
		holder->dir = 1;
	}
	for (unsigned i = 0; i < SHM__HOLDERS; i++)
		assert_int_equal(range->holder[i].slot, i);
	assert_ptr_equal(shm__range_add_holder(range, 4), &range->holder[4]);
	assert_non_null(shm__range_add_holder(range, 9));
	assert_null(shm__range_holder(range, 3));
	shm__range_holder(range, 9)->pending = 1;
	assert_null(shm__range_add_holder(range, 10));
	shm__range_drop_holder(range, shm__range_holder(range, 0));
	assert_int_equal(range->holders, SHM__HOLDERS - 1);
	assert_int_equal(range->holder[0].slot, 1);
	shm__ranges_end(&ranges);
}

static void what_differs_in_anything_stays_apart(void **state)
{
	struct shm__ranges ranges;

	(void)state;
	shm__ranges_init(&ranges, BYTES, 0);
	for (int field = 0; field < 6; field++) {
		struct shm__range *range;

		assert_int_equal(shm__ranges_cut(&ranges, 100, 200), 0);
		range = shm__range_at(&ranges, 150);
		range->failed = field == 0 ? -5 : 0;
		range->mapped = field == 1;
		range->changed = field == 2;
		range->newest = field == 3 ? (struct metal_generic_shm *)&ranges : NULL;
		if (field == 4)
			shm__range_add_holder(range, 1)->dir = 1;
		if (field == 5)
			shm__range_holder(range, 1)->pending = 1;
		shm__ranges_join(&ranges, 100, 200);
		assert_int_equal(ranges.count, 3);
	}
	shm__ranges_end(&ranges);
}

static void time_alone_keeps_nothing_apart(void **state)
{
	struct shm__ranges ranges;

	(void)state;
	shm__ranges_init(&ranges, BYTES, 0);
	shm__range_add_holder(shm__range_at(&ranges, 0), 2)->since_ms = 50;
	assert_int_equal(shm__ranges_cut(&ranges, 100, BYTES), 0);
	shm__range_at(&ranges, 100)->holder[0].since_ms = 20;
	shm__ranges_join(&ranges, 0, BYTES);
	assert_int_equal(ranges.count, 1);
	assert_int_equal(shm__range_at(&ranges, 0)->holder[0].since_ms, 20);
	shm__ranges_end(&ranges);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_has_the_state_that_it_was_given),
		cmocka_unit_test(cutting_changes_no_state_and_joining_undoes_it),
		cmocka_unit_test(what_was_joined_is_found_as_one),
		cmocka_unit_test(outside_there_is_no_range),
		cmocka_unit_test(holders_are_kept_by_slot_and_the_idle_make_room),
		cmocka_unit_test(what_differs_in_anything_stays_apart),
		cmocka_unit_test(time_alone_keeps_nothing_apart),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
