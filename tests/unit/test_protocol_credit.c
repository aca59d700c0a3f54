/* SPDX-License-Identifier: BSD-3-Clause */
/* How much either end may say ahead. */
#include "protocol_pair.h"

static struct pair pair;

static int set_up(void **state)
{
	(void)state;
	pair_up(&pair);
	return 0;
}

static void no_more_is_sent_than_the_other_end_takes(void **state)
{
	struct shm__out out;
	unsigned sent = 0;

	(void)state;
	while (shm__session_send(&pair.a.s, "x", 1, &out) == SHM__CODE_OK) {
		pair_post(&pair.b, &out);
		sent++;
	}
	assert_int_equal(sent, PAIR_WINDOW);
	assert_int_equal(shm__session_send(&pair.a.s, "x", 1, &out), SHM__CODE_AGAIN);
	assert_int_equal(out.size, 0);
	/* half of it read, and there is room for half */
	for (unsigned i = 0; i < PAIR_WINDOW / 2; i++)
		assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_USER);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_NONE);
	for (unsigned i = 0; i < PAIR_WINDOW / 2; i++)
		pair_said(&pair.b, shm__session_send(&pair.a.s, "x", 1, &out), &out);
	assert_int_equal(shm__session_send(&pair.a.s, "x", 1, &out), SHM__CODE_AGAIN);
}

static void what_the_caller_keeps_is_not_granted_again(void **state)
{
	struct shm__out out;

	(void)state;
	for (unsigned i = 0; i < PAIR_WINDOW; i++) {
		pair_said(&pair.b, shm__session_send(&pair.a.s, "x", 1, &out), &out);
		assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_USER);
		pair.b.s.unread++;
	}
	pair_settle(&pair);
	/* the one that came last was not known to be kept when the limit was told */
	if (shm__session_send(&pair.a.s, "x", 1, &out) == SHM__CODE_OK) {
		pair_post(&pair.b, &out);
		assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_USER);
		pair.b.s.unread++;
	}
	assert_int_equal(shm__session_send(&pair.a.s, "x", 1, &out), SHM__CODE_AGAIN);
	/* nothing is taken back: what was granted stays */
	assert_int_equal(pair.b.s.faults, 0);
	pair.b.s.unread = 0;
	shm__session_credit(&pair.b.s, &out);
	assert_int_not_equal(out.size, 0);
	pair_post(&pair.a, &out);
	pair_settle(&pair);
	for (unsigned i = 0; i < PAIR_WINDOW; i++)
		assert_int_equal(shm__session_send(&pair.a.s, "x", 1, &out), SHM__CODE_OK);
	assert_int_equal(shm__session_send(&pair.a.s, "x", 1, &out), SHM__CODE_AGAIN);
}

static void a_window_of_one_record_is_enough(void **state)
{
	struct shm__out out;

	(void)state;
	pair_init_end(&pair.a, 1, 1);
	pair_init_end(&pair.b, 2, 1);
	shm__session_begin(&pair.a.s, 0xa1, &out);
	pair_post(&pair.b, &out);
	pair_settle(&pair);
	/* over the place where numbers begin again */
	pair.a.s.sent = pair.b.s.received = UINT32_MAX - 3;
	pair.a.s.may_send = pair.b.s.granted = UINT32_MAX - 2;
	for (unsigned i = 0; i < 8; i++) {
		pair_said(&pair.b, shm__session_send(&pair.a.s, "x", 1, &out), &out);
		assert_int_equal(shm__session_send(&pair.a.s, "x", 1, &out), SHM__CODE_AGAIN);
		assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_USER);
		pair_settle(&pair);
	}
	assert_int_equal(pair.a.s.sent, 5);
	assert_int_equal(pair.b.s.faults, 0);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup(name, set_up)
	static const struct CMUnitTest tests[] = {
		CASE(no_more_is_sent_than_the_other_end_takes),
		CASE(what_the_caller_keeps_is_not_granted_again),
		CASE(a_window_of_one_record_is_enough),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
