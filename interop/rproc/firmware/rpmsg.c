/* SPDX-License-Identifier: BSD-3-Clause */
/* What the host wrote into a ring is read once, checked, and copied before anyone looks at it. */
#include <string.h>

#include <shm/rpmsg.h>

#include "record.h"

enum {
	DRIVER_OK = 4,
	RING_ALIGN = 4096,
	NAME_SERVICE = 53,
	NAME_SIZE = 32,
	TO_HOST = 0,
	FROM_HOST = 1,
	COUNT_MAX = 256,
};

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct header {
	uint32_t from, to, reserved;
	uint16_t size, flags;
};

struct message {
	struct header header;
	uint8_t bytes[METAL_SHM_CHANNEL_MAX];
};

struct announcement {
	char name[NAME_SIZE];
	uint32_t address, flags;
};

/* For memory that the host sees, and for a doorbell that is a register: C11's fence knows nothing of those. */
static void barrier(void)
{
	__sync_synchronize();
}

static uint16_t read16(uintptr_t at)
{
	return *(volatile uint16_t *)at;
}

static bool reaches(const struct metal_shm_rpmsg *rpmsg, uint64_t address, uint64_t length)
{
	for (uint32_t i = 0; i < rpmsg->reach_count; i++) {
		const struct metal_shm_segment *window = &rpmsg->reach[i];

		if (address >= window->device_address && length <= window->length &&
		    address - window->device_address <= window->length - length)
			return true;
	}
	return false;
}

static bool open_ring(struct metal_shm_rpmsg *rpmsg, int which)
{
	struct metal_shm_rpmsg_ring *ring = &rpmsg->rings[which];
	uint32_t count = rpmsg->vdev->vring[which].count;
	uintptr_t at = rpmsg->vdev->vring[which].address, used;

	if (!count || count > COUNT_MAX || (count & (count - 1)))
		return false;
	used = at + sizeof(struct descriptor) * count + 2 * (3 + (uintptr_t)count);
	used = (used + RING_ALIGN - 1) & ~(uintptr_t)(RING_ALIGN - 1);
	if (!reaches(rpmsg, at, used - at + 6 + 8 * (uint64_t)count))
		return false;
	ring->descriptors = at;
	ring->available = at + sizeof(struct descriptor) * count;
	ring->used = used;
	ring->seen = 0;
	ring->count = (uint16_t)count;
	return true;
}

static bool is_open(struct metal_shm_rpmsg *rpmsg)
{
	barrier();
	if (!(rpmsg->vdev->status & DRIVER_OK))
		return false;
	if (rpmsg->rings[FROM_HOST].count)
		return true;
	return open_ring(rpmsg, TO_HOST) && open_ring(rpmsg, FROM_HOST);
}

/* The host's next buffer: its number, where it is and how long; nowhere if that isn't reached. */
static bool take(struct metal_shm_rpmsg *rpmsg, int which, uint16_t *ret_id, uintptr_t *ret_address,
		 uint32_t *ret_length)
{
	struct metal_shm_rpmsg_ring *ring = &rpmsg->rings[which];
	volatile const struct descriptor *descriptor;
	uint64_t address;
	uint16_t id;

	barrier();
	if (read16(ring->available + 2) == ring->seen)
		return false;
	barrier();
	id = read16(ring->available + 4 + 2 * (uintptr_t)(ring->seen & (ring->count - 1)));
	*ret_id = id;
	*ret_address = 0;
	*ret_length = 0;
	ring->seen++;
	if (id >= ring->count)
		return true;
	descriptor = (volatile const struct descriptor *)ring->descriptors + id;
	address = descriptor->address + rpmsg->offset;
	*ret_length = descriptor->length;
	if (reaches(rpmsg, address, *ret_length))
		*ret_address = (uintptr_t)address;
	return true;
}

static void give_back(struct metal_shm_rpmsg *rpmsg, int which, uint16_t id, uint32_t length)
{
	struct metal_shm_rpmsg_ring *ring = &rpmsg->rings[which];
	volatile uint16_t *index = (volatile uint16_t *)(ring->used + 2);
	volatile uint32_t *place =
		(volatile uint32_t *)(ring->used + 4 + 8 * (uintptr_t)(*index & (ring->count - 1)));

	place[0] = id;
	place[1] = length;
	barrier();
	*index = (uint16_t)(*index + 1);
	barrier();
	if (rpmsg->kick)
		rpmsg->kick(rpmsg->user, (unsigned)which);
}

