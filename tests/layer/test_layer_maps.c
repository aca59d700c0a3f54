/* SPDX-License-Identifier: BSD-3-Clause */
/* From map to unmap the bytes are the program's: START before the one, END after the other. */
#include "bracket_fixture.h"

enum { NOTE_BEFORE = 1, NOTE_USER, NOTE_MAPPED, NOTE_DONE };

static const size_t zero[3];
static const size_t picture[3] = { SIDE, SIDE, 1 };

static struct fake_dmabuf *fake;
static cl_mem mem;

static unsigned char *map(cl_mem what, cl_bool blocking, cl_map_flags flags, cl_uint count,
			  const cl_event *list, cl_event *event)
{
	unsigned char *bytes;
	cl_int code;

	bytes = clEnqueueMapBuffer(cl.queue, what, blocking, flags, 0, BYTES, count, list, event,
				   &code);
	assert_cl(code);
	assert_non_null(bytes);
	return bytes;
}

static void unmap(cl_mem what, void *bytes)
{
	assert_cl(clEnqueueUnmapMemObject(cl.queue, what, bytes, 0, NULL, NULL));
}

static unsigned starts(void)
{
	return (unsigned)fake_count(fake, FAKE_START);
}

static unsigned ends(void)
{
	return (unsigned)fake_count(fake, FAKE_END);
}

static void written_map_reaches_the_device_at_unmap(void **state)
{
	static const cl_map_flags flags[] = { CL_MAP_WRITE, CL_MAP_READ | CL_MAP_WRITE,
					      CL_MAP_WRITE_INVALIDATE_REGION };
	unsigned char *bytes;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(flags); i++) {
		fake_reset();
		bytes = map(mem, CL_TRUE, flags[i], 0, NULL, NULL);
		fake_note(NOTE_MAPPED);
		memset(bytes, (int)i + 1, BYTES);
		assert_int_equal(ends(), 0);
		unmap(mem, bytes);
		assert_cl(clFinish(cl.queue));
		fake_note(NOTE_DONE);
		assert_true(fake_only(fake, FAKE_START, FAKE_WRITE) < fake_place(NOTE_MAPPED));
		assert_true(fake_only(fake, FAKE_END, FAKE_WRITE) > fake_place(NOTE_MAPPED));
		assert_true(fake_only(fake, FAKE_END, FAKE_WRITE) < fake_place(NOTE_DONE));
		assert_true(fake_holds(fake, (unsigned char)(i + 1)));
	}
}

static void read_map_shows_what_the_device_wrote(void **state)
{
	unsigned char *bytes;

	(void)state;
	fake_fill(fake, 0x5a);
	bytes = map(mem, CL_TRUE, CL_MAP_READ, 0, NULL, NULL);
	assert_int_equal(bytes[0], 0x5a);
	assert_int_equal(bytes[BYTES - 1], 0x5a);
	unmap(mem, bytes);
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_START, FAKE_READ);
	fake_only(fake, FAKE_END, FAKE_READ);
}

static void map_waits_for_the_queue_and_its_list(void **state)
{
	cl_event user = new_user_event(), event;
	unsigned char *bytes;

	(void)state;
	fake_fill(fake, 0x5a);
	enqueue_note(cl.queue, note_after_a_while, NOTE_BEFORE, 0, NULL);
	bytes = map(mem, CL_FALSE, CL_MAP_READ, 1, &user, &event);
	assert_cl(clFlush(cl.queue));
	fake_await(NOTE_BEFORE);
	usleep(1000);
	fake_note(NOTE_USER);
	assert_cl(clSetUserEventStatus(user, CL_COMPLETE));
	assert_cl(clWaitForEvents(1, &event));
	assert_true(fake_only(fake, FAKE_START, FAKE_READ) > fake_place(NOTE_USER));
	assert_int_equal(bytes[0], 0x5a);
	unmap(mem, bytes);
	assert_cl(clFinish(cl.queue));
	assert_cl(clReleaseEvent(event));
	assert_cl(clReleaseEvent(user));
	assert_int_equal(ends(), 1);
}

static void unmap_waits_for_its_list(void **state)
{
	cl_event user = new_user_event(), event;
	unsigned char *bytes = map(mem, CL_TRUE, CL_MAP_WRITE, 0, NULL, NULL);

	(void)state;
	assert_cl(clEnqueueUnmapMemObject(cl.queue, mem, bytes, 1, &user, &event));
	usleep(1000);
	assert_int_equal(ends(), 0);
	memset(bytes, 0x66, BYTES);
	assert_cl(clSetUserEventStatus(user, CL_COMPLETE));
	assert_cl(clWaitForEvents(1, &event));
	assert_int_equal(ends(), 1);
	assert_true(fake_holds(fake, 0x66));
	assert_cl(clReleaseEvent(event));
	assert_cl(clReleaseEvent(user));
}

