/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts: each with its own owner, and copied where their device can't work on them in place. */
#include "parts_bench.h"

#define PARTS 4

static void parts_of_one_buffer_have_owners_of_their_own(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *a = part_of(b, 0, 100, b->cpu);
	struct metal_generic_shm *c = part_of(b, 200, 100, b->cpu);

	assert_int_equal(fake_queue(b->cpu, a, W), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(c, RW, 0), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(a, RW, 0), -ETIMEDOUT);
	assert_non_null(
		strstr(metal_shm_last_error(), "cpu still has the buffer (bytes 0 to 100,"));
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b->shm, RW, 0), -ETIMEDOUT);
	fake_complete(b->cpu, 1);
	assert_int_equal(metal_shm_sync_for_cpu(b->shm, RW), 0);
	end_part(a, b->cpu);
	end_part(c, b->cpu);
}

static void overlapping_parts_share_their_bytes(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *a = part_of(b, 0, 100, b->cpu);
	struct metal_generic_shm *c = part_of(b, 50, 100, b->dma);

	assert_int_equal(fake_queue(b->cpu, a, R), 0);
	assert_int_equal(metal_shm_sync_for_device_timeout(c, b->dma->dev, W, 0), -ETIMEDOUT);
	assert_int_equal(metal_shm_sync_for_device_timeout(c, b->dma->dev, R, 0), 0);
	fake_complete(b->cpu, 1);
	assert_int_equal(metal_shm_sync_for_device(c, b->dma->dev, W), 0);
	assert_int_equal(metal_shm_sync_for_cpu(c, R), -EINVAL);
	assert_int_equal(metal_shm_sync_for_cpu(a, R), -EINVAL);
	assert_int_equal(metal_shm_sync_for_cpu(b->shm, RW), 0);
	end_part(a, b->cpu);
	end_part(c, b->dma);
}

static void part_is_copied_where_only_all_can_be_synced(void **state)
{
	struct bench *b = *state;
	struct metal_shm_properties is = { .struct_size = sizeof(is) };
	struct metal_generic_shm *part;
	char *there;

	memset(b->bytes, 1, SIZE);
	part = part_of(b, 5000, 3001, b->dma);
	assert_int_equal(metal_shm_view_mode(metal_shm_view(part, b->dma->dev)),
			 METAL_SHM_VIEW_SHADOW);
	assert_int_equal(metal_shm_sync_for_device(part, b->dma->dev, W), 0);
	there = fake_view_bytes(b->dma, part);
	assert_ptr_not_equal(there, b->bytes + 5000);
	assert_int_equal(metal_shm_properties(metal_shm_view(part, b->dma->dev), &is), 0);
	assert_int_equal(is.size, 3001);
	assert_int_equal(metal_shm_properties(part, &is), 0);
	assert_int_equal(is.size, SIZE);
	for (int i = 0; i < 3001; i++)
		assert_int_equal(there[i], 1);
	memset(there + 7, 2, 11);
	memset(b->bytes, 3, 5000);
	memset(b->bytes + 8001, 3, SIZE - 8001);
	assert_int_equal(metal_shm_sync_for_cpu(part, W), 0);
	for (int i = 0; i < SIZE; i++)
		assert_int_equal(b->bytes[i], i < 5000 || i >= 8001   ? 3
					      : i >= 5007 && i < 5018 ? 2
								      : 1);
	assert_int_equal(stats_of(b).bytes_out, 3001);
	assert_int_equal(stats_of(b).bytes_back, 3001);
	end_part(part, b->dma);
}

/* The copy was made, and then its write-back failed. */
static void what_was_reported_is_copied_again_after_a_hand_over_that_failed(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, 1000, 4000, b->dma);

	assert_int_equal(metal_shm_sync_for_device(part, b->dma->dev, R), 0);
	assert_int_equal(metal_shm_sync_for_cpu(part, R), 0);
	b->bytes[2000] = 1;
	assert_int_equal(metal_shm_wrote(part, 1000, 1), 0);
	b->source->fail_end = -EIO;
	assert_int_equal(metal_shm_sync_for_device(part, b->dma->dev, R), -EIO);
	b->source->fail_end = 0;
	b->bytes[2000] = 2;
	assert_int_equal(metal_shm_sync_for_device(part, b->dma->dev, R), 0);
	assert_int_equal(fake_view_bytes(b->dma, part)[1000], 2);
	end_part(part, b->dma);
}

