/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "ranges.h"

static int compare(const struct shm__range *a, const struct shm__range *b)
{
	return (a->start > b->start) - (a->start < b->start);
}

RB_PROTOTYPE(shm__range_tree, shm__range, node, compare)
RB_GENERATE(shm__range_tree, shm__range, node, compare)

static void put_spare(struct shm__ranges *ranges, struct shm__range *range)
{
	RB_RIGHT(range, node) = ranges->spare;
	ranges->spare = range;
}

static struct shm__range *take_spare(struct shm__ranges *ranges)
{
	struct shm__range *range = ranges->spare;

	ranges->spare = RB_RIGHT(range, node);
	return range;
}

static bool is_stored(const struct shm__ranges *ranges, const struct shm__range *range)
{
	return range >= ranges->store && range < ranges->store + SHM__INLINE;
}

void shm__ranges_init(struct shm__ranges *ranges, size_t size, unsigned flags)
{
	struct shm__range *all = &ranges->store[0];

	memset(ranges, 0, sizeof(*ranges));
	RB_INIT(&ranges->tree);
	for (int i = 1; i < SHM__INLINE; i++)
		put_spare(ranges, &ranges->store[i]);
	all->end = size;
	all->flags = flags;
	RB_INSERT(shm__range_tree, &ranges->tree, all);
	ranges->last = all;
	ranges->count = 1;
}

void shm__ranges_end(struct shm__ranges *ranges)
{
	struct shm__range *range, *next;

	for (range = RB_MIN(shm__range_tree, &ranges->tree); range; range = next) {
		next = RB_NEXT(shm__range_tree, &ranges->tree, range);
		RB_REMOVE(shm__range_tree, &ranges->tree, range);
		put_spare(ranges, range);
	}
	while (ranges->spare) {
		range = take_spare(ranges);
		if (!is_stored(ranges, range))
			shm__os_free(range);
	}
}

struct shm__range *shm__range_search(struct shm__ranges *ranges, size_t offset)
{
	struct shm__range *range = RB_ROOT(&ranges->tree);

	while (range && (offset < range->start || offset >= range->end))
		range = offset < range->start ? RB_LEFT(range, node) : RB_RIGHT(range, node);
	if (range)
		ranges->last = range;
	return range;
}

struct shm__range *shm__range_next(struct shm__range *range)
{
	return RB_NEXT(shm__range_tree, , range);
}

static bool begins_at(struct shm__ranges *ranges, size_t offset)
{
	const struct shm__range *range = shm__range_at(ranges, offset);

	return !range || range->start == offset;
}

static void split(struct shm__ranges *ranges, size_t offset)
{
	struct shm__range *range = shm__range_at(ranges, offset), *rest;

	if (!range || range->start == offset)
		return;
	rest = take_spare(ranges);
	*rest = *range;
	rest->start = offset;
	range->end = offset;
	RB_INSERT(shm__range_tree, &ranges->tree, rest);
	ranges->count++;
}

static int reserve(struct shm__ranges *ranges, unsigned n)
{
	const struct shm__range *have = ranges->spare;

	for (; n && have; n--)
		have = RB_RIGHT(have, node);
	for (; n; n--) {
		struct shm__range *range = shm__os_alloc(sizeof(*range));

		if (!range)
			return -ENOMEM;
		put_spare(ranges, range);
	}
	return 0;
}

int shm__ranges_cut_at(struct shm__ranges *ranges, size_t start, size_t end)
{
	unsigned need = !begins_at(ranges, start) + !begins_at(ranges, end);
	int error = need ? reserve(ranges, need) : 0;

	if (error || !need)
		return error;
	split(ranges, start);
	split(ranges, end);
	return 0;
}

static bool same_holders(const struct shm__range *a, const struct shm__range *b)
{
	if (a->holders != b->holders)
		return false;
	for (unsigned i = 0; i < a->holders; i++)
		if (a->holder[i].slot != b->holder[i].slot ||
		    a->holder[i].dir != b->holder[i].dir || a->holder[i].by != b->holder[i].by ||
		    a->holder[i].pending != b->holder[i].pending)
			return false;
	return true;
}

static bool same_state(const struct shm__range *a, const struct shm__range *b)
{
	return a->flags == b->flags && a->failed == b->failed && a->mapped == b->mapped &&
	       a->changed == b->changed && a->newest == b->newest && same_holders(a, b);
}

void shm__ranges_join_at(struct shm__ranges *ranges, size_t start, size_t end)
{
	struct shm__range *range, *next;

	range = shm__range_at(ranges, start);
	if (range && range->start == start && start)
		range = RB_PREV(shm__range_tree, , range);
	while (range && range->start <= end) {
		next = shm__range_next(range);
		if (!next || !same_state(range, next)) {
			range = next;
			continue;
		}
		for (unsigned i = 0; i < range->holders; i++)
			if (next->holder[i].since_ms < range->holder[i].since_ms)
				range->holder[i].since_ms = next->holder[i].since_ms;
		RB_REMOVE(shm__range_tree, &ranges->tree, next);
		range->end = next->end;
		ranges->count--;
		ranges->last = range;
		put_spare(ranges, next);
	}
}

void shm__range_drop_holder(struct shm__range *range, struct shm__holder *holder)
{
	struct shm__holder *last = &range->holder[--range->holders];

	for (; holder < last; holder++)
		*holder = holder[1];
}

struct shm__holder *shm__range_add_holder(struct shm__range *range, unsigned slot)
{
	struct shm__holder *holder = shm__range_holder(range, slot);
	unsigned at = 0;

	if (holder)
		return holder;
	/* who has no work can be forgotten: nothing but a reason in words speaks of it */
	for (unsigned i = 0; range->holders == SHM__HOLDERS && i < SHM__HOLDERS; i++)
		if (!range->holder[i].pending && !(range->holder[i].dir & SHM__BUSY))
			shm__range_drop_holder(range, &range->holder[i]);
	if (range->holders == SHM__HOLDERS)
		return NULL;
	while (at < range->holders && range->holder[at].slot < slot)
		at++;
	for (unsigned i = range->holders++; i > at; i--)
		range->holder[i] = range->holder[i - 1];
	range->holder[at] = (struct shm__holder){ .slot = slot };
	return &range->holder[at];
}
