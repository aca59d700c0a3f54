/* SPDX-License-Identifier: BSD-3-Clause */
/* Two ends that behave: beginning, sharing, giving, returning, asking, ending. */
#include "protocol_pair.h"

static struct pair pair;

static int set_up(void **state)
{
	(void)state;
	pair_up(&pair);
	return 0;
}

static const struct shm__wire_share page = {
	.size = 4096,
	.dir = 3,
	.segments = 1,
	.segment[0] = { 0x1000, 4096 },
};

static void both_ends_may_begin_at_once(void **state)
{
	struct shm__out out;

	(void)state;
	pair_init_end(&pair.a, 1, PAIR_WINDOW);
	pair_init_end(&pair.b, 2, PAIR_WINDOW);
	shm__session_begin(&pair.a.s, 0xa1, &out);
	pair_post(&pair.b, &out);
	shm__session_begin(&pair.b.s, 0xb1, &out);
	pair_post(&pair.a, &out);
	pair_settle(&pair);
	assert_true(pair.a.s.up && pair.b.s.up);
	assert_int_equal(pair.a.s.other, 0xb1);
	assert_int_equal(pair.b.s.other, 0xa1);
	assert_int_equal(pair.a.s.faults + pair.b.s.faults, 0);
	pair_give(&pair, pair_share(&pair, 4096, 3), 0, 4096, 1);
}

static void an_end_that_nobody_heard_begins_when_the_other_does(void **state)
{
	struct shm__out lost;

	(void)state;
	pair_init_end(&pair.a, 1, PAIR_WINDOW);
	pair_init_end(&pair.b, 2, PAIR_WINDOW);
	shm__session_begin(&pair.a.s, 0xa1, &lost);
	shm__session_begin(&pair.b.s, 0xb1, &lost);
	pair_post(&pair.a, &lost);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_UP);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_UP);
	pair_settle(&pair);
	assert_true(pair.a.s.up && pair.b.s.up);
}

static void nothing_is_said_before_the_other_end_answers(void **state)
{
	struct shm__out out;
	uint32_t id;

	(void)state;
	pair_init_end(&pair.a, 1, PAIR_WINDOW);
	shm__session_begin(&pair.a.s, 0xa1, &out);
	assert_int_equal(shm__session_share(&pair.a.s, &page, NULL, &id, &out), SHM__CODE_DOWN);
	assert_int_equal(out.size, 0);
	assert_int_equal(shm__session_send(&pair.a.s, "x", 1, &out), SHM__CODE_DOWN);
}

static void bytes_go_and_come_back(void **state)
{
	struct shm__out out;
	uint32_t id = pair_share(&pair, 8192, 3);

	(void)state;
	pair_give(&pair, id, 0, 4096, 3);
	assert_int_equal(pair.b.event.record.range.length, 4096);
	pair_said(&pair.a, shm__session_return(&pair.b.s, id, 0, 4096, SHM__CODE_OK, &out), &out);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_RETURNED);
	assert_int_equal(pair.a.event.code, SHM__CODE_OK);
	assert_int_equal(pair.a.s.mine.given, 0);
	assert_int_equal(pair.b.s.theirs.given, 0);
}

static void a_failure_comes_back_with_its_bytes(void **state)
{
	struct shm__out out;
	uint32_t id = pair_share(&pair, 8192, 3);

	(void)state;
	pair_give(&pair, id, 4096, 4096, 2);
	pair_said(&pair.a, shm__session_return(&pair.b.s, id, 4096, 4096, SHM__CODE_FAILED, &out),
		  &out);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_RETURNED);
	assert_int_equal(pair.a.event.code, SHM__CODE_FAILED);
	assert_int_equal(pair.a.event.record.range.offset, 4096);
}