static void mapped_image_and_sub_buffer_bracket_their_import(void **state)
{
	cl_mem image = image_of(mem), part = whole(mem);
	size_t row = 0;
	unsigned char *bytes;
	cl_int code;

	(void)state;
	bytes = clEnqueueMapImage(cl.queue, image, CL_TRUE, CL_MAP_WRITE, zero, picture, &row, NULL,
				  0, NULL, NULL, &code);
	assert_cl(code);
	assert_int_equal(row, SIDE * 4);
	fake_only(fake, FAKE_START, FAKE_WRITE);
	memset(bytes, 0x31, BYTES);
	unmap(image, bytes);
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_END, FAKE_WRITE);
	assert_true(fake_holds(fake, 0x31));
	fake_reset();
	bytes = map(part, CL_TRUE, CL_MAP_READ, 0, NULL, NULL);
	fake_only(fake, FAKE_START, FAKE_READ);
	assert_int_equal(bytes[0], 0x31);
	unmap(part, bytes);
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_END, FAKE_READ);
	assert_cl(clReleaseMemObject(image));
	assert_cl(clReleaseMemObject(part));
}

/* The map stands for any command that takes its time. */
static void brackets_on_one_import_are_counted(void **state)
{
	unsigned char *first = map(mem, CL_TRUE, CL_MAP_READ, 0, NULL, NULL), *second, copy[16];

	(void)state;
	second = map(mem, CL_TRUE, CL_MAP_READ, 0, NULL, NULL);
	assert_cl(clEnqueueReadBuffer(cl.queue, mem, CL_TRUE, 0, 16, copy, 0, NULL, NULL));
	unmap(mem, first);
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_START, FAKE_READ);
	assert_int_equal(ends(), 0);
	unmap(mem, second);
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_END, FAKE_READ);
}

static void brackets_on_two_imports_of_one_dmabuf_are_counted(void **state)
{
	cl_mem twin = import_fd(fake_fd(fake), BYTES);
	unsigned char *first = map(mem, CL_TRUE, CL_MAP_READ, 0, NULL, NULL), copy[16];

	(void)state;
	assert_cl(clEnqueueReadBuffer(cl.queue, twin, CL_TRUE, 0, 16, copy, 0, NULL, NULL));
	fake_only(fake, FAKE_START, FAKE_READ);
	assert_int_equal(ends(), 0);
	unmap(mem, first);
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_END, FAKE_READ);
	assert_cl(clReleaseMemObject(twin));
}

static void writer_that_joins_readers_has_a_start_of_its_own(void **state)
{
	unsigned char *bytes = map(mem, CL_TRUE, CL_MAP_READ, 0, NULL, NULL);

	(void)state;
	fake_only(fake, FAKE_START, FAKE_READ);
	fake_reset();
	assert_cl(fill(cl.queue, mem, 0x12, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_START, FAKE_WRITE);
	assert_int_equal(ends(), 0);
	assert_cl(fill(cl.queue, mem, 0x13, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_START, FAKE_WRITE);
	unmap(mem, bytes);
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_END, FAKE_WRITE);
	assert_true(fake_holds(fake, 0x13));
}

static void writer_whose_start_fails_leaves_the_readers_theirs(void **state)
{
	unsigned char *bytes = map(mem, CL_TRUE, CL_MAP_READ, 0, NULL, NULL), in[16] = { 0 };

	(void)state;
	fake_fail(fake, FAKE_START, EIO, 1);
	assert_int_equal(clEnqueueWriteBuffer(cl.queue, mem, CL_TRUE, 0, 16, in, 0, NULL, NULL),
			 CL_OUT_OF_RESOURCES);
	assert_int_equal(ends(), 0);
	unmap(mem, bytes);
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_END, FAKE_READ);
}

