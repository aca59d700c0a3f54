/* SPDX-License-Identifier: BSD-3-Clause */
/* The coprocessor's side of RPMsg beside a driver that the test plays: rings, announcements, and lies. */
#include <string.h>
#include <sys/mman.h>

#include <shm/rpmsg.h>

#include "shm_test.h"

#define COUNT  4u
#define MOVED  UINT64_C(0x1000000) /* what the driver's addresses lack */
#define DRIVER 4u
#define HEADER 16u

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

/* As the driver lays it out; the used part begins at the next 4096. */
struct ring {
	_Alignas(4096) struct descriptor descriptor[COUNT];
	uint16_t flags, available, place[COUNT];
	uint8_t gap[4096 - COUNT * 16 - 4 - COUNT * 2];
	uint16_t used_flags, used;
	struct {
		uint32_t id, length;
	} done[COUNT];
};

struct message {
	uint32_t from, to, reserved;
	uint16_t size, flags;
	uint8_t bytes[496];
};

static struct {
	struct ring ring[2];
	_Alignas(64) struct message message[2][COUNT];
} * shared;

static struct metal_shm_rpmsg_vdev vdev;
static struct metal_shm_rpmsg bus;
static struct metal_shm_rpmsg_endpoint endpoints[2];
static struct metal_shm_segment reach;
static unsigned kicks[2];
static struct {
	unsigned count;
	uint32_t from;
	size_t size;
	uint8_t bytes[496];
} got;

static void received(void *user, uint32_t from, const void *message, size_t size)
{
	(void)user;
	got.count++;
	got.from = from;
	got.size = size;
	memcpy(got.bytes, message, size);
}

static void kick(void *user, unsigned ring)
{
	(void)user;
	kicks[ring]++;
}

/* The table has 32 bits for a ring's address, so the memory lies there. */
static int begin(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	memset(shared, 0, sizeof(*shared));
	memset(&got, 0, sizeof(got));
	memset(kicks, 0, sizeof(kicks));
	vdev = (struct metal_shm_rpmsg_vdev)METAL_SHM_RPMSG_VDEV(COUNT);
	reach = (struct metal_shm_segment){ (uintptr_t)shared, sizeof(*shared) };
	endpoints[0] = (struct metal_shm_rpmsg_endpoint){ .address = 0x400,
							  .service = "rpmsg-raw",
							  .received = received };
	endpoints[1] = (struct metal_shm_rpmsg_endpoint){ .address = 0x401, .service = "libshm" };
	bus = (struct metal_shm_rpmsg){ .vdev = &vdev,
					.endpoints = endpoints,
					.endpoint_count = 2,
					.reach_count = 1,
					.reach = &reach,
					.offset = MOVED,
					.kick = kick };
	for (unsigned i = 0; i < 2; i++) {
		vdev.vring[i].address = (uint32_t)(uintptr_t)&shared->ring[i];
		for (unsigned j = 0; j < COUNT; j++)
			shared->ring[i].descriptor[j] =
				(struct descriptor){ (uintptr_t)&shared->message[i][j] - MOVED,
						     sizeof(struct message), 0, 0 };
	}
	/* what it may write: all but one */
	for (uint16_t j = 0; j < COUNT - 1; j++)
		shared->ring[0].place[j] = j;
	shared->ring[0].available = COUNT - 1;
	return 0;
}

static int end(void **state)
{
	(void)state;
	munmap(shared, sizeof(*shared));
	return 0;
}

static void driver_sends(uint16_t id, uint32_t to, const char *text)
{
	struct ring *ring = &shared->ring[1];
	struct message *message = &shared->message[1][id % COUNT];

	message->from = 0x35;
	message->to = to;
	message->size = (uint16_t)strlen(text);
	memcpy(message->bytes, text, strlen(text));
	ring->place[ring->available % COUNT] = id;
	ring->available++;
}

static void nothing_happens_before_the_driver_is_ready(void **state)
{
	(void)state;
	driver_sends(0, 0x400, "early");
	assert_false(metal_shm_rpmsg_poll(&bus, NULL));
	assert_false(metal_shm_rpmsg_send(&bus, 0x400, 1, "x", 1));
	assert_int_equal(shared->ring[0].used, 0);
	vdev.status = DRIVER;
	assert_true(metal_shm_rpmsg_poll(&bus, NULL));
	assert_int_equal(got.count, 1);
}

static void endpoints_are_announced_once(void **state)
{
	const struct message *first = &shared->message[0][0], *second = &shared->message[0][1];
	uint32_t address;

	(void)state;
	vdev.status = DRIVER;
	for (int i = 0; i < 3; i++)
		assert_false(metal_shm_rpmsg_poll(&bus, NULL));
	assert_int_equal(shared->ring[0].used, 2);
	assert_int_equal(shared->ring[0].done[0].length, HEADER + 40);
	assert_int_equal(first->from, 0x400);
	assert_int_equal(first->to, 53);
	assert_int_equal(first->size, 40);
	assert_string_equal((const char *)first->bytes, "rpmsg-raw");
	assert_string_equal((const char *)second->bytes, "libshm");
	memcpy(&address, second->bytes + 32, sizeof(address));
	assert_int_equal(address, 0x401);
	assert_int_equal(kicks[0], 2);
}

