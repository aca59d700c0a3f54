/* SPDX-License-Identifier: BSD-3-Clause */
/* The trace from the outside: what each call leaves in the file. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include <shm/linux.h>

#include "trace_fixture.h"

#define THREADS 4
#define ROUNDS  200

static void use_without_a_trace(void)
{
	struct bench bench;

	open_bench(&bench);
	work(&bench, bench.camera, W, 0);
	close_bench(&bench);
	assert_int_equal(metal_shm_trace_write(STDERR_FILENO), -ENODATA);
}

static void off_there_is_no_ring(void **state)
{
	(void)state;
	in_child(use_without_a_trace, false);
	assert_int_not_equal(access(FILE_NAME, F_OK), 0);
}

static void start_wrongly(void)
{
	assert_int_equal(metal_shm_trace_start(0), -EINVAL);
	assert_int_equal(metal_shm_trace_start(((size_t)1 << 22) + 1), -EINVAL);
	assert_int_equal(metal_shm_trace_write(STDERR_FILENO), -ENODATA);
	assert_int_equal(metal_shm_trace_start(1), 0);
	assert_int_equal(metal_shm_trace_start(1), -EALREADY);
	assert_non_null(strstr(metal_shm_last_error(), "already"));
}

static void it_begins_once(void **state)
{
	(void)state;
	in_child(start_wrongly, false);
}

static void pipeline(void)
{
	struct bench bench;
	char *text;

	assert_int_equal(metal_shm_trace_start(100), 0);
	open_bench(&bench);
	assert_non_null(metal_shm_map(bench.shm, METAL_SHM_READ | METAL_SHM_WRITE));
	work(&bench, bench.camera, W, 0);
	/* two works at once, of which one fails */
	assert_int_equal(metal_shm_hold(bench.shm, bench.display->dev, R, METAL_SHM_FOREVER), 0);
	work(&bench, bench.display, R, -EIO);
	assert_int_equal(metal_shm_unhold(bench.shm, bench.display->dev, 0), 0);
	assert_int_equal(metal_shm_sync_for_cpu(bench.shm, RW), -EIO);
	assert_int_equal(metal_shm_sync_for_device(bench.shm, bench.display->dev, R), 0);
	assert_int_equal(metal_shm_sync_for_cpu(bench.shm, R), 0);
	work(&bench, bench.camera, W, 0);
	metal_shm_count_copied(bench.shm, bench.camera->dev, 77);
	close_bench(&bench);
	text = finished_trace();
	assert_lines(text, 2, "\"name\":\"buffer 1\"", "\"access\":\"reads\"");
	assert_lines(text, 2, "\"access\":\"writes\",\"needed\":\"END\"", "\"cat\":\"hold\"");
	assert_lines(text, 1, "\"access\":\"reads\",\"needed\":\"nothing\"", "\"error\":-5");
	assert_lines(text, 1, "\"needed\":\"START\"", "\"tid\":1,");
	assert_lines(text, 1, "\"needed\":\"END\"", "\"access\":\"reads\"");
	assert_lines(text, 7, "\"ph\":\"X\"", "\"bytes\":4096");
	assert_lines(text, 1, "\"ph\":\"s\"", "\"id\":1,");
	assert_lines(text, 5, "\"ph\":\"t\"", "\"bp\":\"e\"");
	assert_lines(text, 1, "\"ph\":\"f\"", "\"bp\":\"e\"");
	assert_lines(text, 1, "new buffer 1", "\"bytes\":4096");
	assert_lines(text, 1, "end of buffer 1", "");
	assert_lines(text, 2, "attach buffer 1", "");
	assert_lines(text, 2, "detach buffer 1", "");
	assert_lines(text, 1, "\"name\":\"map buffer 1\"", "");
	assert_lines(text, 2, "START buffer 1", "\"access\":");
	assert_lines(text, 1, "copy of buffer 1", "\"bytes\":77");
	assert_lines(text, 1, "\"name\":\"copied\"", "{\"bytes\":77}");
	assert_lines(text, 1, "\"name\":\"memory\"", "{\"bytes\":4096}");
	assert_lines(text, 1, "\"name\":\"memory\"", "{\"bytes\":0}");
	assert_lines(text, 1, "thread_name", "\"camera\"");
	assert_lines(text, 1, "\"lost\":0", "\"left out\":0");
	free(text);
}

static void each_transition_is_in_the_file(void **state)
{
	(void)state;
	in_child(pipeline, false);
}

static void *complete_later(void *argument)
{
	struct fake_importer *device = argument;

	usleep(20000);
	fake_complete(device, 1);
	return NULL;
}

