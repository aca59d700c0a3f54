/* SPDX-License-Identifier: BSD-3-Clause */
/* What a careless program does to imports: commands fail, and nothing crashes or leaks. */
#include "bracket_fixture.h"
#include "layer_memory.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 300
#else
#define ROUNDS 10000
#endif

static cl_kernel copier, picture_reader, picture_writer;

static const char source[] = "kernel void copy(global const uint *from, global uint *to)\n"
			     "{\n"
			     "	to[get_global_id(0)] = from[get_global_id(0)];\n"
			     "}\n"
			     "kernel void look(read_only image2d_t from, global uint *to)\n"
			     "{\n"
			     "	to[0] = read_imageui(from, (int2)(0, 0)).x;\n"
			     "}\n"
			     "kernel void paint(write_only image2d_t to)\n"
			     "{\n"
			     "	write_imageui(to, (int2)(0, 0), (uint4)(9));\n"
			     "}\n";

static void set_mem(cl_kernel kernel, cl_uint index, cl_mem mem)
{
	assert_cl(clSetKernelArg(kernel, index, sizeof(mem), &mem));
}

/* All that would write into mem, but kernels. */
static void assert_no_host_writes(cl_mem mem, cl_int expected)
{
	const size_t origin[3] = { 0 }, region[3] = { 4, 4, 1 };
	unsigned char bytes[64] = { 1 };
	cl_mem other;
	cl_int code;

	other = clCreateBuffer(cl.context, 0, 4096, NULL, &code);
	assert_cl(code);
	assert_int_equal(clEnqueueWriteBuffer(cl.queue, mem, CL_TRUE, 0, 64, bytes, 0, NULL, NULL),
			 expected);
	assert_int_equal(clEnqueueWriteBufferRect(cl.queue, mem, CL_TRUE, origin, origin, region, 8,
						  0, 8, 0, bytes, 0, NULL, NULL),
			 expected);
	assert_int_equal(clEnqueueFillBuffer(cl.queue, mem, bytes, 1, 0, 64, 0, NULL, NULL),
			 expected);
	assert_int_equal(clEnqueueCopyBuffer(cl.queue, other, mem, 0, 0, 64, 0, NULL, NULL),
			 expected);
	assert_int_equal(clEnqueueCopyBufferRect(cl.queue, other, mem, origin, origin, region, 8, 0,
						 8, 0, 0, NULL, NULL),
			 expected);
	assert_cl(clReleaseMemObject(other));
	assert_cl(clFinish(cl.queue));
}

static void assert_no_map(cl_mem mem, cl_map_flags flags, cl_int expected)
{
	cl_int code;

	assert_null(clEnqueueMapBuffer(cl.queue, mem, CL_TRUE, flags, 0, 64, 0, NULL, NULL, &code));
	assert_int_equal(code, expected);
}

/* Through the import itself and through a part. */
static void a_read_only_descriptor_takes_no_writes(void **state)
{
	struct memory memory = new_memory(BYTES);
	int fd = reopen(memory.fd, O_RDONLY);
	cl_mem mems[2], ordinary;
	unsigned char copy[64];
	void *address;
	cl_int code;

	(void)state;
	memset(memory.bytes, 0x6b, BYTES);
	mems[0] = import_fd(fd, BYTES);
	mems[1] = whole(mems[0]);
	close(fd);
	ordinary = clCreateBuffer(cl.context, 0, BYTES, NULL, &code);
	assert_cl(code);
	for (size_t i = 0; i < 2; i++) {
		assert_no_host_writes(mems[i], CL_INVALID_OPERATION);
		assert_no_map(mems[i], CL_MAP_WRITE, CL_INVALID_OPERATION);
		assert_no_map(mems[i], CL_MAP_WRITE_INVALIDATE_REGION, CL_INVALID_OPERATION);
		set_mem(copier, 0, ordinary);
		set_mem(copier, 1, mems[i]);
		assert_int_equal(run_kernel(copier, 16), CL_INVALID_OPERATION);

		set_mem(copier, 0, mems[i]);
		set_mem(copier, 1, ordinary);
		assert_cl(run_kernel(copier, 16));
		assert_cl(clEnqueueReadBuffer(cl.queue, ordinary, CL_TRUE, 0, 64, copy, 0, NULL,
					      NULL));
		assert_all(copy, 0x6b, 64);
		memset(copy, 0, 64);
		assert_cl(clEnqueueReadBuffer(cl.queue, mems[i], CL_TRUE, 0, 64, copy, 0, NULL,
					      NULL));
		assert_all(copy, 0x6b, 64);
		address = clEnqueueMapBuffer(cl.queue, mems[i], CL_TRUE, CL_MAP_READ, 0, BYTES, 0,
					     NULL, NULL, &code);
		assert_cl(code);
		assert_all(address, 0x6b, BYTES);
		assert_cl(clEnqueueUnmapMemObject(cl.queue, mems[i], address, 0, NULL, NULL));
		assert_cl(clFinish(cl.queue));
	}
	assert_all(memory.bytes, 0x6b, BYTES);
	assert_cl(clReleaseMemObject(ordinary));
	assert_cl(clReleaseMemObject(mems[1]));
	assert_cl(clReleaseMemObject(mems[0]));
	free_memory(&memory);
}

