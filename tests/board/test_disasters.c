/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes wrong on a machine whose devices see other bytes than the CPU until somebody syncs: each once
 * by the kernel's calls, where it does go wrong, and once through libshm. The table that the cases print
 * is that of docs/ownership.md.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>

#include "bounced.h"
#include "disaster.h"
#include "fence.h"

#define START DMA_BUF_SYNC_START
#define END   DMA_BUF_SYNC_END
#define R     METAL_SHM_DIR_DEV_R
#define W     METAL_SHM_DIR_DEV_W
#define RW    METAL_SHM_DIR_DEV_RW

/* Where a device's part begins, and its size. */
#define PART      ((size_t)8192)
#define PART_SIZE ((size_t)4096)

static void say_byte(char ret[16], unsigned char byte)
{
	snprintf(ret, 16, "%02x", byte);
}

/* ---- a sync that is missing ---- */

static void no_end_by_hand(const char *heap, char ret[16])
{
	struct hand hand;

	hand_open(&hand, heap, BYTES, 0x01);
	hand.bytes[0] = 0xab;
	say_byte(ret, device_sees(hand.device, 0));
	hand_close(&hand);
}

static void no_end_by_libshm(const char *heap, char ret[16])
{
	struct side side;

	side_open(&side, heap, BYTES);
	side_attach(&side, side.shm, METAL_SHM_VIEW_IN_PLACE);
	side.bytes[0] = 0xab;
	must(metal_shm_sync_for_device(side.shm, side.device.dev, R));
	say_byte(ret, side_device_sees(&side, side.shm, 0));
	side_detach(&side, side.shm);
	side_close(&side);
}

static void no_start_by_hand(const char *heap, char ret[16])
{
	struct hand hand;

	hand_open(&hand, heap, BYTES, 0x01);
	device_writes(hand.device, 0, 0xcd);
	say_byte(ret, hand.bytes[0]);
	hand_close(&hand);
}

static void no_start_by_libshm(const char *heap, char ret[16])
{
	struct side side;

	side_open(&side, heap, BYTES);
	side_attach(&side, side.shm, METAL_SHM_VIEW_IN_PLACE);
	must(metal_shm_sync_for_device(side.shm, side.device.dev, W));
	side_device_writes(&side, side.shm, 0, 0xcd);
	must(metal_shm_sync_for_cpu(side.shm, W));
	say_byte(ret, side.bytes[0]);
	side_detach(&side, side.shm);
	side_close(&side);
}

/* ---- a sync of all the buffer, while CPU and device have a part each ---- */

static void end_over_a_device_by_hand(const char *heap, char ret[16])
{
	struct hand hand;

	hand_open(&hand, heap, BYTES, 0x01);
	device_writes(hand.device, PART, 0x77);
	hand.bytes[0] = 0x02;
	hand_sync(&hand, END | DMA_BUF_SYNC_RW);
	assert_int_equal(device_sees(hand.device, 0), 0x02);
	say_byte(ret, device_sees(hand.device, PART));
	hand_close(&hand);
}

static void end_over_a_device_by_libshm(const char *heap, char ret[16])
{
	struct metal_generic_shm *first, *second;
	struct side side;

	side_open(&side, heap, BYTES);
	first = side_part(&side, 0, PART_SIZE);
	second = side_part(&side, PART, PART_SIZE);
	must(metal_shm_sync_for_device(second, side.device.dev, W));
	side_device_writes(&side, second, 0, 0x77);
	side.bytes[0] = 0x02;
	must(metal_shm_sync_for_device(first, side.device.dev, R));
	assert_int_equal(side_device_sees(&side, first, 0), 0x02);
	say_byte(ret, side_device_sees(&side, second, 0));
	must(metal_shm_sync_for_cpu(second, W));
	assert_int_equal(side.bytes[PART], 0x77);
	assert_int_equal(side.bytes[0], 0x02);
	side_end_part(&side, first);
	side_end_part(&side, second);
	side_close(&side);
}