static void what_the_caller_keeps_with_a_share_comes_with_its_events(void **state)
{
	struct shm__out out;
	uint32_t id;
	int mine, theirs;

	(void)state;
	pair_said(&pair.b, shm__session_share(&pair.a.s, &page, &mine, &id, &out), &out);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_SHARED);
	pair.b.event.share->user = &theirs;
	pair_give(&pair, id, 0, 4096, 3);
	assert_ptr_equal(pair.b.event.share->user, &theirs);
	pair_said(&pair.a, shm__session_return(&pair.b.s, id, 0, 4096, 0, &out), &out);
	pair_step(&pair.a, &pair.b);
	assert_ptr_equal(pair.a.event.share->user, &mine);
}

static void readers_may_have_the_same_bytes_twice_and_writers_not(void **state)
{
	struct shm__out out;
	uint32_t id = pair_share(&pair, 8192, 3);

	(void)state;
	pair_give(&pair, id, 0, 4096, 1);
	pair_give(&pair, id, 0, 8192, 1);
	assert_int_equal(shm__session_give(&pair.a.s, id, 4095, 1, 2, &out), SHM__CODE_HELD);
	assert_int_equal(out.size, 0);
	pair_said(&pair.a, shm__session_return(&pair.b.s, id, 0, 4096, 0, &out), &out);
	pair_settle(&pair);
	assert_int_equal(shm__session_give(&pair.a.s, id, 0, 1, 2, &out), SHM__CODE_HELD);
	pair_said(&pair.a, shm__session_return(&pair.b.s, id, 0, 8192, 0, &out), &out);
	pair_settle(&pair);
	pair_give(&pair, id, 0, 1, 2);
	pair_give(&pair, id, 1, 8191, 2);
}

static void what_is_returned_is_exactly_what_was_given(void **state)
{
	struct shm__out out;
	uint32_t id = pair_share(&pair, 8192, 3);

	(void)state;
	pair_give(&pair, id, 0, 4096, 3);
	assert_int_equal(shm__session_return(&pair.b.s, id, 0, 4095, 0, &out), SHM__CODE_NOT_HELD);
	assert_int_equal(shm__session_return(&pair.b.s, id, 1, 4095, 0, &out), SHM__CODE_NOT_HELD);
	assert_int_equal(shm__session_return(&pair.b.s, id, 0, 4096, 0, &out), SHM__CODE_OK);
	assert_int_equal(shm__session_return(&pair.b.s, id, 0, 4096, 0, &out), SHM__CODE_NOT_HELD);
}

static void no_more_is_given_than_was_shared(void **state)
{
	struct shm__out out;
	uint32_t id = pair_share(&pair, 8192, 1);

	(void)state;
	assert_int_equal(shm__session_give(&pair.a.s, id, 0, 8193, 1, &out), SHM__CODE_RANGE);
	assert_int_equal(shm__session_give(&pair.a.s, id, 8192, 1, 1, &out), SHM__CODE_RANGE);
	assert_int_equal(shm__session_give(&pair.a.s, id, 0, 0, 1, &out), SHM__CODE_RANGE);
	assert_int_equal(shm__session_give(&pair.a.s, id, 1, UINT64_MAX, 1, &out), SHM__CODE_RANGE);
	assert_int_equal(shm__session_give(&pair.a.s, id, 0, 8192, 2, &out), SHM__CODE_DIRECTION);
	assert_int_equal(shm__session_give(&pair.a.s, id, 0, 8192, 0, &out), SHM__CODE_DIRECTION);
	assert_int_equal(shm__session_give(&pair.a.s, id + 1, 0, 1, 1, &out), SHM__CODE_UNKNOWN);
	assert_int_equal(shm__session_give(&pair.a.s, 0, 0, 1, 1, &out), SHM__CODE_UNKNOWN);
	assert_int_equal(shm__session_give(&pair.a.s, UINT32_MAX, 0, 1, 1, &out),
			 SHM__CODE_UNKNOWN);
}

