/* SPDX-License-Identifier: BSD-3-Clause */
/* Device addresses: in the windows, in the device's reach, apart from one another, used again late. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "iova.h"
#include "shm_test.h"

#define PAGE 4096u
#define LOW  0x0fffffffu /* what 28 bits reach */

static struct shm__iova_window window[4];
static struct shm__iova_space space;
static uint64_t cursor;

static void begin(size_t n, const uint64_t ends[])
{
	memset(&space, 0, sizeof(space));
	cursor = 0;
	for (size_t i = 0; i < n; i++)
		window[i] = (struct shm__iova_window){ ends[2 * i], ends[2 * i + 1] };
	shm__iova_windows(&space, window, n, PAGE);
}

#define BEGIN(...)                                                          \
	begin(sizeof((uint64_t[]){ __VA_ARGS__ }) / (2 * sizeof(uint64_t)), \
	      (const uint64_t[]){ __VA_ARGS__ })

static struct shm__iova *take(uint64_t size, uint64_t last)
{
	struct shm__iova *iova = calloc(1, sizeof(*iova));

	assert_non_null(iova);
	if (!shm__iova_take(&space, size, last, &cursor, iova))
		return iova;
	free(iova);
	return NULL;
}

static void end(struct shm__iova *iova)
{
	shm__iova_give_back(&space, iova);
	free(iova);
}

static void address_zero_is_nobodys(void **state)
{
	struct shm__iova *iova;

	(void)state;
	BEGIN(0, UINT64_MAX);
	iova = take(PAGE, LOW);
	assert_int_equal(iova->start, PAGE);
	end(iova);
}

static void ranges_have_a_free_granule_between_them(void **state)
{
	struct shm__iova *one, *two;

	(void)state;
	BEGIN(0x10000, 0x1ffff);
	one = take(PAGE, LOW);
	two = take(2 * PAGE, LOW);
	assert_int_equal(one->start, 0x10000);
	assert_int_equal(two->start, 0x12000);
	end(one);
	end(two);
}

static void windows_are_cut_to_whole_granules(void **state)
{
	struct shm__iova *iova;

	(void)state;
	BEGIN(0x10001, 0x13ffe, 0x20000, 0x20fff, 0x30001, 0x30ffe);
	assert_int_equal(space.windows, 2);
	assert_int_equal(window[0].start, 0x11000);
	assert_int_equal(window[0].last, 0x12fff);
	assert_int_equal(shm__iova_largest(&space, LOW), PAGE);
	iova = take(PAGE, LOW);
	assert_int_equal(iova->start, 0x11000);
	assert_null(take(PAGE, LOW)); /* no room for the granule behind it */
	end(iova);
}

static void device_gets_what_it_reaches(void **state)
{
	struct shm__iova *low, *high;

	(void)state;
	BEGIN(0x1000, 0xffff, 0x100000000, UINT64_MAX);
	high = take(0x20000, UINT64_MAX);
	assert_int_equal(high->start, 0x100000000);
	assert_null(take(0x20000, LOW));
	low = take(0x8000, LOW);
	assert_int_equal(low->start, 0x1000);
	assert_null(take(0x8000, LOW));
	end(low);
	end(high);
}

static void window_ends_are_respected_to_the_byte(void **state)
{
	struct shm__iova *iova;

	(void)state;
	BEGIN(0x1000, 0x4fff);
	assert_null(take(4 * PAGE, UINT64_MAX));
	iova = take(3 * PAGE, UINT64_MAX);
	assert_int_equal(iova->start, 0x1000);
	assert_int_equal(iova->last, 0x4fff);
	assert_int_equal(shm__iova_largest(&space, UINT64_MAX), 0);
	end(iova);
	assert_null(take(3 * PAGE, 0x3fff));
	iova = take(2 * PAGE, 0x3fff);
	assert_non_null(iova);
	end(iova);
}

static void highest_addresses_of_all_are_usable(void **state)
{
	struct shm__iova *iova;

	(void)state;
	BEGIN(UINT64_MAX - 0x3fff, UINT64_MAX);
	iova = take(3 * PAGE, UINT64_MAX);
	assert_int_equal(iova->start, UINT64_MAX - 0x3fff);
	assert_int_equal(iova->last, UINT64_MAX);
	assert_int_equal(cursor, 0);
	assert_null(take(PAGE, UINT64_MAX));
	end(iova);
	iova = take(PAGE, UINT64_MAX);
	assert_non_null(iova);
	end(iova);
}