static void a_read_only_descriptors_image_takes_none_either(void **state)
{
	const size_t origin[3] = { 0 }, region[3] = { 4, 4, 1 };
	struct memory memory = new_memory(BYTES);
	int fd = reopen(memory.fd, O_RDONLY);
	cl_mem mem = import_fd(fd, BYTES), image = image_of(mem), ordinary;
	cl_uint colour[4] = { 1, 1, 1, 1 }, pixels[16] = { 0 };
	size_t row;
	cl_int code;

	(void)state;
	close(fd);
	memset(memory.bytes, 0x6c, BYTES);
	ordinary = clCreateBuffer(cl.context, 0, BYTES, NULL, &code);
	assert_cl(code);
	assert_int_equal(clEnqueueFillImage(cl.queue, image, colour, origin, region, 0, NULL, NULL),
			 CL_INVALID_OPERATION);
	assert_int_equal(clEnqueueWriteImage(cl.queue, image, CL_TRUE, origin, region, 0, 0, pixels,
					     0, NULL, NULL),
			 CL_INVALID_OPERATION);
	assert_int_equal(clEnqueueCopyBufferToImage(cl.queue, ordinary, image, 0, origin, region, 0,
						    NULL, NULL),
			 CL_INVALID_OPERATION);
	assert_null(clEnqueueMapImage(cl.queue, image, CL_TRUE, CL_MAP_WRITE, origin, region, &row,
				      NULL, 0, NULL, NULL, &code));
	assert_int_equal(code, CL_INVALID_OPERATION);
	set_mem(picture_writer, 0, image);
	assert_int_equal(run_kernel(picture_writer, 1), CL_INVALID_OPERATION);

	set_mem(picture_reader, 0, image);
	set_mem(picture_reader, 1, ordinary);
	assert_cl(run_kernel(picture_reader, 1));
	assert_cl(clEnqueueReadBuffer(cl.queue, ordinary, CL_TRUE, 0, 4, pixels, 0, NULL, NULL));
	assert_int_equal(pixels[0], 0x6c);
	assert_cl(clEnqueueReadImage(cl.queue, image, CL_TRUE, origin, region, 0, 0, pixels, 0,
				     NULL, NULL));
	assert_int_equal(pixels[15], 0x6c6c6c6c);
	assert_all(memory.bytes, 0x6c, BYTES);
	assert_cl(clReleaseMemObject(ordinary));
	assert_cl(clReleaseMemObject(image));
	assert_cl(clReleaseMemObject(mem));
	free_memory(&memory);
}

