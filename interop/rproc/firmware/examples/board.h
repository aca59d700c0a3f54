/* SPDX-License-Identifier: BSD-3-Clause */
/* What an example asks of the board that it runs on: the part to write for another one. */
#ifndef BOARD_H
#define BOARD_H

#include <shm/firmware.h>
#include <shm/generic.h>

/** Clock, cache operations and the like. */
extern const struct metal_shm_platform board_platform;

/** What leads to the host: RPMsg, rings. Waits until it is there. */
void board_channel(struct metal_shm_channel *ret_channel);

/** Where the host's memory may lie. */
extern const struct metal_shm_segment board_reach[];
extern const uint32_t board_reach_count;

/** Sleep until the host may have said something; may return at once. */
void board_wait(void);

/** The example, called with a stack and .bss zeroed. */
int main(void);

#endif
