/* SPDX-License-Identifier: BSD-3-Clause */
/* Views: attachments that come and go while another is under way, and what an importer can reach. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"

#define W METAL_SHM_DIR_DEV_W

struct bench {
	struct fake_source *source;
	struct fake_importer *camera, *gpu;
	struct metal_generic_shm *shm, *view; /* the camera's */
};

static int set_up(void **state)
{
	struct bench *bench = test_calloc(1, sizeof(*bench));

	bench->source = fake_source_new("src", true);
	bench->camera = fake_importer_new("camera", METAL_SHM_ACCESS_DMA);
	bench->gpu = fake_importer_new("gpu", METAL_SHM_ACCESS_DMA);
	bench->shm = fake_buffer(bench->source, 1000);
	bench->view = metal_shm_attach(bench->shm, bench->camera->dev);
	bench->gpu->user = bench;
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	metal_shm_free(bench->shm, NULL);
	fake_importer_end(bench->gpu);
	fake_importer_end(bench->camera);
	fake_source_end(bench->source);
	test_free(bench);
	return 0;
}

/* The camera's view waits for its last work, which is done but not dispatched. */
static void leave_work(struct bench *bench)
{
	assert_int_equal(fake_queue(bench->camera, bench->shm, W), 0);
	metal_shm_detach(bench->view, bench->camera->dev);
	fake_complete(bench->camera, 1);
	assert_string_equal(bench->camera->log, "A");
}

static void dispatch_the_camera(struct fake_importer *gpu, const struct metal_shm_attachment *at)
{
	struct bench *bench = gpu->user;

	(void)at;
	gpu->inside = NULL;
	assert_int_equal(metal_shm_device_dispatch(bench->camera->dev), 0);
	assert_string_equal(bench->camera->log, "A");
	assert_null(metal_shm_view(bench->shm, bench->camera->dev));
	assert_int_equal(errno, ENOTCONN);
}

static void a_view_whose_work_ends_in_an_attach_ends_after_it(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *view;

	leave_work(bench);
	bench->gpu->inside = dispatch_the_camera;
	view = metal_shm_attach(bench->shm, bench->gpu->dev);
	assert_non_null(view);
	assert_string_equal(bench->camera->log, "AD");
	metal_shm_detach(view, bench->gpu->dev);
}

static void it_ends_though_the_attach_is_refused(void **state)
{
	struct bench *bench = *state;

	leave_work(bench);
	bench->gpu->inside = dispatch_the_camera;
	bench->gpu->fail_attach = -ENOSPC;
	assert_null(metal_shm_attach(bench->shm, bench->gpu->dev));
	assert_int_equal(errno, ENOSPC);
	assert_string_equal(bench->camera->log, "AD");
}

/* Without references the views alone keep the memory. */
static void the_memory_goes_with_the_last_view_that_ends_so(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *view = metal_shm_attach(bench->shm, bench->gpu->dev);

	leave_work(bench);
	bench->gpu->inside = dispatch_the_camera;
	metal_shm_free(bench->shm, NULL);
	assert_int_equal(bench->source->live, 1);
	metal_shm_detach(view, bench->gpu->dev);
	assert_string_equal(bench->camera->log, "AD");
	assert_string_equal(bench->gpu->log, "AD");
	assert_int_equal(bench->source->live, 0);
	bench->shm = NULL;
}

static void *detach_the_camera(void *argument)
{
	struct bench *bench = argument;

	metal_shm_detach(bench->view, bench->camera->dev);
	return NULL;
}

static void detach_in_a_thread(struct fake_importer *gpu, const struct metal_shm_attachment *at)
{
	struct bench *bench = gpu->user;
	pthread_t thread;

	(void)at;
	gpu->inside = NULL;
	assert_int_equal(pthread_create(&thread, NULL, detach_the_camera, bench), 0);
	pthread_join(thread, NULL);
	assert_string_equal(bench->camera->log, "A");
}

static void a_detach_does_not_wait_for_an_attach(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *view;

	bench->gpu->inside = detach_in_a_thread;
	view = metal_shm_attach(bench->shm, bench->gpu->dev);
	assert_string_equal(bench->camera->log, "AD");
	metal_shm_detach(view, bench->gpu->dev);
}

static void what_the_cpu_wrote_goes_before_such_an_end(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *view;

	bench->gpu->inside = detach_in_a_thread;
	bench->source->log[0] = '\0';
	/* one more mapping would show whether it can be guarded */
	assert_int_equal(metal_shm_guard(bench->shm, false), 0);
	assert_non_null(metal_shm_map(bench->shm, METAL_SHM_WRITE));
	view = metal_shm_attach(bench->shm, bench->gpu->dev);
	/* one END before the one's attach, another before the other's detach */
	assert_string_equal(bench->source->log, "mS1E1E1");
	metal_shm_detach(view, bench->gpu->dev);
}