/* A SIGBUS would end the program. Once it is as large as it was all is well again. */
static void memory_that_shrank_fails_its_commands(void **state)
{
	struct memory memory = new_memory(BYTES);
	cl_mem mem = import_fd(memory.fd, BYTES), part = whole(mem), image = image_of(mem);
	const size_t origin[3] = { 0 }, region[3] = { 4, 4, 1 };
	unsigned char copy[64];

	(void)state;
	assert_int_equal(ftruncate(memory.fd, 4096), 0);
	assert_no_host_writes(mem, CL_OUT_OF_RESOURCES);
	assert_no_host_writes(part, CL_OUT_OF_RESOURCES);
	assert_no_map(mem, CL_MAP_READ, CL_MAP_FAILURE);
	assert_int_equal(
		clEnqueueReadBuffer(cl.queue, part, CL_TRUE, 8192, 64, copy, 0, NULL, NULL),
		CL_OUT_OF_RESOURCES);
	assert_int_equal(clEnqueueReadImage(cl.queue, image, CL_TRUE, origin, region, 0, 0, copy, 0,
					    NULL, NULL),
			 CL_OUT_OF_RESOURCES);
	set_mem(copier, 0, mem);
	set_mem(copier, 1, part);
	assert_int_equal(run_kernel(copier, 16), CL_OUT_OF_RESOURCES);
	assert_int_equal(ftruncate(memory.fd, BYTES), 0);
	fill_bytes(part, 0x3d, BYTES);
	assert_all(memory.bytes, 0x3d, BYTES);
	assert_cl(clReleaseMemObject(image));
	assert_cl(clReleaseMemObject(part));
	assert_cl(clReleaseMemObject(mem));
	free_memory(&memory);
}

static void memory_that_shrank_can_be_given_back(void **state)
{
	struct memory memory = new_memory(BYTES);
	cl_mem mem = import_fd(memory.fd, BYTES);
	cl_int code;

	(void)state;
	clEnqueueMapBuffer(cl.queue, mem, CL_TRUE, CL_MAP_WRITE, 0, BYTES, 0, NULL, NULL, &code);
	assert_cl(code);
	assert_int_equal(ftruncate(memory.fd, 0), 0);
	assert_cl(clReleaseMemObject(mem));
	assert_cl(clFinish(cl.queue));
	free_memory(&memory);
}

static void an_import_outlives_its_context(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	const cl_context kept = cl.context;
	cl_command_queue queue;
	cl_context context;
	cl_event event;
	cl_int code;
	cl_mem mem;

	(void)state;
	context = clCreateContext(NULL, 1, &cl.device, NULL, NULL, &code);
	assert_cl(code);
	cl.context = context;
	queue = new_queue(0);
	mem = import_fd(fake_fd(fake), BYTES);
	cl.context = kept;
	assert_cl(clReleaseContext(context));
	assert_cl(fill(queue, mem, 0x71, 0, NULL, &event));
	assert_cl(clReleaseMemObject(mem));
	assert_cl(clReleaseCommandQueue(queue));
	assert_cl(clWaitForEvents(1, &event));
	assert_true(fake_holds(fake, 0x71));
	assert_cl(clReleaseEvent(event));
	fake_free(fake);
}

/* Buffers and images, waited for and not. */
static void maps_that_are_left_behind_do_no_harm(void **state)
{
	const size_t origin[3] = { 0 }, region[3] = { SIDE, SIDE, 1 };
	struct fake_dmabuf *fake = fake_new(BYTES);
	size_t row;
	cl_int code;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		const cl_bool blocking = i & 1 ? CL_TRUE : CL_FALSE;
		cl_mem mem = import_fd(fake_fd(fake), BYTES), image = image_of(mem);

		if (i & 2)
			clEnqueueMapBuffer(cl.queue, mem, blocking, CL_MAP_WRITE, 0, BYTES, 0, NULL,
					   NULL, &code);
		else
			clEnqueueMapImage(cl.queue, image, blocking, CL_MAP_READ, origin, region,
					  &row, NULL, 0, NULL, NULL, &code);
		assert_cl(code);
		assert_cl(clReleaseMemObject(i & 4 ? mem : image));
		assert_cl(clReleaseMemObject(i & 4 ? image : mem));
	}
	assert_cl(clFinish(cl.queue));
	fake_free(fake);
}

