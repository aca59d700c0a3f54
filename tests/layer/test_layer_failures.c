/* SPDX-License-Identifier: BSD-3-Clause */
/* Syncs that fail, commands that fail before or below them, and what the program hears of it. */
#include "two_imports.h"

enum { NOTE_CALLBACK = 1 };

static cl_int told; /* what a callback was told, before it took its note */

static void CL_CALLBACK tell(cl_event event, cl_int status, void *user_data)
{
	(void)event;
	(void)user_data;
	told = status;
	fake_note(NOTE_CALLBACK);
}

static cl_int status_of(cl_event event)
{
	cl_int status = CL_COMPLETE;

	assert_cl(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status,
				 NULL));
	return status;
}

/* Takes the event over: it fails with the code, for those who wait, ask and are called. */
static void fails_with(cl_event event, cl_int code)
{
	assert_cl(clSetEventCallback(event, CL_COMPLETE, tell, NULL));
	assert_int_equal(clWaitForEvents(1, &event), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
	assert_int_equal(status_of(event), code);
	fake_await(NOTE_CALLBACK);
	assert_int_equal(told, code);
	fake_reset();
	assert_cl(clSetEventCallback(event, CL_COMPLETE, tell, NULL));
	fake_await(NOTE_CALLBACK);
	assert_int_equal(told, code);
	assert_cl(clReleaseEvent(event));
}

/* The next command has all of its bracket and does its work. */
static void works(cl_command_queue queue, unsigned char value)
{
	unsigned char copy[BYTES];

	assert_cl(clFinish(queue));
	fake_reset();
	assert_cl(fill(queue, mem, value, 0, NULL, NULL));
	assert_cl(clFinish(queue));
	assert_true(fake_only(fake, FAKE_START, FAKE_WRITE) <
		    fake_only(fake, FAKE_END, FAKE_WRITE));
	assert_true(fake_holds(fake, value));
	assert_cl(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, BYTES, copy, 0, NULL, NULL));
	assert_int_equal(copy[0], value);
	assert_int_equal(copy[BYTES - 1], value);
}

static void command_whose_start_fails_does_not_run(void **state)
{
	const cl_command_queue queues[] = { cl.queue, cl.unordered };
	cl_event event;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(queues); i++) {
		fake_fill(fake, 0x11);
		fake_reset();
		fake_fail(fake, FAKE_START, EIO, 1);
		assert_cl(fill(queues[i], mem, 0x22, 0, NULL, &event));
		fails_with(event, CL_OUT_OF_RESOURCES);
		assert_int_equal(fake_count(fake, FAKE_END), 0);
		assert_true(fake_holds(fake, 0x11));
		works(queues[i], 0x33);
	}
}

static void blocking_call_returns_what_start_failed_with(void **state)
{
	unsigned char bytes[BYTES];

	(void)state;
	memset(bytes, 0x77, BYTES);
	fake_fill(fake, 0x11);
	fake_fail(fake, FAKE_START, EIO, 2);
	assert_int_equal(
		clEnqueueReadBuffer(cl.queue, mem, CL_TRUE, 0, BYTES, bytes, 0, NULL, NULL),
		CL_OUT_OF_RESOURCES);
	assert_int_equal(bytes[0], 0x77);
	assert_int_equal(
		clEnqueueWriteBuffer(cl.queue, mem, CL_TRUE, 0, BYTES, bytes, 0, NULL, NULL),
		CL_OUT_OF_RESOURCES);
	assert_true(fake_holds(fake, 0x11));
	works(cl.queue, 0x44);
}

static void blocking_call_returns_what_end_failed_with(void **state)
{
	unsigned char bytes[BYTES];

	(void)state;
	memset(bytes, 0x77, BYTES);
	fake_fail(fake, FAKE_END, EIO, 1);
	assert_int_equal(
		clEnqueueWriteBuffer(cl.queue, mem, CL_TRUE, 0, BYTES, bytes, 0, NULL, NULL),
		CL_OUT_OF_RESOURCES);
	works(cl.queue, 0x44);
}

