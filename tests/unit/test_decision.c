/* SPDX-License-Identifier: BSD-3-Clause */
/* The decision of what a hand-over needs, over every combination of what it looks at. */
#include "core.h"
#include "shm_test.h"

#define R METAL_SHM_DIR_DEV_R
#define W METAL_SHM_DIR_DEV_W

struct one {
	struct shm__question q;
	struct shm__plan plan;
};

static const unsigned takers[] = {
	METAL_SHM_ACCESS_UNKNOWN,  METAL_SHM_ACCESS_DMA, METAL_SHM_ACCESS_CPU_KERNEL,
	METAL_SHM_ACCESS_CPU_USER, SHM__PROGRAM,         METAL_SHM_ACCESS_DMA_COHERENT,
};

static bool is_cpu(const struct one *one)
{
	return one->q.taker != METAL_SHM_ACCESS_UNKNOWN && one->q.taker != METAL_SHM_ACCESS_DMA;
}

static struct shm__dirt dirt_of(unsigned bits)
{
	return (struct shm__dirt){ (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0 };
}

/* Who may be writing may have written; bytes that go to somebody nobody writes any more. */
static bool can_be(const struct shm__question *q)
{
	return !q->in.busy && (q->out.device || !q->out.busy);
}

static void over_all(void (*check)(const struct one *one))
{
	unsigned seen = 0;

	for (unsigned bits = 0; bits < 1u << 10; bits++) {
		for (size_t t = 0; t < SHM_TEST_COUNT(takers); t++) {
			for (unsigned dir = 1; dir < 4; dir++) {
				struct one one = { .q = {
							   .in = dirt_of(bits & 7),
							   .out = dirt_of(bits >> 3 & 7),
							   .taker = takers[t],
							   .dir = (enum metal_shm_dir)dir,
							   .coherent = bits >> 6 & 1,
							   .ranged = bits >> 7 & 1,
							   .started = bits >> 8 & 1,
							   .paranoid = bits >> 9 & 1,
						   } };

				if (!can_be(&one.q))
					continue;
				one.plan = shm__decide(&one.q);
				check(&one);
				seen++;
			}
		}
	}
	assert_int_equal(seen, 4 * 6 * 16 * 6 * 3);
}

static bool reads_in(const struct one *one)
{
	return one->plan.start & W;
}

/* Where all of the memory is synced; a range's operations are issued for those that need them. */
static void check_no_destruction(const struct one *one)
{
	const struct shm__question *q = &one->q;

	if (q->ranged || q->coherent)
		return;
	if (reads_in(one))
		assert_false(q->in.cpu || q->out.cpu);
	if (one->plan.end && !reads_in(one))
		assert_false(q->in.device || q->out.device);
	if (one->plan.end)
		assert_false(q->out.busy);
}

static void no_operation_destroys_anybodys_bytes(void **state)
{
	(void)state;
	over_all(check_no_destruction);
}

/* Beside a CPU that may write nothing stays that a START of all the memory would be needed for. */
static bool is_last_chance(const struct one *one)
{
	const struct shm__question *q = &one->q;
	bool writes = q->taker == SHM__PROGRAM || (q->dir & W);

	return is_cpu(one) && writes && !q->ranged && q->out.device;
}

static void check_cpu_sees(const struct one *one)
{
	if (one->q.coherent || !is_cpu(one) || one->plan.refusal)
		return;
	assert_int_equal(one->plan.end, 0);
	if (one->q.in.device || is_last_chance(one))
		assert_true(reads_in(one));
	else if (!one->q.paranoid)
		assert_int_equal(one->plan.start, 0);
}

static void a_cpu_sees_what_a_device_wrote_and_pays_only_then(void **state)
{
	(void)state;
	over_all(check_cpu_sees);
}

static void check_device_sees(const struct one *one)
{
	if (one->q.coherent || one->q.taker != METAL_SHM_ACCESS_DMA || one->plan.refusal)
		return;
	if (one->q.in.cpu)
		assert_true(one->plan.end & R);
	else if (!one->q.paranoid)
		assert_int_equal(one->plan.start | one->plan.end, 0);
	assert_false(reads_in(one));
}

static void a_device_sees_what_a_cpu_wrote_and_pays_only_then(void **state)
{
	(void)state;
	over_all(check_device_sees);
}

static void check_refusal(const struct one *one)
{
	const struct shm__question *q = &one->q;
	bool writes = q->taker == SHM__PROGRAM || (q->dir & W);
	bool start = (q->in.device && q->taker != METAL_SHM_ACCESS_DMA) || is_last_chance(one);
	bool destroys_cpu = start && (q->in.cpu || q->out.cpu);
	bool destroys_device = !is_cpu(one) && q->in.cpu &&
			       (q->out.busy || (!start && (q->in.device || q->out.device)));
	bool mixes = is_cpu(one) && writes && q->out.busy;

	assert_int_equal(one->plan.refusal != 0,
			 !q->coherent && !q->ranged && (destroys_cpu || destroys_device || mixes));
	if (one->plan.refusal)
		assert_int_equal(one->plan.start | one->plan.end, 0);
}

static void what_would_destroy_is_refused_and_nothing_else(void **state)
{
	(void)state;
	over_all(check_refusal);
}

static void check_end_after_start(const struct one *one)
{
	if (one->plan.end && !one->q.started)
		assert_true(one->plan.start != 0);
}

static void no_end_comes_before_any_start(void **state)
{
	(void)state;
	over_all(check_end_after_start);
}

static void check_unknown(const struct one *one)
{
	const struct shm__question *q = &one->q;

	if (q->coherent || q->taker != METAL_SHM_ACCESS_UNKNOWN || one->plan.refusal)
		return;
	assert_int_equal(reads_in(one), q->in.device);
	if (q->ranged || (!q->out.device && !q->out.busy))
		assert_true(one->plan.end & R);
}

static void nothing_is_elided_for_an_unknown_device(void **state)
{
	(void)state;
	over_all(check_unknown);
}

static void check_coherent(const struct one *one)
{
	if (one->q.coherent)
		assert_int_equal(one->plan.start | one->plan.end | one->plan.refusal, 0);
}

static void coherent_memory_needs_nothing(void **state)
{
	(void)state;
	over_all(check_coherent);
}

static void check_directions(const struct one *one)
{
	if (one->plan.end)
		assert_int_equal(!!(one->plan.end & W), !!(one->q.dir & W));
	if (reads_in(one) && is_cpu(one))
		assert_int_equal(!!(one->plan.start & R), !!(one->q.dir & W));
}

static void an_operation_names_what_comes_after_it(void **state)
{
	(void)state;
	over_all(check_directions);
}

static void check_paranoid(const struct one *one)
{
	const struct shm__question *q = &one->q;
	bool dirty = q->in.cpu || q->in.device || q->out.cpu || q->out.device;

	if (q->paranoid && !q->coherent && !dirty)
		assert_true(is_cpu(one) ? reads_in(one) : one->plan.end & R);
}

static void the_paranoid_leave_nothing_harmless_out(void **state)
{
	(void)state;
	over_all(check_paranoid);
}

static void check_short_way(const struct one *one)
{
	const struct shm__question *q = &one->q;

	if (!q->paranoid && shm__needs_nothing(q->taker, q->in.cpu, q->in.device || q->out.device))
		assert_int_equal(one->plan.start | one->plan.end | one->plan.refusal, 0);
}

static void what_needs_no_decision_would_be_decided_so(void **state)
{
	(void)state;
	over_all(check_short_way);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_operation_destroys_anybodys_bytes),
		cmocka_unit_test(a_cpu_sees_what_a_device_wrote_and_pays_only_then),
		cmocka_unit_test(a_device_sees_what_a_cpu_wrote_and_pays_only_then),
		cmocka_unit_test(what_would_destroy_is_refused_and_nothing_else),
		cmocka_unit_test(no_end_comes_before_any_start),
		cmocka_unit_test(nothing_is_elided_for_an_unknown_device),
		cmocka_unit_test(coherent_memory_needs_nothing),
		cmocka_unit_test(an_operation_names_what_comes_after_it),
		cmocka_unit_test(the_paranoid_leave_nothing_harmless_out),
		cmocka_unit_test(what_needs_no_decision_would_be_decided_so),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