static void start_over_the_cpu_by_hand(const char *heap, char ret[16])
{
	struct hand hand;

	hand_open(&hand, heap, BYTES, 0x01);
	hand.bytes[0] = 0x22;
	device_writes(hand.device, PART, 0x77);
	hand_sync(&hand, START | DMA_BUF_SYNC_READ);
	assert_int_equal(hand.bytes[PART], 0x77);
	say_byte(ret, hand.bytes[0]);
	hand_close(&hand);
}

static void start_over_the_cpu_by_libshm(const char *heap, char ret[16])
{
	struct metal_generic_shm *part;
	struct side side;

	side_open(&side, heap, BYTES);
	part = side_part(&side, PART, PART_SIZE);
	must(metal_shm_sync_for_device(part, side.device.dev, W));
	side.bytes[0] = 0x22;
	side_device_writes(&side, part, 0, 0x77);
	must(metal_shm_sync_for_cpu(part, W));
	assert_int_equal(side.bytes[PART], 0x77);
	say_byte(ret, side.bytes[0]);
	side_end_part(&side, part);
	side_close(&side);
}

/* The CPU only writes, so it doesn't ask for what the device wrote: its END returns stale bytes then. */
static void start_for_writing_by_hand(const char *heap, char ret[16])
{
	struct hand hand;

	hand_open(&hand, heap, BYTES, 0x01);
	device_writes(hand.device, 100, 0x77);
	hand_sync(&hand, START | DMA_BUF_SYNC_WRITE);
	hand.bytes[0] = 0x02;
	hand_sync(&hand, END | DMA_BUF_SYNC_WRITE);
	assert_int_equal(device_sees(hand.device, 0), 0x02);
	say_byte(ret, device_sees(hand.device, 100));
	hand_close(&hand);
}

static void start_for_writing_by_libshm(const char *heap, char ret[16])
{
	struct side side;

	side_open(&side, heap, BYTES);
	side_attach(&side, side.shm, METAL_SHM_VIEW_IN_PLACE);
	must(metal_shm_sync_for_device(side.shm, side.device.dev, W));
	side_device_writes(&side, side.shm, 100, 0x77);
	must(metal_shm_sync_for_cpu(side.shm, RW));
	side.bytes[0] = 0x02;
	must(metal_shm_sync_for_device(side.shm, side.device.dev, R));
	assert_int_equal(side_device_sees(&side, side.shm, 0), 0x02);
	say_byte(ret, side_device_sees(&side, side.shm, 100));
	side_detach(&side, side.shm);
	side_close(&side);
}

/* ---- a fence that is pending ---- */

struct sleeper {
	pthread_t thread;
	_Atomic long id;
	const struct hand *hand;
	struct side *side;
	int error;
};

static void *take_back(void *argument)
{
	struct sleeper *sleeper = argument;

	atomic_store(&sleeper->id, syscall(SYS_gettid));
	if (sleeper->hand)
		hand_sync(sleeper->hand, START | DMA_BUF_SYNC_READ);
	else
		sleeper->error = metal_shm_sync_for_cpu(sleeper->side->shm, W);
	return NULL;
}

/* The system call that a thread sleeps in; -1: it doesn't. */
static long sleeps_in(const struct sleeper *sleeper)
{
	char path[64];
	long call = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/syscall", atomic_load(&sleeper->id));
	file = fopen(path, "re");
	if (file && fscanf(file, "%ld", &call) != 1)
		call = -1;
	if (file)
		fclose(file);
	return call;
}

/* It takes the bytes back from a thread, which is waiting for the fence when this answers. */
static void sleep_in(struct sleeper *sleeper, long call, long or_call)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	long now;

	assert_int_equal(pthread_create(&sleeper->thread, NULL, take_back, sleeper), 0);
	while ((now = sleeps_in(sleeper)) != call && now != or_call)
		nanosleep(&pause, NULL);
}

