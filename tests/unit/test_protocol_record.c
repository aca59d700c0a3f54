/* SPDX-License-Identifier: BSD-3-Clause */
/* Records to and from bytes, one at a time. */
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

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_give_has_its_bytes_in_little_endian_order),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
