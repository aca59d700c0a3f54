/* SPDX-License-Identifier: BSD-3-Clause */
/* The ring in shared memory: what one side puts the other takes, and what a liar writes breaks nothing. */
#include <string.h>

#include "ring_end.h"
#include "shm_test.h"

#define SLOTS 4u

static _Alignas(64) uint8_t memory[SHM__RING_HEADER + SLOTS * SHM__RING_SLOT];
static struct shm__ring_end in, out;
static uint8_t record[SHM__RECORD_MAX];

static void begin(void)
{
	memset(memory, 0xee, sizeof(memory));
	assert_true(shm__ring_format(memory, sizeof(memory), SLOTS, 1));
	assert_true(shm__ring_open(&in, SHM__RING_TAKES, memory, sizeof(memory)));
	assert_true(shm__ring_open(&out, SHM__RING_PUTS, memory, sizeof(memory)));
}

static void write_word(size_t at, uint32_t value)
{
	const uint8_t bytes[4] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
				   (uint8_t)(value >> 24) };

	memcpy(memory + at, bytes, sizeof(bytes));
}

static void records_come_in_order_and_whole(void **state)
{
	unsigned next = 0, put = 0;

	(void)state;
	begin();
	for (unsigned i = 0; i < 500; i++) {
		for (unsigned n = i % (SLOTS + 1); n; n--) {
			uint8_t sent[SHM__RECORD_MAX];
			size_t size = 1 + put * 37 % SHM__RECORD_MAX;

			memset(sent, (int)(put % 251), size);
			if (put - next == SLOTS) {
				assert_false(shm__ring_put(&out, sent, size));
				break;
			}
			assert_true(shm__ring_put(&out, sent, size));
			put++;
		}
		for (unsigned n = (i * 7) % (SLOTS + 1); n && next < put; n--, next++) {
			size_t size = shm__ring_take(&in, record);

			assert_int_equal(size, 1 + next * 37 % SHM__RECORD_MAX);
			for (size_t j = 0; j < size; j++)
				assert_int_equal(record[j], next % 251);
		}
	}
	while (next++ < put)
		assert_true(shm__ring_take(&in, record) > 0);
	assert_int_equal(shm__ring_take(&in, record), 0);
	assert_false(in.broken || out.broken);
}

static void sizes_that_no_record_has_are_refused(void **state)
{
	(void)state;
	begin();
	assert_false(shm__ring_put(&out, record, 0));
	assert_false(shm__ring_put(&out, record, SHM__RECORD_MAX + 1));
	assert_true(shm__ring_put(&out, record, SHM__RECORD_MAX));
	write_word(SHM__RING_HEADER, SHM__RECORD_MAX + 1);
	assert_int_equal(shm__ring_take(&in, record), 0);
	assert_true(in.broken);
	begin();
	assert_true(shm__ring_put(&out, record, 8));
	write_word(SHM__RING_HEADER, 0);
	assert_int_equal(shm__ring_take(&in, record), 0);
	assert_true(in.broken);
	/* it stays so */
	write_word(SHM__RING_HEADER, 8);
	assert_int_equal(shm__ring_take(&in, record), 0);
}

static void places_that_cant_be_break_the_ring(void **state)
{
	static const uint32_t bad[] = { SLOTS + 1, 1000, 0x80000000u };

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(bad); i++) {
		begin();
		for (size_t j = 0; j < SLOTS; j++)
			write_word(SHM__RING_HEADER + j * SHM__RING_SLOT, 8);
		write_word(64, bad[i]);
		assert_int_equal(shm__ring_take(&in, record), 0);
		assert_true(in.broken);
		begin();
		write_word(128, bad[i]);
		assert_false(shm__ring_put(&out, record, 8));
		assert_true(out.broken);
		assert_false(shm__ring_put(&out, record, 8));
	}
}

/* One's own place is never read back: the other side can't move it. */
static void nobody_moves_ones_own_place(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 10; i++) {
		record[0] = (uint8_t)i;
		assert_true(shm__ring_put(&out, record, 1 + i));
		write_word(128, i ^ 0x5a5a);
		assert_int_equal(shm__ring_take(&in, record), 1 + i);
		assert_int_equal(record[0], i);
	}
}

static void counts_wrap_around(void **state)
{
	(void)state;
	begin();
	write_word(64, 0xfffffffeu);
	write_word(128, 0xfffffffeu);
	in.mine = out.mine = 0xfffffffeu;
	for (unsigned i = 0; i < 10; i++) {
		assert_true(shm__ring_put(&out, record, 5 + i));
		assert_int_equal(shm__ring_take(&in, record), 5 + i);
	}
}

