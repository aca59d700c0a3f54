/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The example firmware on the coprocessor: memory that both reach is shared, given, worked on in place by
 * RISC-V code and comes back, over kernel RPMsg. The host's end is the protocol itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/rpmsg.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "coprocessor_board.h"
#include "session.h"
#include "shm_test.h"

#define BYTES   65536u
#define ADDRESS (COPROCESSOR_BASE + COPROCESSOR_SHARED + (uint64_t)COPROCESSOR_OFFSET)
#define WINDOW  16u

struct signature {
	char mark[4];
	uint32_t number;
	uint64_t bytes, sum;
};

static struct shm__session session;
static struct shm__share shares[4];
static struct shm__give gives[8];
static struct shm__event last;
static struct signature signature;
static int channel, memory;
static unsigned char *bytes;

static void say(const struct shm__out *out)
{
	if (out->size)
		assert_int_equal(write(channel, out->data, out->size), (int)out->size);
}

/* What comes until an event of this kind, which must. */
static void expect(enum shm__event_kind kind)
{
	uint8_t record[SHM__RECORD_MAX];
	struct shm__out out;

	for (;;) {
		struct pollfd wait = { .fd = channel, .events = POLLIN };
		ssize_t size;

		if (poll(&wait, 1, COPROCESSOR_PATIENCE) != 1)
			fail_msg("the firmware doesn't answer, event %d was awaited", (int)kind);
		size = read(channel, record, sizeof(record));
		assert_true(size > 0);
		shm__session_receive(&session, record, (size_t)size, &last, &out);
		say(&out);
		if (last.kind == SHM__EVENT_USER && last.record.user.length == sizeof(signature))
			memcpy(&signature, last.record.user.data, sizeof(signature));
		if (last.kind == kind)
			return;
		if (last.kind != SHM__EVENT_NONE && last.kind != SHM__EVENT_USER)
			fail_msg("event %d, not %d (code %d)", (int)last.kind, (int)kind,
				 (int)last.code);
	}
}

/* The control device of the bus that is there now; one of a former run may be going. */
static bool make_endpoint(void)
{
	struct rpmsg_endpoint_info info = { .name = "libshm-test",
					    .src = RPMSG_ADDR_ANY,
					    .dst = COPROCESSOR_LIBSHM };
	bool made = false;

	for (int i = 0; !made && i < 4; i++) {
		char node[32];
		int control;

		snprintf(node, sizeof(node), "/dev/rpmsg_ctrl%d", i);
		control = open(node, O_RDWR | O_CLOEXEC);
		if (control < 0)
			continue;
		made = !ioctl(control, RPMSG_CREATE_EPT_IOCTL, &info);
		close(control);
	}
	return made;
}

/* A channel to the firmware's endpoint. */
static int open_endpoint(void)
{
	for (int i = 0; !make_endpoint(); i++) {
		if (i == COPROCESSOR_PATIENCE / 10)
			fail_msg("no endpoint can be made");
		poll(NULL, 0, 10);
	}
	return coprocessor_channel(COPROCESSOR_LIBSHM);
}

static void meet(void)
{
	const struct shm__session_setup setup = {
		.mine = { .shares = shares, .gives = gives, .share_count = 4, .give_count = 8 },
		.session = (uint32_t)getpid(),
		.window = WINDOW,
	};
	struct shm__out out;

	memory = open("/dev/mem", O_RDWR | O_CLOEXEC);
	assert_true(memory >= 0);
	bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory,
		     COPROCESSOR_BASE + COPROCESSOR_SHARED);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	coprocessor_load("");
	coprocessor_stop();
	assert_int_equal(coprocessor_write("firmware", "board-increment.elf"), 0);
	assert_int_equal(coprocessor_write("state", "start"), 0);
	channel = open_endpoint();
	shm__session_init(&session, &setup);
	shm__session_begin(&session, (uint32_t)getpid(), &out);
	say(&out);
	expect(SHM__EVENT_UP);
}

static int part_ways(void **state)
{
	(void)state;
	ioctl(channel, RPMSG_DESTROY_EPT_IOCTL);
	close(channel);
	munmap(bytes, BYTES);
	close(memory);
	coprocessor_stop();
	assert_int_equal(coprocessor_write("firmware", "board-coprocessor.elf"), 0);
	return 0;
}

static uint32_t share(const struct shm__wire_segment *segments, uint32_t n, uint64_t size)
{
	struct shm__wire_share what = { .size = size,
					.dir = SHM__WIRE_READS | SHM__WIRE_WRITES,
					.segments = n };
	struct shm__out out;
	uint32_t id;

	memcpy(what.segment, segments, n * sizeof(*segments));
	assert_int_equal(shm__session_share(&session, &what, NULL, &id, &out), SHM__CODE_OK);
	say(&out);
	return id;
}

