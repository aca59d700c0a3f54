/* SPDX-License-Identifier: BSD-3-Clause */
/* What an end that lies says of memory and of who has it. */
#include "protocol_liar.h"

static void ids_that_nothing_is_shared_by_are_unknown(void **state)
{
	static const uint32_t ids[] = { 2, PAIR_SHARES, PAIR_SHARES + 1, UINT32_MAX };
	uint32_t id = pair_share(&pair, 8192, 3);

	(void)state;
	assert_int_equal(id, 1);
	for (size_t i = 0; i < 4; i++) {
		struct shm__record give = range_of(SHM__RECORD_GIVE, ids[i], 0, 1);
		struct shm__record recall = range_of(SHM__RECORD_RECALL, ids[i], 0, 1);
		struct shm__record back = range_of(SHM__RECORD_RETURN, ids[i], 0, 1);
		struct shm__record unshare = { .type = SHM__RECORD_UNSHARE,
					       .unshare = { ids[i], 1 } };
		struct shm__record unshared = { .type = SHM__RECORD_UNSHARED,
						.unshare = { ids[i], 1 } };

		refused(&give, SHM__CODE_UNKNOWN);
		refused(&recall, SHM__CODE_UNKNOWN);
		refused(&back, SHM__CODE_UNKNOWN);
		refused(&unshare, SHM__CODE_UNKNOWN);
		refused(&unshared, SHM__CODE_UNKNOWN);
	}
}

static void generations_that_are_over_are_stale(void **state)
{
	uint32_t id = pair_share(&pair, 8192, 3);
	static const uint32_t generations[] = { 2, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct shm__record give = range_of(SHM__RECORD_GIVE, id, 0, 1);
		struct shm__record unshare = { .type = SHM__RECORD_UNSHARE,
					       .unshare = { id, generations[i] } };

		give.range.generation = generations[i];
		refused(&give, SHM__CODE_STALE);
		refused(&unshare, SHM__CODE_STALE);
	}
}

static void an_id_is_shared_again_only_in_a_later_generation(void **state)
{
	struct shm__record again = {
		.type = SHM__RECORD_SHARE,
		.share = { .id = pair_share(&pair, 4096, 3),
			   .generation = 1,
			   .size = 4096,
			   .dir = 3,
			   .segments = 1,
			   .segment[0] = { 0, 4096 } },
	};
	struct shm__out out;

	(void)state;
	refused(&again, SHM__CODE_STALE);
	again.share.generation = 2;
	refused(&again, SHM__CODE_HELD);
	assert_int_equal(shm__session_unshared(&pair.b.s, again.share.id, &out), SHM__CODE_OK);
	again.share.generation = 1;
	refused(&again, SHM__CODE_STALE);
	again.share.generation = UINT32_MAX;
	refused(&again, SHM__CODE_STALE);
	again.share.generation = 2;
	assert_int_equal(pair_forge(&pair, &again), SHM__CODE_OK);
}

static void more_ids_than_there_is_room_for_are_refused(void **state)
{
	struct shm__record more = {
		.type = SHM__RECORD_SHARE,
		.share = { .id = PAIR_SHARES + 1,
			   .generation = 1,
			   .size = 4096,
			   .dir = 3,
			   .segments = 1,
			   .segment[0] = { 0, 4096 } },
	};

	(void)state;
	refused(&more, SHM__CODE_FULL);
	more.share.id = UINT32_MAX;
	refused(&more, SHM__CODE_FULL);
}

static void a_share_answers_only_what_was_asked_for(void **state)
{
	struct shm__record answer = {
		.type = SHM__RECORD_SHARE,
		.share = { .id = 1,
			   .generation = 1,
			   .size = 4096,
			   .tag = 77,
			   .dir = 3,
			   .segments = 1,
			   .segment[0] = { 0, 4096 } },
	};
	struct shm__record refusal = { .type = SHM__RECORD_REFUSE, .refuse = { 77, 1 } };

	(void)state;
	refused(&answer, SHM__CODE_UNKNOWN);
	refused(&refusal, SHM__CODE_UNKNOWN);
}

static void bytes_outside_are_not_given(void **state)
{
	static const struct {
		uint64_t offset, length;
	} ranges[] = {
		{ 8192, 1 }, { 0, 8193 }, { 8191, 2 }, { UINT64_MAX - 1, 1 }, { 1, UINT64_MAX - 1 },
	};
	uint32_t id = pair_share(&pair, 8192, 3);

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(ranges); i++) {
		struct shm__record give =
			range_of(SHM__RECORD_GIVE, id, ranges[i].offset, ranges[i].length);
		struct shm__record recall =
			range_of(SHM__RECORD_RECALL, id, ranges[i].offset, ranges[i].length);

		refused(&give, SHM__CODE_RANGE);
		refused(&recall, SHM__CODE_RANGE);
	}
}

static void what_was_shared_for_reading_is_not_given_for_writing(void **state)
{
	struct shm__record give = range_of(SHM__RECORD_GIVE, pair_share(&pair, 8192, 1), 0, 1);

	(void)state;
	refused(&give, SHM__CODE_DIRECTION);
}