static void only_what_was_reported_is_copied(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, 1000, 4000, b->dma);
	const char *there = fake_view_bytes(b->dma, part);

	assert_int_equal(metal_shm_sync_for_device(part, b->dma->dev, R), 0);
	assert_int_equal(metal_shm_sync_for_cpu(part, R), 0);
	b->bytes[1010] = 5;
	b->bytes[4999] = 6;
	assert_int_equal(metal_shm_wrote(part, 10, 1), 0);
	assert_int_equal(metal_shm_wrote(b->shm, 4999, 1), 0);
	assert_int_equal(metal_shm_sync_for_device(part, b->dma->dev, R), 0);
	assert_int_equal(stats_of(b).bytes_out, 4002);
	assert_int_equal(there[10], 5);
	assert_int_equal(there[3999], 6);
	assert_int_equal(metal_shm_sync_for_device(part, b->dma->dev, R), 0);
	assert_int_equal(metal_shm_sync_for_cpu(part, R), 0);
	assert_int_equal(metal_shm_wrote(part, 0, 0), 0);
	assert_int_equal(metal_shm_sync_for_device(part, b->dma->dev, R), 0);
	assert_int_equal(stats_of(b).bytes_out, 4002);
	end_part(part, b->dma);
}

static void unreported_bytes_are_all_copied(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, 1000, 4000, b->dma);

	for (int i = 1; i < 4; i++) {
		assert_int_equal(metal_shm_sync_for_device(part, b->dma->dev, R), 0);
		assert_int_equal(stats_of(b).bytes_out, 4000 * i);
		assert_int_equal(metal_shm_sync_for_cpu(part, R), 0);
	}
	end_part(part, b->dma);
}

static void two_shadows_of_the_same_bytes_follow_one_another(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *a, *c;

	memset(b->bytes, 1, SIZE);
	a = part_of(b, 0, 101, b->dma);
	c = part_of(b, 50, 101, b->dma2);
	assert_int_equal(metal_shm_sync_for_device(a, b->dma->dev, RW), 0);
	memset(fake_view_bytes(b->dma, a), 2, 101);
	assert_int_equal(metal_shm_sync_for_device(c, b->dma2->dev, RW), 0);
	assert_int_equal(fake_view_bytes(b->dma2, c)[50], 2);
	assert_int_equal(fake_view_bytes(b->dma2, c)[51], 1);
	memset(fake_view_bytes(b->dma2, c), 3, 101);
	assert_int_equal(metal_shm_sync_for_device(a, b->dma->dev, R), 0);
	assert_int_equal(fake_view_bytes(b->dma, a)[49], 2);
	assert_int_equal(fake_view_bytes(b->dma, a)[50], 3);
	assert_int_equal(metal_shm_sync_for_cpu(b->shm, RW), 0);
	assert_int_equal(b->bytes[49], 2);
	assert_int_equal(b->bytes[150], 3);
	assert_int_equal(b->bytes[151], 1);
	end_part(a, b->dma);
	end_part(c, b->dma2);
}

static void some_bytes_of_a_part_come_back_alone(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, 0, 1000, b->dma);
	struct metal_generic_shm *middle = metal_shm_sub(part, 100, 7, 0);

	assert_int_equal(metal_shm_sync_for_device(part, b->dma->dev, RW), 0);
	memset(fake_view_bytes(b->dma, part), 4, 1000);
	assert_int_equal(metal_shm_sync_for_cpu(middle, RW), 0);
	assert_int_equal(b->bytes[99], 0);
	assert_int_equal(b->bytes[100], 4);
	assert_int_equal(b->bytes[106], 4);
	assert_int_equal(b->bytes[107], 0);
	assert_int_equal(stats_of(b).bytes_back, 7);
	b->bytes[101] = 9;
	fake_view_bytes(b->dma, part)[0] = 8;
	assert_int_equal(metal_shm_sync_for_device(part, b->dma->dev, RW), 0);
	assert_int_equal(fake_view_bytes(b->dma, part)[0], 8);
	assert_int_equal(fake_view_bytes(b->dma, part)[101], 9);
	assert_int_equal(metal_shm_sync_for_cpu(part, RW), 0);
	assert_int_equal(b->bytes[0], 8);
	assert_int_equal(b->bytes[101], 9);
	metal_shm_free(middle, NULL);
	end_part(part, b->dma);
}

