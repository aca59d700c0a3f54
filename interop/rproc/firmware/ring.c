/* SPDX-License-Identifier: BSD-3-Clause */
/* A channel of two rings: see libshm/protocol/ring_end.h. */
#include <errno.h>

#include <shm/ring.h>

#include "refuse.h"
#include "ring_end.h"

struct ends {
	struct shm__ring_end from_host, to_host;
};

_Static_assert(sizeof(struct ends) <= sizeof(((struct metal_shm_ring *)0)->own),
	       "the ends are in the ring's own bytes");

static struct ends *ends_of(struct metal_shm_ring *ring)
{
	return (struct ends *)(void *)ring->own;
}

static bool ring_send(void *data, const void *message, size_t size)
{
	struct metal_shm_ring *ring = data;

	if (!shm__ring_put(&ends_of(ring)->to_host, message, size))
		return false;
	if (ring->kick)
		ring->kick(ring->user);
	return true;
}

static bool ring_poll(void *data, struct metal_device *host)
{
	struct metal_shm_ring *ring = data;
	uint8_t record[SHM__RECORD_MAX];
	size_t size = shm__ring_take(&ends_of(ring)->from_host, record);

	if (!size)
		return false;
	metal_shm_host_received(host, record, size);
	return true;
}

int metal_shm_ring_channel(struct metal_shm_ring *ring, struct metal_shm_channel *ret_channel)
{
	struct ends *ends = ends_of(ring);

	if (!shm__ring_open(&ends->from_host, SHM__RING_TAKES, ring->from_host,
			    ring->from_host_size) ||
	    !shm__ring_open(&ends->to_host, SHM__RING_PUTS, ring->to_host, ring->to_host_size))
		return shm__refuse(EINVAL, "no ring in the memory: the host formats it");
	*ret_channel = (struct metal_shm_channel){
		.data = ring,
		.send = ring_send,
		.poll = ring_poll,
		.room = ends->from_host.slots,
	};
	return 0;
}
