/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both ends do what they like, in any order, while records of both are on their way. Whenever all have
 * arrived, both know the same; and neither ever blames the other.
 */
#include <stdlib.h>

#include "protocol_pair.h"

#define STEPS 200000u

static struct pair pair;
static uint64_t seed;

static uint32_t any(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static struct end *other_of(struct end *end)
{
	return end == &pair.a ? &pair.b : &pair.a;
}

static void wish_share(struct end *end, struct shm__out *out)
{
	struct shm__wire_share what = {
		.size = 64,
		.dir = (uint16_t)(1 + any(3)),
		.segments = 1,
		.segment[0] = { 0, 64 },
	};
	uint32_t id;

	what.tag = end->s.their_requests[any(SHM__SESSION_REQUESTS)].tag;
	shm__session_share(&end->s, &what, NULL, &id, out);
}

/* Any of the gives of a share; false: it has none. */
static bool any_give(const struct shm__session_side *side, uint32_t id, struct shm__give *ret)
{
	uint32_t at = side->shares[id - 1].gives;

	for (uint32_t skip = any(3); skip && at && side->gives[at - 1].next; skip--)
		at = side->gives[at - 1].next;
	if (!at)
		return false;
	*ret = side->gives[at - 1];
	return true;
}

static void wish(struct end *end)
{
	struct shm__out out = { 0 };
	struct shm__give give = { 0 };
	uint32_t id = 1 + any(PAIR_SHARES), tag;

	switch (any(10)) {
	case 0:
		wish_share(end, &out);
		break;
	case 1:
	case 2:
	case 3:
		shm__session_give(&end->s, id, any(64), 1 + any(64), 1 + any(3), &out);
		break;
	case 4:
	case 5:
	case 6:
		if (any_give(&end->s.theirs, id, &give))
			shm__session_return(&end->s, id, give.offset, give.length,
					    (enum shm__code)any(2), &out);
		break;
	case 7:
		shm__session_unshare(&end->s, id, &out);
		break;
	case 8:
		if (end->s.theirs.shares[id - 1].state == SHM__SHARE_ENDING || !any(8))
			shm__session_unshared(&end->s, id, &out);
		break;
	default:
		if (any(2))
			shm__session_request(&end->s, 64, 0, &tag, &out);
		else if (any_give(&end->s.mine, id, &give))
			shm__session_recall(&end->s, id, give.offset, give.length, &out);
		break;
	}
	pair_post(other_of(end), &out);
}

/* A record reaches an end, which may not like what it says. */
static void arrive(struct end *end)
{
	struct shm__out out;
	int kind = pair_step(end, other_of(end));

	if (kind < 0)
		return;
	/* said to the one before a restart */
	if (end->code == SHM__CODE_DOWN)
		return;
	assert_int_equal(end->code, SHM__CODE_OK);
	if ((kind == SHM__EVENT_SHARED || kind == SHM__EVENT_GIVEN) && !any(8)) {
		shm__session_reject(&end->s, &end->event, SHM__CODE_REFUSED, &out);
		end->s.faults--;
		pair_post(other_of(end), &out);
	}
}

static uint32_t gives_of(const struct shm__session_side *side, const struct shm__share *share)
{
	uint32_t count = 0;

	for (uint32_t at = share->gives; at; at = side->gives[at - 1].next)
		count++;
	return count;
}

static bool has(const struct shm__session_side *side, const struct shm__share *share,
		const struct shm__give *give)
{
	for (uint32_t at = share->gives; at; at = side->gives[at - 1].next) {
		const struct shm__give *one = &side->gives[at - 1];

		if (one->offset == give->offset && one->length == give->length &&
		    one->dir == give->dir)
			return true;
	}
	return false;
}

/* What one end says it shares is what the other says it was given. */
static void agree(const struct shm__session_side *mine, const struct shm__session_side *theirs)
{
	assert_int_equal(mine->given, theirs->given);
	for (uint32_t i = 0; i < PAIR_SHARES; i++) {
		const struct shm__share *a = &mine->shares[i], *b = &theirs->shares[i];

		assert_int_equal(a->state, b->state);
		if (a->state == SHM__SHARE_FREE)
			continue;
		assert_int_equal(a->generation, b->generation);
		assert_int_equal(a->gives_count, b->gives_count);
		assert_int_equal(a->gives_count, gives_of(mine, a));
		assert_int_equal(b->gives_count, gives_of(theirs, b));
		for (uint32_t at = a->gives; at; at = mine->gives[at - 1].next)
			assert_true(has(theirs, b, &mine->gives[at - 1]));
	}
}

static void both_ends_know_the_same_when_all_has_arrived(void **state)
{
	const char *text = getenv("SHM_TEST_SEED");
	unsigned settled = 0;

	(void)state;
	seed = text ? strtoull(text, NULL, 0) : 1;
	shm_test_note("SHM_TEST_SEED=%llu", (unsigned long long)seed);
	pair_up(&pair);
	for (unsigned step = 0; step < STEPS; step++) {
		struct end *end = any(2) ? &pair.a : &pair.b;

		if (any(3))
			arrive(end);
		else
			wish(end);
		if (!any(2000)) {
			struct shm__out out;

			shm__session_begin(&end->s, 1 + any(0xffffff), &out);
			pair_post(other_of(end), &out);
		}
		if (any(50))
			continue;
		while (pair.a.head != pair.a.tail || pair.b.head != pair.b.tail) {
			arrive(&pair.a);
			arrive(&pair.b);
		}
		assert_true(pair.a.s.up && pair.b.s.up);
		agree(&pair.a.s.mine, &pair.b.s.theirs);
		agree(&pair.b.s.mine, &pair.a.s.theirs);
		assert_int_equal(pair.a.s.faults + pair.b.s.faults, 0);
		settled++;
	}
	assert_in_range(settled, STEPS / 200, STEPS);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends_know_the_same_when_all_has_arrived),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
