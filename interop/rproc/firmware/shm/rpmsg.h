/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file rpmsg.h
 * The coprocessor's side of RPMsg over virtio, as Linux's remoteproc sets it up, for firmware without a
 * stack of its own. Static memory, no interrupts needed: it looks when it is polled.
 *
 * Formats: virtio 1.1, 2.6 "Split Virtqueues" in the layout before 1.0; Linux, include/linux/remoteproc.h
 * and drivers/rpmsg/virtio_rpmsg_bus.c. Rings and messages are in memory that both sides see coherently, or
 * uncached; the host writes little-endian, as this processor does.
 */
#ifndef METAL_SHM_RPMSG_H
#define METAL_SHM_RPMSG_H

#include <shm/firmware.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The resource table's entry for RPMsg; METAL_SHM_RPMSG_VDEV is what it begins as. */
struct metal_shm_rpmsg_vdev {
	uint32_t type, id, notify, features, host_features, config_size;
	uint8_t status, vrings, padding[2];
	struct {
		uint32_t address, align, count, id, unused;
	} vring[2]; /**< to the host, from it; the loader fills in the addresses */
};

/** An entry with rings of @p n messages, a power of two up to 256. */
#define METAL_SHM_RPMSG_VDEV(n)                                 \
	{                                                       \
		.type = 3, .id = 7, .features = 1, .vrings = 2, \
		.vring = {                                      \
			{ 0xffffffffu, 4096, (n), 0, 0 },       \
			{ 0xffffffffu, 4096, (n), 1, 0 },       \
		},                                              \
	}

/** An address that the host can send to. */
struct metal_shm_rpmsg_endpoint {
	uint32_t address; /**< not 0 */
	const char
		*service; /**< as the host finds it, up to 31 bytes: "rpmsg-raw" for /dev/rpmsg* */
	/** A message came, copied. NULL for the endpoint that metal_shm_rpmsg_channel() is for. */
	void (*received)(void *user, uint32_t from, const void *message, size_t size);
	void *user;
	uint32_t peer;  /**< the channel's own */
	bool announced; /**< likewise */
};

struct metal_shm_rpmsg_ring {
	uintptr_t descriptors, available, used;
	uint16_t seen, count;
};

/** One RPMsg bus; the fields from rings on are its own and begin as 0. */
struct metal_shm_rpmsg {
	volatile struct metal_shm_rpmsg_vdev *vdev; /**< in the resource table */
	struct metal_shm_rpmsg_endpoint *endpoints;
	uint32_t endpoint_count;
	uint32_t reach_count;
	/** Where the host's rings and messages may lie, as this processor sees them. */
	const struct metal_shm_segment *reach;
	/** What is added to an address that the host's driver wrote into a ring. */
	uint64_t offset;
	/** Ring the host's doorbell: 0 a message for it, 1 one of its own is free again. */
	void (*kick)(void *user, unsigned ring);
	void *user;

	struct metal_shm_rpmsg_ring rings[2];
	uint32_t
		faults; /**< messages that couldn't be: outside of reach, longer than their place */
};

/**
 * Announce the endpoints once the host is ready, and hand on the next message that came.
 *
 * @param rpmsg  the bus
 * @param host   for the endpoint of a channel; NULL: messages to it are dropped
 * @return whether there was one
 */
bool metal_shm_rpmsg_poll(struct metal_shm_rpmsg *rpmsg, struct metal_device *host);

/**
 * Send a message.
 *
 * @param rpmsg    the bus
 * @param from     the endpoint's address
 * @param to       the host's, as it came with a message
 * @param message  the bytes
 * @param size     how many, at most METAL_SHM_CHANNEL_MAX
 * @return whether it went: the host has a free place for it
 */
bool metal_shm_rpmsg_send(struct metal_shm_rpmsg *rpmsg, uint32_t from, uint32_t to,
			  const void *message, size_t size);

/** A channel's two ends: what metal_shm_channel's data points to. */
struct metal_shm_rpmsg_link {
	struct metal_shm_rpmsg *rpmsg;
	struct metal_shm_rpmsg_endpoint *endpoint;
};

/**
 * Make a channel of an endpoint.
 *
 * Who says HELLO to it is the peer from then on; others' messages are dropped.
 *
 * @param link         bus and endpoint; lives as long as the channel
 * @param ret_channel  filled
 */
void metal_shm_rpmsg_channel(struct metal_shm_rpmsg_link *link,
			     struct metal_shm_channel *ret_channel);

#ifdef __cplusplus
}
#endif
#endif
