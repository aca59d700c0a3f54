/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Atomic operations on 8 bytes for processors that have none so wide. The compiler calls these by their
 * names; a lock for all of them does, since none of the bytes is shared with another processor.
 */
#include <stdatomic.h>
#include <stdint.h>

#include "platform.h"

static atomic_flag taken = ATOMIC_FLAG_INIT;

uint64_t shm__wide_load(const volatile void *at, int order) __asm__("__atomic_load_8");
void shm__wide_store(volatile void *at, uint64_t value, int order) __asm__("__atomic_store_8");
uint64_t shm__wide_add(volatile void *at, uint64_t value,
		       int order) __asm__("__atomic_fetch_add_8");
uint64_t shm__wide_sub(volatile void *at, uint64_t value,
		       int order) __asm__("__atomic_fetch_sub_8");

static void begin(void)
{
	shm__os_mask();
	while (atomic_flag_test_and_set_explicit(&taken, memory_order_acquire))
		;
}

static void end(void)
{
	atomic_flag_clear_explicit(&taken, memory_order_release);
	shm__os_unmask();
}

uint64_t shm__wide_load(const volatile void *at, int order)
{
	uint64_t value;

	(void)order;
	begin();
	value = *(const volatile uint64_t *)at;
	end();
	return value;
}

void shm__wide_store(volatile void *at, uint64_t value, int order)
{
	(void)order;
	begin();
	*(volatile uint64_t *)at = value;
	end();
}

uint64_t shm__wide_add(volatile void *at, uint64_t value, int order)
{
	uint64_t before;

	(void)order;
	begin();
	before = *(volatile uint64_t *)at;
	*(volatile uint64_t *)at = before + value;
	end();
	return before;
}

uint64_t shm__wide_sub(volatile void *at, uint64_t value, int order)
{
	return shm__wide_add(at, 0 - value, order);
}
