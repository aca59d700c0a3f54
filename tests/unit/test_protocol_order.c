/* SPDX-License-Identifier: BSD-3-Clause */
/* What an end that lies says out of turn: floods, halves, other versions, errors. */
#include "protocol_liar.h"

static void a_flood_beyond_what_was_granted_is_refused(void **state)
{
	struct shm__record user = {
		.type = SHM__RECORD_USER,
		.session = pair.b.s.me,
		.user = { .length = 1, .data = "x" },
	};
	uint32_t faults;
	struct shm__out out;

	(void)state;
	for (unsigned i = 0; i < PAIR_WINDOW / 2; i++) {
		user.number++;
		out.size = shm__record_encode(&user, out.data);
		assert_int_equal(raw(out.data, out.size), SHM__CODE_OK);
	}
	/* one that was said already, one that leaves some out */
	faults = pair.b.s.faults;
	assert_int_equal(raw(out.data, out.size), SHM__CODE_ORDER);
	user.number += 2;
	out.size = shm__record_encode(&user, out.data);
	assert_int_equal(raw(out.data, out.size), SHM__CODE_ORDER);
	/* as if b had not answered since */
	user.number -= 1;
	pair.b.s.granted = pair.b.s.received;
	out.size = shm__record_encode(&user, out.data);
	assert_int_equal(raw(out.data, out.size), SHM__CODE_ORDER);
	assert_int_equal(pair.b.s.faults, faults + 3);
	/* and the next is taken all the same */
	pair.b.s.granted++;
	assert_int_equal(raw(out.data, out.size), SHM__CODE_OK);
}

static void half_messages_are_malformed(void **state)
{
	struct shm__record give = range_of(SHM__RECORD_GIVE, pair_share(&pair, 8192, 3), 0, 1);
	struct end before;
	struct shm__out out;

	(void)state;
	give.session = pair.b.s.me;
	give.number = pair.b.s.received + 1;
	out.size = shm__record_encode(&give, out.data);
	before = without_counters(&pair.b);
	for (size_t size = 0; size < out.size; size++) {
		struct end after;

		assert_int_not_equal(raw(out.data, size), SHM__CODE_OK);
		after = without_counters(&pair.b);
		assert_memory_equal(&before, &after, sizeof(before));
		pair.a.head = pair.a.tail;
	}
}

static void records_of_another_session_are_not_answered(void **state)
{
	struct shm__record user = {
		.type = SHM__RECORD_USER,
		.session = pair.b.s.me + 1,
		.number = pair.b.s.received + 1,
		.user = { .length = 1, .data = "x" },
	};
	struct shm__out out;

	(void)state;
	out.size = shm__record_encode(&user, out.data);
	assert_int_equal(raw(out.data, out.size), SHM__CODE_DOWN);
	assert_int_equal(pair.a.head, pair.a.tail);
	assert_int_equal(pair.b.s.stale, 1);
	assert_int_equal(pair.b.s.faults, 0);
	assert_int_equal(pair.b.s.received, 0);
}

static void unknown_types_are_refused_or_skipped(void **state)
{
	struct shm__record user = {
		.type = SHM__RECORD_USER,
		.session = pair.b.s.me,
		.number = 1,
		.user = { .length = 1, .data = "x" },
	};
	struct shm__out out;

	(void)state;
	out.size = shm__record_encode(&user, out.data);
	out.data[1] = 0x7f;
	assert_int_equal(raw(out.data, out.size), SHM__CODE_TYPE);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_ERROR);
	assert_int_equal(pair.a.event.record.error.type, 0x7f00 | SHM__RECORD_USER);
	out.data[1] = 0xff;
	out.data[8] = 2;
	assert_int_equal(raw(out.data, out.size), SHM__CODE_OK);
	assert_int_equal(pair.b.event.kind, SHM__EVENT_NONE);
	assert_int_equal(pair.b.s.skipped, 1);
}

