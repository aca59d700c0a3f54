/* SPDX-License-Identifier: BSD-3-Clause */
/* From the ring to the file: what trace.c, timeline.c and trace_write.c hand to each other. */
#ifndef SHM_TIMELINE_H
#define SHM_TIMELINE_H

#include "core.h"

#define SHM__TRACKS     256 /* holders: the program is 0, devices of one name share theirs */
#define SHM__TRACK_NAME 128

struct shm__trace_entry {
	int64_t time_ns;
	uint64_t place; /* counted by the ring: what has one time is in this order */
	uint64_t offset, size;
	uint32_t memory, thread;
	int32_t detail;
	uint16_t track;
	uint8_t event;
};

struct shm__trace_copy {
	struct shm__trace_entry *entries;
	size_t count;
	uint64_t lost; /* written over, or not written to the end */
	uint32_t tracks;
	char (*names)[SHM__TRACK_NAME];
};

/* A copy of what the ring has now, ended by shm__os_free() of entries and names. 0 or -errno. */
int shm__trace_copy(struct shm__trace_copy *ret);

/* Of each track, so that what overlaps in time stands side by side. */
#define SHM__LANES 64

enum shm__item_kind { SHM__ITEM_HOLDS, SHM__ITEM_WAITS, SHM__ITEM_INSTANT };
enum shm__needed { SHM__NEEDED_START = 1, SHM__NEEDED_END = 2, SHM__NEEDED_NOTHING = 4 };

/* A stretch of time in which somebody has bytes or waits for them, or an instant. */
struct shm__item {
	int64_t begin, end;
	uint64_t offset, size;
	uint32_t serial; /* what has one time is in this order */
	uint32_t memory, thread;
	int32_t detail; /* HOLDS: the error that it ended with; else the record's */
	uint16_t track;
	uint8_t kind, event;
	uint8_t lane;
	uint8_t dir, needed;   /* HOLDS */
	bool no_begin, no_end; /* they are not in the trace */
	bool rest;             /* it goes on from another of the same holder */
	char flow;             /* 's', 't' or 'f', as in the file; 0: it has no arrow */
};

struct shm__timeline {
	struct shm__item *items; /* in order of begin; ended by shm__os_free() */
	size_t count;
	uint64_t left_out; /* for want of room */
	uint8_t lanes[SHM__TRACKS];
};

/* What the records, which it sorts, look like in time. 0 or -errno. */
int shm__timeline(struct shm__trace_copy *copy, struct shm__timeline *ret);

#endif
