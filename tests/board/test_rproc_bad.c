/* SPDX-License-Identifier: BSD-3-Clause */
/* A coprocessor that lies, floods, keeps what it has, hangs or crashes, and programs that die. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "again.h"
#include "rproc_board.h"

#define NOBODY 65534

static void lies_are_answered_counted_and_change_nothing(void **state)
{
	struct metal_device *dsp = dsp_start();
	struct shared s = share(dsp, "heap:reserved", 65536);
	uint32_t before = dsp_info(dsp).faults + dsp_info(dsp).stale;

	(void)state;
	fill(&s, 0);
	ok(metal_shm_rproc_set_patience(dsp, LONG));
	dsp_order(dsp, ODD_KEEP, 0, 0);
	/* who looks whether it still has the buffer has it asked back */
	dsp_order(dsp, ODD_DEAF, 0, 0);
	ok(metal_shm_sync_for_device(s.shm, dsp, RW));
	for (unsigned lie = 1; lie < ODD_LIES; lie++) {
		uint32_t now;

		dsp_order(dsp, ODD_LIE, lie, 0);
		dsp_order(dsp, ODD_KEEP, 0, 0); /* it came before this did */
		now = dsp_info(dsp).faults + dsp_info(dsp).stale;
		if (now != before + 1)
			fail_msg("lie %u: %u faults, not %u", lie, now - before, 1);
		before = now;
		fails(metal_shm_sync_for_cpu_timeout(s.shm, RW, 0), ETIMEDOUT, "still has");
		assert_int_equal(dsp_info(dsp).given, 1);
		assert_int_equal(dsp_info(dsp).shared, 1);
	}
	dsp_order(dsp, ODD_RETURN, 0, 0);
	ok(metal_shm_sync_for_cpu_timeout(s.shm, RW, LONG));
	expect(&s, 0, 0);
	unshare(&s);
	dsp_close(dsp);
}

static void flood_keeps_nobody_from_working(void **state)
{
	struct metal_device *dsp = dsp_start();
	struct shared s = share(dsp, "heap:reserved", 4096);
	unsigned got = 0;
	uint32_t number[8]; /* the answer to the order is among them */
	int size;

	(void)state;
	dsp_tell(dsp, ODD_FLOOD, 2000, 0);
	for (unsigned round = 0; round < 20; round++) {
		fill(&s, round);
		ok(metal_shm_sync_for_device(s.shm, dsp, RW));
		ok(metal_shm_sync_for_cpu_timeout(s.shm, RW, LONG));
		expect(&s, round, 1);
	}
	do {
		size = metal_shm_rproc_receive(dsp, number, sizeof(number), SECOND / 5);
		got += size == sizeof(number[0]);
	} while (size > 0 || size == -EOVERFLOW);
	assert_int_equal(size, -ETIMEDOUT);
	shm_test_note("%u of 2000 messages were taken", got);
	assert_true(got >= 64);
	unshare(&s);
	dsp_close(dsp);
}

static void buffer_that_is_asked_back_comes_back(void **state)
{
	struct metal_device *dsp = dsp_start();
	struct shared s = share(dsp, "heap:reserved", 65536);

	(void)state;
	dsp_order(dsp, ODD_KEEP, 0, 0);
	ok(metal_shm_sync_for_device(s.shm, dsp, RW));
	ok(metal_shm_sync_for_cpu_timeout(s.shm, RW, LONG));
	unshare(&s);
	dsp_close(dsp);
}

static void deaf_firmware_keeps_the_bytes_and_the_wait_has_an_end(void **state)
{
	struct metal_device *dsp = dsp_start();
	struct shared s = share(dsp, "heap:reserved", 65536);

	(void)state;
	ok(metal_shm_rproc_set_patience(dsp, SECOND / 2));
	dsp_order(dsp, ODD_DEAF, 0, 0);
	ok(metal_shm_sync_for_device(s.shm, dsp, RW));
	fails(metal_shm_sync_for_cpu(s.shm, RW), ETIMEDOUT, "it is lost until");
	fails(metal_shm_sync_for_cpu(s.shm, RW), ETIMEDOUT, "it is lost until");
	assert_int_equal(dsp_info(dsp).lost, 1);
	/* nor does it come back by letting go of it */
	metal_shm_detach(s.view, dsp);
	assert_int_equal(dsp_info(dsp).given, 1);
	ok(metal_shm_rproc_stop(dsp));
	fails(metal_shm_sync_for_cpu(s.shm, RW), EIO, "failed");
	ok(metal_shm_sync_for_cpu(s.shm, RW));
	metal_shm_free(s.shm, s.memory);
	metal_shm_device_close(s.memory);
	dsp_close(dsp);
}

