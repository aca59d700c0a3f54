/* SPDX-License-Identifier: BSD-3-Clause */
/* Hand-overs that somebody gets wrong: who holds nothing, who never answers, who is gone. */
#include "guard_fixture.h"

#define MS INT64_C(1000000)

struct bench {
	struct fake_source *source;
	struct fake_importer *camera, *gpu;
	struct metal_generic_shm *shm, *part;
};

static int set_up(void **state)
{
	struct bench *b = test_calloc(1, sizeof(*b));

	b->source = fake_source_new("src", true);
	b->source->properties.contiguous = METAL_SHM_YES;
	b->camera = fake_importer_new("camera", METAL_SHM_ACCESS_CPU_USER);
	b->gpu = fake_importer_new("gpu", METAL_SHM_ACCESS_DMA);
	b->shm = fake_buffer(b->source, 4096);
	b->part = metal_shm_sub(b->shm, 100, 200, 0);
	assert_non_null(b->part);
	assert_non_null(metal_shm_attach(b->part, b->camera->dev));
	*state = b;
	return 0;
}

static void drop(struct metal_generic_shm **shm)
{
	metal_shm_free(*shm, NULL);
	*shm = NULL;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	if (b->part)
		metal_shm_detach(metal_shm_view(b->part, b->camera->dev), b->camera->dev);
	drop(&b->part);
	drop(&b->shm);
	if (!b->camera->closed)
		fake_importer_end(b->camera);
	fake_importer_end(b->gpu);
	fake_source_end(b->source);
	test_free(b);
	return 0;
}

static struct metal_shm_stats stats_of(struct metal_generic_shm *shm)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(metal_shm_buffer_stats(shm, &stats), 0);
	return stats;
}

static void assert_reason(const char *what)
{
	if (!strstr(metal_shm_last_error(), what))
		fail_msg("'%s' says nothing of '%s'", metal_shm_last_error(), what);
}

static void who_holds_nothing_gives_nothing_back(void **state)
{
	struct bench *b = *state;

	assert_int_equal(metal_shm_unhold(b->part, b->camera->dev, 0), -EINVAL);
	assert_reason("camera doesn't hold the buffer");
	assert_int_equal(metal_shm_unhold(b->part, b->gpu->dev, 0), -EINVAL);
	assert_reason("gpu doesn't hold the buffer");
	/* idle is not held: there is no work to end */
	assert_int_equal(metal_shm_sync_for_device(b->part, b->camera->dev, DEV_RW), 0);
	assert_int_equal(metal_shm_unhold(b->part, b->camera->dev, -EIO), -EINVAL);
	assert_int_equal(metal_shm_sync_for_cpu(b->part, DEV_RW), 0);
	assert_int_equal(metal_shm_hold(b->part, b->camera->dev, DEV_R, 0), 0);
	assert_int_equal(metal_shm_unhold(b->part, b->gpu->dev, 0), -EINVAL);
	assert_int_equal(metal_shm_unhold(b->part, b->camera->dev, 0), 0);
	assert_int_equal(metal_shm_unhold(b->part, b->camera->dev, 0), -EINVAL);
}

static void taking_back_what_nobody_has_does_nothing(void **state)
{
	struct bench *b = *state;
	struct metal_shm_stats before = stats_of(b->shm), after;

	b->source->log[0] = '\0';
	for (int dir = DEV_R; dir <= DEV_RW; dir++) {
		assert_int_equal(metal_shm_sync_for_cpu(b->shm, (enum metal_shm_dir)dir), 0);
		assert_int_equal(
			metal_shm_sync_for_cpu_timeout(b->part, (enum metal_shm_dir)dir, 0), 0);
	}
	after = stats_of(b->shm);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_string_equal(b->source->log, "");
}

static void each_handle_is_attached_for_itself(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *inner = metal_shm_sub(b->part, 0, 200, 0);
	struct metal_generic_shm *other = metal_shm_sub(b->part, 0, 199, 0);

	assert_int_equal(metal_shm_sync_for_device(b->shm, b->camera->dev, DEV_R), -ENOTCONN);
	assert_int_equal(metal_shm_sync_for_device(other, b->camera->dev, DEV_R), -ENOTCONN);
	assert_int_equal(metal_shm_hold(other, b->camera->dev, DEV_R, 0), -ENOTCONN);
	assert_reason("not attached to camera");
	/* the same bytes by another handle are the same */
	assert_int_equal(metal_shm_sync_for_device(inner, b->camera->dev, DEV_R), 0);
	drop(&inner);
	drop(&other);
}