static void no_copy_means_no_attach(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = metal_shm_sub(b->shm, 0, 100, METAL_SHM_SUB_NO_COPY);

	assert_null(metal_shm_attach(part, b->dma->dev));
	assert_int_equal(errno, ENOTSUP);
	assert_non_null(strstr(metal_shm_last_error(), "METAL_SHM_SUB_NO_COPY forbids a copy"));
	assert_non_null(metal_shm_attach(part, b->cpu->dev));
	end_part(part, b->cpu);
}

static void without_memory_for_a_shadow_nothing_is_attached(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = metal_shm_sub(b->shm, 0, 100, 0);

	b->source->fail_allocate = -ENOMEM;
	b->dma->constraints.required = METAL_SHM_SECURE;
	assert_null(metal_shm_attach(part, b->dma->dev));
	assert_int_equal(errno, ENOTSUP);
	assert_non_null(strstr(metal_shm_last_error(), "no memory to copy the part to"));
	b->source->fail_allocate = 0;
	b->dma->constraints.required = 0;
	metal_shm_free(part, NULL);
}

/* Which no other source could give. */
static void attach_that_lacks_memory_says_so(void **state)
{
	static const int shortages[] = { ENOMEM, EMFILE, ENFILE };
	struct bench *b = *state;
	struct metal_generic_shm *shm, *part;

	b->source->properties.secure = METAL_SHM_YES;
	shm = fake_buffer(b->source, SIZE);
	part = metal_shm_sub(shm, 0, 100, 0);
	b->dma->constraints.required = METAL_SHM_SECURE;
	for (int i = 0; i < 3; i++) {
		b->source->fail_allocate = -shortages[i];
		assert_null(metal_shm_attach(part, b->dma->dev));
		assert_int_equal(errno, shortages[i]);
		assert_string_equal(metal_shm_last_error(),
				    "no memory to copy the part to: told to fail");
	}
	b->source->fail_allocate = -EIO;
	assert_null(metal_shm_attach(part, b->dma->dev));
	assert_int_equal(errno, ENOTSUP);
	b->source->fail_allocate = 0;
	b->dma->constraints.required = 0;
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
}

static void shadow_that_can_not_be_mapped_leaves_nothing(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = metal_shm_sub(b->shm, 0, 100, 0);
	struct metal_shm_stats before = { .struct_size = sizeof(before) }, now = before;

	assert_int_equal(metal_shm_stats(&before), 0);
	b->source->fail_map = -ENOMEM;
	assert_null(metal_shm_attach(part, b->dma->dev));
	assert_int_equal(errno, ENOMEM);
	b->source->fail_map = 0;
	assert_int_equal(metal_shm_stats(&now), 0);
	assert_int_equal(now.buffers_live, before.buffers_live);
	assert_int_equal(now.misuse, before.misuse);
	assert_non_null(metal_shm_attach(part, b->dma->dev));
	end_part(part, b->dma);
}

static void ranged_sync_is_for_the_part_alone(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *a = part_of(b, 128, 256, b->dma);
	struct metal_generic_shm *c = part_of(b, 1024, 64, b->dma2);
	uint64_t ranged = stats_of(b).ranged;

	assert_int_equal(metal_shm_view_mode(metal_shm_view(a, b->dma->dev)),
			 METAL_SHM_VIEW_IN_PLACE);
	b->source->log[0] = '\0';
	memset(b->bytes, 1, SIZE);
	assert_int_equal(metal_shm_sync_for_device(a, b->dma->dev, RW), 0);
	assert_string_equal(b->source->log, "E3");
	assert_int_equal(b->source->last.offset, 128);
	assert_int_equal(b->source->last.length, 256);
	assert_int_equal(metal_shm_sync_for_device(c, b->dma2->dev, R), 0);
	assert_int_equal(b->source->last.offset, 1024);
	assert_int_equal(metal_shm_sync_for_cpu(a, RW), 0);
	assert_string_equal(b->source->log, "E3E1S3");
	assert_int_equal(b->source->last.length, 256);
	assert_int_equal(stats_of(b).ranged, ranged + 3);
	end_part(a, b->dma);
	end_part(c, b->dma2);
}

static void part_that_shares_a_line_is_copied_though_ranges_can_be_synced(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *a = part_of(b, 128, 63, b->dma);
	struct metal_generic_shm *end = part_of(b, SIZE - 128, 128, b->dma);

	assert_int_equal(metal_shm_view_mode(metal_shm_view(a, b->dma->dev)),
			 METAL_SHM_VIEW_SHADOW);
	assert_int_equal(metal_shm_view_mode(metal_shm_view(end, b->dma->dev)),
			 METAL_SHM_VIEW_IN_PLACE);
	end_part(a, b->dma);
	end_part(end, b->dma);
}

