/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of a memory, in ranges of one state each: in order, without gaps, neighbours differing.
 * All under the memory's lock.
 */
#ifndef SHM_RANGES_H
#define SHM_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ordered trees: a header without code of its own, as free of a system as the core */
#include <bsd/sys/tree.h>

#include "system.h"

struct metal_generic_shm;
struct shm__root;

#define SHM__BUSY   4u /* beside a direction: it may act at any time, not only in queued work */
#define SHM__INLINE 4  /* ranges that a memory has without asking for more records */

/* A range's flags. */
#define SHM__OWNED     1u  /* the program may write: no holder since its last sync_for_cpu */
#define SHM__WRITTEN   2u  /* and may have, since that was last written back */
#define SHM__REPORTED  4u  /* it says what it writes: see metal_shm_wrote() */
#define SHM__CPU_DIRTY 8u  /* a CPU wrote, and no END with WRITE came since */
#define SHM__DEV_DIRTY 16u /* a DMA device may have written, and no START with READ came since */
/* For a device that may refuse what it was handed last: see shm__not_taken(). */
#define SHM__LENT            32u                    /* the program had it before */
#define SHM__ADDED(dir)      ((unsigned)(dir) << 6) /* to what the device had queued already */
#define SHM__ADDED_OF(range) ((range)->flags >> 6 & 3u)
#define SHM__AS_IT_WAS       (SHM__LENT | SHM__ADDED(3))

struct shm__holder {
	unsigned slot;                      /* which device: see struct shm__root */
	unsigned dir;                       /* enum metal_shm_dir, and SHM__BUSY */
	unsigned pending;                   /* queued works that have the bytes */
	uint32_t since_ms;                  /* shm__os_now_ms() */
	const struct metal_generic_shm *by; /* the view that it got them by */
	const char *site;                   /* the call that gave them, where that is guarded */
};

struct shm__range {
	RB_ENTRY(shm__range) node;
	size_t start, end; /* bytes of the memory; end is the first that isn't in it */
	unsigned flags;
	unsigned holders;
	int failed;       /* -errno that a holder ended with, for the next owner */
	unsigned mapped;  /* the program's mappings for writing */
	uint64_t changed; /* shm__root's count of changes when it last changed; 0 without shadows */
	struct metal_generic_shm
		*newest; /* the view whose shadow has the valid bytes; NULL: the memory */
	struct shm__holder holder[SHM__HOLDERS]; /* by slot, each once */
};

RB_HEAD(shm__range_tree, shm__range);

struct shm__ranges {
	struct shm__range_tree tree;
	struct shm__range
		*last; /* that was looked for, so that it is found again without a search */
	size_t count;
	struct shm__range *spare; /* linked by newest's place: see ranges.c */
	struct shm__range store[SHM__INLINE];
};

/* One range of size bytes with these flags. */
void shm__ranges_init(struct shm__ranges *ranges, size_t size, unsigned flags);
void shm__ranges_end(struct shm__ranges *ranges);

struct shm__range *shm__range_search(struct shm__ranges *ranges, size_t offset);
struct shm__range *shm__range_next(struct shm__range *range);

/* The range that has the byte; NULL: none has. A hand-over looks for its own a dozen times. */
static inline struct shm__range *shm__range_at(struct shm__ranges *ranges, size_t offset)
{
	struct shm__range *last = ranges->last;

	if (offset >= last->start && offset < last->end)
		return last;
	return ranges->count == 1 ? NULL : shm__range_search(ranges, offset);
}

int shm__ranges_cut_at(struct shm__ranges *ranges, size_t start, size_t end);
void shm__ranges_join_at(struct shm__ranges *ranges, size_t start, size_t end);

/* Make ranges begin at start and at end, so that those between can change. -ENOMEM: nothing did. */
static inline int shm__ranges_cut(struct shm__ranges *ranges, size_t start, size_t end)
{
	const struct shm__range *last = ranges->last;

	if (last->start == start && last->end == end)
		return 0;
	return shm__ranges_cut_at(ranges, start, end);
}

/* Make one of equal neighbours, from the one before start to the one after end. */
static inline void shm__ranges_join(struct shm__ranges *ranges, size_t start, size_t end)
{
	if (ranges->count > 1)
		shm__ranges_join_at(ranges, start, end);
}

static inline struct shm__holder *shm__range_holder(struct shm__range *range, unsigned slot)
{
	for (unsigned i = 0; i < range->holders; i++)
		if (range->holder[i].slot == slot)
			return &range->holder[i];
	return NULL;
}

/* A holder that isn't there is made. NULL: there are SHM__HOLDERS with work already. */
struct shm__holder *shm__range_add_holder(struct shm__range *range, unsigned slot);
void shm__range_drop_holder(struct shm__range *range, struct shm__holder *holder);

/* The ranges of [from, to), which may begin and end inside the first and the last. */
#define SHM__EACH_RANGE(range, ranges, from, to)                                                   \
	for (struct shm__range *range = shm__range_at(ranges, from); range && range->start < (to); \
	     range = range->end < (to) ? shm__range_next(range) : NULL)

#endif