static void what_is_no_direction_is_refused_everywhere(void **state)
{
	static const int wrong[] = { 0, 4, 7, -1, 1 << 30 };
	struct bench *b = *state;

	for (size_t i = 0; i < SHM_TEST_COUNT(wrong); i++) {
		enum metal_shm_dir dir = (enum metal_shm_dir)wrong[i];

		assert_int_equal(metal_shm_sync_for_device(b->part, b->camera->dev, dir), -EINVAL);
		assert_int_equal(metal_shm_hold(b->part, b->camera->dev, dir, 0), -EINVAL);
		assert_int_equal(metal_shm_sync_for_cpu(b->part, dir), -EINVAL);
		assert_int_equal(metal_shm_sync_for_cpu_timeout(b->part, dir, 0), -EINVAL);
		assert_int_equal(metal_shm_import_fence(b->part, b->camera->dev, dir, 0), -EINVAL);
		assert_int_equal(metal_shm_export_fence(b->part, dir), -EINVAL);
	}
	assert_int_equal(stats_of(b->shm).handovers, 0);
}

static void a_direction_that_was_not_asked_for_ends_no_write(void **state)
{
	struct bench *b = *state;

	assert_int_equal(fake_queue(b->camera, b->part, DEV_W), 0);
	/* at once: waiting would not help */
	assert_int_equal(metal_shm_sync_for_cpu(b->part, DEV_R), -EINVAL);
	assert_reason("camera keeps writing");
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b->shm, DEV_R, 1000 * MS), -EINVAL);
	fake_complete(b->camera, 1);
	assert_int_equal(metal_shm_device_dispatch(b->camera->dev), 0);
	assert_int_equal(metal_shm_sync_for_cpu(b->part, DEV_R), -EINVAL);
	assert_int_equal(metal_shm_sync_for_cpu(b->part, DEV_W), 0);
	/* what it was given to read it may go on reading */
	assert_int_equal(metal_shm_sync_for_device(b->part, b->camera->dev, DEV_R), 0);
	assert_int_equal(metal_shm_sync_for_cpu(b->part, DEV_W), 0);
	assert_int_equal(metal_shm_wrote(b->part, 0, 1), -EBUSY);
	assert_reason("camera has bytes 100 to 300 for ");
	assert_int_equal(metal_shm_sync_for_cpu(b->part, DEV_R), 0);
	assert_int_equal(metal_shm_wrote(b->part, 0, 1), 0);
}

static void a_device_closed_while_it_holds_still_gives_the_bytes_back(void **state)
{
	struct bench *b = *state;
	struct metal_device *dev = b->camera->dev;
	struct metal_generic_shm *view = metal_shm_view(b->part, dev);

	assert_int_equal(fake_queue(b->camera, b->part, DEV_W), 0);
	metal_shm_device_close(dev);
	assert_false(b->camera->closed);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b->part, DEV_RW, 0), -ETIMEDOUT);
	assert_reason("camera still has the buffer (bytes 100 to 300, for ");
	errno = 0;
	assert_null(metal_shm_attach(b->shm, dev));
	assert_int_equal(errno, ENODEV);
	assert_reason("camera is closed");
	fake_complete(b->camera, 1);
	assert_int_equal(metal_shm_sync_for_cpu(b->part, DEV_RW), 0);
	/* its view stays usable, and with it the device goes */
	assert_int_equal(metal_shm_sync_for_device(b->part, dev, DEV_R), 0);
	metal_shm_detach(view, dev);
	assert_true(b->camera->closed);
	assert_int_equal(metal_shm_sync_for_cpu(b->part, DEV_RW), 0);
	free(b->camera);
	drop(&b->part);
	b->camera = b->gpu;
	b->gpu = fake_importer_new("gpu2", METAL_SHM_ACCESS_DMA);
}

static void everything_freed_while_it_is_held_goes_with_the_work(void **state)
{
	struct bench *b = *state;
	struct metal_device *dev = b->camera->dev;
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	uint64_t deferred;

	metal_shm_stats(&stats);
	deferred = stats.deferred;
	assert_int_equal(fake_queue(b->camera, b->part, DEV_RW), 0);
	metal_shm_detach(metal_shm_view(b->part, dev), dev);
	drop(&b->part);
	drop(&b->shm);
	metal_shm_stats(&stats);
	assert_int_equal(stats.deferred, deferred + 1);
	assert_int_equal(b->source->live, 1);
	fake_complete(b->camera, 1);
	assert_int_equal(metal_shm_device_dispatch(dev), 0);
	assert_int_equal(b->source->live, 0);
	metal_shm_stats(&stats);
	assert_int_equal(stats.deferred, deferred);
}