static const size_t part_offset = 5000, part_size = 100, whole_size = 20000;

static void reach_all_around_the_part(struct fake_importer *gpu,
				      const struct metal_shm_attachment *at)
{
	unsigned char *own = metal_shm_map(gpu->user, METAL_SHM_READ);
	unsigned char *first;
	void *address;

	gpu->inside = NULL;
	assert_int_equal(at->range.offset, part_offset);
	assert_int_equal(at->range.length, part_size);
	assert_int_equal(metal_shm_importer_map(at, METAL_SHM_READ | METAL_SHM_WRITE, &address), 0);
	assert_ptr_not_equal(address, own);
	first = (unsigned char *)address - part_offset;
	assert_int_equal((uintptr_t)first % 4096, 0);
	assert_true(at->memory->size >= whole_size);
	for (size_t i = 0; i < at->memory->size; i++)
		first[i] = (unsigned char)(i / 7);
	metal_shm_importer_unmap(at, address);
	for (size_t i = 0; i < part_size; i++)
		assert_int_equal(own[i], (unsigned char)((part_offset + i) / 7));
}

/* Memory that is really mapped, each time elsewhere. */
/* What it writes after the attach wants an END of its own, until it says that it is done. */
static void a_device_that_writes_by_the_cpu_goes_on_over_an_attach(void **state)
{
	struct bench *bench = *state;
	struct fake_importer *kernel = fake_importer_new("kernel", METAL_SHM_ACCESS_CPU_KERNEL);
	struct metal_generic_shm *view = metal_shm_attach(bench->shm, kernel->dev), *late;

	assert_int_equal(fake_queue(kernel, bench->shm, W), 0);
	late = metal_shm_attach(bench->shm, bench->gpu->dev);
	assert_int_equal(metal_shm_settle(bench->shm), 0);
	assert_string_equal(bench->source->log, "aS1E1E1");
	fake_complete(kernel, 1);
	assert_int_equal(metal_shm_device_dispatch(kernel->dev), 0);
	assert_int_equal(metal_shm_settle(bench->shm), 0);
	assert_int_equal(metal_shm_settle(bench->shm), 0);
	assert_string_equal(bench->source->log, "aS1E1E1E1");
	metal_shm_detach(late, bench->gpu->dev);
	metal_shm_detach(view, kernel->dev);
	metal_shm_detach(bench->view, bench->camera->dev);
	fake_importer_end(kernel);
}

static void an_importer_maps_the_whole_memory_around_its_range(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm, *part, *view;
	const unsigned char *bytes;
	struct metal_device *memfd;

	assert_int_equal(metal_shm_device_open("memfd", &memfd), 0);
	shm = metal_shm_allocate(whole_size, memfd, 0);
	part = metal_shm_sub(shm, part_offset, part_size, 0);
	bench->gpu->user = part;
	bench->gpu->inside = reach_all_around_the_part;
	view = metal_shm_attach(part, bench->gpu->dev);
	assert_non_null(view);
	bytes = metal_shm_map(shm, METAL_SHM_READ);
	for (size_t i = 0; i < whole_size; i++)
		assert_int_equal(bytes[i], (unsigned char)(i / 7));
	metal_shm_detach(view, bench->gpu->dev);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, memfd);
	metal_shm_device_close(memfd);
	metal_shm_detach(bench->view, bench->camera->dev);
}

static void end_the_camera(struct fake_importer *gpu, const struct metal_shm_attachment *at)
{
	struct bench *bench = gpu->user;

	(void)at;
	gpu->inside = NULL;
	assert_int_equal(metal_shm_device_dispatch(bench->camera->dev), 0);
	assert_string_equal(bench->camera->log, "ADA");
}

/* Its copies would come home over what the other wrote, and the other way. */
static void a_bounced_device_shares_a_buffer_with_no_other(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *view;

	bench->gpu->flags = METAL_SHM_VIEW_BOUNCES;
	assert_null(metal_shm_attach(bench->shm, bench->gpu->dev));
	assert_int_equal(errno, ENOTSUP);
	assert_string_equal(
		metal_shm_last_error(),
		"gpu works on copies of its own, so the buffer can't be shared with camera");
	assert_string_equal(bench->gpu->log, "AD");
	metal_shm_detach(bench->view, bench->camera->dev);
	view = metal_shm_attach(bench->shm, bench->gpu->dev);
	assert_non_null(view);

	/* this one isn't even asked */
	assert_null(metal_shm_attach(bench->shm, bench->camera->dev));
	assert_int_equal(errno, ENOTSUP);
	assert_string_equal(
		metal_shm_last_error(),
		"gpu works on copies of its own, so the buffer can't be shared with camera");
	assert_string_equal(bench->camera->log, "AD");
	assert_ptr_equal(metal_shm_attach(bench->shm, bench->gpu->dev), view);
	metal_shm_detach(view, bench->gpu->dev);
	metal_shm_detach(view, bench->gpu->dev);
}