static void fence_by_hand(const char *heap, char ret[16])
{
	struct sleeper sleeper = { 0 };
	struct hand hand;
	int fence;

	hand_open(&hand, heap, BYTES, 0x01);
	sleeper.hand = &hand;
	fence = put_fence(hand.fd, DMA_BUF_SYNC_WRITE);
	sleep_in(&sleeper, SYS_ioctl, SYS_ioctl);
	device_writes(hand.device, 0, 0x99);
	end_fence(fence);
	pthread_join(sleeper.thread, NULL);
	say_byte(ret, hand.bytes[0]);
	hand_close(&hand);
}

static void fence_by_libshm(const char *heap, char ret[16])
{
	struct sleeper sleeper = { 0 };
	struct side side;
	int fence;

	side_open(&side, heap, BYTES);
	sleeper.side = &side;
	side.device.fences = true;
	side_attach(&side, side.shm, METAL_SHM_VIEW_IN_PLACE);
	must(metal_shm_sync_for_device(side.shm, side.device.dev, W));
	fence = importer_device_fence(&side.device, side.shm, DMA_BUF_SYNC_WRITE);
	sleep_in(&sleeper, SYS_poll, SYS_ppoll);
	side_device_writes(&side, side.shm, 0, 0x99);
	end_fence(fence);
	pthread_join(sleeper.thread, NULL);
	assert_int_equal(sleeper.error, 0);
	say_byte(ret, side.bytes[0]);
	side_detach(&side, side.shm);
	side_close(&side);
}

/* ---- a detach, which is a hidden START ---- */

static void detach_by_hand(const char *heap, char ret[16])
{
	struct hand hand;

	hand_open(&hand, heap, BYTES, 0x01);
	hand_sync(&hand, START | DMA_BUF_SYNC_RW);
	hand.bytes[0] = 0xee;
	close(hand.device);
	hand.device = -1;
	say_byte(ret, hand.bytes[0]);
	hand_close(&hand);
}

static void detach_by_libshm(const char *heap, char ret[16])
{
	struct side side;

	side_open(&side, heap, BYTES);
	side_attach(&side, side.shm, METAL_SHM_VIEW_IN_PLACE);
	must(metal_shm_sync_for_cpu(side.shm, RW));
	side.bytes[0] = 0xee;
	side_detach(&side, side.shm);
	say_byte(ret, side.bytes[0]);
	side_close(&side);
}

/* ---- two bounced devices ---- */

static void two_devices_by_hand(const char *heap, char ret[16])
{
	struct board_attachment attachment;
	struct hand hand;
	int second;

	hand_open(&hand, heap, BYTES, 0x01);
	second = importer_attach(hand.fd, &attachment);
	must_bounce(&attachment);
	device_writes(hand.device, 0, 0xaa);
	hand_sync(&hand, START | DMA_BUF_SYNC_READ);
	hand_sync(&hand, END | DMA_BUF_SYNC_READ);
	device_writes(second, 0, 0xbb);
	hand_sync(&hand, START | DMA_BUF_SYNC_READ);
	say_byte(ret, hand.bytes[0]);
	close(second);
	hand_close(&hand);
}

/* Refused as long as both would have it; one after the other is right. */
static void two_devices_by_libshm(const char *heap, char ret[16])
{
	struct importer_device first;
	struct side side;

	side_open(&side, heap, BYTES);
	importer_device_open(&first, "first");
	assert_non_null(metal_shm_attach(side.shm, first.dev));
	must(metal_shm_sync_for_device(side.shm, first.dev, W));
	importer_device_write(&first, side.shm, 0, "\xaa", 1);
	assert_null(metal_shm_attach(side.shm, side.device.dev));
	assert_int_equal(errno, ENOTSUP);
	assert_non_null(strstr(metal_shm_last_error(), "first works on copies of its own"));
	metal_shm_detach(metal_shm_view(side.shm, first.dev), first.dev);
	side_attach(&side, side.shm, METAL_SHM_VIEW_IN_PLACE);
	must(metal_shm_sync_for_device(side.shm, side.device.dev, RW));
	assert_int_equal(side_device_sees(&side, side.shm, 0), 0xaa);
	side_device_writes(&side, side.shm, 0, 0xbb);
	must(metal_shm_sync_for_cpu(side.shm, RW));
	say_byte(ret, side.bytes[0]);
	side_detach(&side, side.shm);
	importer_device_close(&first);
	side_close(&side);
}

