/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies of parts: what they have when their view goes, and what they hear of. */
#include "parts_bench.h"

/* No cache stands between, so nothing was ever read in. */
static void a_copy_hears_of_the_program_after_a_device_on_coherent_memory_too(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part, *view = metal_shm_attach(b->shm, b->dma->dev);

	b->dma2->constraints.flags = METAL_SHM_NEEDS_WHOLE;
	part = part_of(b, 1000, 10, b->dma2);
	assert_int_equal(metal_shm_view_mode(metal_shm_view(part, b->dma2->dev)),
			 METAL_SHM_VIEW_SHADOW);
	assert_int_equal(metal_shm_sync_for_device(b->shm, b->dma->dev, W), 0);
	b->bytes[1000] = 1;
	assert_int_equal(metal_shm_sync_for_device(part, b->dma2->dev, R), 0);
	assert_int_equal(fake_view_bytes(b->dma2, part)[0], 1);
	assert_int_equal(metal_shm_sync_for_cpu(b->shm, RW), 0);
	b->bytes[1001] = 2;
	assert_int_equal(metal_shm_sync_for_device(part, b->dma2->dev, R), 0);
	assert_int_equal(fake_view_bytes(b->dma2, part)[1], 2);
	end_part(part, b->dma2);
	metal_shm_detach(view, b->dma->dev);
}

/*
 * While hardware may write beside them in place they can't come back: neither START nor END of all the
 * memory would spare what it writes.
 */
static void bytes_that_only_a_copy_has_outlive_its_view(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *whole = metal_shm_attach(b->shm, b->dma2->dev);
	struct metal_generic_shm *part = part_of(b, 1001, 99, b->dma), *again;
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	uint64_t live;

	metal_shm_stats(&stats);
	live = stats.buffers_live;
	memset(b->bytes, 1, SIZE);
	assert_int_equal(metal_shm_sync_for_device(b->shm, b->dma2->dev, W), 0);
	assert_int_equal(metal_shm_sync_for_device(part, b->dma->dev, W), 0);
	memset(fake_view_bytes(b->dma, part), 4, 99);
	b->source->log[0] = '\0';
	metal_shm_detach(metal_shm_view(part, b->dma->dev), b->dma->dev);
	assert_string_equal(b->dma->log, "AD");
	/* while the device is attached: afterwards its exporter may know of nobody to sync with */
	assert_string_equal(b->source->log, "S2");
	assert_int_equal(metal_shm_sync_for_cpu(part, RW), -EBUSY);
	assert_non_null(strstr(metal_shm_last_error(), "dma2 has bytes "));
	assert_int_equal(b->bytes[1001], 1);
	/* another device of the part would be given the old ones */
	again = metal_shm_attach(part, b->cpu->dev);
	assert_int_equal(metal_shm_sync_for_device(part, b->cpu->dev, R), -EBUSY);
	/* all of it, and nobody writes any more */
	assert_int_equal(metal_shm_sync_for_cpu(b->shm, RW), 0);
	for (int i = 0; i < SIZE; i++)
		assert_int_equal(b->bytes[i], i >= 1001 && i < 1100 ? 4 : 1);
	metal_shm_detach(again, b->cpu->dev);
	metal_shm_stats(&stats);
	assert_int_equal(stats.buffers_live, live - 1);
	metal_shm_free(part, NULL);
	metal_shm_detach(whole, b->dma2->dev);
}

static void a_copy_that_outlives_its_view_goes_with_the_memory(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *whole = metal_shm_attach(b->shm, b->dma2->dev);
	struct metal_generic_shm *parts[2] = { part_of(b, 0, 9, b->dma),
					       part_of(b, 99, 9, b->dma) };

	assert_int_equal(metal_shm_sync_for_device(b->shm, b->dma2->dev, W), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(metal_shm_sync_for_device(parts[i], b->dma->dev, W), 0);
		end_part(parts[i], b->dma);
	}
	assert_int_equal(b->source->live, 3);
	metal_shm_detach(whole, b->dma2->dev);
	metal_shm_free(b->shm, NULL);
	assert_int_equal(b->source->live, 0);
	b->shm = NULL;
}

static void what_a_device_wrote_comes_back_before_its_view_goes(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, 10, 10, b->dma);

	assert_int_equal(metal_shm_sync_for_device(part, b->dma->dev, W), 0);
	memset(fake_view_bytes(b->dma, part), 4, 10);
	end_part(part, b->dma);
	assert_int_equal(b->bytes[9], 0);
	assert_int_equal(b->bytes[10], 4);
	assert_int_equal(b->bytes[19], 4);
	assert_int_equal(b->bytes[20], 0);
	assert_int_equal(metal_shm_sync_for_cpu(b->shm, RW), 0);
}

/* Its last mapping of the copy may go with the device: a hidden START, before which its CPU's bytes go. */
static void what_a_cpu_wrote_into_such_a_copy_is_written_back(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *whole = metal_shm_attach(b->shm, b->dma2->dev), *part;

	b->cpu->constraints.flags = METAL_SHM_NEEDS_WHOLE;
	part = part_of(b, 1001, 99, b->cpu);
	assert_int_equal(metal_shm_sync_for_device(b->shm, b->dma2->dev, W), 0);
	assert_int_equal(metal_shm_sync_for_device(part, b->cpu->dev, W), 0);
	memset(fake_view_bytes(b->cpu, part), 4, 99);
	b->source->log[0] = '\0';
	end_part(part, b->cpu);
	assert_string_equal(b->source->log, "E1");
	assert_int_equal(b->source->last.length, 99);
	assert_int_equal(metal_shm_sync_for_cpu(b->shm, RW), 0);
	assert_int_equal(b->bytes[1001], 4);
	assert_int_equal(b->bytes[1099], 4);
	metal_shm_detach(whole, b->dma2->dev);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(what_a_device_wrote_comes_back_before_its_view_goes),
		CASE(bytes_that_only_a_copy_has_outlive_its_view),
		CASE(what_a_cpu_wrote_into_such_a_copy_is_written_back),
		CASE(a_copy_that_outlives_its_view_goes_with_the_memory),
		cmocka_unit_test_setup_teardown(
			a_copy_hears_of_the_program_after_a_device_on_coherent_memory_too,
			set_up_coherent, tear_down),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
