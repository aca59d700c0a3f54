/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two devices in one context: PoCL on the CPU twice. Its other kind, basic, hangs with the first user
 * event that a command waits for, also without the layer.
 */
#include "bracket_fixture.h"
#include "layer_memory.h"

static cl_device_id devices[2];
static cl_command_queue queues[2];

static void both_devices_have_the_extensions(void **state)
{
	cl_external_memory_handle_type_khr type = 0;
	char text[8192];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_cl(clGetDeviceInfo(devices[i], CL_DEVICE_EXTENSIONS, sizeof(text), text,
					  NULL));
		assert_non_null(strstr(text, "cl_arm_import_memory"));
		assert_cl(clGetDeviceInfo(devices[i],
					  CL_DEVICE_EXTERNAL_MEMORY_IMPORT_HANDLE_TYPES_KHR,
					  sizeof(type), &type, NULL));
		assert_int_equal(type, CL_EXTERNAL_MEMORY_HANDLE_DMA_BUF_KHR);
	}
}

/* What one device writes the other one reads, and so does the DMA-BUF's. */
static void both_devices_work_on_one_import(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	cl_mem mem = import_fd(fake_fd(fake), BYTES);
	unsigned char copy[64];
	cl_event event;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const unsigned char value = (unsigned char)(0x50 + i);

		assert_cl(fill(queues[i % 2], mem, value, 0, NULL, &event));
		assert_cl(clEnqueueReadBuffer(queues[(i + 1) % 2], mem, CL_TRUE, 100, sizeof(copy),
					      copy, 1, &event, NULL));
		assert_all(copy, value, sizeof(copy));
		assert_cl(clFinish(queues[i % 2]));
		assert_true(fake_holds(fake, value));
		assert_cl(clReleaseEvent(event));
	}
	assert_int_equal(fake_count(fake, FAKE_START), fake_count(fake, FAKE_END));
	assert_cl(clReleaseMemObject(mem));
	fake_free(fake);
}

static void a_listed_device_alone_may_acquire(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	clEnqueueAcquireExternalMemObjectsKHR_fn acquire, release;
	const cl_mem_properties properties[] = { CL_EXTERNAL_MEMORY_HANDLE_DMA_BUF_KHR,
						 (cl_mem_properties)fake_fd(fake),
						 CL_DEVICE_HANDLE_LIST_KHR,
						 (cl_mem_properties)(uintptr_t)devices[1],
						 CL_DEVICE_HANDLE_LIST_END_KHR,
						 0 };
	void *address;
	cl_int code;
	cl_mem mem;

	(void)state;
	address = clGetExtensionFunctionAddressForPlatform(cl.platform,
							   "clEnqueueAcquireExternalMemObjectsKHR");
	memcpy(&acquire, &address, sizeof(address));
	address = clGetExtensionFunctionAddressForPlatform(cl.platform,
							   "clEnqueueReleaseExternalMemObjectsKHR");
	memcpy(&release, &address, sizeof(address));
	mem = clCreateBufferWithProperties(cl.context, properties, 0, BYTES, NULL, &code);
	assert_cl(code);
	assert_int_equal(acquire(queues[0], 1, &mem, 0, NULL, NULL), CL_INVALID_COMMAND_QUEUE);
	assert_int_equal(release(queues[0], 1, &mem, 0, NULL, NULL), CL_INVALID_COMMAND_QUEUE);
	assert_cl(acquire(queues[1], 1, &mem, 0, NULL, NULL));
	assert_cl(fill(queues[1], mem, 0x58, 0, NULL, NULL));
	assert_cl(release(queues[1], 1, &mem, 0, NULL, NULL));
	assert_cl(clFinish(queues[1]));
	assert_true(fake_holds(fake, 0x58));
	assert_cl(clReleaseMemObject(mem));
	fake_free(fake);
}

/* A context's devices alone are those that can be listed. */
static void a_device_of_another_context_is_refused(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	const cl_mem_properties properties[] = { CL_EXTERNAL_MEMORY_HANDLE_DMA_BUF_KHR,
						 (cl_mem_properties)fake_fd(fake),
						 CL_DEVICE_HANDLE_LIST_KHR,
						 (cl_mem_properties)(uintptr_t)devices[0],
						 (cl_mem_properties)(uintptr_t)devices[1],
						 CL_DEVICE_HANDLE_LIST_END_KHR,
						 0 };
	cl_context single;
	cl_int code;
	cl_mem mem;

	(void)state;
	single = clCreateContext(NULL, 1, &devices[0], NULL, NULL, &code);
	assert_cl(code);
	assert_null(clCreateBufferWithProperties(single, properties, 0, BYTES, NULL, &code));
	assert_int_equal(code, CL_INVALID_DEVICE);
	mem = clCreateBufferWithProperties(cl.context, properties, 0, BYTES, NULL, &code);
	assert_cl(code);
	assert_cl(clReleaseMemObject(mem));
	assert_cl(clReleaseContext(single));
	fake_free(fake);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_devices_have_the_extensions),
		cmocka_unit_test(both_devices_work_on_one_import),
		cmocka_unit_test(a_listed_device_alone_may_acquire),
		cmocka_unit_test(a_device_of_another_context_is_refused),
	};
	cl_uint count = 0;
	cl_int code;

	setenv("POCL_DEVICES", "pthread pthread", 1);
	open_bracket_runtime();
	assert_cl(clGetDeviceIDs(cl.platform, CL_DEVICE_TYPE_ALL, 2, devices, &count));
	assert_int_equal(count, 2);
	cl.context = clCreateContext(NULL, 2, devices, NULL, NULL, &code);
	assert_cl(code);
	for (size_t i = 0; i < 2; i++) {
		queues[i] = clCreateCommandQueueWithProperties(cl.context, devices[i], NULL, &code);
		assert_cl(code);
	}
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
