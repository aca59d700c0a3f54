/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may touch the bytes, and what each change of hands issues. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"

#define R  METAL_SHM_DIR_DEV_R
#define W  METAL_SHM_DIR_DEV_W
#define RW METAL_SHM_DIR_DEV_RW

struct bench {
	struct fake_source *source;
	struct fake_importer *dma, *dma2, *kernel, *user, *unknown;
	struct metal_generic_shm *shm;
	struct metal_generic_shm *views[5];
};

static struct fake_importer *importer(struct bench *bench, int i)
{
	struct fake_importer *all[] = { bench->dma, bench->dma2, bench->kernel, bench->user,
					bench->unknown };

	return all[i];
}

static int set_up(void **state)
{
	struct bench *bench = test_calloc(1, sizeof(*bench));

	bench->source = fake_source_new("src", true);
	bench->dma = fake_importer_new("dma", METAL_SHM_ACCESS_DMA);
	bench->dma2 = fake_importer_new("dma2", METAL_SHM_ACCESS_DMA);
	bench->kernel = fake_importer_new("kernel", METAL_SHM_ACCESS_CPU_KERNEL);
	bench->user = fake_importer_new("user", METAL_SHM_ACCESS_CPU_USER);
	bench->unknown = fake_importer_new("unknown", METAL_SHM_ACCESS_UNKNOWN);
	bench->shm = fake_buffer(bench->source, 4096);
	for (int i = 0; i < 5; i++) {
		bench->views[i] = metal_shm_attach(bench->shm, importer(bench, i)->dev);
		assert_non_null(bench->views[i]);
	}
	bench->source->log[0] = '\0';
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	for (int i = 0; i < 5; i++)
		metal_shm_detach(bench->views[i], importer(bench, i)->dev);
	metal_shm_free(bench->shm, NULL);
	for (int i = 0; i < 5; i++)
		fake_importer_end(importer(bench, i));
	fake_source_end(bench->source);
	test_free(bench);
	return 0;
}

/* The program maps and writes, as it may. */
static void write_bytes(struct bench *bench)
{
	char *bytes = metal_shm_map(bench->shm, METAL_SHM_READ | METAL_SHM_WRITE);

	assert_non_null(bytes);
	bytes[0]++;
	assert_int_equal(metal_shm_unmap(bench->shm, METAL_SHM_READ | METAL_SHM_WRITE), 0);
	bench->source->log[0] = '\0';
}

static void give_done(struct fake_importer *to, struct bench *bench, enum metal_shm_dir dir)
{
	assert_int_equal(fake_queue(to, bench->shm, dir), 0);
	fake_complete(to, 1);
	assert_int_equal(metal_shm_device_dispatch(to->dev), 0);
}

static void what_the_program_wrote_is_written_back_once(void **state)
{
	struct bench *bench = *state;

	write_bytes(bench);
	assert_int_equal(metal_shm_sync_for_device(bench->shm, bench->dma->dev, R), 0);
	assert_string_equal(bench->source->log, "E1");
	assert_int_equal(metal_shm_sync_for_device(bench->shm, bench->dma->dev, R), 0);
	assert_int_equal(metal_shm_sync_for_device(bench->shm, bench->dma2->dev, R), 0);
	assert_string_equal(bench->source->log, "E1");
}

static void what_was_never_mapped_for_writing_needs_nothing(void **state)
{
	struct bench *bench = *state;

	assert_non_null(metal_shm_map(bench->shm, METAL_SHM_READ));
	bench->source->log[0] = '\0';
	assert_int_equal(metal_shm_sync_for_device(bench->shm, bench->dma->dev, RW), 0);
	assert_string_equal(bench->source->log, "");
}

static void what_a_device_wrote_is_read_in_once(void **state)
{
	struct bench *bench = *state;

	give_done(bench->dma, bench, W);
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, RW), 0);
	assert_string_equal(bench->source->log, "S3");
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, RW), 0);
	assert_string_equal(bench->source->log, "S3");
}