static void wait_for_a_device(void)
{
	struct bench bench;
	pthread_t thread;
	char *text;

	assert_int_equal(metal_shm_trace_start(100), 0);
	open_bench(&bench);
	assert_int_equal(fake_queue(bench.camera, bench.shm, W), 0);
	assert_int_equal(pthread_create(&thread, NULL, complete_later, bench.camera), 0);
	assert_int_equal(metal_shm_hold(bench.shm, bench.display->dev, R, METAL_SHM_FOREVER), 0);
	pthread_join(thread, NULL);
	assert_int_equal(metal_shm_unhold(bench.shm, bench.display->dev, 0), 0);
	close_bench(&bench);
	text = finished_trace();
	assert_true(lines_with(text, "waits for buffer 1", "\"for\":\"work\"") >= 1);
	assert_lines(text, 0, "waits for buffer 1", "\"dur\":0.000");
	free(text);
}

static void who_waits_is_seen(void **state)
{
	(void)state;
	in_child(wait_for_a_device, false);
}

static void import_twice(void)
{
	struct metal_generic_shm *shm, *again;
	struct metal_device *source;
	char *text;
	int fd;

	assert_int_equal(metal_shm_trace_start(100), 0);
	assert_int_equal(metal_shm_device_open("memfd", &source), 0);
	shm = metal_shm_allocate(4096, source, 0);
	assert_non_null(shm);
	fd = metal_shm_export(shm, 0);
	again = metal_shm_import(fd, 0, 0);
	assert_ptr_equal(again, shm);
	close(fd);
	text = finished_trace();
	assert_lines(text, 1, "new buffer 1", "");
	assert_lines(text, 1, "import of buffer 1", "");
	assert_lines(text, 1, "\"name\":\"buffer 1\"", "\"end\":\"unknown\"");
	free(text);
	metal_shm_free(again, NULL);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(source);
}

static void an_import_is_seen(void **state)
{
	(void)state;
	in_child(import_twice, false);
}

/* What the program keeps goes on in the same lane where it was cut. */
static void give_parts(void)
{
	struct bench bench;
	struct metal_generic_shm *half, *view;
	char *text;

	assert_int_equal(metal_shm_trace_start(1000), 0);
	open_bench(&bench);
	half = metal_shm_sub(bench.shm, 0, 2048, 0);
	view = metal_shm_attach(half, bench.camera->dev);
	assert_non_null(view);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(metal_shm_hold(half, bench.camera->dev, W, 0), 0);
		assert_int_equal(metal_shm_unhold(half, bench.camera->dev, 0), 0);
		assert_int_equal(metal_shm_sync_for_cpu(bench.shm, W), 0);
	}
	text = finished_trace();
	assert_lines(text, 20, "\"buffer\":1,\"offset\":0,\"bytes\":2048", "\"cat\":\"hold\"");
	assert_lines(text, 20, "\"buffer\":1,\"offset\":2048,\"bytes\":2048", "\"cat\":\"hold\"");
	assert_lines(text, 1, "shadow is buffer 2", "");
	assert_true(lines_with(text, "copy out of buffer 1", "\"bytes\":2048") > 0);
	assert_lines(text, 20, "copy back to buffer 1", "\"bytes\":2048");
	assert_true(lines_with(text, "\"name\":\"copied\"", "\"ph\":\"C\"") > 20);
	free(text);
	metal_shm_detach(view, bench.camera->dev);
	metal_shm_free(half, NULL);
	close_bench(&bench);
}

static void a_part_that_is_given_leaves_the_rest(void **state)
{
	(void)state;
	in_child(give_parts, false);
}

static void overflow(void)
{
	struct bench bench;
	char *text;

	assert_int_equal(metal_shm_trace_start(3), 0);
	open_bench(&bench); /* 3 records */
	for (int i = 0; i < 10; i++)
		work(&bench, bench.camera, W, 0);                                /* 2 */
	assert_int_equal(metal_shm_hold(bench.shm, bench.camera->dev, W, 0), 0); /* 1 */
	text = finished_trace();
	assert_lines(text, 1, "\"records\":4,\"lost\":20,", "");
	assert_lines(text, 1, "\"20 records are lost\"", "\"ph\":\"i\"");
	assert_lines(text, 0, "new buffer 1", "");
	assert_lines(text, 1, "\"ph\":\"X\"", "\"begin\":\"unknown\"");
	assert_lines(text, 2, "\"ph\":\"X\"", "\"access\":\"writes\"");
	free(text);
	assert_int_equal(metal_shm_unhold(bench.shm, bench.camera->dev, 0), 0);
	close_bench(&bench);
}

static void a_full_ring_keeps_the_last_and_says_what_is_lost(void **state)
{
	(void)state;
	in_child(overflow, false);
}

