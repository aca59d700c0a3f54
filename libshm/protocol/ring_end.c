/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdatomic.h>
#include <string.h>

#include "ring_end.h"

#define MAGIC    0x676e6972u
#define AT_MAGIC 0u
#define AT_SLOTS 4u
#define AT_RUN   8u
#define AT_PUT   64u
#define AT_TAKEN 128u
#define AT_BYTES 16u /* of a slot */
#define ALIGNED  64u

static uint32_t little(uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return __builtin_bswap32(value);
#else
	return value;
#endif
}

static _Atomic uint32_t *word(const struct shm__ring_end *end, size_t at)
{
	return (_Atomic uint32_t *)(void *)(end->memory + at);
}

static uint32_t see(const struct shm__ring_end *end, size_t at)
{
	return little(atomic_load_explicit(word(end, at), memory_order_acquire));
}

static void show(const struct shm__ring_end *end, size_t at, uint32_t value)
{
	atomic_store_explicit(word(end, at), little(value), memory_order_release);
}

static bool is_count(uint32_t slots)
{
	return slots && slots <= SHM__RING_SLOTS_MAX && !(slots & (slots - 1));
}

size_t shm__ring_size(uint32_t slots)
{
	return is_count(slots) ? SHM__RING_HEADER + (size_t)slots * SHM__RING_SLOT : 0;
}

bool shm__ring_format(void *memory, size_t size, uint32_t slots, uint32_t number)
{
	struct shm__ring_end end = { .memory = memory };

	if (!is_count(slots) || size < shm__ring_size(slots) || (uintptr_t)memory % ALIGNED)
		return false;
	show(&end, AT_MAGIC, 0);
	show(&end, AT_SLOTS, slots);
	show(&end, AT_RUN, number);
	show(&end, AT_PUT, 0);
	show(&end, AT_TAKEN, 0);
	show(&end, AT_MAGIC, MAGIC);
	return true;
}

bool shm__ring_open(struct shm__ring_end *end, enum shm__ring_side side, void *memory, size_t size)
{
	struct shm__ring_end opened = { .memory = memory, .size = size, .side = side };
	uint32_t put, taken;

	if (size < SHM__RING_HEADER || (uintptr_t)memory % ALIGNED ||
	    see(&opened, AT_MAGIC) != MAGIC)
		return false;
	opened.slots = see(&opened, AT_SLOTS);
	if (!is_count(opened.slots) || size < shm__ring_size(opened.slots))
		return false;
	opened.run = see(&opened, AT_RUN);
	put = see(&opened, AT_PUT);
	taken = see(&opened, AT_TAKEN);
	if (put - taken > opened.slots)
		return false;
	opened.mine = side == SHM__RING_PUTS ? put : taken;
	*end = opened;
	return true;
}

/* What was formatted anew is another ring, also after this one broke. */
static bool is_usable(struct shm__ring_end *end)
{
	if (see(end, AT_MAGIC) != MAGIC)
		return false;
	if (see(end, AT_RUN) != end->run && !shm__ring_open(end, end->side, end->memory, end->size))
		return false;
	return !end->broken;
}

static unsigned char *slot(const struct shm__ring_end *end)
{
	return end->memory + SHM__RING_HEADER +
	       (size_t)(end->mine & (end->slots - 1)) * SHM__RING_SLOT;
}

bool shm__ring_put(struct shm__ring_end *end, const void *record, size_t size)
{
	uint32_t used, bytes = little((uint32_t)size);

	if (!size || size > SHM__RECORD_MAX || !is_usable(end))
		return false;
	used = end->mine - see(end, AT_TAKEN);
	end->broken = used > end->slots;
	if (used >= end->slots)
		return false;
	memcpy(slot(end), &bytes, sizeof(bytes));
	memcpy(slot(end) + AT_BYTES, record, size);
	show(end, AT_PUT, ++end->mine);
	return true;
}

size_t shm__ring_take(struct shm__ring_end *end, uint8_t record[static SHM__RECORD_MAX])
{
	uint32_t ready, size;

	if (!is_usable(end))
		return 0;
	ready = see(end, AT_PUT) - end->mine;
	end->broken = ready > end->slots;
	if (!ready || end->broken)
		return 0;
	/* once: the other side may change it meanwhile */
	size = little(*(volatile uint32_t *)(void *)slot(end));
	end->broken = !size || size > SHM__RECORD_MAX;
	if (end->broken)
		return 0;
	memcpy(record, slot(end) + AT_BYTES, size);
	show(end, AT_TAKEN, ++end->mine);
	return size;
}