static void address_is_used_again_after_all_others(void **state)
{
	uint64_t last = 0;

	(void)state;
	BEGIN(0x1000, 0x10fff);
	for (int i = 0; i < 8; i++) {
		struct shm__iova *iova = take(PAGE, LOW);

		assert_int_equal(iova->start, 0x1000 + i * 0x2000);
		end(iova);
	}
	last = take(PAGE, LOW)->start;
	assert_int_equal(last, 0x1000);
	end(RB_ROOT(&space.taken));
}

/* Each device searches on from where its own search ended, in the middle of another's range. */
static void search_may_begin_inside_a_range(void **state)
{
	struct shm__iova *iova, *large;

	(void)state;
	BEGIN(0x1000, 0xffff);
	end(take(PAGE, LOW));
	cursor = 0;
	large = take(8 * PAGE, LOW);
	cursor = 0x3000;
	iova = take(PAGE, LOW);
	assert_int_equal(iova->start, 0xa000);
	end(iova);
	end(large);
}

static void gap_in_the_middle_is_found(void **state)
{
	struct shm__iova *iova[4], *again;

	(void)state;
	BEGIN(0x1000, 0x10fff);
	for (int i = 0; i < 4; i++)
		iova[i] = take(3 * PAGE, LOW);
	assert_null(take(PAGE, LOW));
	end(iova[1]);
	assert_int_equal(shm__iova_largest(&space, LOW), 3 * PAGE);
	assert_null(take(4 * PAGE, LOW));
	again = take(3 * PAGE, LOW);
	assert_int_equal(again->start, 0x5000);
	end(again);
	end(iova[0]);
	end(iova[2]);
	end(iova[3]);
}

static void hopeless_sizes_are_refused(void **state)
{
	(void)state;
	BEGIN(0, UINT64_MAX);
	assert_null(take(0, UINT64_MAX));
	assert_null(take(UINT64_MAX & ~(uint64_t)(PAGE - 1), UINT64_MAX));
	assert_null(take(UINT64_MAX, UINT64_MAX));
	assert_null(take(PAGE, PAGE - 1));
	memset(&space, 0, sizeof(space));
	shm__iova_windows(&space, window, 0, PAGE);
	assert_null(take(PAGE, UINT64_MAX));
	assert_int_equal(shm__iova_largest(&space, UINT64_MAX), 0);
}

static unsigned chance(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 12;
}

/* Against a map of pages: nothing twice, all in a window and in reach, a free page behind each. */
static void random_ranges_never_meet(void **state)
{
	static unsigned char taken[256];
	struct shm__iova *live[64] = { NULL };
	unsigned seed = 20260801;

	(void)state;
	memset(taken, 0, sizeof(taken));
	BEGIN(0x1000, 0x3ffff, 0x50000, 0xfffff);
	for (int round = 0; round < 20000; round++) {
		struct shm__iova **slot = &live[chance(&seed) % 64];
		uint64_t reach = chance(&seed) % 2 ? 0x7ffff : 0xfffff;
		uint64_t largest = shm__iova_largest(&space, reach);
		uint64_t pages = chance(&seed) % 12 + 1;
		bool fits = pages * PAGE <= largest;

		if (*slot) {
			memset(taken + (*slot)->start / PAGE, 0,
			       ((*slot)->last - (*slot)->start + 1) / PAGE);
			end(*slot);
			*slot = NULL;
			continue;
		}
		if (chance(&seed) % 4 == 0)
			cursor = chance(&seed) % 256 * PAGE;
		*slot = take(pages * PAGE, reach);
		assert_int_equal(*slot != NULL, fits);
		if (!*slot)
			continue;
		assert_true((*slot)->last <= reach);
		assert_int_equal((*slot)->last - (*slot)->start + 1, (pages + 1) * PAGE);
		for (uint64_t i = (*slot)->start / PAGE; i <= (*slot)->last / PAGE; i++) {
			assert_int_equal(taken[i], 0);
			assert_true(i >= 1 && (i < 0x40 || i >= 0x50));
			taken[i] = 1;
		}
	}
	for (int i = 0; i < 64; i++)
		if (live[i])
			end(live[i]);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_zero_is_nobodys),
		cmocka_unit_test(ranges_have_a_free_granule_between_them),
		cmocka_unit_test(windows_are_cut_to_whole_granules),
		cmocka_unit_test(device_gets_what_it_reaches),
		cmocka_unit_test(window_ends_are_respected_to_the_byte),
		cmocka_unit_test(highest_addresses_of_all_are_usable),
		cmocka_unit_test(address_is_used_again_after_all_others),
		cmocka_unit_test(search_may_begin_inside_a_range),
		cmocka_unit_test(gap_in_the_middle_is_found),
		cmocka_unit_test(hopeless_sizes_are_refused),
		cmocka_unit_test(random_ranges_never_meet),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