static void unshare_ends_when_the_other_end_says_so(void **state)
{
	struct shm__out out;
	uint32_t id = pair_share(&pair, 8192, 3);

	(void)state;
	pair_give(&pair, id, 0, 4096, 3);
	pair_said(&pair.b, shm__session_unshare(&pair.a.s, id, &out), &out);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_UNSHARE);
	assert_int_equal(shm__session_give(&pair.a.s, id, 4096, 4096, 3, &out), SHM__CODE_UNKNOWN);
	assert_int_equal(shm__session_unshare(&pair.a.s, id, &out), SHM__CODE_UNKNOWN);
	/* what it has it may still return */
	pair_said(&pair.a, shm__session_return(&pair.b.s, id, 0, 4096, 0, &out), &out);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_RETURNED);
	pair_said(&pair.a, shm__session_unshared(&pair.b.s, id, &out), &out);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_UNSHARED);
	assert_int_equal(pair.a.event.returned, 0);
	assert_int_equal(pair.b.s.faults, 0);
}

static void whoever_uses_it_no_more_says_so_unasked(void **state)
{
	struct shm__out out;
	uint32_t id = pair_share(&pair, 8192, 3);

	(void)state;
	pair_give(&pair, id, 0, 4096, 3);
	pair_give(&pair, id, 4096, 4096, 3);
	pair_said(&pair.a, shm__session_unshared(&pair.b.s, id, &out), &out);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_UNSHARED);
	assert_int_equal(pair.a.event.returned, 2);
	assert_int_equal(pair.a.s.mine.given, 0);
	assert_int_equal(pair.b.s.theirs.given, 0);
}

static void what_crosses_the_end_of_a_share_is_no_fault(void **state)
{
	struct shm__out out;
	uint32_t id = pair_share(&pair, 8192, 3);

	(void)state;
	pair_said(&pair.a, shm__session_unshared(&pair.b.s, id, &out), &out);
	pair_said(&pair.b, shm__session_give(&pair.a.s, id, 0, 4096, 3, &out), &out);
	pair_said(&pair.b, shm__session_recall(&pair.a.s, id, 0, 4096, &out), &out);
	pair_said(&pair.b, shm__session_unshare(&pair.a.s, id, &out), &out);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_NONE);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_NONE);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_NONE);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_UNSHARED);
	assert_int_equal(pair.a.event.returned, 1);
	pair_settle(&pair);
	assert_int_equal(pair.a.s.faults + pair.b.s.faults, 0);
	assert_int_equal(pair.a.s.refusals + pair.b.s.refusals, 0);
}

static void ids_come_again_in_another_generation(void **state)
{
	struct shm__out out;
	uint32_t id[PAIR_SHARES + 1];

	(void)state;
	for (unsigned i = 0; i < PAIR_SHARES; i++)
		id[i] = pair_share(&pair, 4096, 3);
	assert_int_equal(shm__session_share(&pair.a.s, &page, NULL, &id[PAIR_SHARES], &out),
			 SHM__CODE_FULL);
	pair_said(&pair.a, shm__session_unshared(&pair.b.s, id[2], &out), &out);
	pair_settle(&pair);
	assert_int_equal(pair_share(&pair, 4096, 3), id[2]);
	assert_int_equal(pair.a.s.mine.shares[id[2] - 1].generation, 2);
	assert_int_equal(pair.a.s.mine.shares[id[0] - 1].generation, 1);
}

static void a_share_may_be_refused_and_its_gives_with_it(void **state)
{
	struct shm__out out, refusal;
	uint32_t id;

	(void)state;
	pair_said(&pair.b, shm__session_share(&pair.a.s, &page, NULL, &id, &out), &out);
	pair_said(&pair.b, shm__session_give(&pair.a.s, id, 0, 4096, 3, &out), &out);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_SHARED);
	shm__session_reject(&pair.b.s, &pair.b.event, SHM__CODE_MEMORY, &refusal);
	pair_post(&pair.a, &refusal);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_NONE);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_UNSHARED);
	assert_int_equal(pair.a.event.code, SHM__CODE_MEMORY);
	assert_int_equal(pair.a.event.returned, 1);
	assert_int_equal(pair.b.s.faults, 1);
	assert_int_equal(pair.a.s.refusals, 1);
	pair_share(&pair, 4096, 3);
}