bool metal_shm_rpmsg_send(struct metal_shm_rpmsg *rpmsg, uint32_t from, uint32_t to,
			  const void *message, size_t size)
{
	const struct header header = { .from = from, .to = to, .size = (uint16_t)size };
	uintptr_t address;
	uint32_t length;
	uint16_t id;

	if (size > METAL_SHM_CHANNEL_MAX || !is_open(rpmsg) ||
	    !take(rpmsg, TO_HOST, &id, &address, &length))
		return false;
	if (!address || length < sizeof(header) + size) {
		rpmsg->faults++;
		return false;
	}
	memcpy((void *)address, &header, sizeof(header));
	memcpy((void *)(address + sizeof(header)), message, size);
	give_back(rpmsg, TO_HOST, id, (uint32_t)(sizeof(header) + size));
	return true;
}

static void announce(struct metal_shm_rpmsg *rpmsg)
{
	for (uint32_t i = 0; i < rpmsg->endpoint_count; i++) {
		struct metal_shm_rpmsg_endpoint *endpoint = &rpmsg->endpoints[i];
		struct announcement announcement = { .address = endpoint->address };

		if (endpoint->announced)
			continue;
		for (int j = 0; j < NAME_SIZE - 1 && endpoint->service[j]; j++)
			announcement.name[j] = endpoint->service[j];
		endpoint->announced = metal_shm_rpmsg_send(rpmsg, endpoint->address, NAME_SERVICE,
							   &announcement, sizeof(announcement));
	}
}

/* One session's records are one peer's; who begins is the peer. */
static void hand_on(struct metal_shm_rpmsg_endpoint *endpoint, const struct message *message,
		    struct metal_device *host)
{
	const uint8_t *type = message->bytes;

	if (endpoint->received) {
		endpoint->received(endpoint->user, message->header.from, message->bytes,
				   message->header.size);
		return;
	}
	if (message->header.size >= SHM__RECORD_HEADER && type[0] == SHM__RECORD_HELLO && !type[1])
		endpoint->peer = message->header.from;
	if (host && endpoint->peer == message->header.from)
		metal_shm_host_received(host, message->bytes, message->header.size);
}

static bool copy(struct metal_shm_rpmsg *rpmsg, struct message *ret)
{
	uintptr_t address;
	uint32_t length;
	uint16_t id;
	bool good;

	if (!take(rpmsg, FROM_HOST, &id, &address, &length))
		return false;
	good = address && length >= sizeof(ret->header);
	if (good) {
		memcpy(&ret->header, (const void *)address, sizeof(ret->header));
		good = ret->header.size <= sizeof(ret->bytes) &&
		       ret->header.size <= length - sizeof(ret->header);
	}
	if (good)
		memcpy(ret->bytes, (const void *)(address + sizeof(ret->header)), ret->header.size);
	else
		rpmsg->faults++;
	if (!good)
		ret->header.to = 0;
	if (id < rpmsg->rings[FROM_HOST].count)
		give_back(rpmsg, FROM_HOST, id, 0);
	return true;
}

bool metal_shm_rpmsg_poll(struct metal_shm_rpmsg *rpmsg, struct metal_device *host)
{
	struct message message;

	if (!is_open(rpmsg))
		return false;
	announce(rpmsg);
	if (!copy(rpmsg, &message))
		return false;
	for (uint32_t i = 0; message.header.to && i < rpmsg->endpoint_count; i++)
		if (rpmsg->endpoints[i].address == message.header.to)
			hand_on(&rpmsg->endpoints[i], &message, host);
	return true;
}

static bool link_send(void *data, const void *message, size_t size)
{
	const struct metal_shm_rpmsg_link *link = data;

	return link->endpoint->peer && metal_shm_rpmsg_send(link->rpmsg, link->endpoint->address,
							    link->endpoint->peer, message, size);
}

static bool link_poll(void *data, struct metal_device *host)
{
	const struct metal_shm_rpmsg_link *link = data;

	return metal_shm_rpmsg_poll(link->rpmsg, host);
}

void metal_shm_rpmsg_channel(struct metal_shm_rpmsg_link *link,
			     struct metal_shm_channel *ret_channel)
{
	*ret_channel = (struct metal_shm_channel){
		.data = link,
		.send = link_send,
		.poll = link_poll,
		.room = link->rpmsg->vdev->vring[FROM_HOST].count,
	};
}