static void a_device_of_an_unknown_kind_counts_as_one_that_a_bounced_one_would_harm(void **state)
{
	struct bench *bench = *state;
	struct fake_importer *other = fake_importer_new("other", METAL_SHM_ACCESS_UNKNOWN);
	struct metal_generic_shm *view;

	metal_shm_detach(bench->view, bench->camera->dev);
	bench->gpu->flags = METAL_SHM_VIEW_BOUNCES;
	view = metal_shm_attach(bench->shm, bench->gpu->dev);
	assert_null(metal_shm_attach(bench->shm, other->dev));
	assert_int_equal(errno, ENOTSUP);
	assert_string_equal(other->log, "AD");
	metal_shm_detach(view, bench->gpu->dev);
	fake_importer_end(other);
}

static char told[256];

static void on_log(void *user, enum metal_shm_log_level level, const char *line)
{
	(void)user;
	(void)level;
	strncpy(told, line, sizeof(told) - 1);
}

static void an_unknown_kind_is_told_where_it_may_lose_bytes(void **state)
{
	struct bench *bench = *state;
	struct fake_importer *other = fake_importer_new("other", METAL_SHM_ACCESS_UNKNOWN);
	struct fake_source *coherent = fake_source_new("coherent", false);
	struct metal_generic_shm *quiet = fake_buffer(coherent, 1000);

	metal_shm_set_log(on_log, NULL, METAL_SHM_LOG_INFO);
	metal_shm_detach(metal_shm_attach(bench->shm, bench->gpu->dev), bench->gpu->dev);
	metal_shm_detach(metal_shm_attach(quiet, other->dev), other->dev);
	assert_string_equal(told, "");
	metal_shm_detach(metal_shm_attach(bench->shm, other->dev), other->dev);
	assert_string_equal(told,
			    "other doesn't say how it moves bytes, and src memory isn't known "
			    "to be coherent: what it writes by the CPU may be lost");
	metal_shm_set_log(NULL, NULL, METAL_SHM_LOG_INFO);
	metal_shm_detach(bench->view, bench->camera->dev);
	metal_shm_free(quiet, NULL);
	fake_source_end(coherent);
	fake_importer_end(other);
}

/* They see what the program sees. */
static void a_bounced_device_shares_with_those_that_use_the_cpu(void **state)
{
	struct bench *bench = *state;
	struct fake_importer *kernel = fake_importer_new("kernel", METAL_SHM_ACCESS_CPU_KERNEL);
	struct fake_importer *user = fake_importer_new("user", METAL_SHM_ACCESS_CPU_USER);
	struct metal_generic_shm *views[3];

	metal_shm_detach(bench->view, bench->camera->dev);
	bench->gpu->flags = METAL_SHM_VIEW_BOUNCES;
	views[0] = metal_shm_attach(bench->shm, kernel->dev);
	views[1] = metal_shm_attach(bench->shm, bench->gpu->dev);
	views[2] = metal_shm_attach(bench->shm, user->dev);
	for (unsigned i = 0; i < 3; i++)
		assert_non_null(views[i]);
	metal_shm_detach(views[0], kernel->dev);
	metal_shm_detach(views[1], bench->gpu->dev);
	metal_shm_detach(views[2], user->dev);
	fake_importer_end(user);
	fake_importer_end(kernel);
}

/* Each has a memory of its own. */
static void parts_that_are_copied_are_shared_with_a_bounced_device(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *part = metal_shm_sub(bench->shm, 100, 100, 0), *view;

	bench->gpu->flags = METAL_SHM_VIEW_BOUNCES;
	view = metal_shm_attach(part, bench->gpu->dev);
	assert_int_equal(metal_shm_view_mode(view), METAL_SHM_VIEW_SHADOW);
	metal_shm_detach(bench->view, bench->camera->dev);
	bench->view = metal_shm_attach(bench->shm, bench->camera->dev);
	assert_non_null(bench->view);
	metal_shm_detach(view, bench->gpu->dev);
	metal_shm_detach(bench->view, bench->camera->dev);
	metal_shm_free(part, NULL);
}

/* Its copies are there until it is asked to detach, which it is only after the attach. */
static void a_bounced_view_that_is_ending_is_shared_with_no_other(void **state)
{
	struct bench *bench = *state;

	metal_shm_detach(bench->view, bench->camera->dev);
	bench->camera->flags = METAL_SHM_VIEW_BOUNCES;
	bench->view = metal_shm_attach(bench->shm, bench->camera->dev);
	assert_int_equal(fake_queue(bench->camera, bench->shm, W), 0);
	metal_shm_detach(bench->view, bench->camera->dev);
	fake_complete(bench->camera, 1);
	/* its work is over before the answer is there */
	bench->gpu->access = METAL_SHM_ACCESS_UNKNOWN;
	bench->gpu->inside = end_the_camera;
	assert_null(metal_shm_attach(bench->shm, bench->gpu->dev));
	assert_int_equal(errno, ENOTSUP);
	assert_string_equal(bench->camera->log, "ADAD");
	assert_string_equal(bench->gpu->log, "AD");
}