static void two_dma_devices_need_nothing_between_them(void **state)
{
	struct bench *bench = *state;

	give_done(bench->dma, bench, W);
	give_done(bench->dma2, bench, R);
	give_done(bench->dma, bench, W);
	assert_string_equal(bench->source->log, "");
}

static void a_kernel_drivers_cpu_counts_as_the_cpu(void **state)
{
	struct bench *bench = *state;

	give_done(bench->kernel, bench, W);
	assert_string_equal(bench->source->log, "");
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, RW), 0);
	assert_string_equal(bench->source->log, "");
	give_done(bench->kernel, bench, W);
	give_done(bench->dma, bench, R);
	assert_string_equal(bench->source->log, "S1E1");
	give_done(bench->dma, bench, W);
	give_done(bench->user, bench, R);
	assert_string_equal(bench->source->log, "S1E1S2");
}

static void nothing_is_elided_for_an_unknown_device(void **state)
{
	struct bench *bench = *state;

	give_done(bench->unknown, bench, W);
	assert_string_equal(bench->source->log, "S1E3");
	give_done(bench->unknown, bench, R);
	assert_string_equal(bench->source->log, "S1E3S2E1");
}

static void an_idle_holder_gives_way_to_the_next(void **state)
{
	struct bench *bench = *state;

	give_done(bench->kernel, bench, W);
	assert_int_equal(metal_shm_sync_for_device_timeout(bench->shm, bench->user->dev, RW, 0), 0);
	assert_int_equal(metal_shm_sync_for_device_timeout(bench->shm, bench->dma->dev, W, 0), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(bench->shm, RW, 0), 0);
}

static void queued_work_keeps_a_writer_out(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(fake_queue(bench->dma, bench->shm, R), 0);
	assert_int_equal(metal_shm_sync_for_device_timeout(bench->shm, bench->dma2->dev, W, 0),
			 -ETIMEDOUT);
	assert_non_null(
		strstr(metal_shm_last_error(), "dma still has the buffer (bytes 0 to 4096, for "));
	assert_int_equal(metal_shm_sync_for_device_timeout(bench->shm, bench->dma2->dev, R, 0), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(bench->shm, RW, 1000000), -ETIMEDOUT);
	fake_complete(bench->dma, 1);
	assert_int_equal(metal_shm_sync_for_device_timeout(bench->shm, bench->dma2->dev, W, 0), 0);
}

static void waiting_dispatches_the_holder(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(fake_queue(bench->dma, bench->shm, W), 0);
	fake_complete(bench->dma, 1);
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, W), 0);
	assert_string_equal(bench->source->log, "S3");
}

static void readers_may_stay_while_the_program_reads(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(fake_queue(bench->dma, bench->shm, R), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(bench->shm, W, 0), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(bench->shm, R, 0), -ETIMEDOUT);
	fake_complete(bench->dma, 1);
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, R), 0);
}

static void a_write_that_is_not_named_does_not_end(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(metal_shm_sync_for_device(bench->shm, bench->dma->dev, RW), 0);
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, R), -EINVAL);
	assert_string_equal(metal_shm_last_error(), "dma keeps writing");
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, W), 0);
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, R), 0);
}

static void one_devices_holds_are_counted(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(fake_queue(bench->dma, bench->shm, R), 0);
	assert_int_equal(fake_queue(bench->dma, bench->shm, W), 0);
	fake_complete(bench->dma, 1);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(bench->shm, RW, 0), -ETIMEDOUT);
	fake_complete(bench->dma, 1);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(bench->shm, RW, 0), 0);
	assert_int_equal(metal_shm_unhold(bench->shm, bench->dma->dev, 0), -EINVAL);
}