static void reports_outside_or_of_others_bytes_are_refused(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, 64, 64, b->cpu);

	assert_int_equal(metal_shm_wrote(part, 0, 65), -ERANGE);
	assert_int_equal(metal_shm_wrote(part, SIZE_MAX, 2), -ERANGE);
	assert_int_equal(metal_shm_wrote(part, 65, 0), -ERANGE);
	assert_int_equal(metal_shm_wrote(NULL, 0, 0), -EINVAL);
	assert_int_equal(metal_shm_sync_for_device(part, b->cpu->dev, W), 0);
	assert_int_equal(metal_shm_wrote(b->shm, 0, 65), -EBUSY);
	assert_non_null(strstr(metal_shm_last_error(), "cpu has bytes 64 to 128 for "));
	assert_int_equal(metal_shm_wrote(b->shm, 0, 64), 0);
	end_part(part, b->cpu);
}

static void failure_is_told_to_the_owner_of_its_bytes_alone(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *a = part_of(b, 0, 64, b->cpu);
	struct metal_generic_shm *c = part_of(b, 64, 64, b->cpu);

	b->cpu->error = -EIO;
	assert_int_equal(fake_queue(b->cpu, a, W), 0);
	fake_complete(b->cpu, 1);
	assert_int_equal(metal_shm_device_dispatch(b->cpu->dev), 0);
	assert_int_equal(metal_shm_sync_for_cpu(c, RW), 0);
	assert_int_equal(metal_shm_sync_for_cpu(b->shm, RW), -EIO);
	assert_int_equal(metal_shm_sync_for_cpu(b->shm, RW), 0);
	end_part(a, b->cpu);
	end_part(c, b->cpu);
}

static void many_parts_are_handed_over_and_taken_back_at_once(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part[PARTS * 100];

	for (size_t i = 0; i < PARTS * 100; i++)
		part[i] = part_of(b, i * 160 + i % 7, 150, i % 2 ? b->dma : b->dma2);
	memset(b->bytes, 1, SIZE);
	for (size_t i = 0; i < PARTS * 100; i++)
		assert_int_equal(
			metal_shm_sync_for_device(part[i], i % 2 ? b->dma->dev : b->dma2->dev, RW),
			0);
	for (size_t i = 0; i < PARTS * 100; i++)
		memset(fake_view_bytes(i % 2 ? b->dma : b->dma2, part[i]), 2, 150);
	for (size_t i = PARTS * 100; i-- > 0;)
		assert_int_equal(metal_shm_sync_for_cpu(part[i], RW), 0);
	for (size_t i = 0; i < PARTS * 100; i++) {
		assert_int_equal(b->bytes[i * 160 + i % 7], 2);
		assert_int_equal(b->bytes[i * 160 + i % 7 + 149], 2);
		assert_int_equal(b->bytes[i * 160 + i % 7 + 150], 1);
		end_part(part[i], i % 2 ? b->dma : b->dma2);
	}
}

#define CASE(name)   cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define RANGED(name) cmocka_unit_test_setup_teardown(name, set_up_ranged, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(parts_of_one_buffer_have_owners_of_their_own),
		CASE(overlapping_parts_share_their_bytes),
		CASE(part_is_copied_where_only_all_can_be_synced),
		CASE(what_was_reported_is_copied_again_after_a_hand_over_that_failed),
		CASE(only_what_was_reported_is_copied),
		CASE(unreported_bytes_are_all_copied),
		CASE(two_shadows_of_the_same_bytes_follow_one_another),
		CASE(some_bytes_of_a_part_come_back_alone),
		CASE(no_copy_means_no_attach),
		CASE(without_memory_for_a_shadow_nothing_is_attached),
		CASE(attach_that_lacks_memory_says_so),
		CASE(shadow_that_can_not_be_mapped_leaves_nothing),
		RANGED(ranged_sync_is_for_the_part_alone),
		RANGED(part_that_shares_a_line_is_copied_though_ranges_can_be_synced),
		CASE(reports_outside_or_of_others_bytes_are_refused),
		CASE(failure_is_told_to_the_owner_of_its_bytes_alone),
		CASE(many_parts_are_handed_over_and_taken_back_at_once),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
