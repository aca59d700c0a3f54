/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An end that lies. a is the liar: its records are made by hand and reach b, which answers each with an
 * ERROR, counts it, and is as it was.
 */
#ifndef PROTOCOL_LIAR_H
#define PROTOCOL_LIAR_H

#include "protocol_pair.h"

static struct pair pair;

static inline int set_up(void **state)
{
	(void)state;
	pair_up(&pair);
	return 0;
}

/* What a record that is refused may change: counters, and that it came. */
static inline struct end without_counters(const struct end *end)
{
	struct end copy = *end;

	copy.s.faults = copy.s.stale = copy.s.received = copy.s.granted = 0;
	copy.head = copy.tail = 0;
	memset(copy.queue, 0, sizeof(copy.queue));
	memset(&copy.event, 0, sizeof(copy.event));
	copy.code = 0;
	return copy;
}

/* a lies, b finds out, says so, and nothing else happens. */
static inline void refused(struct shm__record *record, enum shm__code code)
{
	struct end before = without_counters(&pair.b), after;
	uint32_t faults = pair.b.s.faults;

	assert_int_equal(pair_forge(&pair, record), code);
	assert_int_equal(pair.b.event.kind, SHM__EVENT_NONE);
	assert_int_equal(pair.b.s.faults, faults + 1);
	after = without_counters(&pair.b);
	assert_memory_equal(&before, &after, sizeof(before));
	pair_step(&pair.a, &pair.b);
	assert_int_equal(pair.a.event.code, code);
	assert_int_equal(pair.a.event.record.error.type, record->type);
	assert_int_equal(pair.a.event.record.error.number, record->number);
}

static inline struct shm__record range_of(uint16_t type, uint32_t id, uint64_t offset,
					  uint64_t length)
{
	return (struct shm__record){
		.type = type,
		.range = { .id = id,
			   .generation = 1,
			   .offset = offset,
			   .length = length,
			   .dir = type == SHM__RECORD_GIVE ? 3 : 0 },
	};
}

/* A record with a header of the liar's choice, straight to b. */
static inline enum shm__code raw(const void *data, size_t size)
{
	struct shm__out out;

	pair.b.code = shm__session_receive(&pair.b.s, data, size, &pair.b.event, &out);
	pair_post(&pair.a, &out);
	return pair.b.code;
}

#endif