static void a_failed_work_reaches_the_next_owner_once(void **state)
{
	struct bench *bench = *state;

	bench->dma->error = -EIO;
	give_done(bench->dma, bench, W);
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, RW), -EIO);
	assert_string_equal(metal_shm_last_error(), "dma failed; the bytes are undefined");
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, RW), 0);
	give_done(bench->dma, bench, W);
	assert_int_equal(metal_shm_sync_for_device(bench->shm, bench->user->dev, R), -EIO);
	give_done(bench->dma, bench, W);
	assert_int_equal(metal_shm_sync_for_device(bench->shm, bench->user->dev, W), 0);
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, RW), 0);
}

static void a_failed_sync_changes_nothing(void **state)
{
	struct bench *bench = *state;

	write_bytes(bench);
	bench->source->fail_end = -EIO;
	assert_int_equal(metal_shm_sync_for_device(bench->shm, bench->dma->dev, R), -EIO);
	bench->source->fail_end = 0;
	assert_int_equal(metal_shm_sync_for_device(bench->shm, bench->dma->dev, W), 0);
	assert_string_equal(bench->source->log, "E3");
	bench->source->fail_start = -EIO;
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, RW), -EIO);
	bench->source->fail_start = 0;
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, RW), 0);
	assert_string_equal(bench->source->log, "E3S3");
}

static void the_unattached_and_the_undirected_are_refused(void **state)
{
	struct bench *bench = *state;
	struct fake_importer *other = fake_importer_new("other", METAL_SHM_ACCESS_DMA);

	assert_int_equal(metal_shm_sync_for_device(bench->shm, other->dev, R), -ENOTCONN);
	assert_null(metal_shm_view(bench->shm, other->dev));
	assert_int_equal(errno, ENOTCONN);
	assert_int_equal(
		metal_shm_sync_for_device(bench->shm, bench->dma->dev, (enum metal_shm_dir)4),
		-EINVAL);
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, (enum metal_shm_dir)0), -EINVAL);
	fake_importer_end(other);
}

static void what_was_written_goes_before_a_mapping_goes(void **state)
{
	struct bench *bench = *state;
	struct fake_importer *late = fake_importer_new("late", METAL_SHM_ACCESS_DMA);
	struct metal_generic_shm *view;

	write_bytes(bench);
	view = metal_shm_attach(bench->shm, late->dev);
	assert_string_equal(bench->source->log, "E1");
	write_bytes(bench);
	metal_shm_detach(view, late->dev);
	assert_string_equal(bench->source->log, "E1");
	give_done(bench->kernel, bench, W);
	bench->source->log[0] = '\0';
	assert_int_equal(metal_shm_settle(bench->shm), 0);
	assert_string_equal(bench->source->log, "E1");
	assert_int_equal(metal_shm_settle(bench->shm), 0);
	assert_string_equal(bench->source->log, "E1");
	fake_importer_end(late);
}

static void a_detach_waits_for_queued_work(void **state)
{
	struct bench *bench = *state;
	struct fake_importer *late = fake_importer_new("late", METAL_SHM_ACCESS_DMA);
	struct metal_generic_shm *view = metal_shm_attach(bench->shm, late->dev);

	assert_int_equal(fake_queue(late, bench->shm, R), 0);
	metal_shm_detach(view, late->dev);
	assert_string_equal(late->log, "A");
	fake_complete(late, 1);
	assert_int_equal(metal_shm_device_dispatch(late->dev), 0);
	assert_string_equal(late->log, "AD");
	fake_importer_end(late);
}

static void a_freed_buffer_stays_until_its_work_is_done(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm = fake_buffer(bench->source, 64);
	struct metal_generic_shm *view = metal_shm_attach(shm, bench->dma->dev);
	struct fake_importer *dma = bench->dma;

	assert_int_equal(fake_queue(dma, shm, W), 0);
	metal_shm_free(shm, NULL);
	metal_shm_detach(view, dma->dev);
	assert_int_equal(bench->source->live, 2);
	fake_complete(dma, 1);
	assert_int_equal(metal_shm_device_dispatch(dma->dev), 0);
	assert_int_equal(bench->source->live, 1);
}