static void event_of_a_command_whose_end_fails_fails(void **state)
{
	const cl_command_queue queues[] = { cl.queue, cl.unordered };
	cl_event event;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(queues); i++) {
		fake_reset();
		fake_fail(fake, FAKE_END, EIO, 1);
		assert_cl(fill(queues[i], mem, 0x22, 0, NULL, &event));
		fails_with(event, CL_OUT_OF_RESOURCES);
		works(queues[i], 0x33);
	}
}

static void interrupted_syncs_are_repeated(void **state)
{
	static const int errors[] = { EINTR, EAGAIN };

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(errors); i++) {
		fake_reset();
		fake_fail(fake, FAKE_START, errors[i], 3);
		fake_fail(fake, FAKE_END, errors[i], 2);
		assert_cl(fill(cl.queue, mem, (unsigned char)i, 0, NULL, NULL));
		assert_cl(clFinish(cl.queue));
		assert_int_equal(fake_count(fake, FAKE_START), 4);
		assert_int_equal(fake_count(fake, FAKE_END), 3);
		assert_true(fake_holds(fake, (unsigned char)i));
	}
}

/* The command's other imports are given back. */
static void start_that_fails_ends_those_before_it(void **state)
{
	cl_event event;

	(void)state;
	fake_fail(other_fake, FAKE_START, EIO, 1);
	assert_cl(clEnqueueCopyBuffer(cl.queue, mem, other, 0, 0, BYTES, 0, NULL, &event));
	assert_int_equal(clWaitForEvents(1, &event), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
	assert_int_equal(status_of(event), CL_OUT_OF_RESOURCES);
	assert_true(fake_only(fake, FAKE_START, FAKE_READ) < fake_only(fake, FAKE_END, FAKE_READ));
	assert_int_equal(fake_count(other_fake, FAKE_END), 0);
	assert_cl(clReleaseEvent(event));
	works(cl.queue, 6);
}

static void end_that_fails_keeps_no_other_from_its_own(void **state)
{
	cl_event event;

	(void)state;
	fake_fail(fake, FAKE_END, EIO, 1);
	assert_cl(clEnqueueCopyBuffer(cl.queue, mem, other, 0, 0, BYTES, 0, NULL, &event));
	assert_int_equal(clWaitForEvents(1, &event), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
	fake_only(other_fake, FAKE_END, FAKE_WRITE);
	assert_cl(clReleaseEvent(event));
	works(cl.queue, 7);
}

static void failed_wait_list_fails_the_command_without_a_sync(void **state)
{
	const cl_command_queue queues[] = { cl.queue, cl.unordered };
	cl_event user, event;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(queues); i++) {
		fake_fill(fake, 0x11);
		fake_reset();
		user = new_user_event();
		assert_cl(fill(queues[i], mem, 0x22, 1, &user, &event));
		assert_cl(clSetUserEventStatus(user, -7777));
		fails_with(event, CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
		assert_int_equal(fake_count(fake, FAKE_START), 0);
		assert_true(fake_holds(fake, 0x11));
		assert_cl(clReleaseEvent(user));
		works(queues[i], 0x33);
	}
}

/* A sync's failure goes on to those who wait for the command. */
static void waiting_command_fails_with_the_one_it_waits_for(void **state)
{
	cl_event first, second;

	(void)state;
	fake_fail(fake, FAKE_START, EIO, 1);
	assert_cl(fill(cl.unordered, mem, 0x22, 0, NULL, &first));
	assert_cl(fill(cl.unordered, other, 0x22, 1, &first, &second));
	fails_with(second, CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
	assert_int_equal(fake_count(other_fake, FAKE_START), 0);
	assert_cl(clReleaseEvent(first));
	works(cl.unordered, 8);
}

static void barrier_that_failed_holds_nothing_back_afterwards(void **state)
{
	cl_event user, barrier;

	(void)state;
	user = new_user_event();
	assert_cl(clEnqueueBarrierWithWaitList(cl.unordered, 1, &user, &barrier));
	assert_cl(clSetUserEventStatus(user, -7777));
	(void)clWaitForEvents(1, &barrier);
	assert_true(status_of(barrier) < 0);
	assert_cl(clReleaseEvent(barrier));
	assert_cl(clReleaseEvent(user));
	works(cl.unordered, 9);
}

/* Not only at the end: who waits for the start of a command to let it go on would wait forever. */
static void progress_is_told_before_the_end(void **state)
{
	cl_event user = new_user_event(), event;

	(void)state;
	fake_fence(fake, true);
	assert_cl(fill(cl.queue, mem, 1, 1, &user, &event));
	assert_cl(clSetEventCallback(event, CL_RUNNING, tell, NULL));
	assert_cl(clSetUserEventStatus(user, CL_COMPLETE));
	fake_signal(fake);
	fake_await(NOTE_CALLBACK);
	assert_true(told == CL_RUNNING || told == CL_COMPLETE);
	assert_cl(clFinish(cl.queue));
	assert_cl(clReleaseEvent(event));
	assert_cl(clReleaseEvent(user));
}

static void progress_callback_hears_of_a_failure(void **state)
{
	cl_event user = new_user_event(), event;

	(void)state;
	fake_fail(fake, FAKE_START, EIO, 1);
	assert_cl(fill(cl.queue, mem, 1, 1, &user, &event));
	assert_cl(clSetEventCallback(event, CL_RUNNING, tell, NULL));
	assert_cl(clSetUserEventStatus(user, CL_COMPLETE));
	fake_await(NOTE_CALLBACK);
	assert_true(told < 0);
	assert_cl(clFinish(cl.queue));
	assert_cl(clReleaseEvent(event));
	assert_cl(clReleaseEvent(user));
}

static cl_command_type type_told;
static cl_int profiling_told;

static void CL_CALLBACK ask(cl_event event, cl_int status, void *user_data)
{
	cl_ulong ended = 0;

	(void)status;
	(void)user_data;
	clGetEventInfo(event, CL_EVENT_COMMAND_TYPE, sizeof(type_told), &type_told, NULL);
	profiling_told = clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof(ended),
						 &ended, NULL);
	fake_note(NOTE_CALLBACK);
}

/* As programs do that want to hear of the end and nothing else. */
static void event_answers_in_a_callback_after_its_release(void **state)
{
	cl_event user = new_user_event(), event;

	(void)state;
	assert_cl(fill(cl.queue, mem, 1, 1, &user, &event));
	assert_cl(clSetEventCallback(event, CL_COMPLETE, ask, NULL));
	assert_cl(clReleaseEvent(event));
	assert_cl(clSetUserEventStatus(user, CL_COMPLETE));
	fake_await(NOTE_CALLBACK);
	assert_int_equal(type_told, CL_COMMAND_FILL_BUFFER);
	assert_cl(profiling_told);
	assert_cl(clFinish(cl.queue));
	assert_cl(clReleaseEvent(user));
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(command_whose_start_fails_does_not_run),
		CASE(blocking_call_returns_what_start_failed_with),
		CASE(blocking_call_returns_what_end_failed_with),
		CASE(event_of_a_command_whose_end_fails_fails),
		CASE(interrupted_syncs_are_repeated),
		CASE(start_that_fails_ends_those_before_it),
		CASE(end_that_fails_keeps_no_other_from_its_own),
		CASE(failed_wait_list_fails_the_command_without_a_sync),
		CASE(waiting_command_fails_with_the_one_it_waits_for),
		CASE(barrier_that_failed_holds_nothing_back_afterwards),
		CASE(progress_is_told_before_the_end),
		CASE(progress_callback_hears_of_a_failure),
		CASE(event_answers_in_a_callback_after_its_release),
	};

	open_bracket_runtime();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
