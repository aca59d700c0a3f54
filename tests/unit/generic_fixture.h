/* SPDX-License-Identifier: BSD-3-Clause */
/* A platform that notes what it is asked for, a device that works past its cache, a buffer on both. */
#ifndef GENERIC_FIXTURE_H
#define GENERIC_FIXTURE_H

#include <errno.h>
#include <string.h>

#include <shm/device.h>
#include <shm/generic.h>
#include <shm/lock.h>

#include "platform.h"
#include "second.h"
#include "shm_test.h"
#include "system.h"
#include "tables.h"

#define LINE  64u
#define BYTES 1024u
#define ME    (METAL_SHM_LOCK_FIRMWARE + 5)

/* What the platform was asked for. */
struct call {
	char what; /* 'c'lean, 'i'nvalidate */
	uintptr_t address;
	size_t length;
};

static struct call calls[16];
static unsigned call_count;
static _Atomic int64_t now;
static int depth[2];
static _Atomic int deepest;

/* A device that works past the cache. */
static bool finishes;
static struct metal_generic_shm *working;
static struct metal_device *engine;

static _Alignas(64) uint8_t memory[BYTES];

static void note(char what, uintptr_t address, size_t length)
{
	assert_true(call_count < SHM_TEST_COUNT(calls));
	calls[call_count++] = (struct call){ what, address, length };
}

static void clean(uintptr_t address, size_t length)
{
	note('c', address, length);
}

static void invalidate(uintptr_t address, size_t length)
{
	note('i', address, length);
}

static int64_t read_clock(void)
{
	return now;
}

static void relax(void)
{
	assert_int_equal(depth[second_number()], 0);
	now += 1000;
}

static unsigned long mask(void)
{
	if (++depth[second_number()] > deepest)
		deepest = depth[second_number()];
	return 77;
}

static void unmask(unsigned long state)
{
	assert_int_equal(state, 77);
	depth[second_number()] = 0;
}

static const struct metal_shm_platform platform = {
	.struct_size = sizeof(platform),
	.cache_line = LINE,
	.lock_owner = ME,
	.now_ns = read_clock,
	.cache_clean = clean,
	.cache_invalidate = invalidate,
	.mask = mask,
	.unmask = unmask,
	.relax = relax,
	.processor = second_number,
};

static int engine_constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
			      struct metal_shm_constraints *ret)
{
	(void)dev;
	(void)frame;
	ret->access = METAL_SHM_ACCESS_DMA;
	return 0;
}

static int engine_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
			 struct metal_shm_view *ret_view)
{
	(void)dev;
	(void)at;
	ret_view->access = METAL_SHM_ACCESS_DMA;
	return 0;
}

static void engine_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
			  struct metal_shm_view *view)
{
	(void)dev;
	(void)at;
	(void)view;
}

static int engine_dispatch(struct metal_device *dev)
{
	if (finishes && working && !metal_shm_unhold(working, dev, 0))
		working = NULL;
	return 0;
}

static const struct metal_shm_device_ops engine_ops = {
	.struct_size = sizeof(engine_ops),
	.constraints = engine_constraints,
	.attach = engine_attach,
	.detach = engine_detach,
	.dispatch = engine_dispatch,
};

/* Each case begins with the platform set and a buffer that is attached to the engine. */
static inline struct metal_generic_shm *begin(void)
{
	struct metal_generic_shm *shm;
	int error = metal_shm_platform_set(&platform);

	assert_true(!error || error == -EALREADY);
	shm__platform.cache_line = LINE;
	assert_int_equal(metal_shm_device_create(&engine_ops, "engine", NULL, &engine), 0);
	shm = metal_shm_at(memory, BYTES);
	assert_non_null(shm);
	assert_non_null(metal_shm_attach(shm, engine));
	memset(memory, 0, sizeof(memory));
	call_count = 0;
	finishes = false;
	working = NULL;
	return shm;
}

static inline void end(struct metal_generic_shm *shm)
{
	metal_shm_detach(metal_shm_view(shm, engine), engine);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(engine);
	assert_int_equal(depth[0], 0);
}

static inline void expect(unsigned i, char what, size_t offset, size_t length)
{
	assert_true(i < call_count);
	assert_int_equal(calls[i].what, what);
	assert_int_equal(calls[i].address, (uintptr_t)memory + offset);
	assert_int_equal(calls[i].length, length);
}

#endif
