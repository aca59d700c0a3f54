/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An end that hears anything at all, among wishes of its own. Whatever it hears: what it answers is a
 * record, a record that it refuses changes nothing but counters, and its tables stay in order.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "session.h"

#define SHARES 3
#define GIVES  5

#define MUST(what)               \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

struct end {
	struct shm__session s;
	struct shm__share mine[SHARES], theirs[SHARES];
	struct shm__give given[GIVES], taken[GIVES];
};

static struct end end;
static struct shm__event event;
static struct shm__out out;
static const uint8_t *input;
static size_t left;
static volatile uint8_t seen; /* so that messages are read */

static uint8_t byte(void)
{
	if (!left)
		return 0;
	left--;
	return *input++;
}

static void put32(uint8_t *at, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void check_side(const struct shm__session_side *side)
{
	uint32_t given = 0, free_gives = 0;

	for (uint32_t i = 0; i < side->share_count; i++) {
		const struct shm__share *share = &side->shares[i];
		uint32_t count = 0;

		MUST(share->state != SHM__SHARE_FREE || !share->gives);
		for (uint32_t at = share->gives; at; at = side->gives[at - 1].next) {
			const struct shm__give *give = &side->gives[at - 1];

			MUST(++count <= side->give_count);
			MUST(give->length && give->offset < share->size);
			MUST(give->length <= share->size - give->offset);
			MUST(give->dir && !(give->dir & ~share->dir));
			for (uint32_t other = give->next; other;
			     other = side->gives[other - 1].next) {
				const struct shm__give *next = &side->gives[other - 1];

				MUST(give->offset >= next->offset + next->length ||
				     next->offset >= give->offset + give->length ||
				     (give->dir | next->dir) == SHM__WIRE_READS);
			}
		}
		MUST(count == share->gives_count);
		given += count;
	}
	for (uint32_t at = side->free_give; at; at = side->gives[at - 1].next)
		MUST(++free_gives <= side->give_count);
	MUST(given == side->given);
	MUST(given + free_gives == side->give_count);
}

static void check(void)
{
	struct shm__record record;

	check_side(&end.s.mine);
	check_side(&end.s.theirs);
	if (out.size)
		MUST(!shm__record_decode(out.data, out.size, &record));
}

/* Padding and all: both were copied byte by byte. */
static int same(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct end)) == 0;
}

static void hear(const uint8_t *record, size_t size)
{
	struct end before;
	/* of just its size, so that what is read behind it is seen */
	uint8_t *exact = malloc(size ? size : 1);
	enum shm__code code;

	memcpy(&before, &end, sizeof(end));
	MUST(exact);
	if (size)
		memcpy(exact, record, size);
	code = shm__session_receive(&end.s, exact, size, &event, &out);
	if (code) {
		MUST(event.kind == SHM__EVENT_NONE || event.kind == SHM__EVENT_NO_VERSION);
		before.s.faults = end.s.faults;
		before.s.stale = end.s.stale;
		before.s.received = end.s.received;
		before.s.granted = end.s.granted;
		MUST(same(&before, &end));
	} else if (event.kind == SHM__EVENT_USER) {
		MUST(event.record.user.length <= SHM__USER_MAX);
	}
	free(exact);
}

/* A record that is right but for what the input says, so that more than headers is looked at. */
static void hear_made(void)
{
	static const uint8_t sizes[] = { 0, 16, 56, 32, 32, 16, 8, 8, 8, 16, 0, 12 };
	uint8_t record[SHM__RECORD_MAX] = { 0 };
	uint8_t type = byte() % 13;
	size_t size;

	if (type == 12) {
		record[1] = 0x80;
		type = SHM__RECORD_GIVE; /* RECALL is as long */
		record[0] = 1;
	} else {
		record[0] = type;
	}
	size = SHM__RECORD_HEADER + sizes[type];
	record[2] = (uint8_t)size;
	put32(record + 4, type == SHM__RECORD_HELLO && byte() % 2 ? 0 : end.s.me);
	if (shm__record_counts((uint16_t)(record[0] | record[1] << 8)))
		put32(record + 8, end.s.received + 1);
	put32(record + 12, end.s.sent + byte() % 16);
	/* small numbers, in the lowest byte of each word */
	for (size_t at = SHM__RECORD_HEADER; at < size; at += 4)
		record[at] = byte();
	if (type == SHM__RECORD_HELLO) {
		record[20] = 1;
		record[22] = 1;
	}
	if (type == SHM__RECORD_SHARE) {
		record[44] = record[44] & 3;
		record[46] = 0;
		record[48] = 1;
		memset(record + 52, 0, 4);
		memset(record + 32, 0, 8);
		memcpy(record + 64, record + 24, 8);
	}
	if (type == SHM__RECORD_USER)
		record[20] = 0;
	hear(record, size);
}

static void hear_raw(void)
{
	uint8_t record[2 * SHM__RECORD_MAX] = { 0 };
	size_t size = byte() * 2u;

	for (size_t at = 0; at < size; at++)
		record[at] = byte();
	hear(record, size);
}

static void wish(uint8_t which)
{
	struct shm__wire_share what = {
		.size = byte(),
		.dir = byte() % 4,
		.segments = 1,
	};
	uint32_t id = byte() % (SHARES + 2), tag;

	switch (which) {
	case 0:
		what.segment[0].length = what.size;
		what.tag = byte() % 4;
		shm__session_share(&end.s, &what, NULL, &id, &out);
		break;
	case 1:
		shm__session_give(&end.s, id, what.size, byte(), byte() % 4, &out);
		break;
	case 2:
		shm__session_return(&end.s, id, what.size, byte(), byte(), &out);
		break;
	case 3:
		shm__session_recall(&end.s, id, what.size, byte(), &out);
		break;
	case 4:
		shm__session_unshare(&end.s, id, &out);
		break;
	case 5:
		shm__session_unshared(&end.s, id, &out);
		break;
	case 6:
		shm__session_request(&end.s, what.size, 0, &tag, &out);
		break;
	case 7:
		shm__session_refuse(&end.s, byte(), 1 + byte(), &out);
		break;
	case 8:
		shm__session_begin(&end.s, 1 + byte(), &out);
		break;
	default:
		shm__session_reject(&end.s, &event, 1 + byte(), &out);
		event.kind = SHM__EVENT_NONE; /* once */
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct shm__session_setup setup = {
		.mine = { .shares = end.mine,
			  .gives = end.given,
			  .share_count = SHARES,
			  .give_count = GIVES },
		.theirs = { .shares = end.theirs,
			    .gives = end.taken,
			    .share_count = SHARES,
			    .give_count = GIVES },
		.session = 1,
		.window = 4,
	};

	memset(&end, 0, sizeof(end));
	memset(&event, 0, sizeof(event));
	shm__session_init(&end.s, &setup);
	input = data;
	left = size;
	while (left) {
		uint8_t op = byte() % 20;

		if (op < 8)
			hear_made();
		else if (op < 10)
			hear_raw();
		else
			wish(op - 10);
		check();
	}
	return 0;
}