static void a_give_may_be_refused(void **state)
{
	struct shm__out out;
	uint32_t id = pair_share(&pair, 8192, 3);

	(void)state;
	pair_give(&pair, id, 0, 4096, 1);
	pair_give(&pair, id, 4096, 4096, 1);
	shm__session_reject(&pair.b.s, &pair.b.event, SHM__CODE_REFUSED, &out);
	pair_post(&pair.a, &out);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_RETURNED);
	assert_int_equal(pair.a.event.code, SHM__CODE_REFUSED);
	assert_int_equal(pair.a.event.record.range.offset, 4096);
	assert_int_equal(pair.a.s.mine.given, 1);
	assert_int_equal(pair.b.s.theirs.given, 1);
}

static void bytes_are_asked_for_only_from_whoever_has_them(void **state)
{
	struct shm__out out, back;
	uint32_t id = pair_share(&pair, 8192, 3);

	(void)state;
	assert_int_equal(shm__session_recall(&pair.a.s, id, 0, 4096, &out), SHM__CODE_NOT_HELD);
	pair_give(&pair, id, 0, 4096, 3);
	assert_int_equal(shm__session_recall(&pair.a.s, id, 4096, 1, &out), SHM__CODE_NOT_HELD);
	pair_said(&pair.b, shm__session_recall(&pair.a.s, id, 4095, 2, &out), &out);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_RECALLED);
	pair_said(&pair.b, shm__session_recall(&pair.a.s, id, 0, 4096, &out), &out);
	pair_said(&pair.a, shm__session_return(&pair.b.s, id, 0, 4096, 0, &back), &back);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_NONE);
	assert_int_equal(pair.b.s.faults, 0);
}

static void a_request_is_met_by_a_share_with_its_tag(void **state)
{
	struct shm__wire_share what = page;
	struct shm__out out;
	uint32_t tag, id;

	(void)state;
	pair_said(&pair.a, shm__session_request(&pair.b.s, 4096, 1, &tag, &out), &out);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_REQUESTED);
	what.tag = pair.a.event.record.request.tag;
	assert_int_equal(what.tag, tag);
	pair_said(&pair.b, shm__session_share(&pair.a.s, &what, NULL, &id, &out), &out);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_SHARED);
	assert_int_equal(pair.b.event.record.share.tag, tag);
	/* once */
	assert_int_equal(shm__session_share(&pair.a.s, &what, NULL, &id, &out), SHM__CODE_UNKNOWN);
	assert_int_equal(shm__session_refuse(&pair.a.s, tag, SHM__CODE_NO_MEMORY, &out),
			 SHM__CODE_UNKNOWN);
}

static void a_request_may_be_refused(void **state)
{
	struct shm__out out;
	uint32_t tag;

	(void)state;
	pair_said(&pair.a, shm__session_request(&pair.b.s, 1ull << 40, 0, &tag, &out), &out);
	pair_step(&pair.a, &pair.b);
	pair_said(&pair.b, shm__session_refuse(&pair.a.s, tag, SHM__CODE_NO_MEMORY, &out), &out);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_REFUSED);
	assert_int_equal(pair.b.event.code, SHM__CODE_NO_MEMORY);
	assert_int_equal(pair.b.event.record.refuse.tag, tag);
}

static void eight_requests_wait_at_a_time(void **state)
{
	struct shm__out out;
	uint32_t tag;

	(void)state;
	for (unsigned i = 0; i < SHM__SESSION_REQUESTS; i++) {
		pair_said(&pair.a, shm__session_request(&pair.b.s, 1, 0, &tag, &out), &out);
		assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_REQUESTED);
		pair_step(&pair.b, &pair.a);
	}
	assert_int_equal(shm__session_request(&pair.b.s, 1, 0, &tag, &out), SHM__CODE_FULL);
}

static void messages_come_as_they_were_sent(void **state)
{
	struct shm__out out;

	(void)state;
	pair_said(&pair.b, shm__session_send(&pair.a.s, "frame 7", 7, &out), &out);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_USER);
	assert_int_equal(pair.b.event.record.user.length, 7);
	assert_int_equal(shm__session_send(&pair.a.s, "", 0, &out), SHM__CODE_INVALID);
	assert_int_equal(shm__session_send(&pair.a.s, "", SHM__USER_MAX + 1, &out),
			 SHM__CODE_INVALID);
}