static void attaching_again_gives_the_same_view(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *part = metal_shm_sub(bench->shm, 64, 64, 0), *view;
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	assert_ptr_equal(metal_shm_attach(bench->shm, bench->dma->dev), bench->views[0]);
	assert_ptr_equal(metal_shm_attach(bench->views[1], bench->dma->dev), bench->views[0]);
	assert_string_equal(bench->dma->log, "A");
	metal_shm_detach(bench->views[0], bench->dma->dev);
	metal_shm_detach(bench->views[0], bench->dma->dev);
	assert_string_equal(bench->dma->log, "A");
	view = metal_shm_attach(part, bench->dma->dev);
	assert_ptr_not_equal(view, bench->views[0]);
	assert_int_equal(metal_shm_view_mode(view), METAL_SHM_VIEW_SHADOW);
	assert_int_equal(metal_shm_view_mode(bench->views[0]), METAL_SHM_VIEW_IN_PLACE);
	assert_ptr_equal(metal_shm_view(part, bench->dma->dev), view);
	assert_int_equal(metal_shm_view_mode(part), -EINVAL);
	metal_shm_free(part, NULL);
	metal_shm_detach(view, bench->dma->dev);
	assert_int_equal(metal_shm_device_stats(bench->dma->dev, &stats), 0);
	assert_int_equal(stats.attaches, 2);
	assert_int_equal(stats.attach_hits, 2);
}

static void detaching_wrongly_is_misuse(void **state)
{
	struct bench *bench = *state;
	struct fake_importer *late = fake_importer_new("late", METAL_SHM_ACCESS_DMA);
	struct metal_generic_shm *view = metal_shm_attach(bench->shm, late->dev);
	struct metal_shm_stats before = { .struct_size = sizeof(before) }, now = before;

	assert_int_equal(metal_shm_stats(&before), 0);
	metal_shm_detach(view, bench->dma->dev);
	metal_shm_detach(bench->shm, late->dev);
	metal_shm_free(view, NULL);
	metal_shm_detach(view, late->dev);
	metal_shm_detach(view, late->dev);
	assert_int_equal(metal_shm_stats(&now), 0);
	assert_int_equal(now.misuse, before.misuse + 4);
	assert_string_equal(late->log, "AD");
	fake_importer_end(late);
}

static void a_refused_attach_leaves_nothing(void **state)
{
	struct bench *bench = *state;
	struct fake_importer *late = fake_importer_new("late", METAL_SHM_ACCESS_DMA);

	late->fail_attach = -ENOSPC;
	assert_null(metal_shm_attach(bench->shm, late->dev));
	assert_int_equal(errno, ENOSPC);
	late->fail_attach = 0;
	late->constraints.required = METAL_SHM_DMABUF;
	assert_null(metal_shm_attach(bench->shm, late->dev));
	assert_int_equal(errno, ENOTSUP);
	assert_string_equal(late->log, "");
	assert_null(metal_shm_attach(bench->shm, bench->source->dev));
	assert_int_equal(errno, ENOTSUP);
	fake_importer_end(late);
}

static void views_without_addresses_say_so(void **state)
{
	struct bench *bench = *state;
	const struct metal_shm_segment *segments;
	uint64_t address;
	size_t n;

	assert_int_equal(metal_shm_segments(bench->views[0], &segments, &n), -ENOTSUP);
	assert_int_equal(metal_shm_device_address(bench->views[0], &address), -ENOTSUP);
	assert_int_equal(metal_shm_device_address(bench->shm, &address), -EINVAL);
}

