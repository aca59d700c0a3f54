/* SPDX-License-Identifier: BSD-3-Clause */
/* Two ends that behave: sharing, giving, returning, ending. */
#include "protocol_pair.h"

static struct pair pair;

static int set_up(void **state)
{
	(void)state;
	pair_up(&pair);
	return 0;
}

static void bytes_go_and_come_back(void **state)
{
	struct shm__out out;
	uint32_t id = pair_share(&pair, 8192, 3);

	(void)state;
	assert_int_equal(shm__session_give(&pair.a.s, id, 0, 4096, 3, &out), SHM__CODE_OK);
	pair_post(&pair.b, &out);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_GIVEN);
	assert_int_equal(pair.b.event.record.range.length, 4096);
	assert_int_equal(shm__session_return(&pair.b.s, id, 0, 4096, SHM__CODE_OK, &out),
			 SHM__CODE_OK);
	pair_post(&pair.a, &out);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_RETURNED);
	assert_int_equal(pair.a.event.code, SHM__CODE_OK);
	assert_int_equal(pair.a.s.mine.given, 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(bytes_go_and_come_back, set_up),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
