/* SPDX-License-Identifier: BSD-3-Clause */
/* The board's coprocessor (tests/board) for the examples of interop/rproc/firmware. */
#include "board.h"

#include <shm/lock.h>

static int64_t now_ns(void)
{
	uint64_t ticks;

	__asm__ volatile("rdtime %0" : "=r"(ticks));
	return (int64_t)(ticks * 100); /* of 10 MHz */
}

/* The ROM's timer ends it. */
void board_wait(void)
{
	__asm__ volatile("wfi" ::: "memory");
}

const struct metal_shm_platform board_platform = {
	.struct_size = sizeof(board_platform),
	.lock_owner = METAL_SHM_LOCK_FIRMWARE + 1,
	.now_ns = now_ns,
	.relax = board_wait,
};
