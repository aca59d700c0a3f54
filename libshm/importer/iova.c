/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdbool.h>

#include "iova.h"

static int compare(const struct shm__iova *a, const struct shm__iova *b)
{
	return (a->start > b->start) - (a->start < b->start);
}

RB_GENERATE(shm__iova_tree, shm__iova, node, compare)

void shm__iova_windows(struct shm__iova_space *space, struct shm__iova_window *window,
		       size_t windows, uint64_t granule)
{
	uint64_t mask = granule - 1;
	size_t kept = 0;

	for (size_t i = 0; i < windows; i++) {
		struct shm__iova_window cut = window[i];

		if (cut.start < granule)
			cut.start = granule;
		if (cut.start > UINT64_MAX - mask || (cut.last < UINT64_MAX && cut.last < mask))
			continue;
		cut.start = (cut.start + mask) & ~mask;
		if ((cut.last & mask) != mask)
			cut.last = (cut.last & ~mask) - 1;
		if (cut.start < cut.last)
			window[kept++] = cut;
	}
	space->window = window;
	space->windows = kept;
	space->granule = granule;
}

/* The first taken range that ends at the address or behind it. */
static struct shm__iova *taken_from(struct shm__iova_space *space, uint64_t at)
{
	struct shm__iova key = { .start = at };
	struct shm__iova *next = RB_NFIND(shm__iova_tree, &space->taken, &key);
	struct shm__iova *before = next ? RB_PREV(shm__iova_tree, &space->taken, next)
					: RB_MAX(shm__iova_tree, &space->taken);

	return before && before->last >= at ? before : next;
}

/* What is free of a window, run by run. */
struct walk {
	struct shm__iova *next;
	uint64_t from, to; /* both included, as all ends here */
	bool over;
};

static struct walk walk_from(struct shm__iova_space *space, uint64_t from, uint64_t to)
{
	return (struct walk){ taken_from(space, from), from, to, from > to };
}

static bool next_run(struct walk *walk, struct shm__iova_window *ret)
{
	while (!walk->over) {
		struct shm__iova *next = walk->next;
		bool cut = next && next->start <= walk->to;

		ret->start = walk->from;
		ret->last = cut ? next->start - 1 : walk->to;
		walk->over = !cut || next->last >= walk->to;
		if (!walk->over) {
			walk->from = next->last + 1;
			walk->next = RB_NEXT(shm__iova_tree, &space->taken, next);
		}
		if (ret->start <= ret->last)
			return true;
	}
	return false;
}

static bool find(struct shm__iova_space *space, uint64_t from, uint64_t to, uint64_t size,
		 uint64_t *ret)
{
	for (size_t i = 0; i < space->windows; i++) {
		struct shm__iova_window in = space->window[i], run;
		struct walk walk;

		if (in.start < from)
			in.start = from;
		if (in.last > to)
			in.last = to;
		walk = walk_from(space, in.start, in.last);
		while (next_run(&walk, &run)) {
			if (run.last - run.start < size - 1)
				continue;
			*ret = run.start;
			return true;
		}
	}
	return false;
}

int shm__iova_take(struct shm__iova_space *space, uint64_t size, uint64_t last, uint64_t *cursor,
		   struct shm__iova *ret)
{
	uint64_t all = size + space->granule, start;

	if (!size || all < size)
		return -ENOSPC;
	if (!find(space, *cursor, last, all, &start) && !find(space, 0, last, all, &start))
		return -ENOSPC;
	ret->start = start;
	ret->last = start + (all - 1);
	RB_INSERT(shm__iova_tree, &space->taken, ret);
	*cursor = ret->last == UINT64_MAX ? 0 : ret->last + 1;
	return 0;
}

void shm__iova_give_back(struct shm__iova_space *space, struct shm__iova *iova)
{
	RB_REMOVE(shm__iova_tree, &space->taken, iova);
}

uint64_t shm__iova_largest(struct shm__iova_space *space, uint64_t last)
{
	uint64_t most = 0;

	for (size_t i = 0; i < space->windows; i++) {
		struct shm__iova_window in = space->window[i], run;
		struct walk walk = walk_from(space, in.start, in.last < last ? in.last : last);

		/* without the granule that stays free behind it */
		while (next_run(&walk, &run))
			if (run.last - run.start >= space->granule &&
			    run.last - run.start - (space->granule - 1) > most)
				most = run.last - run.start - (space->granule - 1);
	}
	return most & ~(space->granule - 1);
}
