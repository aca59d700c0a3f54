/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file ring.h
 * A channel through shared memory, for hosts without RPMsg: a ring each way, a doorbell each way. Its bytes
 * are in docs/coprocessor-protocol.md.
 */
#ifndef METAL_SHM_RING_H
#define METAL_SHM_RING_H

#include <shm/firmware.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A channel's two rings. */
struct metal_shm_ring {
	void *from_host; /**< memory that is coherent or uncached, at a multiple of 64; formatted by the host */
	size_t from_host_size;
	void *to_host; /**< likewise */
	size_t to_host_size;
	void (*kick)(void *user); /**< ring the host's doorbell; NULL: it looks by itself */
	void *user;
	uint64_t own[10]; /**< the channel's */
};

/**
 * Make a channel of two rings.
 *
 * @param ring         lives as long as the channel
 * @param ret_channel  filled
 * @return 0; -EINVAL there is no ring in the memory
 */
int metal_shm_ring_channel(struct metal_shm_ring *ring, struct metal_shm_channel *ret_channel);

#ifdef __cplusplus
}
#endif
#endif
