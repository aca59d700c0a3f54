/* SPDX-License-Identifier: BSD-3-Clause */
/* Records to and from bytes, one at a time: what may stand in them, and what may not. */
#include <string.h>

#include "record.h"
#include "shm_test.h"

static const struct shm__record give = {
	.type = SHM__RECORD_GIVE,
	.session = 0x11223344,
	.number = 7,
	.limit = 40,
	.range = { .id = 3, .generation = 9, .offset = 4096, .length = 65536, .dir = 3 },
};
static const struct shm__record share = {
	.type = SHM__RECORD_SHARE,
	.session = 1,
	.number = 1,
	.share = { .id = 1,
		   .generation = 1,
		   .size = 0x3000,
		   .dir = 1,
		   .segments = 2,
		   .segment = { { 0x8000, 0x1000 }, { 0x20000, 0x2000 } } },
};

/* Written and read again; what changed with it is up to the caller. */
static enum shm__code passes(const struct shm__record *record, struct shm__record *ret)
{
	uint8_t bytes[SHM__RECORD_MAX];
	size_t size = shm__record_encode(record, bytes);

	assert_int_not_equal(size, 0);
	return shm__record_decode(bytes, size, ret);
}

/* The bytes of a record with one of them changed. */
static enum shm__code changed(const struct shm__record *record, size_t at, uint8_t value)
{
	uint8_t bytes[SHM__RECORD_MAX];
	struct shm__record read;
	size_t size = shm__record_encode(record, bytes);

	assert_in_range(at, 0, size - 1);
	bytes[at] = value;
	return shm__record_decode(bytes, size, &read);
}

static void a_give_has_its_bytes_in_little_endian_order(void **state)
{
	static const uint8_t bytes[48] = { 3, 0, 48, 0, 0x44, 0x33, 0x22, 0x11, 7, 0, 0, 0,  40, 0,
					   0, 0, 3,  0, 0,    0,    9,    0,    0, 0, 0, 16, 0,  0,
					   0, 0, 0,  0, 0,    0,    1,    0,    0, 0, 0, 0,  3 };
	uint8_t out[SHM__RECORD_MAX];

	(void)state;
	assert_int_equal(shm__record_encode(&give, out), sizeof(bytes));
	assert_memory_equal(out, bytes, sizeof(bytes));
}

static void segments_come_through(void **state)
{
	struct shm__record read;

	(void)state;
	assert_int_equal(passes(&share, &read), SHM__CODE_OK);
	assert_int_equal(read.share.segment[1].address, 0x20000);
	assert_int_equal(read.share.segment[1].length, 0x2000);
	assert_int_equal(read.share.size, 0x3000);
}

static void sixteen_segments_fit_and_a_seventeenth_does_not(void **state)
{
	struct shm__record record = share, read;
	uint8_t bytes[SHM__RECORD_MAX];

	(void)state;
	record.share.segments = SHM__SEGMENTS_MAX;
	record.share.size = SHM__SEGMENTS_MAX * 4096ull;
	for (unsigned i = 0; i < SHM__SEGMENTS_MAX; i++)
		record.share.segment[i] = (struct shm__wire_segment){ i * 8192ull, 4096 };
	assert_int_equal(passes(&record, &read), SHM__CODE_OK);
	assert_int_equal(read.share.segment[15].address, 15 * 8192);
	record.share.segments++;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
}

static void a_table_stands_for_more_segments(void **state)
{
	struct shm__record record = share, read;
	uint8_t bytes[SHM__RECORD_MAX];

	(void)state;
	record.share.segments = 17;
	record.share.flags = SHM__SHARE_TABLE;
	record.share.segment[0] = (struct shm__wire_segment){ 0x9000, 17 * 16 };
	assert_int_equal(passes(&record, &read), SHM__CODE_OK);
	assert_int_equal(read.share.segment[0].length, 17 * 16);
	record.share.segment[0].length = 16 * 16;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
	record.share.segments = 16;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
}

static void segments_must_add_up_to_the_size(void **state)
{
	struct shm__record record = share;
	uint8_t bytes[SHM__RECORD_MAX];

	(void)state;
	record.share.size--;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
	assert_int_equal(changed(&share, 16 + 8, 1), SHM__CODE_RANGE);
}

