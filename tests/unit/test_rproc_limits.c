/* SPDX-License-Identifier: BSD-3-Clause */
/* What is told of a core's reach, by the module or the program, and the memory that is chosen by it. */
#include <shm/observe.h>

#include "rproc_bench.h"

static void limited(const char *name)
{
	metal_shm_device_close(dsp);
	ok(metal_shm_rproc_open(name, &dsp));
}

static void refused(const char *word)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, memory, 0);

	assert_null(metal_shm_attach(shm, dsp));
	fails(-errno, ERANGE, word);
	metal_shm_free(shm, NULL);
	/* nobody was told its addresses */
	assert_int_equal(fake->attached, 0);
	assert_int_equal(fake->held, 0);
}

static void taken(void)
{
	struct metal_generic_shm *view, *shm = attached(&view);

	drop(shm, view);
}

static void limits_that_are_none_are_refused(void **state)
{
	static const char *const names[] = {
		"dsp,",
		"dsp,address_bits=15",
		"dsp,address_bits=65",
		"dsp,address_bits=",
		"dsp,address_bits=32x",
		"dsp,address_bits=4294967328",
		"dsp,max_segments=0",
		"dsp,max_segments=65536",
		"dsp,max_segments=1,",
		"dsp,reach=1",
	};
	struct metal_device *dev = NULL;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(names); i++)
		fails(metal_shm_rproc_open(names[i], &dev), EINVAL,
		      "it takes address_bits=16 to 64 and max_segments=1 to 65535");
	fails(metal_shm_rproc_open(",max_segments=1", &dev), EINVAL, "is not the name");
	assert_null(dev);
}

static void addresses_beyond_what_the_program_says_are_refused(void **state)
{
	(void)state;
	limited("dsp,address_bits=31");
	refused("rproc:remoteproc0 reaches addresses up to 0x7fffffff alone, and memfd's memory is "
		"for it at 0x80000000 to 0x8000ffff");
	limited("dsp,address_bits=32");
	taken();
}

/* The module's word counts where the program's is a wider one. */
static void what_the_module_tells_limits_too(void **state)
{
	(void)state;
	fake->pieces = 2;
	fake->spread = UINT64_C(0x80000000);
	refused("reaches addresses up to 0xffffffff alone");
	limited("dsp,address_bits=64");
	refused("reaches addresses up to 0xffffffff alone");
}

static void more_pieces_than_the_firmware_takes_are_refused(void **state)
{
	(void)state;
	limited("dsp,max_segments=2,address_bits=32");
	fake->pieces = 4;
	refused("rproc:remoteproc0 takes up to 2 pieces, and memfd's memory is 4 of them for it");
	fake->pieces = 2;
	taken();
}

static void the_story_of_a_choice_tells_the_limits(void **state)
{
	struct metal_device *devs[] = { NULL, memory };
	struct metal_generic_shm *shm;
	char text[1024];

	(void)state;
	limited("dsp,max_segments=2");
	devs[0] = dsp;
	fake->pieces = 4;
	assert_null(metal_shm_allocate_for(SIZE, devs, 2, 0));
	fails(-errno, ENOTSUP,
	      "put off memfd: rproc:remoteproc0 takes up to 2 pieces, and memfd's memory may be in "
	      "more;refused memfd: rproc:remoteproc0 takes up to 2 pieces, and memfd's memory is 4");
	fake->pieces = 2;
	shm = metal_shm_allocate_for(2 * SIZE, devs, 2, 0);
	assert_non_null(shm);
	metal_shm_explain(shm, text, sizeof(text));
	assert_non_null(strstr(text, "memory: memfd\nput off memfd: "));
	metal_shm_free(shm, NULL);
}

/* Where nothing else is within reach: what is exported already, of cores that there are. */
static void carveouts_of_a_core_are_sources_to_choose_from(void **state)
{
	(void)state;
	fake_rproc_file("/dev/shm_carveout/remoteproc0.shared", "");
	fake_rproc_file("/dev/shm_carveout/remoteproc7.shared", "");
	fake_rproc_file("/dev/shm_carveout/sram", "");
	fake->attach_error = ERANGE;
	assert_null(metal_shm_allocate_for(SIZE, &dsp, 1, 0));
	fails(-errno, ENOTSUP,
	      "refused memfd: remoteproc0 reaches addresses up to 0xffffffff alone");
	assert_non_null(strstr(metal_shm_last_error(), "refused rproc:remoteproc0/shared: "));
	assert_null(strstr(metal_shm_last_error(), "remoteproc7"));
	assert_null(strstr(metal_shm_last_error(), "sram"));
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		RPROC_CASE(limits_that_are_none_are_refused),
		RPROC_CASE(addresses_beyond_what_the_program_says_are_refused),
		RPROC_CASE(what_the_module_tells_limits_too),
		RPROC_CASE(more_pieces_than_the_firmware_takes_are_refused),
		RPROC_CASE(the_story_of_a_choice_tells_the_limits),
		RPROC_CASE(carveouts_of_a_core_are_sources_to_choose_from),
	};

	return rproc_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
