/* SPDX-License-Identifier: BSD-3-Clause */
/* Syncs among barriers, markers, failures and fences of devices. */
#include <poll.h>

#include "two_imports.h"

#define MANY_COMMANDS 1000
#define MANY_AT_ONCE  256
#define MANY_IMPORTS  80 /* more than the layer polls at once */

enum { NOTE_BEFORE = 1, NOTE_AFTER, NOTE_USER };

static void barrier_of_an_out_of_order_queue_holds_start_back(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		cl_event event;
		int number = NOTE_BEFORE;

		fake_reset();
		assert_cl(clEnqueueNativeKernel(cl.unordered, note_after_a_while, &number,
						sizeof(number), 0, NULL, NULL, 0, NULL, &event));
		if (kind == 0)
			assert_cl(clEnqueueBarrierWithWaitList(cl.unordered, 0, NULL, NULL));
		else if (kind == 1)
			assert_cl(clEnqueueBarrier(cl.unordered));
		else
			assert_cl(clEnqueueWaitForEvents(cl.unordered, 1, &event));
		assert_cl(fill(cl.unordered, mem, 1, 0, NULL, NULL));
		assert_cl(clFinish(cl.unordered));
		assert_true(fake_only(fake, FAKE_START, FAKE_WRITE) > fake_place(NOTE_BEFORE));
		assert_cl(clReleaseEvent(event));
	}
}

static void without_a_barrier_nothing_holds_start_back(void **state)
{
	cl_event user = new_user_event(), event;
	int number = NOTE_BEFORE;

	(void)state;
	assert_cl(clEnqueueNativeKernel(cl.unordered, note, &number, sizeof(number), 0, NULL, NULL,
					1, &user, NULL));
	assert_cl(clEnqueueMarkerWithWaitList(cl.unordered, 1, &user, NULL));
	assert_cl(clFlush(cl.unordered));
	assert_cl(fill(cl.unordered, mem, 1, 0, NULL, &event));
	assert_cl(clWaitForEvents(1, &event));
	assert_cl(clReleaseEvent(event));
	fake_only(fake, FAKE_END, FAKE_WRITE);
	fake_note(NOTE_USER);
	assert_cl(clSetUserEventStatus(user, CL_COMPLETE));
	assert_cl(clFinish(cl.unordered));
	assert_true(fake_only(fake, FAKE_END, FAKE_WRITE) < fake_place(NOTE_USER));
	assert_cl(clReleaseEvent(user));
}

/* With and without a list: the one waits for what it names, the other for all there is. */
static void markers_and_barriers_wait_for_end(void **state)
{
	const cl_command_queue queues[] = { cl.queue, cl.unordered };

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		cl_command_queue queue = queues[i % 2];
		cl_event user = new_user_event(), event, marker;
		const cl_event *list = i / 2 == 1 ? &event : NULL;

		fake_reset();
		assert_cl(fill(queue, mem, (unsigned char)i, 1, &user, &event));
		if (i / 2 < 2)
			assert_cl(clEnqueueMarkerWithWaitList(queue, list ? 1 : 0, list, &marker));
		else
			assert_cl(clEnqueueBarrierWithWaitList(queue, 0, NULL, &marker));
		assert_cl(clSetUserEventStatus(user, CL_COMPLETE));
		assert_cl(clWaitForEvents(1, &marker));
		fake_note(NOTE_AFTER);
		assert_true(fake_only(fake, FAKE_END, FAKE_WRITE) < fake_place(NOTE_AFTER));
		assert_true(fake_holds(fake, (unsigned char)i));
		assert_cl(clFinish(queue));
		assert_cl(clReleaseEvent(marker));
		assert_cl(clReleaseEvent(event));
		assert_cl(clReleaseEvent(user));
	}
}

static cl_uint context_references(void)
{
	cl_uint count = 0;

	assert_cl(clGetContextInfo(cl.context, CL_CONTEXT_REFERENCE_COUNT, sizeof(count), &count,
				   NULL));
	return count;
}

/* What other commands left may still be going, so there may be fewer. */
static void become(cl_uint references)
{
	for (int ms = 0; ms < PATIENT_MS && context_references() > references; ms++)
		usleep(1000);
	assert_true(context_references() <= references);
}