static void bytes_that_are_held_are_not_given_again(void **state)
{
	uint32_t id = pair_share(&pair, 8192, 3);
	struct shm__record give = range_of(SHM__RECORD_GIVE, id, 4095, 2);

	(void)state;
	pair_give(&pair, id, 0, 4096, 1);
	refused(&give, SHM__CODE_HELD);
	give.range.offset = 4096;
	assert_int_equal(pair_forge(&pair, &give), SHM__CODE_OK);
}

static void more_gives_than_there_is_room_for_are_refused(void **state)
{
	uint32_t id = pair_share(&pair, 8192, 3);
	struct shm__record give;

	(void)state;
	for (unsigned i = 0; i < PAIR_GIVES; i++) {
		give = range_of(SHM__RECORD_GIVE, id, i, 1);
		assert_int_equal(pair_forge(&pair, &give), SHM__CODE_OK);
		pair_step(&pair.a, &pair.b);
	}
	give = range_of(SHM__RECORD_GIVE, id, PAIR_GIVES, 1);
	refused(&give, SHM__CODE_FULL);
}

static void what_is_not_held_is_not_returned(void **state)
{
	struct shm__wire_share page = {
		.size = 4096, .dir = 3, .segments = 1, .segment[0] = { 0, 4096 }
	};
	struct shm__record back = range_of(SHM__RECORD_RETURN, 1, 0, 4096);
	struct shm__out out;
	uint32_t id;

	(void)state;
	pair_said(&pair.a, shm__session_share(&pair.b.s, &page, NULL, &id, &out), &out);
	pair_step(&pair.a, &pair.b);
	refused(&back, SHM__CODE_NOT_HELD);
	pair_said(&pair.a, shm__session_give(&pair.b.s, id, 0, 2048, 3, &out), &out);
	pair_step(&pair.a, &pair.b);
	refused(&back, SHM__CODE_NOT_HELD);
	back.range.length = 2048;
	back.range.generation = 2;
	refused(&back, SHM__CODE_STALE);
	back.range.generation = 1;
	assert_int_equal(pair_forge(&pair, &back), SHM__CODE_OK);
	assert_int_equal(pair.b.event.kind, SHM__EVENT_RETURNED);
	refused(&back, SHM__CODE_NOT_HELD);
}

static void what_is_unshared_is_unshared_once(void **state)
{
	struct shm__wire_share page = {
		.size = 4096, .dir = 3, .segments = 1, .segment[0] = { 0, 4096 }
	};
	struct shm__record unshared = { .type = SHM__RECORD_UNSHARED, .unshare = { 1, 1 } };
	struct shm__record unshare = { .type = SHM__RECORD_UNSHARE, .unshare = { 1, 1 } };
	struct shm__record back = range_of(SHM__RECORD_RETURN, 1, 0, 4096);
	struct shm__record give = range_of(SHM__RECORD_GIVE, 1, 0, 4096);
	struct shm__out out;
	uint32_t id;

	(void)state;
	pair_said(&pair.a, shm__session_share(&pair.b.s, &page, NULL, &id, &out), &out);
	pair_step(&pair.a, &pair.b);
	assert_int_equal(pair_forge(&pair, &unshared), SHM__CODE_OK);
	refused(&unshared, SHM__CODE_UNKNOWN);
	refused(&back, SHM__CODE_UNKNOWN);
	assert_int_equal(pair_share(&pair, 4096, 3), 1);
	assert_int_equal(pair_forge(&pair, &unshare), SHM__CODE_OK);
	refused(&unshare, SHM__CODE_UNKNOWN);
	refused(&give, SHM__CODE_UNKNOWN);
}

static void requests_beyond_eight_and_twice_are_refused(void **state)
{
	struct shm__record request = { .type = SHM__RECORD_REQUEST,
				       .request = { .size = 1, .tag = 1 } };

	(void)state;
	assert_int_equal(pair_forge(&pair, &request), SHM__CODE_OK);
	refused(&request, SHM__CODE_HELD);
	while (request.request.tag < SHM__SESSION_REQUESTS) {
		request.request.tag++;
		assert_int_equal(pair_forge(&pair, &request), SHM__CODE_OK);
		pair_settle(&pair);
	}
	request.request.tag++;
	refused(&request, SHM__CODE_FULL);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup(name, set_up)
	static const struct CMUnitTest tests[] = {
		CASE(ids_that_nothing_is_shared_by_are_unknown),
		CASE(generations_that_are_over_are_stale),
		CASE(an_id_is_shared_again_only_in_a_later_generation),
		CASE(more_ids_than_there_is_room_for_are_refused),
		CASE(a_share_answers_only_what_was_asked_for),
		CASE(bytes_outside_are_not_given),
		CASE(what_was_shared_for_reading_is_not_given_for_writing),
		CASE(bytes_that_are_held_are_not_given_again),
		CASE(more_gives_than_there_is_room_for_are_refused),
		CASE(what_is_not_held_is_not_returned),
		CASE(what_is_unshared_is_unshared_once),
		CASE(requests_beyond_eight_and_twice_are_refused),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
