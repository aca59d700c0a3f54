/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Formats: virtio 1.1, 2.6 "Split Virtqueues" (the layout before 1.0, in the host's byte order, which is
 * ours); Linux, include/linux/remoteproc.h (resource table), drivers/rpmsg/virtio_rpmsg_bus.c (messages).
 */
#include "rpmsg.h"

#include "coprocessor.h"

#define CONTROL     (COPROCESSOR_BASE + COPROCESSOR_OFFSET + COPROCESSOR_CONTROL)
#define ADDRESS_ANY 0xffffffffu

enum {
	RSC_CARVEOUT = 0,
	RSC_VDEV = 3,
	VIRTIO_ID_RPMSG = 7,
	VIRTIO_RPMSG_F_NS = 1, /* bit 0 */
	VIRTIO_DRIVER_OK = 4,
	RING_ALIGN = 4096,
	RING_SIZE = 16,
	NAME_SERVICE = 53,
	TO_HOST = 0,
	FROM_HOST = 1,
};

struct vring_resource {
	uint32_t address, align, count, id, unused;
};

struct table {
	uint32_t version, entries, reserved[2], offset[2];
	uint32_t type, id, notify, features, host_features, config_size;
	uint8_t status, vrings, padding[2];
	struct vring_resource vring[2];
	struct {
		uint32_t type, address, physical, length, flags, reserved;
		char name[32];
	} shared;
};

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct available {
	uint16_t flags, index, ring[];
};

struct used {
	uint16_t flags, index;
	struct {
		uint32_t id, length;
	} ring[];
};

struct ring {
	volatile struct descriptor *descriptors;
	volatile struct available *available;
	volatile struct used *used;
	uint16_t seen;
	uint16_t count;
};

struct message {
	uint32_t from, to, reserved;
	uint16_t size, flags;
	uint8_t bytes[];
};

struct announcement {
	char name[32];
	uint32_t address, flags;
};

/* The loader fills in the rings' addresses; the host's driver sets status when it is ready. */
__attribute__((section(".resource_table"), used)) static volatile struct table table = {
	.version = 1,
	.entries = 2,
	.offset = { offsetof(struct table, type), offsetof(struct table, shared) },
	.type = RSC_VDEV,
	.id = VIRTIO_ID_RPMSG,
	.features = VIRTIO_RPMSG_F_NS,
	.vrings = 2,
	.vring = { { ADDRESS_ANY, RING_ALIGN, RING_SIZE, 0, 0 },
		   { ADDRESS_ANY, RING_ALIGN, RING_SIZE, 1, 0 } },
	.shared = { .type = RSC_CARVEOUT,
		    .address = COPROCESSOR_BASE + COPROCESSOR_OFFSET + COPROCESSOR_SHARED,
		    .length = COPROCESSOR_SHARED_SIZE,
		    .name = "shared" },
};

static struct ring rings[2];
static size_t announced; /* so many endpoints */

static void barrier(void)
{
	__asm__ volatile("fence iorw, iorw" ::: "memory");
}

static void ring_open(struct ring *ring, const volatile struct vring_resource *resource)
{
	uintptr_t base = resource->address;
	uint16_t count = (uint16_t)resource->count;
	uintptr_t end = base + 16u * count + sizeof(struct available) + 2u * (count + 1u);

	ring->descriptors = (volatile struct descriptor *)base;
	ring->available = (volatile struct available *)(base + 16u * count);
	ring->used =
		(volatile struct used *)((end + RING_ALIGN - 1) & ~(uintptr_t)(RING_ALIGN - 1));
	ring->seen = 0;
	ring->count = count;
}

/*
 * The next buffer of the host's, NULL when there is none. Without VIRTIO_F_ACCESS_PLATFORM, which a resource
 * table has no room for, Linux writes physical addresses of its own.
 */
static struct message *ring_take(struct ring *ring, uint16_t *ret_id)
{
	barrier();
	if (ring->available->index == ring->seen)
		return NULL;
	barrier();
	*ret_id = ring->available->ring[ring->seen % ring->count];
	ring->seen++;
	return (struct message *)(uintptr_t)(ring->descriptors[*ret_id].address +
					     COPROCESSOR_OFFSET);
}

static void ring_return(int which, uint16_t id, uint32_t length)
{
	volatile uint32_t *doorbell =
		(volatile uint32_t *)(uintptr_t)(CONTROL + COPROCESSOR_TO_HOST);
	volatile struct used *used = rings[which].used;
	uint16_t place = used->index % rings[which].count;

	used->ring[place].id = id;
	used->ring[place].length = length;
	barrier();
	used->index++;
	barrier();
	doorbell[which]++;
}

bool rpmsg_send(uint32_t from, uint32_t to, const void *message, size_t size)
{
	const uint8_t *bytes = message;
	struct message *buffer;
	uint16_t id;

	if (size > RPMSG_MAX)
		return false;
	buffer = ring_take(&rings[TO_HOST], &id);
	if (!buffer)
		return false;
	buffer->from = from;
	buffer->to = to;
	buffer->reserved = 0;
	buffer->size = (uint16_t)size;
	buffer->flags = 0;
	for (size_t i = 0; i < size; i++)
		buffer->bytes[i] = bytes[i];
	ring_return(TO_HOST, id, (uint32_t)(sizeof(*buffer) + size));
	return true;
}

static bool announce(const struct rpmsg_endpoint *endpoint)
{
	struct announcement announcement = { .address = endpoint->address };

	for (size_t i = 0; i < sizeof(announcement.name) - 1 && endpoint->service[i]; i++)
		announcement.name[i] = endpoint->service[i];
	return rpmsg_send(endpoint->address, NAME_SERVICE, &announcement, sizeof(announcement));
}

void rpmsg_poll(const struct rpmsg_endpoint *endpoints)
{
	const struct rpmsg_endpoint *endpoint;
	struct message *message;
	uint16_t id;

	barrier();
	if (!(table.status & VIRTIO_DRIVER_OK))
		return;
	if (!rings[FROM_HOST].descriptors) {
		ring_open(&rings[TO_HOST], &table.vring[TO_HOST]);
		ring_open(&rings[FROM_HOST], &table.vring[FROM_HOST]);
	}
	while (endpoints[announced].address && announce(&endpoints[announced]))
		announced++;

	for (;;) {
		message = ring_take(&rings[FROM_HOST], &id);
		if (!message)
			return;
		for (endpoint = endpoints; endpoint->address; endpoint++)
			if (endpoint->address == message->to)
				endpoint->received(message->from, message->to, message->bytes,
						   message->size);
		ring_return(FROM_HOST, id, 0);
	}
}