static void *answer_later(void *argument)
{
	struct bench *b = argument;

	usleep(20000);
	assert_int_equal(metal_shm_unhold(b->part, b->gpu->dev, 0), 0);
	return NULL;
}

static void who_does_not_answer_a_recall_is_named_at_the_deadline(void **state)
{
	struct bench *b = *state;
	struct fake_importer *dsp = fake_importer_new_giver("dsp"), *gpu = b->gpu;
	struct metal_generic_shm *view = metal_shm_attach(b->part, dsp->dev);
	struct metal_generic_shm *inner = metal_shm_sub(b->part, 50, 10, 0);
	pthread_t thread;

	assert_int_equal(metal_shm_sync_for_device(b->part, dsp->dev, DEV_W), 0);
	/* beside it nobody is asked */
	assert_int_equal(metal_shm_sync_for_device_timeout(b->part, b->camera->dev, DEV_R, 0),
			 -ETIMEDOUT);
	/* at least once: again each time that the waiter looks */
	assert_ptr_equal(strstr(dsp->log, "AG2C"), dsp->log);
	assert_int_equal(dsp->recalled.offset, 100);
	assert_int_equal(dsp->recalled.length, 200);
	usleep(5000);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(inner, DEV_RW, 20 * MS), -ETIMEDOUT);
	assert_reason("dsp still has the buffer (bytes 100 to 300, for ");
	assert_true(strtoul(strstr(metal_shm_last_error(), ", for ") + 6, NULL, 10) >= 20);
	assert_int_equal(dsp->recalled.offset, 150);
	assert_int_equal(dsp->recalled.length, 10);
	/* nothing changed hands, and in time is in time */
	assert_int_equal(metal_shm_sync_for_cpu(b->part, DEV_R), -EINVAL);
	b->gpu = dsp;
	assert_int_equal(pthread_create(&thread, NULL, answer_later, b), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b->part, DEV_RW, 60000 * MS), 0);
	pthread_join(thread, NULL);
	b->gpu = gpu;
	drop(&inner);
	metal_shm_detach(view, dsp->dev);
	fake_importer_end(dsp);
}

static void without_memory_for_a_copy_nothing_changes_hands(void **state)
{
	struct bench *b = *state;
	struct metal_shm_stats before, after;

	assert_int_equal(metal_shm_sync_for_device(b->part, b->camera->dev, DEV_R), 0);
	before = stats_of(b->shm);
	/* which no other source here gives */
	b->gpu->constraints.required = METAL_SHM_CONTIGUOUS;
	b->source->fail_allocate = -ENOMEM;
	assert_null(metal_shm_attach(b->part, b->gpu->dev));
	assert_reason("no memory to copy the part to");
	assert_int_equal(metal_shm_sync_for_device(b->part, b->gpu->dev, DEV_R), -ENOTCONN);
	after = stats_of(b->shm);
	assert_int_equal(after.handovers, before.handovers);
	assert_int_equal(after.bytes_out, 0);
	assert_string_equal(b->gpu->log, "");
	/* the camera has them as before */
	assert_int_equal(metal_shm_wrote(b->part, 0, 1), -EBUSY);
	b->source->fail_allocate = 0;
	assert_non_null(metal_shm_attach(b->part, b->gpu->dev));
	assert_int_equal(metal_shm_sync_for_device(b->part, b->gpu->dev, DEV_R), 0);
	metal_shm_detach(metal_shm_view(b->part, b->gpu->dev), b->gpu->dev);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(who_holds_nothing_gives_nothing_back),
		CASE(taking_back_what_nobody_has_does_nothing),
		CASE(each_handle_is_attached_for_itself),
		CASE(what_is_no_direction_is_refused_everywhere),
		CASE(a_direction_that_was_not_asked_for_ends_no_write),
		CASE(a_device_closed_while_it_holds_still_gives_the_bytes_back),
		CASE(everything_freed_while_it_is_held_goes_with_the_work),
		CASE(who_does_not_answer_a_recall_is_named_at_the_deadline),
		CASE(without_memory_for_a_copy_nothing_changes_hands),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