static void messages_come_and_go(void **state)
{
	(void)state;
	vdev.status = DRIVER;
	driver_sends(2, 0x400, "hello");
	driver_sends(1, 0x999, "to nobody");
	assert_true(metal_shm_rpmsg_poll(&bus, NULL));
	assert_int_equal(got.count, 1);
	assert_int_equal(got.from, 0x35);
	assert_int_equal(got.size, 5);
	assert_memory_equal(got.bytes, "hello", 5);
	assert_int_equal(shared->ring[1].done[0].id, 2);
	assert_true(metal_shm_rpmsg_poll(&bus, NULL));
	assert_int_equal(got.count, 1);
	assert_int_equal(shared->ring[1].used, 2);
	assert_int_equal(kicks[1], 2);
	/* two were the announcements' */
	assert_true(metal_shm_rpmsg_send(&bus, 0x400, 0x35, "there", 5));
	assert_memory_equal(shared->message[0][2].bytes, "there", 5);
	assert_int_equal(shared->message[0][2].to, 0x35);
	assert_false(metal_shm_rpmsg_send(&bus, 0x400, 0x35, "there", 5));
	assert_false(metal_shm_rpmsg_send(&bus, 0x400, 0x35, got.bytes, 497));
	assert_int_equal(bus.faults, 0);
}

static void what_a_ring_says_is_checked(void **state)
{
	static struct message elsewhere;
	struct ring *ring = &shared->ring[1];

	(void)state;
	vdev.status = DRIVER;
	elsewhere.to = 0x400;
	driver_sends(COUNT, 0x400, "no such place");
	assert_true(metal_shm_rpmsg_poll(&bus, NULL));
	assert_int_equal(bus.faults, 1);
	ring->descriptor[0].address = (uintptr_t)&elsewhere - MOVED;
	driver_sends(0, 0x400, "out of reach");
	assert_true(metal_shm_rpmsg_poll(&bus, NULL));
	assert_int_equal(bus.faults, 2);
	driver_sends(1, 0x400, "longer than its place");
	ring->descriptor[1].length = HEADER + 5;
	assert_true(metal_shm_rpmsg_poll(&bus, NULL));
	driver_sends(2, 0x400, "longer than any");
	shared->message[1][2].size = 497;
	ring->descriptor[2].length = 60000;
	assert_true(metal_shm_rpmsg_poll(&bus, NULL));
	assert_int_equal(got.count, 0);
	driver_sends(3, 0x400, "fine");
	assert_true(metal_shm_rpmsg_poll(&bus, NULL));
	assert_int_equal(got.count, 1);
	/* a place for what goes out, too */
	shared->ring[0].descriptor[2].length = HEADER;
	assert_false(metal_shm_rpmsg_send(&bus, 0x400, 0x35, "there", 5));
}

static void rings_out_of_reach_are_not_used(void **state)
{
	(void)state;
	vdev.status = DRIVER;
	driver_sends(0, 0x400, "hello");
	reach.length = offsetof(struct ring, done) + sizeof(struct ring);
	assert_false(metal_shm_rpmsg_poll(&bus, NULL));
	reach.length = sizeof(*shared);
	vdev.vring[1].count = 3;
	assert_false(metal_shm_rpmsg_poll(&bus, NULL));
	vdev.vring[1].count = 512;
	assert_false(metal_shm_rpmsg_poll(&bus, NULL));
	vdev.vring[1].count = COUNT;
	assert_true(metal_shm_rpmsg_poll(&bus, NULL));
	assert_int_equal(got.count, 1);
}

/* Only who says HELLO is answered. */
static void a_channel_has_one_peer(void **state)
{
	struct metal_shm_rpmsg_link link = { &bus, &endpoints[1] };
	struct metal_shm_channel channel;

	(void)state;
	vdev.status = DRIVER;
	metal_shm_rpmsg_channel(&link, &channel);
	assert_int_equal(channel.room, COUNT);
	assert_false(channel.send(channel.data, "x", 1));
	driver_sends(0, 0x401, "not one of the protocol's");
	assert_true(channel.poll(channel.data, NULL));
	assert_int_equal(endpoints[1].peer, 0);
	driver_sends(1, 0x401, "\1");
	shared->message[1][1].bytes[1] = 0;
	shared->message[1][1].size = 32;
	assert_true(channel.poll(channel.data, NULL));
	assert_int_equal(endpoints[1].peer, 0x35);
	assert_true(channel.send(channel.data, "x", 1));
	assert_int_equal(shared->message[0][2].to, 0x35);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_happens_before_the_driver_is_ready, begin,
						end),
		cmocka_unit_test_setup_teardown(endpoints_are_announced_once, begin, end),
		cmocka_unit_test_setup_teardown(messages_come_and_go, begin, end),
		cmocka_unit_test_setup_teardown(what_a_ring_says_is_checked, begin, end),
		cmocka_unit_test_setup_teardown(rings_out_of_reach_are_not_used, begin, end),
		cmocka_unit_test_setup_teardown(a_channel_has_one_peer, begin, end),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
