/* SPDX-License-Identifier: BSD-3-Clause */
/* The way to the host by rings, where the carveout "shared" begins: for a host without RPMsg. */
#include <shm/ring.h>

#include "board.h"
#include "coprocessor.h"

#define HERE(offset) (COPROCESSOR_BASE + COPROCESSOR_OFFSET + (offset))

/* remoteproc wants a table, and this firmware wants nothing of remoteproc. */
static const struct {
	uint32_t version, entries, reserved[2];
} table __attribute__((section(".resource_table"), used)) = { .version = 1 };

/* All memory but what this firmware and its rings are in. */
const struct metal_shm_segment board_reach[] = {
	{ COPROCESSOR_OFFSET, COPROCESSOR_BASE },
	{ HERE(COPROCESSOR_SHARED + 2 * COPROCESSOR_RING_SIZE),
	  COPROCESSOR_OFFSET - COPROCESSOR_BASE - COPROCESSOR_SHARED - 2 * COPROCESSOR_RING_SIZE },
};
const uint32_t board_reach_count = 2;

/* The host makes the rings. It looks at them by itself: this board has no doorbell that reaches a program. */
void board_channel(struct metal_shm_channel *ret_channel)
{
	static struct metal_shm_ring ring = {
		.from_host = (void *)HERE((uintptr_t)COPROCESSOR_SHARED),
		.from_host_size = COPROCESSOR_RING_SIZE,
		.to_host = (void *)HERE((uintptr_t)COPROCESSOR_SHARED + COPROCESSOR_RING_SIZE),
		.to_host_size = COPROCESSOR_RING_SIZE,
	};

	while (metal_shm_ring_channel(&ring, ret_channel))
		board_wait();
}
