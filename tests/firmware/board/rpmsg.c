/* SPDX-License-Identifier: BSD-3-Clause */
/* The way to the host by RPMsg, as remoteproc sets it up. */
#include <shm/rpmsg.h>

#include "board.h"
#include "coprocessor.h"

#define HERE(offset) (COPROCESSOR_BASE + COPROCESSOR_OFFSET + (offset))

#define RINGS 16

struct table {
	uint32_t version, entries, reserved[2], offset[1];
	struct metal_shm_rpmsg_vdev vdev;
};

/* The loader fills in the rings' addresses; the host's driver sets status when it is ready. */
__attribute__((section(".resource_table"), used)) static volatile struct table table = {
	.version = 1,
	.entries = 1,
	.offset = { offsetof(struct table, vdev) },
	.vdev = METAL_SHM_RPMSG_VDEV(RINGS),
};

/* All memory but what this firmware, its rings and its control block are in. */
const struct metal_shm_segment board_reach[] = {
	{ COPROCESSOR_OFFSET, COPROCESSOR_BASE },
	{ HERE(COPROCESSOR_SHARED), COPROCESSOR_OFFSET - COPROCESSOR_BASE - COPROCESSOR_SHARED },
};
const uint32_t board_reach_count = 2;

/* And the rings; the messages are in the host's memory. */
static const struct metal_shm_segment rpmsg_reach[] = {
	{ COPROCESSOR_OFFSET, COPROCESSOR_BASE },
	{ HERE(COPROCESSOR_VRING), 2 * COPROCESSOR_VRING_SIZE },
	{ HERE(COPROCESSOR_SHARED), COPROCESSOR_OFFSET - COPROCESSOR_BASE - COPROCESSOR_SHARED },
};

static void kick(void *user, unsigned ring)
{
	volatile uint32_t *doorbell =
		(volatile uint32_t *)(uintptr_t)HERE(COPROCESSOR_CONTROL + COPROCESSOR_TO_HOST);

	(void)user;
	doorbell[ring]++;
}

static struct metal_shm_rpmsg_endpoint endpoints[] = {
	{ .address = COPROCESSOR_LIBSHM, .service = "libshm" },
};

static struct metal_shm_rpmsg bus = {
	.vdev = &table.vdev,
	.endpoints = endpoints,
	.endpoint_count = 1,
	.reach_count = 3,
	.reach = rpmsg_reach,
	/* without VIRTIO_F_ACCESS_PLATFORM Linux writes physical addresses of its own */
	.offset = COPROCESSOR_OFFSET,
	.kick = kick,
};

void board_channel(struct metal_shm_channel *ret_channel)
{
	static struct metal_shm_rpmsg_link link = { &bus, &endpoints[0] };

	metal_shm_rpmsg_channel(&link, ret_channel);
}
