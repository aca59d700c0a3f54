/* SPDX-License-Identifier: BSD-3-Clause */
/* The board's coprocessor as a device of libshm, with the firmware board-odd.elf. */
#ifndef RPROC_BOARD_H
#define RPROC_BOARD_H

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <shm/frame.h>
#include <shm/linux.h>
#include <shm/observe.h>
#include <shm/rproc.h>

#include "coprocessor_board.h"
#include "module.h"
#include "odd_firmware.h"
#include "shm_test.h"

#define MIB    (1u << 20)
#define RW     METAL_SHM_DIR_DEV_RW
#define SECOND INT64_C(1000000000)
#define LONG   (20 * SECOND) /* more than anything here takes, on a busy machine too */

static inline void ok(int result)
{
	if (result < 0)
		fail_msg("%d, %s", result, metal_shm_last_error());
}

static inline void fails(int result, int error, const char *word)
{
	if (result != -error)
		fail_msg("%d, %s", result, metal_shm_last_error());
	if (!strstr(metal_shm_last_error(), word))
		fail_msg("'%s' is not in: %s", word, metal_shm_last_error());
}

static inline int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

static inline void pause_ms(int milliseconds)
{
	struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000L };

	nanosleep(&time, NULL);
}

/* A thread that waits keeps a descriptor for it: from before the first case on. */
static inline void wait_once(void)
{
	struct metal_shm_pool *pool = NULL;
	struct metal_generic_shm *only;
	struct metal_device *from = NULL;

	ok(metal_shm_device_open("memfd", &from));
	ok(metal_shm_pool_create(4096, 1, &from, 1, 0, &pool));
	only = metal_shm_pool_get(pool, 0);
	metal_shm_free(metal_shm_pool_get(pool, 0), NULL);
	metal_shm_free(only, NULL);
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(from);
}

/* Loaded, off, and with the modules there. */
static inline struct metal_device *dsp_open(void)
{
	struct metal_device *dsp = NULL;

	coprocessor_load("");
	module_load("shm_importer", "");
	coprocessor_stop();
	ok(metal_shm_rproc_open("board", &dsp));
	return dsp;
}

/* And running, with its firmware on the line. */
static inline struct metal_device *dsp_start(void)
{
	struct metal_device *dsp = dsp_open();

	ok(metal_shm_rproc_start(dsp, "board-odd.elf", METAL_SHM_RPROC_STOP_WITH_US));
	ok(metal_shm_rproc_connect(dsp, LONG));
	return dsp;
}

static inline void dsp_close(struct metal_device *dsp)
{
	metal_shm_device_close(dsp);
	coprocessor_stop();
	assert_int_equal(coprocessor_write("firmware", "board-coprocessor.elf"), 0);
}

/* Without waiting for its answer. */
static inline void dsp_tell(struct metal_device *dsp, unsigned what, unsigned value, uint64_t size)
{
	const struct odd_command command = { .what = what, .value = value, .size = size };

	ok(metal_shm_rproc_send(dsp, &command, sizeof(command)));
}

static inline void dsp_order(struct metal_device *dsp, unsigned what, unsigned value, uint64_t size)
{
	struct odd_command answer = { 0 };

	dsp_tell(dsp, what, value, size);
	ok(metal_shm_rproc_receive(dsp, &answer, sizeof(answer), LONG));
	assert_int_equal(answer.what, what);
}

static inline struct metal_shm_rproc_info dsp_info(struct metal_device *dsp)
{
	struct metal_shm_rproc_info info = { .struct_size = sizeof(info) };

	ok(metal_shm_rproc_info(dsp, &info));
	return info;
}

static inline struct metal_device *memory_open(const char *name)
{
	struct metal_device *memory = NULL;

	ok(metal_shm_device_open(name, &memory));
	return memory;
}

/* A buffer that the firmware knows. */
struct shared {
	struct metal_device *dsp, *memory;
	struct metal_generic_shm *shm, *view;
	unsigned char *bytes;
	size_t size;
};

static inline struct shared share(struct metal_device *dsp, const char *source, size_t size)
{
	struct shared s = { .dsp = dsp, .memory = memory_open(source), .size = size };

	s.shm = metal_shm_allocate(size, s.memory, 0);
	if (!s.shm)
		fail_msg("%s", metal_shm_last_error());
	s.bytes = metal_shm_map(s.shm, METAL_SHM_READ | METAL_SHM_WRITE);
	assert_non_null(s.bytes);
	s.view = metal_shm_attach(s.shm, dsp);
	if (!s.view)
		fail_msg("%s", metal_shm_last_error());
	ok(metal_shm_rproc_share(dsp, s.shm, RW, NULL));
	return s;
}

static inline void unshare(struct shared *s)
{
	metal_shm_detach(s->view, s->dsp);
	metal_shm_free(s->shm, s->memory);
	metal_shm_device_close(s->memory);
}

static inline void fill(struct shared *s, unsigned seed)
{
	for (size_t i = 0; i < s->size; i++)
		s->bytes[i] = (unsigned char)(i * 7 + (i >> 8) + (i >> 16) + seed);
}

/* The bytes that fill() made, with so much added to each. */
static inline void expect(const struct shared *s, unsigned seed, unsigned added)
{
	for (size_t i = 0; i < s->size; i++) {
		unsigned char want = (unsigned char)(i * 7 + (i >> 8) + (i >> 16) + seed + added);

		if (s->bytes[i] != want)
			fail_msg("byte %zu is %u, not %u", i, s->bytes[i], want);
	}
}

#endif