static enum shm__code hello(uint16_t version, uint16_t oldest)
{
	static const struct shm__record good = {
		.type = SHM__RECORD_HELLO,
		.limit = 4,
		.hello = { .session = 0xa9, .version = 1, .oldest = 1 },
	};
	struct shm__out out;

	out.size = shm__record_encode(&good, out.data);
	out.data[20] = (uint8_t)version;
	out.data[21] = (uint8_t)(version >> 8);
	out.data[22] = (uint8_t)oldest;
	out.data[23] = (uint8_t)(oldest >> 8);
	return raw(out.data, out.size);
}

static void versions_0_and_65535_end_in_words_and_not_in_a_session(void **state)
{
	(void)state;
	pair_init_end(&pair.b, 0xb, PAIR_WINDOW);
	assert_int_equal(hello(0, 0), SHM__CODE_VERSION);
	assert_int_equal(pair.b.event.kind, SHM__EVENT_NO_VERSION);
	assert_false(pair.b.s.up);
	assert_int_equal(hello(65535, 65535), SHM__CODE_VERSION);
	assert_false(pair.b.s.up);
	assert_int_equal(pair.b.s.faults, 2);
	assert_int_equal(pair.a.tail - pair.a.head, 2);
	assert_int_equal(hello(65535, 1), SHM__CODE_OK);
	assert_true(pair.b.s.up);
	assert_int_equal(pair.b.s.version, 1);
}

static void whoever_spoke_another_version_hears_it(void **state)
{
	struct shm__out out;

	(void)state;
	pair_init_end(&pair.a, 1, PAIR_WINDOW);
	pair_init_end(&pair.b, 2, PAIR_WINDOW);
	shm__session_begin(&pair.a.s, 0xa1, &out);
	out.data[20] = out.data[22] = 9; /* as a later version would */
	pair_post(&pair.b, &out);
	pair_step(&pair.b, &pair.a);
	assert_int_equal(pair_step(&pair.a, &pair.b), SHM__EVENT_NO_VERSION);
	assert_false(pair.a.s.up);
}

static void a_version_that_nobody_speaks_leaves_the_session_alone(void **state)
{
	uint32_t id = pair_share(&pair, 8192, 3);
	struct end before, after;

	(void)state;
	pair_give(&pair, id, 0, 1, 1);
	before = without_counters(&pair.b);
	assert_int_equal(hello(0, 0), SHM__CODE_VERSION);
	after = without_counters(&pair.b);
	assert_memory_equal(&before, &after, sizeof(before));
}

static void an_answer_from_somebody_else_is_refused(void **state)
{
	struct shm__record answer = {
		.type = SHM__RECORD_HELLO,
		.session = pair.b.s.me,
		.hello = { .session = pair.a.s.me + 1, .version = 1, .oldest = 1 },
	};
	struct shm__out out;

	(void)state;
	out.size = shm__record_encode(&answer, out.data);
	assert_int_equal(raw(out.data, out.size), SHM__CODE_ORDER);
	answer.session++;
	out.size = shm__record_encode(&answer, out.data);
	assert_int_equal(raw(out.data, out.size), SHM__CODE_DOWN);
	assert_true(pair.b.s.up);
	assert_int_equal(pair.b.s.other, pair.a.s.me);
}

static void a_flood_of_hellos_costs_one_answer_each(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(hello(1, 1), SHM__CODE_OK);
	assert_int_equal(pair.a.tail - pair.a.head, 20);
}