static void an_address_that_overflows_is_outside(void **state)
{
	struct shm__record record = share;
	uint8_t bytes[SHM__RECORD_MAX];

	(void)state;
	record.share.segment[1].address = UINT64_MAX - 0x2000;
	assert_int_not_equal(shm__record_encode(&record, bytes), 0);
	record.share.segment[1].address++;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
	record = share;
	record.share.size = 0; /* as both lengths would be added */
	record.share.segment[0].length = UINT64_MAX - 0x1fff;
	record.share.segment[0].address = 0;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
}

static void lengths_that_sum_past_64_bits_are_outside(void **state)
{
	struct shm__record record = share;
	uint8_t bytes[SHM__RECORD_MAX];

	(void)state;
	record.share.segment[0] = (struct shm__wire_segment){ 0, UINT64_MAX };
	record.share.segment[1] = (struct shm__wire_segment){ 0, 0x3001 };
	assert_int_equal(shm__record_encode(&record, bytes), 0);
}

static void a_range_may_not_wrap_or_be_empty(void **state)
{
	struct shm__record record = give;
	uint8_t bytes[SHM__RECORD_MAX];

	(void)state;
	record.range.offset = UINT64_MAX - 65535;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
	record.range.offset--;
	assert_int_not_equal(shm__record_encode(&record, bytes), 0);
	assert_int_equal(changed(&give, 16 + 18, 0), SHM__CODE_RANGE);
}

static void a_give_without_a_direction_is_malformed(void **state)
{
	(void)state;
	assert_int_equal(changed(&give, 16 + 24, 0), SHM__CODE_MALFORMED);
	assert_int_equal(changed(&give, 16 + 24, 4), SHM__CODE_MALFORMED);
	assert_int_equal(changed(&give, 16 + 28, 1), SHM__CODE_MALFORMED);
}

static void a_return_has_a_code_and_no_direction(void **state)
{
	struct shm__record record = give, read;
	uint8_t bytes[SHM__RECORD_MAX];

	(void)state;
	record.type = SHM__RECORD_RETURN;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
	record.range.dir = 0;
	record.range.code = SHM__CODE_FAILED;
	assert_int_equal(passes(&record, &read), SHM__CODE_OK);
	assert_int_equal(read.range.code, SHM__CODE_FAILED);
	record.range.code = 0x10000;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
}

static void the_length_said_must_be_the_length_that_came(void **state)
{
	uint8_t bytes[SHM__RECORD_MAX + 4] = { 0 };
	struct shm__record read;
	size_t size = shm__record_encode(&give, bytes);

	(void)state;
	for (size_t i = 0; i <= sizeof(bytes); i++)
		if (i != size)
			assert_int_equal(shm__record_decode(bytes, i, &read), SHM__CODE_MALFORMED);
}

static void half_records_are_malformed_though_their_length_agrees(void **state)
{
	const struct shm__record *records[] = { &give, &share };
	uint8_t bytes[SHM__RECORD_MAX];
	struct shm__record read;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t size = shm__record_encode(records[i], bytes);

		for (size_t half = 0; half < size; half += 4) {
			bytes[2] = (uint8_t)half;
			assert_int_equal(shm__record_decode(bytes, half, &read),
					 SHM__CODE_MALFORMED);
		}
	}
}

static void reserved_bytes_must_be_zero(void **state)
{
	static const struct shm__record user = {
		.type = SHM__RECORD_USER,
		.number = 1,
		.user = { .length = 3, .data = "abc" },
	};

	(void)state;
	assert_int_equal(changed(&share, 16 + 36, 1), SHM__CODE_MALFORMED);
	assert_int_equal(changed(&user, 16 + 4, 1), SHM__CODE_MALFORMED);
	assert_int_equal(changed(&user, 16 + 8 + 3, 1), SHM__CODE_MALFORMED);
}

static void a_flag_that_is_not_known_is_refused(void **state)
{
	(void)state;
	assert_int_equal(changed(&share, 16 + 30, 4), SHM__CODE_FIELD);
	assert_int_equal(changed(&share, 16 + 31, 0x80), SHM__CODE_FIELD);
}

static void a_descriptor_comes_without_segments(void **state)
{
	struct shm__record record = share, read;
	uint8_t bytes[SHM__RECORD_MAX];

	(void)state;
	record.share.flags = SHM__SHARE_DESCRIPTOR;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
	record.share.segments = 0;
	record.share.offset = 512;
	assert_int_equal(passes(&record, &read), SHM__CODE_OK);
	assert_int_equal(read.share.offset, 512);
	record.share.offset = UINT64_MAX - 0x2fff;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
	record.share.flags = 0;
	record.share.offset = 0;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
}

