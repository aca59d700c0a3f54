/* SPDX-License-Identifier: BSD-3-Clause */
/* What a device states of the addresses that it takes: memory is chosen by it, and every view is held to it. */
#include <errno.h>
#include <string.h>

#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"

#define SIZE 8192

struct bench {
	struct fake_source *scattered, *contiguous;
	struct fake_importer *core;
	struct metal_device *devs[3];
};

static int set_up(void **state)
{
	struct bench *bench = test_calloc(1, sizeof(*bench));

	bench->scattered = fake_source_new("scattered", true);
	bench->scattered->properties.contiguous = METAL_SHM_NO;
	bench->scattered->properties.granularity = 4096;
	bench->contiguous = fake_source_new("contiguous", true);
	bench->contiguous->properties.contiguous = METAL_SHM_YES;
	bench->core = fake_importer_new("core", METAL_SHM_ACCESS_DMA);
	bench->devs[0] = bench->scattered->dev;
	bench->devs[1] = bench->core->dev;
	bench->devs[2] = bench->contiguous->dev;
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	fake_importer_end(bench->core);
	fake_source_end(bench->scattered);
	fake_source_end(bench->contiguous);
	test_free(bench);
	return 0;
}

/* Its views answer these from now on; the second is of memory in pieces alone. */
static void lies_at(struct bench *bench, uint64_t first, uint64_t second)
{
	bench->core->pieces[0] = (struct metal_shm_segment){ first, SIZE / 2 };
	bench->core->pieces[1] = (struct metal_shm_segment){ second, SIZE / 2 };
	bench->core->piece_count = 2;
}

static void is_refused(struct bench *bench, const char *reason)
{
	struct metal_generic_shm *shm = fake_buffer(bench->scattered, SIZE);

	assert_null(metal_shm_attach(shm, bench->core->dev));
	assert_int_equal(errno, ERANGE);
	assert_string_equal(metal_shm_last_error(), reason);
	assert_string_equal(bench->core->log, "AD");
	metal_shm_free(shm, NULL);
}

static void is_taken(struct bench *bench)
{
	struct metal_generic_shm *shm = fake_buffer(bench->scattered, SIZE);
	struct metal_generic_shm *view = metal_shm_attach(shm, bench->core->dev);

	if (!view)
		fail_msg("%s", metal_shm_last_error());
	metal_shm_detach(view, bench->core->dev);
	metal_shm_free(shm, NULL);
}

static void address_beyond_the_mask_is_refused(void **state)
{
	struct bench *bench = *state;

	bench->core->constraints.address_mask = 0xffffff;
	lies_at(bench, 0x1000, 0xfff001);
	is_refused(bench, "core reaches addresses up to 0xffffff alone, and scattered's memory is "
			  "for it at 0xfff001 to 0x1000000");
	lies_at(bench, 0x1000, 0xfff000);
	is_taken(bench);
}

static void end_that_wraps_is_no_address(void **state)
{
	struct bench *bench = *state;

	lies_at(bench, 0x1000, UINT64_MAX - 4094);
	is_refused(bench, "core names no address: 4096 bytes at 0xfffffffffffff001");
	bench->core->log[0] = '\0';
	lies_at(bench, 0x1000, UINT64_MAX - 4095);
	is_taken(bench);
}

static void more_pieces_than_the_device_takes_are_refused(void **state)
{
	struct bench *bench = *state;

	bench->core->constraints.max_segments = 1;
	lies_at(bench, 0x1000, 0x9000);
	is_refused(bench, "core takes up to 1 pieces, and scattered's memory is 2 of them for it");
	bench->core->constraints.max_segments = 2;
	is_taken(bench);
}

static void piece_of_another_shape_is_refused(void **state)
{
	struct bench *bench = *state;

	lies_at(bench, 0x1000, 0xf001);
	bench->core->constraints.segment_boundary = 0x10000;
	is_refused(bench,
		   "core takes no piece across a multiple of 0x10000, and one of scattered's "
		   "memory is at 0xf001 to 0x10000");
	bench->core->log[0] = '\0';
	lies_at(bench, 0x1000, 0xf000);
	is_taken(bench);
	bench->core->log[0] = '\0';
	bench->core->constraints.max_segment_length = SIZE / 2 - 1;
	is_refused(bench,
		   "core takes pieces of up to 4095 bytes, and one of scattered's memory has "
		   "4096");
}