static void blocking_map_whose_start_fails_maps_nothing(void **state)
{
	cl_int code;

	(void)state;
	fake_fail(fake, FAKE_START, EIO, 1);
	assert_null(clEnqueueMapBuffer(cl.queue, mem, CL_TRUE, CL_MAP_READ, 0, BYTES, 0, NULL, NULL,
				       &code));
	assert_int_equal(code, CL_OUT_OF_RESOURCES);
	assert_cl(clFinish(cl.queue));
	assert_unmapped(mem);
	assert_int_equal(ends(), 0);
	unmap(mem, map(mem, CL_TRUE, CL_MAP_READ, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_END, FAKE_READ);
}

static void event_of_a_map_whose_start_fails_fails(void **state)
{
	cl_event event;
	unsigned char *bytes;

	(void)state;
	fake_fail(fake, FAKE_START, EIO, 1);
	bytes = map(mem, CL_FALSE, CL_MAP_READ, 0, NULL, &event);
	assert_int_equal(clWaitForEvents(1, &event), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
	assert_cl(clReleaseEvent(event));
	unmap(mem, bytes);
	assert_cl(clFinish(cl.queue));
	assert_int_equal(ends(), 0);
}

static void unmap_that_was_refused_can_be_repeated(void **state)
{
	unsigned char *bytes = map(mem, CL_TRUE, CL_MAP_WRITE, 0, NULL, NULL);
	cl_event none = NULL;

	(void)state;
	memset(bytes, 0x21, BYTES);
	assert_int_equal(clEnqueueUnmapMemObject(NULL, mem, bytes, 0, NULL, NULL),
			 CL_INVALID_COMMAND_QUEUE);
	assert_int_equal(clEnqueueUnmapMemObject(cl.queue, mem, bytes, 1, NULL, NULL),
			 CL_INVALID_EVENT_WAIT_LIST);
	assert_int_equal(clEnqueueUnmapMemObject(cl.unordered, mem, bytes, 0, &none, NULL),
			 CL_INVALID_EVENT_WAIT_LIST);
	assert_cl(clFinish(cl.queue));
	assert_int_equal(ends(), 0);
	unmap(mem, bytes);
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_END, FAKE_WRITE);
	assert_true(fake_holds(fake, 0x21));
}

static void unmap_whose_end_fails_can_be_followed_by_others(void **state)
{
	cl_event event;

	(void)state;
	fake_fail(fake, FAKE_END, EIO, 1);
	assert_cl(clEnqueueUnmapMemObject(
		cl.queue, mem, map(mem, CL_TRUE, CL_MAP_WRITE, 0, NULL, NULL), 0, NULL, &event));
	assert_int_equal(clWaitForEvents(1, &event), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
	assert_cl(clReleaseEvent(event));
	assert_int_equal(starts(), 1);
	unmap(mem, map(mem, CL_TRUE, CL_MAP_WRITE, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	assert_int_equal(starts(), 2);
	assert_int_equal(ends(), 2);
}

static void release_ends_what_is_still_mapped(void **state)
{
	cl_mem own = import_fd(fake_fd(fake), BYTES);
	unsigned char *bytes = map(own, CL_TRUE, CL_MAP_WRITE, 0, NULL, NULL);

	(void)state;
	map(own, CL_TRUE, CL_MAP_READ, 0, NULL, NULL);
	memset(bytes, 0x45, BYTES);
	assert_cl(clReleaseMemObject(own));
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_END, FAKE_WRITE);
	assert_true(fake_holds(fake, 0x45));
}

/* What the map waits for comes after the release. */
static void release_does_not_wait_for_a_map_under_way(void **state)
{
	cl_mem own = import_fd(fake_fd(fake), BYTES);
	cl_event user = new_user_event();

	(void)state;
	map(own, CL_FALSE, CL_MAP_READ, 1, &user, NULL);
	assert_cl(clReleaseMemObject(own));
	assert_int_equal(starts(), 0);
	assert_cl(clSetUserEventStatus(user, CL_COMPLETE));
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_START, FAKE_READ);
	fake_only(fake, FAKE_END, FAKE_READ);
	assert_cl(clReleaseEvent(user));
}

static int import(void **state)
{
	(void)state;
	fake = fake_new(BYTES);
	mem = import_fd(fake_fd(fake), BYTES);
	fake_reset();
	return 0;
}

static int release(void **state)
{
	(void)state;
	assert_cl(clReleaseMemObject(mem));
	fake_free(fake);
	fake_reset();
	return 0;
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, import, release)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(written_map_reaches_the_device_at_unmap),
		CASE(read_map_shows_what_the_device_wrote),
		CASE(map_waits_for_the_queue_and_its_list),
		CASE(unmap_waits_for_its_list),
		CASE(mapped_image_and_sub_buffer_bracket_their_import),
		CASE(brackets_on_one_import_are_counted),
		CASE(brackets_on_two_imports_of_one_dmabuf_are_counted),
		CASE(writer_that_joins_readers_has_a_start_of_its_own),
		CASE(writer_whose_start_fails_leaves_the_readers_theirs),
		CASE(blocking_map_whose_start_fails_maps_nothing),
		CASE(event_of_a_map_whose_start_fails_fails),
		CASE(unmap_that_was_refused_can_be_repeated),
		CASE(unmap_whose_end_fails_can_be_followed_by_others),
		CASE(release_ends_what_is_still_mapped),
		CASE(release_does_not_wait_for_a_map_under_way),
	};

	open_bracket_runtime();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