static void give(uint32_t id, uint64_t offset, uint64_t length)
{
	struct shm__out out;

	assert_int_equal(shm__session_give(&session, id, offset, length,
					   SHM__WIRE_READS | SHM__WIRE_WRITES, &out),
			 SHM__CODE_OK);
	say(&out);
	expect(SHM__EVENT_RETURNED);
	assert_int_equal(last.code, SHM__CODE_OK);
}

static void unshare(uint32_t id)
{
	struct shm__out out;

	assert_int_equal(shm__session_unshare(&session, id, &out), SHM__CODE_OK);
	say(&out);
	expect(SHM__EVENT_UNSHARED);
	assert_int_equal(last.code, SHM__CODE_OK);
}

static unsigned char pattern(unsigned i)
{
	return (unsigned char)(i * 7 + (i >> 8));
}

static void fill(void)
{
	for (unsigned i = 0; i < BYTES; i++)
		bytes[i] = pattern(i);
}

static void it_adds_one_to_each_byte_and_signs(void **state)
{
	const struct shm__wire_segment segment = { ADDRESS, BYTES };
	uint64_t sum = 0;
	uint32_t id;

	(void)state;
	meet();
	fill();
	id = share(&segment, 1, BYTES);
	for (unsigned round = 1; round <= 20; round++) {
		give(id, 0, BYTES);
		sum = 0;
		for (unsigned i = 0; i < BYTES; i++) {
			assert_int_equal(bytes[i], (unsigned char)(pattern(i) + round));
			sum += bytes[i];
		}
		assert_string_equal(signature.mark, "INC");
		assert_int_equal(signature.number, round);
		assert_int_equal(signature.bytes, BYTES);
		assert_int_equal(signature.sum, sum);
	}
	unshare(id);
}

static void it_touches_what_it_was_given_alone(void **state)
{
	const struct shm__wire_segment segment = { ADDRESS, BYTES };
	uint32_t id;

	(void)state;
	meet();
	fill();
	id = share(&segment, 1, BYTES);
	give(id, 4096 + 5, 1000);
	for (unsigned i = 0; i < BYTES; i++)
		assert_int_equal(bytes[i], (unsigned char)(pattern(i) + (i >= 4101 && i < 5101)));
	unshare(id);
}

static void scattered_memory_is_worked_on_too(void **state)
{
	const struct shm__wire_segment segments[] = {
		{ ADDRESS + 3 * 4096, 4096 },
		{ ADDRESS, 4096 },
		{ ADDRESS + 8 * 4096, 2 * 4096 },
	};
	uint32_t id;

	(void)state;
	meet();
	fill();
	id = share(segments, 3, 4 * 4096);
	give(id, 0, 4 * 4096);
	for (unsigned i = 0; i < BYTES; i++) {
		unsigned page = i / 4096;
		bool in = page == 0 || page == 3 || page == 8 || page == 9;

		assert_int_equal(bytes[i], (unsigned char)(pattern(i) + in));
	}
	unshare(id);
}

static void its_own_memory_is_out_of_reach(void **state)
{
	const struct shm__wire_segment mine = {
		COPROCESSOR_BASE + (uint64_t)COPROCESSOR_OFFSET + COPROCESSOR_FIRMWARE, 4096
	};
	const struct shm__wire_segment fine = { ADDRESS, 4096 };

	(void)state;
	meet();
	share(&mine, 1, 4096);
	expect(SHM__EVENT_UNSHARED);
	assert_int_equal(last.code, SHM__CODE_MEMORY);
	/* and goes on */
	unshare(share(&fine, 1, 4096));
}

static void a_second_program_begins_where_one_was_killed(void **state)
{
	const struct shm__wire_segment segment = { ADDRESS, BYTES };
	struct shm__out out;
	uint32_t id;

	(void)state;
	meet();
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 4; i++)
			share(&segment, 1, BYTES);
		shm__session_begin(&session, 1000 + (uint32_t)round, &out);
		say(&out);
		expect(SHM__EVENT_UP);
	}
	fill();
	id = share(&segment, 1, BYTES);
	give(id, 0, 64);
	assert_int_equal(bytes[63], (unsigned char)(pattern(63) + 1));
	assert_int_equal(bytes[64], pattern(64));
	unshare(id);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(it_adds_one_to_each_byte_and_signs, part_ways),
		cmocka_unit_test_teardown(it_touches_what_it_was_given_alone, part_ways),
		cmocka_unit_test_teardown(scattered_memory_is_worked_on_too, part_ways),
		cmocka_unit_test_teardown(its_own_memory_is_out_of_reach, part_ways),
		cmocka_unit_test_teardown(a_second_program_begins_where_one_was_killed, part_ways),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