/* The leak check sees what one round leaves behind, and a round too many its descriptors' end. */
static void many_rounds_leave_nothing(void **state)
{
	struct fake_dmabuf *fake = fake_new(4096);
	struct memory memory = new_memory(4096);
	unsigned char value;
	cl_mem mem, part;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		const cl_buffer_region region = { 128, 128 };
		bool dmabuf = !(i % 16);
		cl_int code;

		value = (unsigned char)i;
		mem = import_fd(dmabuf ? fake_fd(fake) : memory.fd, 4096);
		part = clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
		assert_cl(code);
		assert_cl(clEnqueueFillBuffer(cl.queue, part, &value, 1, 0, 128, 0, NULL, NULL));
		assert_cl(clFinish(cl.queue));
		assert_int_equal((dmabuf ? fake_device(fake) : memory.bytes)[128], value);
		assert_cl(clReleaseMemObject(part));
		assert_cl(clReleaseMemObject(mem));
	}
	free_memory(&memory);
	fake_free(fake);
}

/* PoCL 3.1 forgets four bytes of each. */
static int unless_leaks_count(void **state)
{
	(void)state;
#ifdef __SANITIZE_ADDRESS__
	shm_test_skip("PoCL leaks 1D images of buffers");
#endif
	return 0;
}

/*
 * PoCL 3.1 makes them of any buffer and dies of their first command. It never tells that one is
 * destroyed, and the next object may have its address.
 */
static void a_line_of_pixels_says_where_it_is(void **state)
{
	struct memory memory = new_memory(BYTES);
	cl_mem mem = import_fd(memory.fd, BYTES), line, buffer = NULL, others[8];
	static char bytes[128] __attribute__((aligned(128)));
	const cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE1D_BUFFER,
		.image_width = SIDE,
		.mem_object = mem,
	};
	const cl_image_format format = { CL_RGBA, CL_UNSIGNED_INT8 };
	void *host = &buffer;
	cl_int code;

	(void)state;
	line = clCreateImage(cl.context, 0, &format, &desc, NULL, &code);
	assert_cl(code);
	assert_cl(clGetImageInfo(line, CL_IMAGE_BUFFER, sizeof(cl_mem), &buffer, NULL));
	assert_ptr_equal(buffer, mem);
	assert_cl(clGetMemObjectInfo(line, CL_MEM_HOST_PTR, sizeof(host), &host, NULL));
	assert_null(host);
	assert_cl(clRetainMemObject(line));
	assert_cl(clReleaseMemObject(line));
	assert_cl(clGetMemObjectInfo(line, CL_MEM_HOST_PTR, sizeof(host), &host, NULL));
	assert_null(host);
	assert_cl(clReleaseMemObject(line));
	for (size_t i = 0; i < SHM_TEST_COUNT(others); i++) {
		others[i] = clCreateBuffer(cl.context, CL_MEM_USE_HOST_PTR, sizeof(bytes), bytes,
					   &code);
		assert_cl(code);
		assert_cl(
			clGetMemObjectInfo(others[i], CL_MEM_HOST_PTR, sizeof(host), &host, NULL));
		assert_ptr_equal(host, bytes);
	}
	for (size_t i = 0; i < SHM_TEST_COUNT(others); i++)
		assert_cl(clReleaseMemObject(others[i]));
	assert_cl(clReleaseMemObject(mem));
	free_memory(&memory);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_only_descriptor_takes_no_writes),
		cmocka_unit_test(a_read_only_descriptors_image_takes_none_either),
		cmocka_unit_test(memory_that_shrank_fails_its_commands),
		cmocka_unit_test(memory_that_shrank_can_be_given_back),
		cmocka_unit_test(an_import_outlives_its_context),
		cmocka_unit_test(maps_that_are_left_behind_do_no_harm),
		cmocka_unit_test(many_rounds_leave_nothing),
		cmocka_unit_test_setup(a_line_of_pixels_says_where_it_is, unless_leaks_count),
	};

	open_bracket_runtime();
	copier = new_kernel(source, "copy");
	picture_reader = new_kernel(source, "look");
	picture_writer = new_kernel(source, "paint");
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
