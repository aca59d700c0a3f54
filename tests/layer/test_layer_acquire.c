/* SPDX-License-Identifier: BSD-3-Clause */
/* cl_khr_external_memory: whose the bytes are between acquire and release, and when they change hands. */
#include "external_memory.h"

static clEnqueueAcquireExternalMemObjectsKHR_fn acquire, release;

static void the_bracket_is_from_acquire_to_release(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	cl_mem mem = external(fake_fd(fake), CL_MEM_READ_WRITE, BYTES);
	unsigned char copy[16];

	(void)state;
	fake_reset();
	fake_fill(fake, 0x31);
	assert_cl(acquire(cl.queue, 1, &mem, 0, NULL, NULL));
	assert_cl(
		clEnqueueReadBuffer(cl.queue, mem, CL_TRUE, 5, sizeof(copy), copy, 0, NULL, NULL));
	for (size_t i = 0; i < sizeof(copy); i++)
		assert_int_equal(copy[i], 0x31);
	assert_cl(fill(cl.queue, mem, 0x32, 0, NULL, NULL));
	enqueue_note(cl.queue, note_after_a_while, 1, 0, NULL);
	assert_cl(release(cl.queue, 1, &mem, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	assert_true(fake_holds(fake, 0x32));
	assert_int_equal(fake_only(fake, FAKE_START, FAKE_WRITE), 0);
	assert_true(fake_place(1) < fake_only(fake, FAKE_END, FAKE_WRITE));
	assert_cl(clReleaseMemObject(mem));
	fake_free(fake);
}

static void images_are_acquired_like_buffers(void **state)
{
	static const size_t origin[3] = { 0 }, region[3] = { SIDE, SIDE, 1 };
	const cl_uint color[4] = { 0x66, 0x66, 0x66, 0x66 };
	struct fake_dmabuf *fake = fake_new(BYTES);
	const cl_mem_properties properties[] = { HANDLE, (cl_mem_properties)fake_fd(fake), 0 };
	cl_int code;
	cl_mem mem;

	(void)state;
	fake_reset();
	mem = clCreateImageWithProperties(cl.context, properties, CL_MEM_WRITE_ONLY, &rgba, &square,
					  NULL, &code);
	assert_cl(code);
	assert_cl(acquire(cl.queue, 1, &mem, 0, NULL, NULL));
	assert_cl(clEnqueueFillImage(cl.queue, mem, color, origin, region, 0, NULL, NULL));
	assert_cl(release(cl.queue, 1, &mem, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	assert_true(fake_holds(fake, 0x66));
	fake_only(fake, FAKE_START, FAKE_WRITE);
	fake_only(fake, FAKE_END, FAKE_WRITE);
	assert_cl(clReleaseMemObject(mem));
	fake_free(fake);
}

static cl_uint event_fact(cl_event event, cl_event_info name)
{
	cl_uint value = 99;

	assert_cl(clGetEventInfo(event, name, sizeof(value), &value, NULL));
	return value;
}

/* In a queue that keeps order and in one that doesn't. */
static void they_wait_for_their_lists(void **state)
{
	const cl_command_queue queues[] = { cl.queue, cl.unordered };
	struct fake_dmabuf *fake = fake_new(BYTES);
	cl_mem mem = external(fake_fd(fake), CL_MEM_READ_WRITE, BYTES);
	cl_event gate, acquired, filled, released;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(queues); i++) {
		fake_reset();
		gate = new_user_event();
		assert_cl(acquire(queues[i], 1, &mem, 1, &gate, &acquired));
		assert_cl(fill(queues[i], mem, (unsigned char)(0x51 + i), 1, &acquired, &filled));
		assert_cl(release(queues[i], 1, &mem, 1, &filled, &released));
		assert_int_equal(event_fact(acquired, CL_EVENT_COMMAND_TYPE),
				 CL_COMMAND_ACQUIRE_EXTERNAL_MEM_OBJECTS_KHR);
		assert_int_equal(event_fact(released, CL_EVENT_COMMAND_TYPE),
				 CL_COMMAND_RELEASE_EXTERNAL_MEM_OBJECTS_KHR);
		usleep(5000);
		assert_int_equal(fake_count(fake, FAKE_START), 0);
		assert_true((cl_int)event_fact(acquired, CL_EVENT_COMMAND_EXECUTION_STATUS) >
			    CL_COMPLETE);
		fake_note(1);
		assert_cl(clSetUserEventStatus(gate, CL_COMPLETE));
		assert_cl(clWaitForEvents(1, &released));
		assert_int_equal(event_fact(released, CL_EVENT_COMMAND_EXECUTION_STATUS),
				 CL_COMPLETE);
		assert_true(fake_holds(fake, (unsigned char)(0x51 + i)));
		assert_true(fake_place(1) < fake_only(fake, FAKE_START, FAKE_WRITE));
		fake_only(fake, FAKE_END, FAKE_WRITE);
		assert_cl(clFinish(queues[i]));
		assert_cl(clReleaseEvent(gate));
		assert_cl(clReleaseEvent(acquired));
		assert_cl(clReleaseEvent(filled));
		assert_cl(clReleaseEvent(released));
	}
	assert_cl(clReleaseMemObject(mem));
	fake_free(fake);
}

/* PoCL takes the locks of a marker and of what it waits for in either order: not the last one then. */
#ifdef __SANITIZE_THREAD__
#define FAILING 3
#else
#define FAILING 4
#endif

static void a_failed_wait_fails_the_command(void **state)
{
	const cl_command_queue queues[] = { cl.unordered, cl.queue };
	const clEnqueueAcquireExternalMemObjectsKHR_fn both[] = { acquire, release };
	struct fake_dmabuf *fake = fake_new(BYTES);
	cl_mem mem = external(fake_fd(fake), CL_MEM_READ_WRITE, BYTES);
	cl_event gate, event;

	(void)state;
	fake_reset();
	for (size_t i = 0; i < FAILING; i++) {
		gate = new_user_event();
		assert_cl(both[i / 2](queues[i % 2], 1, &mem, 1, &gate, &event));
		assert_cl(clSetUserEventStatus(gate, -5));
		assert_int_equal(clWaitForEvents(1, &event),
				 CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
		assert_true((cl_int)event_fact(event, CL_EVENT_COMMAND_EXECUTION_STATUS) < 0);
		assert_cl(clReleaseEvent(gate));
		assert_cl(clReleaseEvent(event));
		assert_cl(clFinish(queues[i % 2]));
	}
	assert_int_equal(fake_count(fake, FAKE_START) + fake_count(fake, FAKE_END), 0);
	assert_cl(clReleaseMemObject(mem));
	fake_free(fake);
}

/* Nobody orders them behind what was enqueued before. */
static void unordered_ones_wait_for_nothing_else(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	cl_mem mem = external(fake_fd(fake), CL_MEM_READ_WRITE, BYTES);
	cl_event gate = new_user_event(), acquired, released;

	(void)state;
	fake_reset();
	enqueue_note(cl.unordered, note, 1, 1, &gate);
	assert_cl(acquire(cl.unordered, 1, &mem, 0, NULL, &acquired));
	assert_cl(clWaitForEvents(1, &acquired));
	assert_cl(release(cl.unordered, 1, &mem, 1, &acquired, &released));
	assert_cl(clWaitForEvents(1, &released));
	fake_note(2);
	assert_cl(clSetUserEventStatus(gate, CL_COMPLETE));
	assert_cl(clFinish(cl.unordered));
	assert_true(fake_place(2) < fake_place(1));
	assert_cl(clReleaseEvent(gate));
	assert_cl(clReleaseEvent(acquired));
	assert_cl(clReleaseEvent(released));
	assert_cl(clReleaseMemObject(mem));
	fake_free(fake);
}

static void a_failed_sync_fails_the_command(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	cl_mem mem = external(fake_fd(fake), CL_MEM_READ_WRITE, BYTES);
	cl_event event;

	(void)state;
	fake_reset();
	fake_fail(fake, FAKE_START, EIO, 1);
	assert_cl(acquire(cl.unordered, 1, &mem, 0, NULL, &event));
	assert_int_equal(clWaitForEvents(1, &event), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
	assert_int_equal((cl_int)event_fact(event, CL_EVENT_COMMAND_EXECUTION_STATUS),
			 CL_OUT_OF_RESOURCES);
	assert_cl(clReleaseEvent(event));
	assert_cl(clReleaseMemObject(mem));
	assert_cl(clFinish(cl.unordered));
	assert_int_equal(fake_count(fake, FAKE_END), 0);
	fake_free(fake);
}

static void a_release_without_acquire_syncs_nothing(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	cl_mem mem = external(fake_fd(fake), CL_MEM_READ_WRITE, BYTES);

	(void)state;
	fake_reset();
	assert_cl(release(cl.queue, 1, &mem, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	assert_int_equal(fake_count(fake, FAKE_START) + fake_count(fake, FAKE_END), 0);
	assert_cl(acquire(cl.queue, 1, &mem, 0, NULL, NULL));
	assert_cl(fill(cl.queue, mem, 0x13, 0, NULL, NULL));
	assert_cl(release(cl.queue, 1, &mem, 0, NULL, NULL));
	assert_cl(release(cl.queue, 1, &mem, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	assert_true(fake_holds(fake, 0x13));
	fake_only(fake, FAKE_START, FAKE_WRITE);
	fake_only(fake, FAKE_END, FAKE_WRITE);
	assert_cl(clReleaseMemObject(mem));
	fake_free(fake);
}

static bool ends_within_patience(const struct fake_dmabuf *fake, size_t count)
{
	for (int ms = 0; ms < PATIENT_MS; ms++) {
		if (fake_count(fake, FAKE_END) == count)
			return true;
		usleep(1000);
	}
	return false;
}

/* Twice acquired is one START, and its END is owed when nobody can release any more. */
static void what_goes_acquired_gets_its_end(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	cl_mem mem = external(fake_fd(fake), CL_MEM_READ_WRITE, BYTES);

	(void)state;
	fake_reset();
	assert_cl(acquire(cl.queue, 1, &mem, 0, NULL, NULL));
	assert_cl(acquire(cl.queue, 1, &mem, 0, NULL, NULL));
	assert_cl(fill(cl.queue, mem, 0x19, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	assert_int_equal(fake_count(fake, FAKE_END), 0);
	assert_cl(clReleaseMemObject(mem));
	assert_true(ends_within_patience(fake, 1));
	assert_true(fake_holds(fake, 0x19));
	fake_only(fake, FAKE_START, FAKE_WRITE);
	fake_only(fake, FAKE_END, FAKE_WRITE);
	fake_free(fake);
}

static void a_read_only_descriptor_is_acquired_for_reading(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	char path[64];
	cl_mem mem;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fake_fd(fake));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	mem = external(fd, CL_MEM_READ_WRITE, BYTES);
	close(fd);
	fake_reset();
	assert_cl(acquire(cl.queue, 1, &mem, 0, NULL, NULL));
	assert_int_equal(fill(cl.queue, mem, 1, 0, NULL, NULL), CL_INVALID_OPERATION);
	assert_cl(release(cl.queue, 1, &mem, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	fake_only(fake, FAKE_START, FAKE_READ);
	fake_only(fake, FAKE_END, FAKE_READ);
	assert_cl(clReleaseMemObject(mem));
	fake_free(fake);
}

static void wrong_acquires_are_refused(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	cl_mem mem = external(fake_fd(fake), CL_MEM_READ_WRITE, BYTES), ordinary;
	cl_mem arm = import_fd(fake_fd(fake), BYTES), mixed[2];
	clEnqueueAcquireExternalMemObjectsKHR_fn both[] = { acquire, release };
	cl_event gate = new_user_event(), event;
	cl_command_queue queue;
	cl_context context;
	cl_int code;

	(void)state;
	ordinary = clCreateBuffer(cl.context, 0, BYTES, NULL, &code);
	assert_cl(code);
	mixed[0] = mem;
	mixed[1] = ordinary;
	context = clCreateContext(NULL, 1, &cl.device, NULL, NULL, &code);
	assert_cl(code);
	queue = clCreateCommandQueueWithProperties(context, cl.device, NULL, &code);
	assert_cl(code);
	fake_reset();
	for (size_t i = 0; i < 2; i++) {
		clEnqueueAcquireExternalMemObjectsKHR_fn call = both[i];

		assert_int_equal(call(NULL, 1, &mem, 0, NULL, NULL), CL_INVALID_COMMAND_QUEUE);
		assert_int_equal(call(cl.queue, 0, &mem, 0, NULL, NULL), CL_INVALID_VALUE);
		assert_int_equal(call(cl.queue, 1, NULL, 0, NULL, NULL), CL_INVALID_VALUE);
		assert_int_equal(call(cl.queue, 1, &ordinary, 0, NULL, NULL),
				 CL_INVALID_MEM_OBJECT);
		assert_int_equal(call(cl.queue, 1, &arm, 0, NULL, NULL), CL_INVALID_MEM_OBJECT);
		assert_int_equal(call(cl.queue, 2, mixed, 0, NULL, NULL), CL_INVALID_MEM_OBJECT);
		assert_int_equal(call(queue, 1, &mem, 0, NULL, NULL), CL_INVALID_COMMAND_QUEUE);
		assert_int_equal(call(cl.queue, 1, &mem, 1, NULL, NULL),
				 CL_INVALID_EVENT_WAIT_LIST);
		assert_int_equal(call(cl.queue, 1, &mem, 0, &gate, NULL),
				 CL_INVALID_EVENT_WAIT_LIST);
		assert_cl(call(cl.queue, 0, NULL, 0, NULL, &event));
		assert_cl(clWaitForEvents(1, &event));
		assert_cl(clReleaseEvent(event));
	}
	assert_cl(clFinish(cl.queue));
	assert_int_equal(fake_count(fake, FAKE_START) + fake_count(fake, FAKE_END), 0);
	assert_cl(clReleaseCommandQueue(queue));
	assert_cl(clReleaseContext(context));
	assert_cl(clReleaseEvent(gate));
	assert_cl(clReleaseMemObject(ordinary));
	assert_cl(clReleaseMemObject(arm));
	assert_cl(clReleaseMemObject(mem));
	fake_free(fake);
}

static void *function(const char *name)
{
	void *address = clGetExtensionFunctionAddressForPlatform(cl.platform, name);

	assert_non_null(address);
	return address;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bracket_is_from_acquire_to_release),
		cmocka_unit_test(images_are_acquired_like_buffers),
		cmocka_unit_test(they_wait_for_their_lists),
		cmocka_unit_test(a_failed_wait_fails_the_command),
		cmocka_unit_test(unordered_ones_wait_for_nothing_else),
		cmocka_unit_test(a_failed_sync_fails_the_command),
		cmocka_unit_test(a_release_without_acquire_syncs_nothing),
		cmocka_unit_test(what_goes_acquired_gets_its_end),
		cmocka_unit_test(a_read_only_descriptor_is_acquired_for_reading),
		cmocka_unit_test(wrong_acquires_are_refused),
	};
	void *address;

	open_bracket_runtime();
	address = function("clEnqueueAcquireExternalMemObjectsKHR");
	memcpy(&acquire, &address, sizeof(address));
	address = function("clEnqueueReleaseExternalMemObjectsKHR");
	memcpy(&release, &address, sizeof(address));
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