struct user {
	struct bench *bench;
	struct fake_importer *importer;
	pthread_t thread;
};

/* It has them by three views, of which the one that gave them last ends while another has work. */
static void a_device_has_nothing_after_its_last_view(void **state)
{
	struct bench *bench = *state;
	struct fake_importer *kernel = fake_importer_new("kernel", METAL_SHM_ACCESS_CPU_KERNEL);
	struct metal_generic_shm *parts[3], *views[3];
	static const size_t from[] = { 0, 40, 200 }, size[] = { 100, 20, 10 };

	for (unsigned i = 0; i < 3; i++) {
		parts[i] = metal_shm_sub(bench->shm, from[i], size[i], 0);
		views[i] = metal_shm_attach(parts[i], kernel->dev);
		assert_non_null(views[i]);
	}
	assert_int_equal(metal_shm_hold(parts[1], kernel->dev, W, 0), 0);
	assert_int_equal(metal_shm_sync_for_device(parts[0], kernel->dev, W), 0);
	metal_shm_detach(views[0], kernel->dev);
	assert_int_equal(metal_shm_unhold(parts[1], kernel->dev, 0), 0);
	metal_shm_detach(views[1], kernel->dev);
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, METAL_SHM_DIR_DEV_R), -EINVAL);
	metal_shm_detach(views[2], kernel->dev);
	assert_int_equal(metal_shm_sync_for_cpu(bench->shm, METAL_SHM_DIR_DEV_R), 0);
	for (unsigned i = 0; i < 3; i++)
		metal_shm_free(parts[i], NULL);
	metal_shm_detach(bench->view, bench->camera->dev);
	fake_importer_end(kernel);
}

static void *come_and_go(void *argument)
{
	struct user *user = argument;

	for (unsigned i = 0; i < 500; i++) {
		struct metal_generic_shm *view =
			metal_shm_attach(user->bench->shm, user->importer->dev);

		assert_non_null(view);
		assert_int_equal(metal_shm_hold(view, user->importer->dev, METAL_SHM_DIR_DEV_R, 0),
				 0);
		metal_shm_detach(view, user->importer->dev);
		assert_int_equal(metal_shm_unhold(user->bench->shm, user->importer->dev, 0), 0);
		assert_null(metal_shm_view(user->bench->shm, user->importer->dev));
	}
	return NULL;
}

static void devices_come_and_go_in_threads(void **state)
{
	struct bench *bench = *state;
	struct user users[3];

	metal_shm_detach(bench->view, bench->camera->dev);
	for (unsigned i = 0; i < 3; i++) {
		users[i] = (struct user){
			.bench = bench,
			.importer = fake_importer_new("user", METAL_SHM_ACCESS_DMA),
		};
		assert_int_equal(pthread_create(&users[i].thread, NULL, come_and_go, &users[i]), 0);
	}
	for (unsigned i = 0; i < 3; i++)
		pthread_join(users[i].thread, NULL);
	/* a view that ended last may be another thread's to end: with the threads they have all ended */
	for (unsigned i = 0; i < 3; i++)
		fake_importer_end(users[i].importer);
	metal_shm_free(bench->shm, NULL);
	bench->shm = NULL;
	assert_int_equal(bench->source->live, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_view_whose_work_ends_in_an_attach_ends_after_it),
		CASE(it_ends_though_the_attach_is_refused),
		CASE(the_memory_goes_with_the_last_view_that_ends_so),
		CASE(a_detach_does_not_wait_for_an_attach),
		CASE(what_the_cpu_wrote_goes_before_such_an_end),
		CASE(a_device_that_writes_by_the_cpu_goes_on_over_an_attach),
		CASE(an_importer_maps_the_whole_memory_around_its_range),
		CASE(a_bounced_device_shares_a_buffer_with_no_other),
		CASE(a_device_of_an_unknown_kind_counts_as_one_that_a_bounced_one_would_harm),
		CASE(an_unknown_kind_is_told_where_it_may_lose_bytes),
		CASE(a_bounced_device_shares_with_those_that_use_the_cpu),
		CASE(parts_that_are_copied_are_shared_with_a_bounced_device),
		CASE(a_bounced_view_that_is_ending_is_shared_with_no_other),
		CASE(a_device_has_nothing_after_its_last_view),
		CASE(devices_come_and_go_in_threads),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
