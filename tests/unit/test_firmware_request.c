/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that a firmware asks its host for. Runs here and on RISC-V. */
#include "firmware_bench.h"

static const uint32_t both = SHM__WIRE_READS | SHM__WIRE_WRITES;

/* In place of the platform's rest: what a host does meanwhile. */
static uint32_t answer_size;
static uint32_t answer_code;

static void answer_request(void)
{
	struct shm__wire_share what = { .size = answer_size,
					.dir = both,
					.segments = 1,
					.segment = { { (uintptr_t)arena, answer_size } } };
	struct shm__out out;
	uint32_t id;

	relax();
	last.kind = SHM__EVENT_NONE;
	listen();
	if (last.kind != SHM__EVENT_REQUESTED)
		return;
	what.tag = last.record.request.tag;
	if (answer_code) {
		assert_int_equal(
			shm__session_refuse(&far, what.tag, (enum shm__code)answer_code, &out),
			SHM__CODE_OK);
		say(&out);
		return;
	}
	if (!answer_size)
		return;
	assert_int_equal(shm__session_share(&far, &what, NULL, &id, &out), SHM__CODE_OK);
	say(&out);
	assert_int_equal(shm__session_give(&far, id, 0, answer_size, both, &out), SHM__CODE_OK);
	say(&out);
}

static struct metal_generic_shm *ask(uint32_t size, uint32_t code, metal_shm_type type)
{
	struct metal_generic_shm *shm;

	answer_size = size;
	answer_code = code;
	shm__platform.relax = answer_request;
	shm = metal_shm_allocate(PAGE, host, type);
	shm__platform.relax = relax;
	return shm;
}

static void memory_is_asked_for_and_given_back(void **state)
{
	struct metal_generic_shm *shm;

	(void)state;
	meet();
	shm = ask(2 * PAGE, 0, METAL_SHM_CONTIGUOUS);
	assert_non_null(shm);
	assert_int_equal(told.shared, 0);
	assert_ptr_equal(metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE), arena);
	arena[1] = 1;
	assert_non_null(metal_shm_attach(shm, host));
	assert_int_equal(metal_shm_size(shm), PAGE);
	assert_int_equal(metal_shm_sync_for_device(shm, host, METAL_SHM_DIR_DEV_RW), 0);
	talk();
	assert_int_equal(last.kind, SHM__EVENT_RETURNED);
	assert_int_equal(last.record.range.length, 2 * PAGE);
	metal_shm_detach(metal_shm_view(shm, host), host);
	last.kind = SHM__EVENT_NONE;
	metal_shm_free(shm, host);
	talk();
	assert_int_equal(last.kind, SHM__EVENT_UNSHARED);
	part_ways();
}

static void requests_fail_in_words(void **state)
{
	(void)state;
	meet();
	assert_null(ask(0, SHM__CODE_NO_MEMORY, 0));
	assert_int_equal(errno, ENOMEM);
	assert_string_equal(metal_shm_last_error(), "the host refused memory: it has none");
	assert_null(ask(0, 0, 0));
	assert_int_equal(errno, ETIMEDOUT);
	assert_null(ask(PAGE / 2, 0, 0));
	assert_int_equal(errno, EPROTO);
	talk();
	for (int i = 0; i < 4; i++)
		assert_int_equal(far_shares[i].state, SHM__SHARE_FREE);
	assert_null(ask(PAGE, 0, METAL_SHM_DMABUF));
	assert_int_equal(errno, ENOTSUP);
	part_ways();
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_asked_for_and_given_back),
		cmocka_unit_test(requests_fail_in_words),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