static void errors_undo_only_what_they_name(void **state)
{
	struct shm__wire_share page = {
		.size = 4096, .dir = 3, .segments = 1, .segment[0] = { 0, 4096 }
	};
	struct shm__record error = {
		.type = SHM__RECORD_ERROR,
		.error = { .code = SHM__CODE_REFUSED, .id = 1, .generation = 1 }
	};
	struct shm__out out;
	uint32_t id;

	(void)state;
	assert_int_equal(shm__session_share(&pair.b.s, &page, NULL, &id, &out), SHM__CODE_OK);
	assert_int_equal(shm__session_give(&pair.b.s, id, 0, 1, 1, &out), SHM__CODE_OK);
	for (uint16_t type = 0; type < 16; type++) {
		for (uint32_t number = 0; number < 5; number++) {
			if ((type == SHM__RECORD_SHARE && number == 1) ||
			    (type == SHM__RECORD_GIVE && number == 2))
				continue;
			error.error.type = type;
			error.error.number = number;
			assert_int_equal(pair_forge(&pair, &error), SHM__CODE_OK);
			assert_int_equal(pair.b.event.kind, SHM__EVENT_ERROR);
		}
	}
	error.error.generation = 2;
	error.error.type = SHM__RECORD_SHARE;
	error.error.number = 1;
	pair_forge(&pair, &error);
	assert_int_equal(pair.b.event.kind, SHM__EVENT_ERROR);
	assert_int_equal(pair.b.s.mine.given, 1);
	assert_int_equal(pair.b.s.mine.shares[0].state, SHM__SHARE_ACTIVE);
	error.error.generation = 1;
	pair_forge(&pair, &error);
	assert_int_equal(pair.b.event.kind, SHM__EVENT_UNSHARED);
}

static void an_unshare_that_is_refused_is_over(void **state)
{
	struct shm__wire_share page = {
		.size = 4096, .dir = 3, .segments = 1, .segment[0] = { 0, 4096 }
	};
	struct shm__record error = { .type = SHM__RECORD_ERROR,
				     .error = { .code = SHM__CODE_UNKNOWN,
						.type = SHM__RECORD_UNSHARE,
						.number = 2,
						.id = 1,
						.generation = 1 } };
	struct shm__out out;
	uint32_t id;

	(void)state;
	assert_int_equal(shm__session_share(&pair.b.s, &page, NULL, &id, &out), SHM__CODE_OK);
	assert_int_equal(shm__session_unshare(&pair.b.s, id, &out), SHM__CODE_OK);
	pair_forge(&pair, &error);
	assert_int_equal(pair.b.event.kind, SHM__EVENT_UNSHARED);
}

static void a_request_that_is_refused_by_an_error_waits_no_more(void **state)
{
	struct shm__record error = {
		.type = SHM__RECORD_ERROR,
		.error = { .code = SHM__CODE_FULL, .type = SHM__RECORD_REQUEST, .number = 1 }
	};
	struct shm__out out;
	uint32_t tag;

	(void)state;
	assert_int_equal(shm__session_request(&pair.b.s, 1, 0, &tag, &out), SHM__CODE_OK);
	pair_forge(&pair, &error);
	assert_int_equal(pair.b.event.kind, SHM__EVENT_REFUSED);
	assert_int_equal(pair.b.event.record.refuse.tag, tag);
	pair_forge(&pair, &error);
	assert_int_equal(pair.b.event.kind, SHM__EVENT_ERROR);
}

static void an_error_is_never_answered(void **state)
{
	struct shm__record error = { .type = SHM__RECORD_ERROR, .error = { .code = 0xffff } };

	(void)state;
	pair_forge(&pair, &error);
	assert_int_equal(pair.a.head, pair.a.tail);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup(name, set_up)
	static const struct CMUnitTest tests[] = {
		CASE(a_flood_beyond_what_was_granted_is_refused),
		CASE(half_messages_are_malformed),
		CASE(records_of_another_session_are_not_answered),
		CASE(unknown_types_are_refused_or_skipped),
		CASE(versions_0_and_65535_end_in_words_and_not_in_a_session),
		CASE(whoever_spoke_another_version_hears_it),
		CASE(a_version_that_nobody_speaks_leaves_the_session_alone),
		CASE(an_answer_from_somebody_else_is_refused),
		CASE(a_flood_of_hellos_costs_one_answer_each),
		CASE(errors_undo_only_what_they_name),
		CASE(an_unshare_that_is_refused_is_over),
		CASE(a_request_that_is_refused_by_an_error_waits_no_more),
		CASE(an_error_is_never_answered),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