static void a_given_buffer_is_the_coprocessors_until_it_says(void **state)
{
	struct bench *bench = *state;
	struct fake_importer *dsp = fake_importer_new_giver("dsp");
	struct metal_generic_shm *view = metal_shm_attach(bench->shm, dsp->dev);

	assert_int_equal(metal_shm_sync_for_device(bench->shm, dsp->dev, RW), 0);
	assert_string_equal(dsp->log, "AG3");
	assert_int_equal(metal_shm_sync_for_cpu_timeout(bench->shm, RW, 0), -ETIMEDOUT);
	/* at least once: again each time that the waiter looks */
	assert_ptr_equal(strstr(dsp->log, "AG3C"), dsp->log);
	dsp->fail_recall = -ENODEV;
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, RW), -ENODEV);
	assert_int_equal(metal_shm_unhold(bench->shm, dsp->dev, 0), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(bench->shm, RW, 0), 0);
	dsp->fail_give = -EIO;
	assert_int_equal(metal_shm_sync_for_device(bench->shm, dsp->dev, RW), -EIO);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(bench->shm, RW, 0), 0);
	metal_shm_detach(view, dsp->dev);
	fake_importer_end(dsp);
}

static void *complete_later(void *argument)
{
	struct fake_importer *importer = argument;

	fake_complete(importer, 1);
	return NULL;
}

static void *take_back_later(void *argument)
{
	struct bench *bench = argument;

	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, RW), 0);
	return NULL;
}

static void two_waiters_both_wake(void **state)
{
	struct bench *bench = *state;
	pthread_t completer, waiter;

	assert_int_equal(fake_queue(bench->dma, bench->shm, W), 0);
	assert_int_equal(pthread_create(&waiter, NULL, take_back_later, bench), 0);
	assert_int_equal(pthread_create(&completer, NULL, complete_later, bench->dma), 0);
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, RW), 0);
	pthread_join(waiter, NULL);
	pthread_join(completer, NULL);
}

static void explain_names_the_source_and_the_holders(void **state)
{
	struct bench *bench = *state;
	char text[512], cut[8];
	int length = metal_shm_explain(bench->shm, text, sizeof(text));

	assert_int_equal(length, strlen(text));
	assert_non_null(strstr(text, "memory: src\n"));
	assert_non_null(strstr(text, "attached: dma,"));
	assert_int_equal(metal_shm_explain(bench->shm, cut, sizeof(cut)), length);
	assert_string_equal(cut, "memory:");
	assert_int_equal(metal_shm_explain(bench->shm, NULL, 0), length);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(what_the_program_wrote_is_written_back_once),
		CASE(what_was_never_mapped_for_writing_needs_nothing),
		CASE(what_a_device_wrote_is_read_in_once),
		CASE(two_dma_devices_need_nothing_between_them),
		CASE(a_kernel_drivers_cpu_counts_as_the_cpu),
		CASE(nothing_is_elided_for_an_unknown_device),
		CASE(an_idle_holder_gives_way_to_the_next),
		CASE(queued_work_keeps_a_writer_out),
		CASE(waiting_dispatches_the_holder),
		CASE(readers_may_stay_while_the_program_reads),
		CASE(a_write_that_is_not_named_does_not_end),
		CASE(one_devices_holds_are_counted),
		CASE(a_failed_work_reaches_the_next_owner_once),
		CASE(a_failed_sync_changes_nothing),
		CASE(the_unattached_and_the_undirected_are_refused),
		CASE(what_was_written_goes_before_a_mapping_goes),
		CASE(a_detach_waits_for_queued_work),
		CASE(a_freed_buffer_stays_until_its_work_is_done),
		CASE(attaching_again_gives_the_same_view),
		CASE(detaching_wrongly_is_misuse),
		CASE(a_refused_attach_leaves_nothing),
		CASE(views_without_addresses_say_so),
		CASE(a_given_buffer_is_the_coprocessors_until_it_says),
		CASE(two_waiters_both_wake),
		CASE(explain_names_the_source_and_the_holders),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