static void name_devices(void)
{
	struct fake_source *source = fake_source_new("a\"b\\c\n\t\x7f\x1f", false);
	struct fake_source *wrong = fake_source_new("\xff-\xc0\x80-\xed\xa0\x80-\xf4\x90\x80\x80-"
						    "\xe0\x80\x80-\xf0\x80\x80\x80-\xc3(-\xe2\x82",
						    false);
	struct fake_source *right =
		fake_source_new("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", false);
	struct fake_source *all[] = { source, wrong, right };
	char *text;

	assert_int_equal(metal_shm_trace_start(100), 0);
	for (int i = 0; i < 3; i++)
		metal_shm_free(fake_buffer(all[i], 10), NULL);
	text = finished_trace();
	assert_lines(text, 1, "\"a\\\"b\\\\c\\u000a\\u0009\x7f\\u001f\"", "thread_name");
	assert_lines(text, 1, "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"", "thread_name");
	/* each byte that begins no character */
	assert_lines(text, 1,
		     "\"\\ufffd-\\ufffd\\ufffd-\\ufffd\\ufffd\\ufffd-"
		     "\\ufffd\\ufffd\\ufffd\\ufffd-\\ufffd\\ufffd\\ufffd-"
		     "\\ufffd\\ufffd\\ufffd\\ufffd-\\ufffd(-\\ufffd\\ufffd\"",
		     "thread_name");
	free(text);
	for (int i = 0; i < 3; i++)
		fake_source_end(all[i]);
}

static void names_are_text_whatever_they_hold(void **state)
{
	(void)state;
	in_child(name_devices, false);
}

static void many_devices(void)
{
	char name[127], *text;

	assert_int_equal(metal_shm_trace_start(1000), 0);
	for (int i = 0; i < 310; i++) {
		struct fake_source *source;

		/* the longest that there are, of bytes that take the most room */
		memset(name, 1, sizeof(name));
		snprintf(name, sizeof(name), "%d", i < 30 ? 0 : i);
		name[strlen(name)] = '\1';
		name[sizeof(name) - 1] = '\0';
		source = fake_source_new(name, false);
		metal_shm_free(fake_buffer(source, 10), NULL);
		fake_source_end(source);
	}
	text = finished_trace();
	assert_lines(text, 256, "thread_name", "\"name\":\"");
	assert_lines(text, 1, "thread_name", "\"name\":\"other devices\"");
	assert_lines(text, 1, "thread_name", "\"name\":\"0\\u0001");
	free(text);
}

static void devices_of_one_name_share_a_track(void **state)
{
	(void)state;
	in_child(many_devices, false);
}

static void write_to_bad_descriptors(void)
{
	struct bench bench;
	int fd;

	assert_int_equal(metal_shm_trace_start(100), 0);
	open_bench(&bench);
	assert_int_equal(metal_shm_trace_write(-1), -EBADF);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(metal_shm_trace_write(fd), -EBADF);
	close(fd);
	assert_int_equal(metal_shm_trace_write(fd), -EBADF);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(metal_shm_trace_write(fd), -ENOSPC);
	assert_non_null(strstr(metal_shm_last_error(), "No space"));
	close(fd);
	/* and again, once there is a place for it */
	for (int i = 0; i < 2; i++)
		free(finished_trace());
	close_bench(&bench);
}

static void a_descriptor_that_takes_nothing_is_an_error(void **state)
{
	(void)state;
	in_child(write_to_bad_descriptors, false);
}
static struct bench shared;
static atomic_bool stop;

static void *hand_over(void *argument)
{
	struct fake_importer *device = argument;

	for (int i = 0; i < ROUNDS; i++) {
		if (metal_shm_hold(shared.shm, device->dev, R, METAL_SHM_FOREVER) ||
		    metal_shm_unhold(shared.shm, device->dev, 0))
			return argument;
	}
	return NULL;
}

static void *write_again_and_again(void *argument)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	while (!atomic_load(&stop) && !metal_shm_trace_write(fd))
		;
	close(fd);
	return atomic_load(&stop) ? NULL : argument;
}

/* A ring so small that writers overtake each other. */
static void hand_over_in_threads(void)
{
	pthread_t writer, thread[THREADS];
	void *bad;

	assert_int_equal(metal_shm_trace_start(4), 0);
	open_bench(&shared);
	assert_int_equal(pthread_create(&writer, NULL, write_again_and_again, &shared), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, hand_over,
						i % 2 ? shared.camera : shared.display),
				 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &bad);
		assert_null(bad);
	}
	atomic_store(&stop, true);
	pthread_join(writer, &bad);
	assert_null(bad);
	free(finished_trace());
	close_bench(&shared);
}

static void threads_record_while_one_writes(void **state)
{
	(void)state;
	in_child(hand_over_in_threads, false);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(off_there_is_no_ring),
		CASE(it_begins_once),
		CASE(each_transition_is_in_the_file),
		CASE(who_waits_is_seen),
		CASE(an_import_is_seen),
		CASE(a_part_that_is_given_leaves_the_rest),
		CASE(a_full_ring_keeps_the_last_and_says_what_is_lost),
		CASE(names_are_text_whatever_they_hold),
		CASE(devices_of_one_name_share_a_track),
		CASE(a_descriptor_that_takes_nothing_is_an_error),
		CASE(threads_record_while_one_writes),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