static void memory_in_one_piece_is_chosen_before_any_other_is_tried(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm;
	char text[256];

	bench->core->constraints.max_segments = 1;
	lies_at(bench, 0x1000, 0x9000);
	shm = metal_shm_allocate_for(SIZE, bench->devs, 3, 0);
	assert_non_null(shm);
	metal_shm_explain(shm, text, sizeof(text));
	assert_string_equal(text, "memory: contiguous\n"
				  "put off scattered: core takes up to 1 pieces, and scattered's "
				  "memory may be in more\n");
	assert_string_equal(bench->scattered->log, "");
	/* the trial, and the buffer itself */
	assert_string_equal(bench->core->log, "ATDAD");
	metal_shm_free(shm, NULL);
}

static void memory_that_is_in_pieces_no_smaller_is_not_put_off(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm;
	char text[256];

	bench->core->constraints.max_segments = 2;
	lies_at(bench, 0x1000, 0x9000);
	shm = metal_shm_allocate_for(SIZE, bench->devs, 3, 0);
	metal_shm_explain(shm, text, sizeof(text));
	assert_string_equal(text, "memory: scattered\n");
	metal_shm_free(shm, NULL);
	shm = metal_shm_allocate_for(SIZE + 1, bench->devs, 3, 0);
	metal_shm_explain(shm, text, sizeof(text));
	assert_non_null(strstr(text, "memory: contiguous\nput off scattered: "));
	metal_shm_free(shm, NULL);
}

/* As behind an IOMMU. */
static void memory_that_turns_out_to_be_one_piece_serves_where_none_promises(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm;

	bench->core->constraints.max_segments = 1;
	lies_at(bench, 0x1000, 0);
	bench->core->piece_count = 1;
	shm = metal_shm_allocate_for(SIZE, bench->devs, 2, 0);
	assert_non_null(shm);
	metal_shm_free(shm, NULL);
	lies_at(bench, 0x1000, 0x9000);
	assert_null(metal_shm_allocate_for(SIZE + 4096, bench->devs, 2, 0));
	assert_int_equal(errno, ENOTSUP);
	assert_string_equal(
		metal_shm_last_error(),
		"no memory works with all devices: put off scattered: core takes up to 1 pieces, and "
		"scattered's memory may be in more;refused scattered: core takes up to 1 pieces, and "
		"scattered's memory is 2 of them for it");
}

/* The trial found its memory within reach, and the next lies elsewhere. */
static void moves_away(struct fake_importer *core, const struct metal_shm_attachment *at)
{
	(void)at;
	if (strlen(core->log) >= strlen("ATD"))
		core->pieces[1].device_address = 0x1000000;
}

static void buffer_out_of_reach_leads_to_the_next_source(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm;
	char text[256];

	bench->core->constraints.address_mask = 0xffffff;
	bench->core->inside = moves_away;
	lies_at(bench, 0x1000, 0x9000);
	shm = metal_shm_allocate_for(SIZE, bench->devs, 3, 0);
	assert_non_null(shm);
	metal_shm_explain(shm, text, sizeof(text));
	assert_non_null(strstr(text,
			       "memory: contiguous\nrefused scattered: core reaches addresses "
			       "up to 0xffffff alone"));
	assert_int_equal(bench->scattered->live, 0);
	metal_shm_free(shm, NULL);
}

static void core_that_is_off_is_no_verdict_on_memory(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm;

	bench->core->constraints.address_mask = 0xffffff;
	lies_at(bench, 0x1000, 0x9000);
	bench->core->fail_attach = -ENOTCONN;
	assert_null(metal_shm_allocate_for(SIZE, bench->devs, 3, 0));
	bench->core->fail_attach = 0;
	shm = metal_shm_allocate_for(SIZE, bench->devs, 3, 0);
	assert_non_null(shm);
	metal_shm_free(shm, NULL);
	/* nor is it one on a buffer of memory that served before */
	bench->core->fail_attach = -ENOTCONN;
	shm = metal_shm_allocate_for(SIZE, bench->devs, 3, 0);
	assert_non_null(shm);
	metal_shm_free(shm, NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(address_beyond_the_mask_is_refused),
		CASE(end_that_wraps_is_no_address),
		CASE(more_pieces_than_the_device_takes_are_refused),
		CASE(piece_of_another_shape_is_refused),
		CASE(memory_in_one_piece_is_chosen_before_any_other_is_tried),
		CASE(memory_that_is_in_pieces_no_smaller_is_not_put_off),
		CASE(memory_that_turns_out_to_be_one_piece_serves_where_none_promises),
		CASE(buffer_out_of_reach_leads_to_the_next_source),
		CASE(core_that_is_off_is_no_verdict_on_memory),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
