/* SPDX-License-Identifier: BSD-3-Clause */
/* A core that runs, a source of memory and a firmware that takes turns with the program. */
#ifndef RPROC_BENCH_H
#define RPROC_BENCH_H

#include "rproc_firmware.h"

#define SIZE   65536
#define RW     METAL_SHM_DIR_DEV_RW
#define SECOND INT64_C(1000000000)

static struct fake_rproc *fake;
static struct metal_device *dsp, *memory;
static struct firmware firmware;

static inline void fails(int result, int error, const char *word)
{
	if (result != -error)
		fail_msg("%d, %s", result, metal_shm_last_error());
	if (!strstr(metal_shm_last_error(), word))
		fail_msg("'%s' is not in: %s", word, metal_shm_last_error());
}

static inline void ok(int result)
{
	if (result)
		fail_msg("%d, %s", result, metal_shm_last_error());
}

static inline int begin(void **state)
{
	(void)state;
	fake = fake_rproc_begin();
	fake_rproc_file("/dev/shm_importer", "");
	ok(metal_shm_rproc_open("dsp", &dsp));
	ok(metal_shm_device_open("memfd", &memory));
	ok(metal_shm_rproc_start(dsp, NULL, 0));
	return 0;
}

static inline int end(void **state)
{
	(void)state;
	metal_shm_device_close(memory);
	metal_shm_device_close(dsp);
	fake_rproc_end();
	return 0;
}

/* The firmware answers when it is told to, so both sides take turns. */
static inline void connect_with(uint32_t window)
{
	fails(metal_shm_rproc_connect(dsp, 0), ETIMEDOUT, "doesn't answer");
	firmware_begin(&firmware, 7, window);
	firmware_run(&firmware);
	ok(metal_shm_rproc_connect(dsp, 0));
	assert_string_equal(firmware.log, "U");
	firmware.log[0] = '\0';
}

static inline struct metal_generic_shm *attached(struct metal_generic_shm **ret_view)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, memory, 0);

	*ret_view = metal_shm_attach(shm, dsp);
	if (!*ret_view)
		fail_msg("%s", metal_shm_last_error());
	return shm;
}

static inline struct metal_generic_shm *shared(struct metal_generic_shm **ret_view)
{
	struct metal_generic_shm *shm = attached(ret_view);

	ok(metal_shm_rproc_share(dsp, shm, RW, NULL));
	firmware_run(&firmware);
	return shm;
}

static inline void drop(struct metal_generic_shm *shm, struct metal_generic_shm *view)
{
	metal_shm_detach(view, dsp);
	metal_shm_free(shm, NULL);
}

/* The firmware lets go of it as it should. */
static inline void end_share(struct metal_generic_shm *shm, struct metal_generic_shm *view)
{
	drop(shm, view);
	firmware_run(&firmware);
	firmware_unshared(&firmware, firmware.share.id);
	metal_shm_device_dispatch(dsp);
}

/* Until the device says that something is up, and then it is dispatched. */
static inline void wait_event(void)
{
	struct pollfd fd = { .fd = metal_shm_device_poll_fd(dsp), .events = POLLIN };

	assert_int_equal(poll(&fd, 1, 10000), 1);
	metal_shm_device_dispatch(dsp);
}

static inline struct metal_shm_rproc_info info(void)
{
	struct metal_shm_rproc_info info = { .struct_size = sizeof(info) };

	ok(metal_shm_rproc_info(dsp, &info));
	return info;
}

/* A thread that waits keeps a descriptor for it: from before the first case on. */
static inline void wait_once(void)
{
	struct metal_shm_pool *pool = NULL;
	struct metal_generic_shm *only;
	struct metal_device *from;

	ok(metal_shm_device_open("memfd", &from));
	ok(metal_shm_pool_create(SIZE, 1, &from, 1, 0, &pool));
	only = metal_shm_pool_get(pool, 0);
	assert_null(metal_shm_pool_get(pool, 0));
	metal_shm_free(only, NULL);
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(from);
}

#define RPROC_CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static inline int rproc_main(int argc, char **argv, const struct CMUnitTest tests[], size_t count)
{
	wait_once();
	return shm_test_main(argc, argv, tests, count);
}

#endif
