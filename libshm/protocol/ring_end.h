/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records through shared memory, one way: one side puts, one takes, and neither trusts the other. Each keeps
 * its own place to itself and writes it down for the other to see; what the other wrote down is checked each
 * time, and a record is copied before anyone looks at it. A channel is two of them and a doorbell each way.
 *
 * The memory is coherent between both sides, or uncached. All numbers are little-endian words:
 *
 *	  0  0x676e6972 ("ring"), written last by who formats it
 *	  4  slots: a power of two, at most SHM__RING_SLOTS_MAX
 *	  8  another number each time that it is formatted
 *	 64  records put so far, by the side that puts
 *	128  records taken so far, by the side that takes
 *	192  slots of 512 bytes: the record's size, 12 bytes unused, the record
 */
#ifndef SHM_RING_END_H
#define SHM_RING_END_H

#include "record.h"

#define SHM__RING_SLOTS_MAX 1024u
#define SHM__RING_HEADER    192u
#define SHM__RING_SLOT      512u

enum shm__ring_side { SHM__RING_PUTS, SHM__RING_TAKES };

/* One side's end of a ring. */
struct shm__ring_end {
	unsigned char *memory;
	size_t size;
	enum shm__ring_side side;
	uint32_t slots;
	uint32_t run;  /* the number of the formatting that this end knows */
	uint32_t mine; /* how many this side has put, or taken */
	bool broken;   /* the other side's place can't be, or a record's size */
};

/* Bytes of a ring; 0 for a number of slots that no ring has. */
size_t shm__ring_size(uint32_t slots);

/*
 * Make an empty ring of memory that has room for it and begins at a multiple of 64 bytes. Ends of a ring that
 * was there begin with it, since the number is another one.
 */
bool shm__ring_format(void *memory, size_t size, uint32_t slots, uint32_t number);

/*
 * Take one end of a ring that was formatted. Where somebody had this end before, who was killed or restarted, it
 * goes on where that one stopped. False also for a ring that is broken.
 */
bool shm__ring_open(struct shm__ring_end *end, enum shm__ring_side side, void *memory, size_t size);

/* False: no room now, or broken, or no size of a record. */
bool shm__ring_put(struct shm__ring_end *end, const void *record, size_t size);

/* The next record's size; 0: there is none now, or broken. */
size_t shm__ring_take(struct shm__ring_end *end, uint8_t record[static SHM__RECORD_MAX]);

#endif