/* On this runtime a queue keeps its context, and memory the last command on it, which keeps its queue. */
static void queue_released_below_a_barrier_goes(void **state)
{
	cl_command_queue queue;
	cl_uint before;
	cl_event user;

	(void)state;
	assert_cl(fill(cl.queue, mem, 1, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	fake_reset();
	usleep(20000);
	before = context_references();
	queue = new_queue(CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
	assert_cl(clRetainCommandQueue(queue));
	user = new_user_event();
	assert_cl(clEnqueueBarrierWithWaitList(queue, 1, &user, NULL));
	assert_cl(clReleaseCommandQueue(queue));
	assert_cl(fill(queue, mem, 2, 0, NULL, NULL));
	assert_cl(clEnqueueBarrierWithWaitList(queue, 0, NULL, NULL));
	enqueue_note(queue, note, NOTE_AFTER, 0, NULL);
	assert_cl(clReleaseCommandQueue(queue));
	assert_int_equal(fake_count(fake, FAKE_START), 0);
	assert_cl(clSetUserEventStatus(user, CL_COMPLETE));
	assert_cl(clReleaseEvent(user));
	fake_await(NOTE_AFTER);
	fake_only(fake, FAKE_END, FAKE_WRITE);
	assert_true(fake_holds(fake, 2));
	assert_cl(fill(cl.queue, mem, 1, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	become(before);
}

/* Nobody can see an event of theirs fail, as they have none. */
static void commands_behind_one_that_failed_run(void **state)
{
	const cl_command_queue queues[] = { cl.queue, cl.unordered };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		cl_command_queue queue = queues[i / 2];
		cl_event user = new_user_event();

		fake_reset();
		fake_fail(fake, i % 2 ? FAKE_START : FAKE_END, EIO, 1);
		assert_cl(fill(queue, mem, 1, 1, &user, NULL));
		assert_cl(clEnqueueBarrierWithWaitList(queue, 0, NULL, NULL));
		assert_cl(fill(queue, other, (unsigned char)(i + 1), 0, NULL, NULL));
		enqueue_note(queue, note, NOTE_BEFORE, 0, NULL);
		assert_cl(clEnqueueMarkerWithWaitList(queue, 0, NULL, NULL));
		assert_cl(clSetUserEventStatus(user, CL_COMPLETE));
		assert_cl(clFinish(queue));
		fake_place(NOTE_BEFORE);
		fake_only(other_fake, FAKE_END, FAKE_WRITE);
		assert_true(fake_holds(other_fake, (unsigned char)(i + 1)));
		assert_cl(clReleaseEvent(user));
	}
}

static void command_that_waits_for_what_has_failed_already_fails(void **state)
{
	const cl_command_queue queues[] = { cl.queue, cl.unordered };
	cl_event user = new_user_event(), event;
	cl_int status = CL_COMPLETE;

	(void)state;
	assert_cl(clSetUserEventStatus(user, -77));
	for (size_t i = 0; i < 2; i++) {
		assert_cl(fill(queues[i], mem, 1, 1, &user, &event));
		(void)clWaitForEvents(1, &event);
		assert_cl(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status),
					 &status, NULL));
		assert_int_equal(status, CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
		assert_cl(clFinish(queues[i]));
		assert_cl(clReleaseEvent(event));
	}
	assert_cl(clReleaseEvent(user));
	assert_int_equal(fake_count(fake, FAKE_START), 0);
}

static void event_names_the_programs_queue(void **state)
{
	cl_command_queue queue = NULL;
	cl_event event;

	(void)state;
	assert_cl(fill(cl.queue, mem, 1, 0, NULL, &event));
	assert_cl(clGetEventInfo(event, CL_EVENT_COMMAND_QUEUE, sizeof(queue), &queue, NULL));
	assert_ptr_equal(queue, cl.queue);
	assert_cl(clFinish(cl.queue));
	assert_cl(clReleaseEvent(event));
}

static void a_thousand_commands_have_their_brackets(void **state)
{
	struct fake_entry *entries = calloc(MANY_COMMANDS * 2, sizeof(*entries));
	cl_event user = new_user_event();

	(void)state;
	assert_non_null(entries);
	for (unsigned n = 0; n < MANY_COMMANDS; n++)
		assert_cl(fill(cl.queue, mem, (unsigned char)n, n ? 0 : 1, n ? NULL : &user, NULL));
	assert_cl(clSetUserEventStatus(user, CL_COMPLETE));
	assert_cl(clFinish(cl.queue));
	assert_cl(clReleaseEvent(user));
	assert_int_equal(fake_log(entries, MANY_COMMANDS * 2), MANY_COMMANDS * 2);
	for (size_t n = 0; n < MANY_COMMANDS * 2; n++)
		assert_int_equal(entries[n].what, n % 2 ? FAKE_END : FAKE_START);
	assert_true(fake_holds(fake, (unsigned char)(MANY_COMMANDS - 1)));
	free(entries);
}

/* How many of them overlap, and have one bracket together, is left to the machine. */
static void many_commands_at_once_have_their_brackets(void **state)
{
	const size_t share = BYTES / MANY_AT_ONCE;
	const unsigned char value = 7;
	cl_event user = new_user_event();

	(void)state;
	for (unsigned n = 0; n < MANY_AT_ONCE; n++)
		assert_cl(clEnqueueFillBuffer(cl.unordered, mem, &value, 1, (size_t)n * share,
					      share, 1, &user, NULL));
	assert_cl(clSetUserEventStatus(user, CL_COMPLETE));
	assert_cl(clFinish(cl.unordered));
	assert_cl(clReleaseEvent(user));
	assert_true(fake_count(fake, FAKE_START) > 0);
	assert_int_equal(fake_count(fake, FAKE_START), fake_count(fake, FAKE_END));
	assert_true(fake_holds(fake, 7));
}

/* ---- fences ---- */

static void assert_never_fenced(void)
{
	struct fake_entry entries[64];
	size_t count = fake_log(entries, 64);

	assert_true(count <= 64);
	for (size_t i = 0; i < count; i++)
		assert_false(entries[i].fenced);
}

static void fence_holds_back_its_command_and_no_other_queue(void **state)
{
	cl_command_queue another = new_queue(0);

	(void)state;
	fake_fence(fake, true);
	assert_cl(fill(cl.queue, mem, 1, 0, NULL, NULL));
	assert_cl(clFlush(cl.queue));
	for (unsigned char i = 0; i < 5; i++) {
		assert_cl(fill(another, other, i, 0, NULL, NULL));
		assert_cl(clFinish(another));
		assert_true(fake_holds(other_fake, i));
	}
	assert_int_equal(fake_count(fake, FAKE_START), 0);
	fake_signal(fake);
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_START, FAKE_WRITE);
	assert_never_fenced();
	assert_cl(clReleaseCommandQueue(another));
}

static void fence_holds_back_no_other_command_of_an_out_of_order_queue(void **state)
{
	cl_event event;

	(void)state;
	fake_fence(fake, true);
	assert_cl(fill(cl.unordered, mem, 1, 0, NULL, NULL));
	assert_cl(fill(cl.unordered, other, 2, 0, NULL, &event));
	assert_cl(clWaitForEvents(1, &event));
	assert_cl(clReleaseEvent(event));
	assert_true(fake_holds(other_fake, 2));
	assert_int_equal(fake_count(fake, FAKE_START), 0);
	fake_signal(fake);
	assert_cl(clFinish(cl.unordered));
	assert_never_fenced();
}

static void readers_wait_for_devices_that_write(void **state)
{
	unsigned char copy[16];
	cl_event event;

	(void)state;
	fake_fence(fake, false);
	assert_cl(clEnqueueReadBuffer(cl.queue, mem, CL_TRUE, 0, 16, copy, 0, NULL, NULL));
	assert_int_equal(fake_polled(fake), POLLIN);
	fake_fence(fake, true);
	fake_reset();
	assert_cl(clEnqueueReadBuffer(cl.queue, mem, CL_FALSE, 0, 16, copy, 0, NULL, &event));
	assert_cl(clFlush(cl.queue));
	usleep(50000);
	assert_int_equal(fake_count(fake, FAKE_START), 0);
	fake_signal(fake);
	assert_cl(clWaitForEvents(1, &event));
	assert_cl(clReleaseEvent(event));
	assert_never_fenced();
	assert_int_equal(fake_polled(fake), POLLIN);
}

static void writers_wait_for_devices_that_read(void **state)
{
	(void)state;
	fake_fence(fake, false);
	assert_cl(fill(cl.queue, mem, 1, 0, NULL, NULL));
	assert_cl(clFlush(cl.queue));
	usleep(50000);
	assert_int_equal(fake_count(fake, FAKE_START), 0);
	fake_signal(fake);
	assert_cl(clFinish(cl.queue));
	assert_never_fenced();
	assert_int_equal(fake_polled(fake), POLLOUT);
}

/* Or a device that waits for the one would keep another from the other. */
static void command_starts_nothing_before_all_its_fences(void **state)
{
	(void)state;
	fake_fence(other_fake, true);
	assert_cl(clEnqueueCopyBuffer(cl.queue, mem, other, 0, 0, BYTES, 0, NULL, NULL));
	assert_cl(clFlush(cl.queue));
	usleep(50000);
	assert_int_equal(fake_log(NULL, 0), 0);
	fake_signal(other_fake);
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_START, FAKE_READ);
	assert_never_fenced();
}

static void fence_is_asked_when_it_is_the_commands_turn(void **state)
{
	cl_event user = new_user_event();

	(void)state;
	assert_cl(fill(cl.queue, mem, 1, 1, &user, NULL));
	assert_cl(clFlush(cl.queue));
	fake_fence(fake, true);
	assert_cl(clSetUserEventStatus(user, CL_COMPLETE));
	usleep(50000);
	assert_int_equal(fake_count(fake, FAKE_START), 0);
	fake_signal(fake);
	assert_cl(clFinish(cl.queue));
	assert_never_fenced();
	assert_cl(clReleaseEvent(user));
}

static void many_fences_are_waited_for_together(void **state)
{
	struct fake_dmabuf *fakes[MANY_IMPORTS];
	cl_mem mems[MANY_IMPORTS];

	(void)state;
	for (size_t i = 0; i < MANY_IMPORTS; i++) {
		fakes[i] = fake_new(BYTES);
		mems[i] = import_fd(fake_fd(fakes[i]), BYTES);
		fake_fence(fakes[i], i % 2);
		assert_cl(fill(cl.unordered, mems[i], (unsigned char)i, 0, NULL, NULL));
	}
	usleep(10000);
	assert_int_equal(fake_log(NULL, 0), 0);
	for (size_t i = MANY_IMPORTS; i-- > 0;)
		fake_signal(fakes[i]);
	assert_cl(clFinish(cl.unordered));
	for (size_t i = 0; i < MANY_IMPORTS; i++) {
		assert_true(fake_holds(fakes[i], (unsigned char)i));
		fake_only(fakes[i], FAKE_END, FAKE_WRITE);
		assert_cl(clReleaseMemObject(mems[i]));
		fake_free(fakes[i]);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(barrier_of_an_out_of_order_queue_holds_start_back),
		CASE(without_a_barrier_nothing_holds_start_back),
		CASE(markers_and_barriers_wait_for_end),
		CASE(queue_released_below_a_barrier_goes),
		CASE(commands_behind_one_that_failed_run),
		CASE(command_that_waits_for_what_has_failed_already_fails),
		CASE(event_names_the_programs_queue),
		CASE(a_thousand_commands_have_their_brackets),
		CASE(many_commands_at_once_have_their_brackets),
		CASE(fence_holds_back_its_command_and_no_other_queue),
		CASE(fence_holds_back_no_other_command_of_an_out_of_order_queue),
		CASE(readers_wait_for_devices_that_write),
		CASE(writers_wait_for_devices_that_read),
		CASE(command_starts_nothing_before_all_its_fences),
		CASE(fence_is_asked_when_it_is_the_commands_turn),
		CASE(many_fences_are_waited_for_together),
	};

	open_bracket_runtime();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