/* Nothing was given, but the firmware says no more that it is done with the memory. */
static void detached_memory_waits_for_a_deaf_firmware(void **state)
{
	struct metal_device *dsp = dsp_start();
	struct shared s = share(dsp, "heap:reserved", 65536);
	int64_t until = now_ns() + LONG;

	(void)state;
	ok(metal_shm_rproc_set_patience(dsp, SECOND / 10));
	dsp_order(dsp, ODD_DEAF, 0, 0);
	unshare(&s);
	while (!dsp_info(dsp).lost && now_ns() < until)
		metal_shm_device_dispatch(dsp);
	assert_int_equal(dsp_info(dsp).lost, 1);
	ok(metal_shm_rproc_stop(dsp));
	while (dsp_info(dsp).lost && now_ns() < until)
		metal_shm_device_dispatch(dsp);
	assert_int_equal(dsp_info(dsp).lost, 0);
	dsp_close(dsp);
}

static void works(struct metal_device *dsp)
{
	struct shared s = share(dsp, "heap:reserved", 65536);

	fill(&s, 9);
	ok(metal_shm_sync_for_device(s.shm, dsp, RW));
	ok(metal_shm_sync_for_cpu_timeout(s.shm, RW, LONG));
	expect(&s, 9, 1);
	unshare(&s);
}

/* The kernel recovers a core that has crashed: it stops it, which it reports, and starts it again. */
static void crash_gives_the_bytes_back_within_a_second(void **state)
{
	struct metal_device *dsp = dsp_start();
	struct shared s = share(dsp, "heap:reserved", 65536);
	struct shared idle = share(dsp, "heap:reserved", 65536);
	int64_t began, took;

	(void)state;
	dsp_order(dsp, ODD_KEEP, 0, 0);
	ok(metal_shm_sync_for_device(s.shm, dsp, RW));
	dsp_tell(dsp, ODD_TRAP, 0, 0);
	began = now_ns();
	fails(metal_shm_sync_for_cpu_timeout(s.shm, RW, LONG), EIO, "rproc:remoteproc0 failed");
	took = now_ns() - began;
	shm_test_note("back %lld ms after the order to crash", (long long)(took / 1000000));
	assert_true(took < 3 * SECOND); /* the report itself took a part of it */
	assert_int_equal(dsp_info(dsp).stops, 1);
	fails(metal_shm_sync_for_device(s.shm, dsp, RW), ENODEV, "was stopped since");
	fails(metal_shm_sync_for_device(idle.shm, dsp, RW), ENODEV, "was stopped since");
	unshare(&s);
	unshare(&idle);
	ok(metal_shm_rproc_connect(dsp, LONG));
	works(dsp);
	dsp_close(dsp);
}

/* Of a crash without recovery the kernel says that it was, and nothing of a stop. */
static void crash_without_recovery_waits_for_the_stop(void **state)
{
	struct metal_device *dsp = dsp_start();
	struct shared s = share(dsp, "heap:reserved", 65536);
	int64_t until = now_ns() + LONG;

	(void)state;
	ok(metal_shm_rproc_set_patience(dsp, SECOND / 2));
	assert_int_equal(coprocessor_write("recovery", "disabled"), 0);
	dsp_order(dsp, ODD_KEEP, 0, 0);
	ok(metal_shm_sync_for_device(s.shm, dsp, RW));
	dsp_tell(dsp, ODD_TRAP, 0, 0);
	while (metal_shm_rproc_state(dsp) != METAL_SHM_RPROC_CRASHED && now_ns() < until)
		pause_ms(10);
	assert_int_equal(metal_shm_rproc_state(dsp), METAL_SHM_RPROC_CRASHED);
	fails(metal_shm_sync_for_cpu(s.shm, RW), ETIMEDOUT, "it is lost until");
	ok(metal_shm_rproc_stop(dsp));
	assert_int_equal(coprocessor_write("recovery", "enabled"), 0);
	fails(metal_shm_sync_for_cpu(s.shm, RW), EIO, "failed");
	unshare(&s);
	ok(metal_shm_rproc_start(dsp, NULL, METAL_SHM_RPROC_STOP_WITH_US));
	ok(metal_shm_rproc_connect(dsp, LONG));
	works(dsp);
	dsp_close(dsp);
}

static bool announces(struct metal_device *dsp)
{
	struct metal_shm_rproc_channel channel[8] = { 0 };
	int n = metal_shm_rproc_channels(dsp, channel, 8);

	for (int i = 0; i < n; i++) {
		if (!strcmp(channel[i].service, "libshm"))
			return true;
	}
	return false;
}