/* A record with a field behind it: its size grows by what the field takes. */
static enum shm__code with_field(uint16_t kind, uint16_t length, size_t bytes_there)
{
	uint8_t bytes[SHM__RECORD_MAX + 8] = { 0 };
	struct shm__record read;
	size_t size = shm__record_encode(&give, bytes);

	bytes[size] = (uint8_t)kind;
	bytes[size + 1] = (uint8_t)(kind >> 8);
	bytes[size + 2] = (uint8_t)length;
	bytes[size + 3] = (uint8_t)(length >> 8);
	size += 4 + bytes_there;
	bytes[2] = (uint8_t)size;
	return shm__record_decode(bytes, size, &read);
}

static void fields_that_may_be_skipped_are(void **state)
{
	(void)state;
	assert_int_equal(with_field(SHM__OPTIONAL | 77, 0, 0), SHM__CODE_OK);
	assert_int_equal(with_field(SHM__OPTIONAL | 77, 5, 8), SHM__CODE_OK);
	assert_int_equal(with_field(77, 5, 8), SHM__CODE_FIELD);
}

static void half_fields_are_malformed(void **state)
{
	(void)state;
	assert_int_equal(with_field(SHM__OPTIONAL | 77, 5, 4), SHM__CODE_MALFORMED);
	assert_int_equal(with_field(SHM__OPTIONAL | 77, 0xffff, 4), SHM__CODE_MALFORMED);
	assert_int_equal(with_field(SHM__OPTIONAL | 77, 0xfffd, 4), SHM__CODE_MALFORMED);
}

static void types_that_may_be_skipped_are(void **state)
{
	(void)state;
	assert_int_equal(changed(&give, 1, 0x80), SHM__CODE_OK);
	assert_int_equal(changed(&give, 1, 0x01), SHM__CODE_TYPE);
	assert_int_equal(changed(&give, 0, 0), SHM__CODE_TYPE);
}

static void what_counts_has_a_number_and_the_rest_has_none(void **state)
{
	struct shm__record record = give, credit = { .type = SHM__RECORD_CREDIT };
	uint8_t bytes[SHM__RECORD_MAX];

	(void)state;
	record.number = 0;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
	assert_int_equal(changed(&give, 8, 0), SHM__CODE_MALFORMED);
	assert_int_equal(shm__record_encode(&credit, bytes), SHM__RECORD_HEADER);
	credit.number = 1;
	assert_int_equal(shm__record_encode(&credit, bytes), 0);
}

static enum shm__code hello(uint16_t version, uint16_t oldest, uint32_t session)
{
	static const struct shm__record good = {
		.type = SHM__RECORD_HELLO,
		.hello = { .session = 1, .version = 1, .oldest = 1 },
	};
	uint8_t bytes[SHM__RECORD_MAX];
	struct shm__record read;
	size_t size = shm__record_encode(&good, bytes);

	assert_int_not_equal(size, 0);
	bytes[16] = (uint8_t)session;
	bytes[20] = (uint8_t)version;
	bytes[21] = (uint8_t)(version >> 8);
	bytes[22] = (uint8_t)oldest;
	bytes[23] = (uint8_t)(oldest >> 8);
	return shm__record_decode(bytes, size, &read);
}

static void versions_need_one_in_common(void **state)
{
	(void)state;
	assert_int_equal(hello(1, 1, 1), SHM__CODE_OK);
	assert_int_equal(hello(65535, 1, 1), SHM__CODE_OK);
	assert_int_equal(hello(65535, 65535, 1), SHM__CODE_VERSION);
	assert_int_equal(hello(0, 0, 1), SHM__CODE_VERSION);
	assert_int_equal(hello(1, 2, 1), SHM__CODE_VERSION);
	assert_int_equal(hello(2, 2, 1), SHM__CODE_VERSION);
	assert_int_equal(hello(1, 1, 0), SHM__CODE_MALFORMED);
}

static void a_message_of_472_bytes_fits(void **state)
{
	char data[SHM__USER_MAX + 1];
	struct shm__record record = {
		.type = SHM__RECORD_USER,
		.number = 1,
		.user = { .length = SHM__USER_MAX, .data = data },
	};
	uint8_t bytes[SHM__RECORD_MAX];
	struct shm__record read;

	(void)state;
	memset(data, 'x', sizeof(data));
	assert_int_equal(shm__record_encode(&record, bytes), SHM__RECORD_MAX);
	assert_int_equal(shm__record_decode(bytes, SHM__RECORD_MAX, &read), SHM__CODE_OK);
	assert_memory_equal(read.user.data, data, SHM__USER_MAX);
	record.user.length++;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
	record.user.length = 0;
	assert_int_equal(shm__record_encode(&record, bytes), 0);
}