static void a_restart_voids_what_was_before(void **state)
{
	struct shm__out out;
	uint32_t id = pair_share(&pair, 8192, 3), tag;

	(void)state;
	pair_give(&pair, id, 0, 4096, 3);
	pair_said(&pair.a, shm__session_request(&pair.b.s, 1, 0, &tag, &out), &out);
	pair_said(&pair.b, shm__session_send(&pair.a.s, "late", 4, &out), &out);
	shm__session_begin(&pair.b.s, 0xb2, &out);
	pair_post(&pair.a, &out);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_REQUESTED);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_UP);
	assert_int_equal(pair.a.s.mine.given, 0);
	assert_int_equal(shm__session_give(&pair.a.s, id, 0, 1, 1, &out), SHM__CODE_UNKNOWN);
	assert_int_equal(shm__session_refuse(&pair.a.s, tag, 1, &out), SHM__CODE_UNKNOWN);
	/* what was sent to the one before is nobody's */
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_NONE);
	assert_int_equal(pair.b.s.stale, 1);
	assert_int_equal(pair_step(&pair.b, &pair.a), SHM__EVENT_UP);
	pair_share(&pair, 4096, 3);
	assert_int_equal(pair.b.s.faults, 0);
}

static void an_end_without_room_takes_no_shares(void **state)
{
	struct shm__out out;
	uint32_t id;

	(void)state;
	pair.a.s.their_shares = 0;
	assert_int_equal(shm__session_share(&pair.a.s, &page, NULL, &id, &out), SHM__CODE_FULL);
	pair.a.s.their_shares = 1;
	id = pair_share(&pair, 4096, 3);
	pair.a.s.their_gives = 1;
	pair_give(&pair, id, 0, 1, 1);
	assert_int_equal(shm__session_give(&pair.a.s, id, 1, 1, 1, &out), SHM__CODE_FULL);
	assert_int_equal(shm__session_share(&pair.a.s, &page, NULL, &id, &out), SHM__CODE_FULL);
}

static void a_share_that_no_record_can_say_is_refused_here(void **state)
{
	struct shm__wire_share what = page;
	struct shm__out out;
	uint32_t id;

	(void)state;
	what.size = 1;
	assert_int_equal(shm__session_share(&pair.a.s, &what, NULL, &id, &out), SHM__CODE_INVALID);
	assert_int_equal(out.size, 0);
	assert_int_equal(pair_share(&pair, 4096, 3), 1);
	assert_int_equal(pair.b.s.received, 1);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup(name, set_up)
	static const struct CMUnitTest tests[] = {
		CASE(both_ends_may_begin_at_once),
		CASE(an_end_that_nobody_heard_begins_when_the_other_does),
		CASE(nothing_is_said_before_the_other_end_answers),
		CASE(bytes_go_and_come_back),
		CASE(a_failure_comes_back_with_its_bytes),
		CASE(what_the_caller_keeps_with_a_share_comes_with_its_events),
		CASE(readers_may_have_the_same_bytes_twice_and_writers_not),
		CASE(what_is_returned_is_exactly_what_was_given),
		CASE(no_more_is_given_than_was_shared),
		CASE(unshare_ends_when_the_other_end_says_so),
		CASE(whoever_uses_it_no_more_says_so_unasked),
		CASE(what_crosses_the_end_of_a_share_is_no_fault),
		CASE(ids_come_again_in_another_generation),
		CASE(a_share_may_be_refused_and_its_gives_with_it),
		CASE(a_give_may_be_refused),
		CASE(bytes_are_asked_for_only_from_whoever_has_them),
		CASE(a_request_is_met_by_a_share_with_its_tag),
		CASE(a_request_may_be_refused),
		CASE(eight_requests_wait_at_a_time),
		CASE(messages_come_as_they_were_sent),
		CASE(a_restart_voids_what_was_before),
		CASE(an_end_without_room_takes_no_shares),
		CASE(a_share_that_no_record_can_say_is_refused_here),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