static void core_that_hangs_is_stopped_and_started_by_the_same_program(void **state)
{
	struct metal_device *dsp = dsp_start();
	struct shared s = share(dsp, "heap:reserved", 65536);

	(void)state;
	ok(metal_shm_rproc_set_patience(dsp, SECOND / 2));
	dsp_order(dsp, ODD_KEEP, 0, 0);
	dsp_tell(dsp, ODD_HANG, 0, 0);
	ok(metal_shm_sync_for_device(s.shm, dsp, RW));
	fails(metal_shm_sync_for_cpu(s.shm, RW), ETIMEDOUT, "it is lost until");
	for (unsigned round = 0; round < 3; round++) {
		ok(metal_shm_rproc_stop(dsp));
		if (!round) {
			fails(metal_shm_sync_for_cpu(s.shm, RW), EIO, "failed");
			unshare(&s);
		}
		ok(metal_shm_rproc_start(dsp, NULL, METAL_SHM_RPROC_STOP_WITH_US));
		/* so that the first look at what the kernel tells finds the new run with its channel */
		while (!announces(dsp))
			pause_ms(1);
		ok(metal_shm_rproc_connect(dsp, LONG));
		works(dsp);
	}
	dsp_close(dsp);
}

static void firmware_that_begins_anew_while_it_has_bytes_loses_them(void **state)
{
	struct metal_device *dsp = dsp_start();
	struct shared s = share(dsp, "heap:reserved", 65536);
	int64_t until = now_ns() + LONG;

	(void)state;
	ok(metal_shm_rproc_set_patience(dsp, SECOND / 2));
	dsp_order(dsp, ODD_KEEP, 0, 0);
	ok(metal_shm_sync_for_device(s.shm, dsp, RW));
	dsp_tell(dsp, ODD_AGAIN, 0, 0);
	while (!dsp_info(dsp).lost && now_ns() < until)
		metal_shm_device_dispatch(dsp);
	fails(metal_shm_sync_for_cpu(s.shm, RW), ETIMEDOUT, "it is lost until");
	ok(metal_shm_rproc_stop(dsp));
	fails(metal_shm_sync_for_cpu(s.shm, RW), EIO, "failed");
	unshare(&s);
	dsp_close(dsp);
}