/* ---- each of them by hand and through libshm, with either heap ---- */

static void check(void **state)
{
	const struct disaster *disaster = *state;
	static bool begun;

	for (size_t i = 0; i < HEAPS; i++) {
		char is[16];

		disaster->by_hand(heaps[i], is);
		if (strcmp(is, disaster->wrong) != 0)
			fail_msg("%s, by hand: %s, not %s: the machine doesn't show it", heaps[i],
				 is, disaster->wrong);
		disaster->by_libshm(heaps[i], is);
		if (strcmp(is, disaster->right) != 0)
			fail_msg("%s, through libshm: %s, not %s", heaps[i], is, disaster->right);
	}
	if (!begun)
		shm_test_note("| what happens | by hand | through libshm |");
	if (!begun)
		shm_test_note("|---|---|---|");
	begun = true;
	shm_test_note("| %s | %s | %s |", disaster->what, disaster->wrong, disaster->right);
}

static struct disaster disasters[] = {
	{ "a_device_sees_what_the_cpu_wrote", "the CPU writes ab, a device reads", "01", "ab",
	  no_end_by_hand, no_end_by_libshm },
	{ "the_cpu_sees_what_a_device_wrote", "a device writes cd, the CPU reads", "01", "cd",
	  no_start_by_hand, no_start_by_libshm },
	{ "a_devices_bytes_stay_when_the_cpu_hands_over_others",
	  "a device writes 77 in its part, then the CPU does END for another part", "01", "77",
	  end_over_a_device_by_hand, end_over_a_device_by_libshm },
	{ "the_cpus_bytes_stay_when_it_takes_others_back",
	  "the CPU writes 22, then does START for another part", "01", "22",
	  start_over_the_cpu_by_hand, start_over_the_cpu_by_libshm },
	{ "a_devices_bytes_stay_when_the_cpu_only_writes",
	  "a device writes 77; the CPU does START(WRITE), writes beside it, does END(WRITE)", "01",
	  "77", start_for_writing_by_hand, start_for_writing_by_libshm },
	{ "what_a_device_writes_before_its_fence_signals_is_seen",
	  "START waits for a device's fence, before which it writes 99", "01", "99", fence_by_hand,
	  fence_by_libshm },
	{ "the_cpus_bytes_stay_when_a_device_goes",
	  "the CPU writes ee, then the device is detached", "01", "ee", detach_by_hand,
	  detach_by_libshm },
	{ "a_device_sees_a_cameras_frame", "vivid writes a frame, a device reads it", "00",
	  "the frame", camera_for_device_by_hand, camera_for_device_by_libshm },
	{ "the_cpu_sees_a_cameras_frame_beside_a_device",
	  "vivid writes a frame, the CPU does START(READ)", "00", "the frame",
	  camera_for_cpu_by_hand, camera_for_cpu_by_libshm },
	{ "two_bounced_devices_write_one_after_the_other",
	  "two devices that bounce write aa, then bb; the CPU reads", "aa", "bb",
	  two_devices_by_hand, two_devices_by_libshm },
};

int main(int argc, char **argv)
{
	struct CMUnitTest tests[SHM_TEST_COUNT(disasters)];

	for (size_t i = 0; i < SHM_TEST_COUNT(disasters); i++)
		tests[i] = (struct CMUnitTest){ .name = disasters[i].fact,
						.test_func = check,
						.initial_state = &disasters[i] };
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
