/* SPDX-License-Identifier: BSD-3-Clause */
/* cl_khr_external_memory: what can be made, and what it is. */
#include "external_memory.h"

#define DEVICES CL_DEVICE_HANDLE_LIST_KHR

static cl_int buffer_answer(const cl_mem_properties *properties, cl_mem_flags flags, size_t size,
			    void *host)
{
	cl_int code = 1;
	cl_mem mem;

	mem = clCreateBufferWithProperties(cl.context, properties, flags, size, host, &code);
	assert_int_equal(code == CL_SUCCESS, mem != NULL);
	if (mem)
		assert_cl(clReleaseMemObject(mem));
	return code;
}

static cl_int image_answer(const cl_mem_properties *properties, cl_mem_flags flags,
			   const cl_image_format *format, const cl_image_desc *desc, void *host)
{
	cl_int code = 1;
	cl_mem mem;

	mem = clCreateImageWithProperties(cl.context, properties, flags, format, desc, host, &code);
	assert_int_equal(code == CL_SUCCESS, mem != NULL);
	if (mem)
		assert_cl(clReleaseMemObject(mem));
	return code;
}

static void errors_come_in_the_specifications_order(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	const cl_mem_properties fd = (cl_mem_properties)fake_fd(fake);
	const cl_mem_properties wrong[] = { HANDLE, fd, 0x1234, 1, DEVICES, 1, 0, 0 };
	const cl_mem_properties stranger[] = { HANDLE, fd, DEVICES, 1, 0, 0 };
	const cl_mem_properties right[] = { HANDLE, fd, 0 };
	char host[16];
	cl_int code;

	(void)state;
	assert_null(
		clCreateBufferWithProperties(NULL, wrong, CL_MEM_COPY_HOST_PTR, 0, host, &code));
	assert_int_equal(code, CL_INVALID_CONTEXT);
	assert_int_equal(buffer_answer(wrong, CL_MEM_COPY_HOST_PTR, 0, host), CL_INVALID_PROPERTY);
	assert_int_equal(buffer_answer(stranger, CL_MEM_COPY_HOST_PTR, 0, host), CL_INVALID_DEVICE);
	assert_int_equal(buffer_answer(right, CL_MEM_COPY_HOST_PTR, 0, host), CL_INVALID_VALUE);
	assert_int_equal(buffer_answer(right, 0, 0, host), CL_INVALID_BUFFER_SIZE);
	assert_int_equal(buffer_answer(right, 0, BYTES, host), CL_INVALID_HOST_PTR);
	assert_int_equal(buffer_answer(right, 0, BYTES + 1, NULL), CL_INVALID_BUFFER_SIZE);
	assert_cl(buffer_answer(right, 0, BYTES, NULL));
	assert_null(clCreateBufferWithProperties(cl.context, wrong, 0, BYTES, NULL, NULL));
	fake_free(fake);
}

static void errors_of_images_come_in_the_same_order(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	const cl_mem_properties fd = (cl_mem_properties)fake_fd(fake);
	const cl_mem_properties stranger[] = { HANDLE, fd, DEVICES, 1, 0, 0 };
	const cl_mem_properties right[] = { HANDLE, fd, 0 };
	const cl_image_format nonsense = { CL_RGBA, 1 };
	cl_image_desc desc = square;
	cl_mem buffer = import_fd(fake_fd(fake), BYTES);
	char host[16];

	(void)state;
	desc.mem_object = buffer;
	assert_int_equal(image_answer(stranger, CL_MEM_USE_HOST_PTR, NULL, NULL, host),
			 CL_INVALID_DEVICE);
	assert_int_equal(image_answer(right, CL_MEM_USE_HOST_PTR, NULL, NULL, host),
			 CL_INVALID_VALUE);
	assert_int_equal(image_answer(right, 0, NULL, NULL, host),
			 CL_INVALID_IMAGE_FORMAT_DESCRIPTOR);
	assert_int_equal(image_answer(right, 0, &nonsense, NULL, host),
			 CL_INVALID_IMAGE_FORMAT_DESCRIPTOR);
	assert_int_equal(image_answer(right, 0, &rgba, NULL, host), CL_INVALID_IMAGE_DESCRIPTOR);
	assert_int_equal(image_answer(right, 0, &rgba, &desc, host), CL_INVALID_IMAGE_DESCRIPTOR);
	assert_int_equal(image_answer(right, 0, &rgba, &square, host), CL_INVALID_HOST_PTR);
	desc = square;
	desc.image_height++;
	assert_int_equal(image_answer(right, 0, &rgba, &desc, NULL), CL_INVALID_IMAGE_DESCRIPTOR);
	desc = square;
	desc.image_row_pitch = 0;
	assert_cl(image_answer(right, 0, &rgba, &desc, NULL));
	assert_cl(image_answer(right, 0, &rgba, &square, NULL));
	assert_cl(clReleaseMemObject(buffer));
	fake_free(fake);
}

