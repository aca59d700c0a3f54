/* SPDX-License-Identifier: BSD-3-Clause */
/* Two ends of the protocol, and what is on its way between them. */
#ifndef PROTOCOL_PAIR_H
#define PROTOCOL_PAIR_H

#include <string.h>

#include "session.h"
#include "shm_test.h"

#define PAIR_SHARES 4
#define PAIR_GIVES  6
#define PAIR_WINDOW 8
#define PAIR_QUEUE  64

struct end {
	struct shm__session s;
	struct shm__share mine[PAIR_SHARES], theirs[PAIR_SHARES];
	struct shm__give given[PAIR_GIVES], taken[PAIR_GIVES];
	struct shm__out queue[PAIR_QUEUE]; /* on its way to this end */
	unsigned head, tail;
	struct shm__event event; /* the last one */
	enum shm__code code;
};

struct pair {
	struct end a, b;
};

static inline void pair_init_end(struct end *end, uint32_t session, uint32_t window)
{
	const struct shm__session_setup setup = {
		.mine = { .shares = end->mine,
			  .gives = end->given,
			  .share_count = PAIR_SHARES,
			  .give_count = PAIR_GIVES },
		.theirs = { .shares = end->theirs,
			    .gives = end->taken,
			    .share_count = PAIR_SHARES,
			    .give_count = PAIR_GIVES },
		.session = session,
		.window = window,
	};

	memset(end, 0, sizeof(*end));
	shm__session_init(&end->s, &setup);
}

/* Put what an end said on its way to the other. */
static inline void pair_post(struct end *to, const struct shm__out *out)
{
	if (!out->size)
		return;
	assert_in_range(to->tail - to->head, 0, PAIR_QUEUE - 1);
	to->queue[to->tail++ % PAIR_QUEUE] = *out;
}

/* The next record reaches an end; its answer goes on its way. The event's kind, -1: nothing was there. */
static inline int pair_step(struct end *end, struct end *other)
{
	struct shm__out out;

	if (end->head == end->tail)
		return -1;
	out = end->queue[end->head % PAIR_QUEUE];
	end->code = shm__session_receive(&end->s, out.data, out.size, &end->event, &out);
	end->head++;
	pair_post(other, &out);
	return (int)end->event.kind;
}

/* Until nothing is on its way. */
static inline void pair_settle(struct pair *pair)
{
	while (pair_step(&pair->a, &pair->b) >= 0 || pair_step(&pair->b, &pair->a) >= 0)
		;
}

static inline void pair_up(struct pair *pair)
{
	struct shm__out out;

	pair_init_end(&pair->a, 0xa, PAIR_WINDOW);
	pair_init_end(&pair->b, 0xb, PAIR_WINDOW);
	shm__session_begin(&pair->a.s, 0xa1, &out);
	pair_post(&pair->b, &out);
	pair_settle(pair);
	assert_true(pair->a.s.up && pair->b.s.up);
}

/* What an end wished; it is on its way to the other then. */
static inline void pair_said(struct end *to, enum shm__code code, const struct shm__out *out)
{
	assert_int_equal(code, SHM__CODE_OK);
	pair_post(to, out);
}

/* a gives b bytes, and b has heard it. */
static inline void pair_give(struct pair *pair, uint32_t id, uint64_t offset, uint64_t length,
			     unsigned dir)
{
	struct shm__out out;

	pair_said(&pair->b, shm__session_give(&pair->a.s, id, offset, length, dir, &out), &out);
	assert_int_equal(pair_step(&pair->b, &pair->a), SHM__EVENT_GIVEN);
}

/* A record made by hand reaches b, as if a had sent it. The code that b finds. */
static inline enum shm__code pair_forge(struct pair *pair, struct shm__record *record)
{
	struct shm__out out;

	record->session = pair->b.s.me;
	if (shm__record_counts(record->type))
		record->number = ++pair->a.s.sent;
	if (!record->limit)
		record->limit = pair->a.s.granted;
	out.size = shm__record_encode(record, out.data);
	assert_int_not_equal(out.size, 0);
	pair_post(&pair->b, &out);
	pair_step(&pair->b, &pair->a);
	return pair->b.code;
}

/* a shares size bytes at address 0x1000 with b; the id. */
static inline uint32_t pair_share(struct pair *pair, uint64_t size, unsigned dir)
{
	const struct shm__wire_share what = {
		.size = size,
		.dir = (uint16_t)dir,
		.segments = 1,
		.segment[0] = { 0x1000, size },
	};
	struct shm__out out;
	uint32_t id = 0;

	assert_int_equal(shm__session_share(&pair->a.s, &what, NULL, &id, &out), SHM__CODE_OK);
	pair_post(&pair->b, &out);
	assert_int_equal(pair_step(&pair->b, &pair->a), SHM__EVENT_SHARED);
	return id;
}

#endif
