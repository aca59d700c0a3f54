/* SPDX-License-Identifier: BSD-3-Clause */
/* A firmware and its host in one program: the host is a session of the protocol at the far end of two rings. */
#ifndef FIRMWARE_BENCH_H
#define FIRMWARE_BENCH_H

#include <shm/firmware.h>
#include <shm/ring.h>

#include "generic_fixture.h"
#include "ring_end.h"
#include "session.h"

#define SLOTS 8u
#define PAGE  4096u

/* What the firmware was told. */
static struct {
	unsigned began, shared, given, recalled, unshared, messages;
	struct metal_generic_shm *shm, *part;
	enum metal_shm_dir dir;
	uint8_t message[METAL_SHM_MESSAGE_MAX];
	size_t size;
	int refuse;
	bool lets_go; /* of what it took, at unshare */
} told;

/* The host's end. */
static struct shm__session far;
static struct shm__share far_shares[4];
static struct shm__give far_gives[8];
static struct shm__ring_end far_in, far_out;
static struct shm__event last; /* that wasn't NONE */
static unsigned kicks;

static struct metal_device *host;
static struct metal_shm_ring ring;
static struct metal_shm_channel channel;
static _Alignas(64) uint8_t to_host[SHM__RING_HEADER + SLOTS * SHM__RING_SLOT];
static _Alignas(64) uint8_t from_host[SHM__RING_HEADER + SLOTS * SHM__RING_SLOT];
static _Alignas(64) uint8_t arena[4 * PAGE];
static struct metal_shm_segment reach;

static int on_shared(void *user, struct metal_generic_shm *shm, enum metal_shm_dir dir)
{
	assert_ptr_equal(user, &told);
	told.shared++;
	told.shm = shm;
	told.dir = dir;
	return told.refuse;
}

static void on_given(void *user, struct metal_generic_shm *shm, enum metal_shm_dir dir)
{
	(void)user;
	told.given++;
	told.part = shm;
	told.dir = dir;
}

static void on_recalled(void *user, struct metal_generic_shm *shm)
{
	(void)user;
	told.recalled++;
	told.part = shm;
}

static void on_unshare(void *user, struct metal_generic_shm *shm)
{
	(void)user;
	told.unshared++;
	assert_ptr_equal(shm, told.shm);
	if (told.lets_go)
		metal_shm_free(shm, NULL);
}

static void on_message(void *user, const void *message, size_t size)
{
	(void)user;
	told.messages++;
	memcpy(told.message, message, size);
	told.size = size;
}

static void on_began(void *user)
{
	(void)user;
	told.began++;
}

static const struct metal_shm_host_events events = {
	.shared = on_shared,
	.given = on_given,
	.recalled = on_recalled,
	.unshare = on_unshare,
	.message = on_message,
	.began = on_began,
};

static void on_kick(void *user)
{
	(void)user;
	kicks++;
}

/* The host says something. */
static inline void say(const struct shm__out *out)
{
	if (out->size)
		assert_true(shm__ring_put(&far_out, out->data, out->size));
}

/* The host listens to all that came, and answers. */
static inline void listen(void)
{
	uint8_t record[SHM__RECORD_MAX];
	struct shm__event event;
	struct shm__out out;
	size_t size;

	while ((size = shm__ring_take(&far_in, record)) != 0) {
		shm__session_receive(&far, record, size, &event, &out);
		say(&out);
		if (event.kind != SHM__EVENT_NONE)
			last = event;
	}
}

/* Both, until nothing more is said. */
static inline void talk(void)
{
	for (int i = 0; i < 4; i++) {
		assert_int_equal(metal_shm_device_dispatch(host), 0);
		listen();
	}
}

/* The firmware lives as long as the program; each case begins with a host that begins anew. */
static inline void meet(void)
{
	const struct shm__session_setup setup = {
		.mine = { .shares = far_shares,
			  .gives = far_gives,
			  .share_count = SHM_TEST_COUNT(far_shares),
			  .give_count = SHM_TEST_COUNT(far_gives) },
		.session = 7,
		.window = SLOTS,
	};
	static uint32_t session = 100;
	struct shm__out out;

	end(begin());
	if (!host) {
		const struct metal_shm_host_setup mine = {
			.struct_size = sizeof(mine),
			.reach_count = 1,
			.channel = &channel,
			.events = &events,
			.user = &told,
			.reach = &reach,
			.request_timeout_ns = 1000000,
		};

		reach = (struct metal_shm_segment){ (uintptr_t)arena, sizeof(arena) };
		ring = (struct metal_shm_ring){
			from_host, sizeof(from_host), to_host, sizeof(to_host), on_kick, NULL, { 0 }
		};
		assert_int_equal(metal_shm_ring_channel(&ring, &channel), -EINVAL);
		assert_true(shm__ring_format(from_host, sizeof(from_host), SLOTS, 1));
		assert_true(shm__ring_format(to_host, sizeof(to_host), SLOTS, 1));
		assert_int_equal(metal_shm_ring_channel(&ring, &channel), 0);
		assert_true(shm__ring_open(&far_out, SHM__RING_PUTS, from_host, sizeof(from_host)));
		assert_true(shm__ring_open(&far_in, SHM__RING_TAKES, to_host, sizeof(to_host)));
		assert_int_equal(metal_shm_host_open(&mine, &host), 0);
		assert_int_equal(metal_shm_host_open(&mine, &host), -ENOSPC);
	}
	memset(&told, 0, sizeof(told));
	shm__session_init(&far, &setup);
	shm__session_begin(&far, session++, &out);
	say(&out);
	talk();
	assert_true(far.up);
	assert_int_equal(told.began, 1);
	memset(arena, 0, sizeof(arena));
	memset(&last, 0, sizeof(last));
	call_count = 0;
}

/* What a case leaves is void for the next host. */
static inline void part_ways(void)
{
	struct metal_shm_host_stats stats;
	struct shm__out out;

	shm__session_begin(&far, 99, &out);
	say(&out);
	talk();
	assert_int_equal(metal_shm_host_stats(host, &stats), 0);
	assert_int_equal(stats.shares, 0);
}

static inline uint32_t share_segments(const struct shm__wire_share *what)
{
	struct shm__out out;
	uint32_t id = 0;

	assert_int_equal(shm__session_share(&far, what, NULL, &id, &out), SHM__CODE_OK);
	say(&out);
	talk();
	return id;
}

/* Some pages of the arena, to read and write. */
static inline uint32_t share(size_t offset, size_t size)
{
	const struct shm__wire_share what = {
		.size = size,
		.dir = SHM__WIRE_READS | SHM__WIRE_WRITES,
		.segments = 1,
		.segment = { { (uintptr_t)arena + offset, size } },
	};

	return share_segments(&what);
}

static inline void give(uint32_t id, uint64_t offset, uint64_t length, unsigned dir)
{
	struct shm__out out;

	assert_int_equal(shm__session_give(&far, id, offset, length, dir, &out), SHM__CODE_OK);
	say(&out);
	talk();
}

#endif