static void properties_that_make_no_sense_are_refused(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	const cl_mem_properties fd = (cl_mem_properties)fake_fd(fake);
	const cl_mem_properties device = (cl_mem_properties)(uintptr_t)cl.device;
	const cl_mem_properties wrong[][9] = {
		{ HANDLE, fd, HANDLE, fd, 0 },
		{ HANDLE, fd, CL_EXTERNAL_MEMORY_HANDLE_OPAQUE_FD_KHR, fd, 0 },
		{ HANDLE, (cl_mem_properties)-1, 0 },
		{ HANDLE, 1000000, 0 },
		{ HANDLE, fd, 0x1234, 0, 0 },
		{ HANDLE, fd, DEVICES, device, 0, DEVICES, device, 0, 0 },
		{ DEVICES, device, 0, 0 },
	};
	const cl_mem_properties twice[] = { DEVICES, device, device, 0, HANDLE, fd, 0 };

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(wrong); i++)
		if (buffer_answer(wrong[i], 0, BYTES, NULL) != CL_INVALID_PROPERTY)
			fail_msg("list %zu is taken", i);
	assert_cl(buffer_answer(twice, 0, BYTES, NULL));
	fake_free(fake);
}

static void what_is_no_dmabuf_is_refused(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	for (size_t i = 0; i < 2; i++) {
		const cl_mem_properties properties[] = { HANDLE, (cl_mem_properties)ends[i], 0 };

		assert_int_equal(buffer_answer(properties, 0, 1, NULL), CL_INVALID_PROPERTY);
		close(ends[i]);
	}
}

static void the_program_keeps_its_descriptor(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	cl_mem mem = external(fake_fd(fake), 0, BYTES);

	(void)state;
	assert_true(fcntl(fake_fd(fake), F_GETFD) >= 0);
	assert_cl(clReleaseMemObject(mem));
	assert_true(fcntl(fake_fd(fake), F_GETFD) >= 0);
	fake_free(fake);
}

static void properties_are_told_as_they_were_given(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	const cl_mem_properties properties[] = {
		DEVICES, (cl_mem_properties)(uintptr_t)cl.device, 0,
		HANDLE,  (cl_mem_properties)fake_fd(fake),        0
	};
	cl_mem_properties told[16] = { 0 };
	cl_mem_flags flags = 0;
	void *host = told;
	size_t size = 0;
	cl_mem mems[2];
	cl_int code;

	(void)state;
	mems[0] = clCreateBufferWithProperties(cl.context, properties, CL_MEM_WRITE_ONLY, BYTES,
					       NULL, &code);
	assert_cl(code);
	mems[1] = clCreateImageWithProperties(cl.context, properties, CL_MEM_WRITE_ONLY, &rgba,
					      &square, NULL, &code);
	assert_cl(code);
	for (size_t i = 0; i < 2; i++) {
		assert_cl(
			clGetMemObjectInfo(mems[i], CL_MEM_PROPERTIES, sizeof(told), told, &size));
		assert_int_equal(size, sizeof(properties));
		assert_memory_equal(told, properties, sizeof(properties));
		assert_int_equal(
			clGetMemObjectInfo(mems[i], CL_MEM_PROPERTIES, size - 1, told, NULL),
			CL_INVALID_VALUE);
		assert_cl(clGetMemObjectInfo(mems[i], CL_MEM_FLAGS, sizeof(flags), &flags, NULL));
		assert_int_equal(flags, CL_MEM_WRITE_ONLY);
		assert_cl(clGetMemObjectInfo(mems[i], CL_MEM_HOST_PTR, sizeof(host), &host, NULL));
		assert_null(host);
		assert_cl(clReleaseMemObject(mems[i]));
	}
	fake_free(fake);
}

static void handle_types_name_dmabufs(void **state)
{
	const cl_uint device_names[] = {
		CL_DEVICE_EXTERNAL_MEMORY_IMPORT_HANDLE_TYPES_KHR,
		0x2052, /* ..._ASSUME_LINEAR_IMAGES_HANDLE_TYPES_KHR */
	};
	cl_external_memory_handle_type_khr types[8] = { 0 };
	size_t size = 0;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(device_names); i++) {
		assert_cl(clGetDeviceInfo(cl.device, device_names[i], sizeof(types), types, &size));
		assert_int_equal(size, sizeof(types[0]));
		assert_int_equal(types[0], HANDLE);
		assert_int_equal(clGetDeviceInfo(cl.device, device_names[i], size - 1, types, NULL),
				 CL_INVALID_VALUE);
	}
	types[0] = 0;
	assert_cl(clGetPlatformInfo(cl.platform,
				    CL_PLATFORM_EXTERNAL_MEMORY_IMPORT_HANDLE_TYPES_KHR,
				    sizeof(types), types, &size));
	assert_int_equal(size, sizeof(types[0]));
	assert_int_equal(types[0], HANDLE);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_come_in_the_specifications_order),
		cmocka_unit_test(errors_of_images_come_in_the_same_order),
		cmocka_unit_test(properties_that_make_no_sense_are_refused),
		cmocka_unit_test(what_is_no_dmabuf_is_refused),
		cmocka_unit_test(the_program_keeps_its_descriptor),
		cmocka_unit_test(properties_are_told_as_they_were_given),
		cmocka_unit_test(handle_types_name_dmabufs),
	};

	open_bracket_runtime();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