/* An end whose owner was killed, or whose processor was restarted. */
static void who_comes_next_goes_on_where_one_stopped(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 3 * SLOTS; i++) {
		record[0] = (uint8_t)i;
		assert_true(shm__ring_put(&out, record, 1));
		assert_true(shm__ring_open(&out, SHM__RING_PUTS, memory, sizeof(memory)));
		record[0] = (uint8_t)(i + 100);
		assert_true(shm__ring_put(&out, record, 1));
		assert_int_equal(shm__ring_take(&in, record), 1);
		assert_int_equal(record[0], i);
		assert_true(shm__ring_open(&in, SHM__RING_TAKES, memory, sizeof(memory)));
		assert_int_equal(shm__ring_take(&in, record), 1);
		assert_int_equal(record[0], i + 100);
		assert_int_equal(shm__ring_take(&in, record), 0);
	}
}

static void broken_ring_is_refused(void **state)
{
	struct shm__ring_end end;

	(void)state;
	begin();
	write_word(64, SLOTS);
	assert_true(shm__ring_open(&end, SHM__RING_TAKES, memory, sizeof(memory)));
	write_word(64, SLOTS + 1);
	assert_false(shm__ring_open(&end, SHM__RING_TAKES, memory, sizeof(memory)));
	write_word(64, 0);
	write_word(128, 1);
	assert_false(shm__ring_open(&end, SHM__RING_PUTS, memory, sizeof(memory)));
}

/* An end that began with what somebody left there, before it was made anew. */
static void ends_follow_a_ring_that_is_made_anew(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 3; i++) {
		assert_true(shm__ring_put(&out, record, 1));
		assert_int_equal(shm__ring_take(&in, record), 1);
	}
	assert_true(shm__ring_put(&out, record, 1));
	write_word(0, 0);
	assert_int_equal(shm__ring_take(&in, record), 0);
	assert_false(shm__ring_put(&out, record, 1));
	assert_true(shm__ring_format(memory, sizeof(memory), SLOTS / 2, 2));
	assert_int_equal(shm__ring_take(&in, record), 0);
	for (unsigned i = 1; i <= SLOTS / 2; i++)
		assert_true(shm__ring_put(&out, record, i));
	assert_false(shm__ring_put(&out, record, 1));
	for (unsigned i = 1; i <= SLOTS / 2; i++)
		assert_int_equal(shm__ring_take(&in, record), i);
	write_word(64, 1000);
	assert_int_equal(shm__ring_take(&in, record), 0);
	assert_true(in.broken);
	assert_true(shm__ring_format(memory, sizeof(memory), SLOTS, 3));
	assert_true(shm__ring_put(&out, record, 9));
	assert_int_equal(shm__ring_take(&in, record), 9);
}

static void memory_without_a_ring_is_refused(void **state)
{
	struct shm__ring_end end;

	(void)state;
	begin();
	assert_false(shm__ring_format(memory, sizeof(memory), 3, 1));
	assert_false(shm__ring_format(memory, sizeof(memory), 0, 1));
	assert_false(shm__ring_format(memory, sizeof(memory) - 1, SLOTS, 1));
	assert_false(shm__ring_format(memory + 8, sizeof(memory) - 8, 1, 1));
	assert_false(shm__ring_format(memory, sizeof(memory), 2 * SHM__RING_SLOTS_MAX, 1));
	assert_int_equal(shm__ring_size(2 * SHM__RING_SLOTS_MAX), 0);
	assert_int_equal(shm__ring_size(SLOTS), sizeof(memory));
	assert_false(shm__ring_open(&end, SHM__RING_PUTS, memory, sizeof(memory) - 1));
	assert_false(shm__ring_open(&end, SHM__RING_PUTS, memory, SHM__RING_HEADER - 1));
	write_word(4, 2 * SLOTS);
	assert_false(shm__ring_open(&end, SHM__RING_PUTS, memory, sizeof(memory)));
	write_word(4, 3);
	assert_false(shm__ring_open(&end, SHM__RING_PUTS, memory, sizeof(memory)));
	write_word(4, SLOTS);
	assert_true(shm__ring_open(&end, SHM__RING_PUTS, memory, sizeof(memory)));
	write_word(0, 1);
	assert_false(shm__ring_open(&end, SHM__RING_PUTS, memory, sizeof(memory)));
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_in_order_and_whole),
		cmocka_unit_test(sizes_that_no_record_has_are_refused),
		cmocka_unit_test(places_that_cant_be_break_the_ring),
		cmocka_unit_test(nobody_moves_ones_own_place),
		cmocka_unit_test(counts_wrap_around),
		cmocka_unit_test(who_comes_next_goes_on_where_one_stopped),
		cmocka_unit_test(broken_ring_is_refused),
		cmocka_unit_test(ends_follow_a_ring_that_is_made_anew),
		cmocka_unit_test(memory_without_a_ring_is_refused),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