static void ids_and_generations_begin_at_1(void **state)
{
	static const uint16_t types[] = { SHM__RECORD_GIVE, SHM__RECORD_UNSHARE,
					  SHM__RECORD_UNSHARED };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct shm__record record = give;

		record.type = types[i];
		if (i)
			record.unshare = (struct shm__wire_unshare){ 3, 9 };
		assert_int_equal(changed(&record, 16, 0), SHM__CODE_MALFORMED);
		assert_int_equal(changed(&record, 20, 0), SHM__CODE_MALFORMED);
	}
	assert_int_equal(changed(&share, 16, 0), SHM__CODE_MALFORMED);
	assert_int_equal(changed(&share, 20, 0), SHM__CODE_MALFORMED);
}

static void answers_need_what_they_answer(void **state)
{
	static const struct shm__record request = { .type = SHM__RECORD_REQUEST,
						    .number = 1,
						    .request = { .size = 1, .tag = 1 } };
	static const struct shm__record refuse = { .type = SHM__RECORD_REFUSE,
						   .number = 1,
						   .refuse = { .tag = 1, .code = 1 } };
	static const struct shm__record error = { .type = SHM__RECORD_ERROR,
						  .error = { .code = 1 } };

	(void)state;
	assert_int_equal(changed(&request, 16, 0), SHM__CODE_MALFORMED);
	assert_int_equal(changed(&request, 28, 0), SHM__CODE_MALFORMED);
	assert_int_equal(changed(&refuse, 16, 0), SHM__CODE_MALFORMED);
	assert_int_equal(changed(&refuse, 20, 0), SHM__CODE_MALFORMED);
	assert_int_equal(changed(&refuse, 22, 1), SHM__CODE_MALFORMED);
	assert_int_equal(changed(&error, 22, 0), SHM__CODE_MALFORMED);
}

static void entries_of_a_table_are_checked_one_by_one(void **state)
{
	struct shm__wire_segment segment = { 0x123456789abcdef0, 0x1000 }, read;
	uint8_t entry[SHM__SEGMENT_SIZE];

	(void)state;
	assert_int_equal(shm__segment_encode(&segment, entry), sizeof(entry));
	assert_int_equal(entry[0], 0xf0);
	assert_int_equal(entry[9], 0x10);
	assert_int_equal(shm__segment_decode(entry, &read), SHM__CODE_OK);
	assert_int_equal(read.address, segment.address);
	entry[9] = 0;
	assert_int_equal(shm__segment_decode(entry, &read), SHM__CODE_RANGE);
	segment.length = UINT64_MAX;
	assert_int_equal(shm__segment_encode(&segment, entry), 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_give_has_its_bytes_in_little_endian_order),
		cmocka_unit_test(segments_come_through),
		cmocka_unit_test(sixteen_segments_fit_and_a_seventeenth_does_not),
		cmocka_unit_test(a_table_stands_for_more_segments),
		cmocka_unit_test(segments_must_add_up_to_the_size),
		cmocka_unit_test(an_address_that_overflows_is_outside),
		cmocka_unit_test(lengths_that_sum_past_64_bits_are_outside),
		cmocka_unit_test(a_range_may_not_wrap_or_be_empty),
		cmocka_unit_test(a_give_without_a_direction_is_malformed),
		cmocka_unit_test(a_return_has_a_code_and_no_direction),
		cmocka_unit_test(the_length_said_must_be_the_length_that_came),
		cmocka_unit_test(half_records_are_malformed_though_their_length_agrees),
		cmocka_unit_test(reserved_bytes_must_be_zero),
		cmocka_unit_test(a_flag_that_is_not_known_is_refused),
		cmocka_unit_test(a_descriptor_comes_without_segments),
		cmocka_unit_test(fields_that_may_be_skipped_are),
		cmocka_unit_test(half_fields_are_malformed),
		cmocka_unit_test(types_that_may_be_skipped_are),
		cmocka_unit_test(what_counts_has_a_number_and_the_rest_has_none),
		cmocka_unit_test(versions_need_one_in_common),
		cmocka_unit_test(a_message_of_472_bytes_fits),
		cmocka_unit_test(ids_and_generations_begin_at_1),
		cmocka_unit_test(answers_need_what_they_answer),
		cmocka_unit_test(entries_of_a_table_are_checked_one_by_one),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
