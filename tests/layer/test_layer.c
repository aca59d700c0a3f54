/* SPDX-License-Identifier: BSD-3-Clause */
/* A program that knows OpenCL's extensions and nothing of libshm, run with the layer. */
#include "layer_fixture.h"

static bool device_has(const char *extension)
{
	char text[4096];

	assert_cl(clGetDeviceInfo(cl.device, CL_DEVICE_EXTENSIONS, sizeof(text), text, NULL));
	return strstr(text, extension);
}

static void device_has_the_extensions(void **state)
{
	(void)state;
	assert_true(device_has("cl_arm_import_memory"));
	assert_true(device_has("cl_arm_import_memory_dma_buf"));
	assert_true(device_has("cl_arm_import_memory_host"));
	assert_true(device_has("cl_khr_external_memory"));
	assert_true(device_has("cl_khr_external_memory_dma_buf"));
}

static void imported_bytes_are_the_programs_own(void **state)
{
	int fd = memfd_create("layer", MFD_CLOEXEC);
	const unsigned char pattern = 0x5a;
	unsigned char *bytes, copy[16];
	cl_mem mem;

	(void)state;
	assert_int_equal(ftruncate(fd, BYTES), 0);
	bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	mem = import_fd(fd, BYTES);
	close(fd);
	assert_cl(clEnqueueFillBuffer(cl.queue, mem, &pattern, 1, 0, BYTES, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	assert_int_equal(bytes[0], pattern);
	assert_int_equal(bytes[BYTES - 1], pattern);
	memset(bytes, 0x3c, BYTES);
	assert_cl(clEnqueueReadBuffer(cl.queue, mem, CL_TRUE, 100, sizeof(copy), copy, 0, NULL,
				      NULL));
	for (size_t i = 0; i < sizeof(copy); i++)
		assert_int_equal(copy[i], 0x3c);
	assert_cl(clReleaseMemObject(mem));
	munmap(bytes, BYTES);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_has_the_extensions),
		cmocka_unit_test(imported_bytes_are_the_programs_own),
	};

	open_runtime();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