/* Where this program lies itself: an ELF file, of the wrong processor. */
static void look_for_firmware_in_tmp(void)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = open("/tmp/wrong.elf", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int where = open("/sys/module/firmware_class/parameters/path", O_WRONLY | O_CLOEXEC);
	char bytes[4096];
	ssize_t size;

	assert_true(from >= 0 && to >= 0 && where >= 0);
	while ((size = read(from, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(to, bytes, (size_t)size), size);
	assert_int_equal(write(where, "/tmp", 4), 4);
	close(from);
	close(to);
	close(where);
}

static void firmware_that_is_none_is_told_in_a_line(void **state)
{
	struct metal_device *dsp = dsp_open();

	(void)state;
	fails(metal_shm_rproc_start(dsp, "nonesuch.elf", 0), ENOENT,
	      "remoteproc0: there is no firmware 'nonesuch.elf' in ");
	look_for_firmware_in_tmp();
	fails(metal_shm_rproc_start(dsp, "wrong.elf", 0), ENOEXEC,
	      "is for x86-64, 64 bits, little-endian");
	coprocessor_load("");
	fails(metal_shm_rproc_connect(dsp, SECOND), ENOTCONN, "is offline: start it");
	ok(metal_shm_rproc_start(dsp, "board-coprocessor.elf", 0));
	fails(metal_shm_rproc_connect(dsp, SECOND / 2), ETIMEDOUT, "announced no service 'libshm'");
	ok(metal_shm_rproc_stop(dsp));
	dsp_close(dsp);
}

static void who_has_no_rights_is_told_which_are_missing(void **state)
{
	struct metal_device *dsp = dsp_open(), *other = NULL,
			    *memory = memory_open("heap:reserved");
	struct metal_generic_shm *shm = metal_shm_allocate(4096, memory, 0);

	(void)state;
	assert_int_equal(seteuid(NOBODY), 0);
	fails(metal_shm_rproc_start(dsp, "board-odd.elf", METAL_SHM_RPROC_STOP_WITH_US), EACCES,
	      ": not permitted: it is of user 0 and group 0 with mode ");
	assert_null(strchr(metal_shm_last_error(), '\n'));
	fails(metal_shm_rproc_start(dsp, NULL, 0), EACCES, ": not permitted: it is of user 0");
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(metal_shm_rproc_state(dsp), METAL_SHM_RPROC_OFFLINE);

	/* nor are its channel and the memory's addresses everybody's */
	ok(metal_shm_rproc_start(dsp, "board-odd.elf", 0));
	assert_int_equal(seteuid(NOBODY), 0);
	ok(metal_shm_rproc_open("board", &other));
	fails(metal_shm_rproc_connect(other, LONG), EACCES, "/dev/rpmsg");
	fails(metal_shm_rproc_stop(other), EACCES, ": not permitted: it is of user 0");
	assert_null(metal_shm_attach(shm, other));
	fails(-errno, ENOTSUP, "/dev/shm_importer: Permission denied");
	metal_shm_device_close(other);
	assert_int_equal(seteuid(0), 0);
	ok(metal_shm_rproc_connect(dsp, LONG));
	ok(metal_shm_rproc_stop(dsp));
	metal_shm_free(shm, memory);
	metal_shm_device_close(memory);
	dsp_close(dsp);
}

/* Another program, which is killed while its firmware writes. */
static int give_and_wait(void)
{
	struct metal_device *dsp = NULL;
	struct shared s;

	ok(metal_shm_rproc_open("board", &dsp));
	ok(metal_shm_rproc_connect(dsp, LONG));
	s = share(dsp, "heap:reserved", MIB);
	dsp_order(dsp, ODD_KEEP, 0, 0);
	ok(metal_shm_sync_for_device(s.shm, dsp, RW));
	dsp_order(dsp, ODD_LATE, 1, 0);
	printf("ready\n");
	fflush(stdout);
	for (;;)
		pause();
	return 0;
}

/* Whether what the firmware writes shows in memory that is allocated now. */
static bool next_owners_see_it(void)
{
	struct metal_device *memory = memory_open("heap:reserved");
	struct metal_generic_shm *shm[4];
	unsigned char *bytes[4];
	bool seen = false;

	for (unsigned i = 0; i < 4; i++) {
		shm[i] = metal_shm_allocate(MIB, memory, 0);
		assert_non_null(shm[i]);
		bytes[i] = metal_shm_map(shm[i], METAL_SHM_READ | METAL_SHM_WRITE);
		memset(bytes[i], 0x42, MIB);
	}
	pause_ms(200);
	for (unsigned i = 0; i < 4; i++) {
		for (size_t at = 0; at < MIB; at++)
			seen = seen || bytes[i][at] != 0x42;
		metal_shm_free(shm[i], memory);
	}
	metal_shm_device_close(memory);
	return seen;
}

static void memory_of_a_killed_program_goes_to_nobody_while_the_firmware_writes(void **state)
{
	struct metal_device *dsp = dsp_open();
	char word[16] = "";
	int from, status;
	pid_t child;

	(void)state;
	ok(metal_shm_rproc_start(dsp, "board-odd.elf", 0));
	child = start_again("give-and-wait", "-", NULL, &from);
	assert_true(read(from, word, sizeof(word) - 1) > 0);
	assert_string_equal(word, "ready\n");
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(from);
	assert_false(next_owners_see_it());
	/* the firmware goes on as if nothing were, with the next program; and what it held is free then */
	ok(metal_shm_rproc_connect(dsp, LONG));
	assert_false(next_owners_see_it());
	ok(metal_shm_rproc_stop(dsp));
	dsp_close(dsp);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lies_are_answered_counted_and_change_nothing),
		cmocka_unit_test(flood_keeps_nobody_from_working),
		cmocka_unit_test(buffer_that_is_asked_back_comes_back),
		cmocka_unit_test(deaf_firmware_keeps_the_bytes_and_the_wait_has_an_end),
		cmocka_unit_test(detached_memory_waits_for_a_deaf_firmware),
		cmocka_unit_test(crash_gives_the_bytes_back_within_a_second),
		cmocka_unit_test(crash_without_recovery_waits_for_the_stop),
		cmocka_unit_test(core_that_hangs_is_stopped_and_started_by_the_same_program),
		cmocka_unit_test(firmware_that_begins_anew_while_it_has_bytes_loses_them),
		cmocka_unit_test(firmware_that_is_none_is_told_in_a_line),
		cmocka_unit_test(who_has_no_rights_is_told_which_are_missing),
		cmocka_unit_test(
			memory_of_a_killed_program_goes_to_nobody_while_the_firmware_writes),
	};

	if (!strcmp(argv[0], "give-and-wait"))
		return give_and_wait();
	wait_once();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
