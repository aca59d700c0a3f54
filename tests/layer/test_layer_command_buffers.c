/* SPDX-License-Identifier: BSD-3-Clause */
/* cl_khr_command_buffer: what touches imports isn't recorded, and everything else is as it was. */
#include "bracket_fixture.h"
#include "layer_memory.h"

static struct {
	clCreateCommandBufferKHR_fn create;
	clFinalizeCommandBufferKHR_fn finalize;
	clReleaseCommandBufferKHR_fn release;
	clEnqueueCommandBufferKHR_fn enqueue;
	clCommandCopyBufferKHR_fn copy_buffer;
	clCommandCopyBufferRectKHR_fn copy_buffer_rect;
	clCommandCopyBufferToImageKHR_fn copy_buffer_to_image;
	clCommandCopyImageKHR_fn copy_image;
	clCommandCopyImageToBufferKHR_fn copy_image_to_buffer;
	clCommandFillBufferKHR_fn fill_buffer;
	clCommandFillImageKHR_fn fill_image;
	clCommandNDRangeKernelKHR_fn ndrange_kernel;
} khr;

static cl_kernel adder, painter;

static const char source[] = "kernel void add(global const uchar *from, global uchar *to)\n"
			     "{\n"
			     "	to[get_global_id(0)] = from[get_global_id(0)] + 1;\n"
			     "}\n"
			     "kernel void paint(write_only image2d_t to)\n"
			     "{\n"
			     "	write_imageui(to, (int2)(0, 0), (uint4)(9));\n"
			     "}\n";

static void set_mem(cl_kernel kernel, cl_uint index, cl_mem mem)
{
	assert_cl(clSetKernelArg(kernel, index, sizeof(mem), &mem));
}

static cl_mem ordinary_buffer(void)
{
	cl_int code;
	cl_mem mem = clCreateBuffer(cl.context, 0, BYTES, NULL, &code);

	assert_cl(code);
	return mem;
}

static cl_mem ordinary_image(void)
{
	const cl_image_format format = { CL_RGBA, CL_UNSIGNED_INT8 };
	const cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D,
		.image_width = SIDE,
		.image_height = SIDE,
	};
	cl_int code;
	cl_mem mem;

	mem = clCreateImage(cl.context, CL_MEM_READ_WRITE, &format, &desc, NULL, &code);
	assert_cl(code);
	return mem;
}

static cl_command_buffer_khr new_commands(void)
{
	cl_command_buffer_khr commands;
	cl_int code;

	commands = khr.create(1, &cl.queue, NULL, &code);
	assert_cl(code);
	return commands;
}

static const size_t zero[3] = { 0 }, few[3] = { 4, 4, 1 };

/* Everything that can be recorded, from buffer a and image a to b. What each answers. */
static void record_all(cl_command_buffer_khr commands, cl_mem a, cl_mem b, cl_mem image_a,
		       cl_mem image_b, cl_int codes[8])
{
	const cl_uint color[4] = { 1, 1, 1, 1 };
	const unsigned char value = 7;
	const size_t items = 64;

	set_mem(adder, 0, a);
	set_mem(adder, 1, b);
	codes[0] = khr.copy_buffer(commands, NULL, a, b, 0, 0, 64, 0, NULL, NULL, NULL);
	codes[1] = khr.copy_buffer_rect(commands, NULL, a, b, zero, zero, few, 8, 0, 8, 0, 0, NULL,
					NULL, NULL);
	codes[2] = khr.copy_buffer_to_image(commands, NULL, a, image_b, 0, zero, few, 0, NULL, NULL,
					    NULL);
	codes[3] = khr.copy_image(commands, NULL, image_a, image_b, zero, zero, few, 0, NULL, NULL,
				  NULL);
	codes[4] = khr.copy_image_to_buffer(commands, NULL, image_a, b, zero, few, 0, 0, NULL, NULL,
					    NULL);
	codes[5] = khr.fill_buffer(commands, NULL, b, &value, 1, 0, 64, 0, NULL, NULL, NULL);
	codes[6] = khr.fill_image(commands, NULL, image_b, color, zero, few, 0, NULL, NULL, NULL);
	codes[7] = khr.ndrange_kernel(commands, NULL, NULL, adder, 1, NULL, &items, NULL, 0, NULL,
				      NULL, NULL);
}

/* Also while there is an import that nothing of it touches. */
static void ordinary_commands_are_recorded_and_run(void **state)
{
	struct memory memory = new_memory(BYTES);
	cl_mem import = NULL, a, b, image_a, image_b;
	unsigned char bytes[64];
	cl_int codes[8];

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		cl_command_buffer_khr commands = new_commands();

		if (round)
			import = import_fd(memory.fd, BYTES);
		a = ordinary_buffer();
		b = ordinary_buffer();
		image_a = ordinary_image();
		image_b = ordinary_image();
		fill_bytes(a, 0x20, BYTES);
		record_all(commands, a, b, image_a, image_b, codes);
		for (size_t i = 0; i < SHM_TEST_COUNT(codes); i++)
			assert_cl(codes[i]);
		assert_cl(khr.finalize(commands));
		assert_cl(khr.enqueue(0, NULL, commands, 0, NULL, NULL));
		assert_cl(clEnqueueReadBuffer(cl.queue, b, CL_TRUE, 0, 64, bytes, 0, NULL, NULL));
		assert_all(bytes, 0x21, 64);
		assert_cl(khr.release(commands));
		assert_cl(clReleaseMemObject(a));
		assert_cl(clReleaseMemObject(b));
		assert_cl(clReleaseMemObject(image_a));
		assert_cl(clReleaseMemObject(image_b));
	}
	assert_cl(clReleaseMemObject(import));
	free_memory(&memory);
}

/* Read or written, a memfd's or a DMA-BUF's. */
static void commands_on_imports_are_refused(void **state)
{
	struct fake_dmabuf *fake = fake_new(BYTES);
	struct memory memory = new_memory(BYTES);
	const int fds[] = { memory.fd, fake_fd(fake) };
	cl_command_buffer_khr commands = new_commands();
	cl_mem plain = ordinary_buffer(), plain_image = ordinary_image(), import, part, image;
	cl_int codes[8];

	(void)state;
	fake_reset();
	for (size_t k = 0; k < SHM_TEST_COUNT(fds); k++) {
		import = import_fd(fds[k], BYTES);
		part = whole(import);
		image = image_of(import);
		record_all(commands, plain, part, plain_image, image, codes);
		for (size_t i = 0; i < SHM_TEST_COUNT(codes); i++)
			assert_int_equal(codes[i], CL_INVALID_OPERATION);
		record_all(commands, import, plain, image, plain_image, codes);
		for (size_t i = 0; i < SHM_TEST_COUNT(codes); i++)
			assert_int_equal(codes[i],
					 i == 5 || i == 6 ? CL_SUCCESS : CL_INVALID_OPERATION);
		set_mem(painter, 0, image);
		assert_int_equal(khr.ndrange_kernel(commands, NULL, NULL, painter, 1, NULL,
						    &(size_t){ 1 }, NULL, 0, NULL, NULL, NULL),
				 CL_INVALID_OPERATION);
		assert_cl(clReleaseMemObject(image));
		assert_cl(clReleaseMemObject(part));
		assert_cl(clReleaseMemObject(import));
	}
	assert_cl(khr.finalize(commands));
	assert_cl(khr.enqueue(0, NULL, commands, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	assert_cl(khr.release(commands));
	assert_all(memory.bytes, 0, BYTES);
	assert_true(fake_holds(fake, 0));
	assert_int_equal(fake_count(fake, FAKE_START), 0);
	assert_cl(clReleaseMemObject(plain));
	assert_cl(clReleaseMemObject(plain_image));
	free_memory(&memory);
	fake_free(fake);
}

static void a_kernel_without_imports_again_is_recorded(void **state)
{
	struct memory memory = new_memory(BYTES);
	cl_command_buffer_khr commands = new_commands();
	cl_mem import = import_fd(memory.fd, BYTES), a = ordinary_buffer(), b = ordinary_buffer();
	const size_t items = 64;

	(void)state;
	set_mem(adder, 0, a);
	set_mem(adder, 1, import);
	assert_int_equal(khr.ndrange_kernel(commands, NULL, NULL, adder, 1, NULL, &items, NULL, 0,
					    NULL, NULL, NULL),
			 CL_INVALID_OPERATION);
	set_mem(adder, 1, b);
	assert_cl(khr.ndrange_kernel(commands, NULL, NULL, adder, 1, NULL, &items, NULL, 0, NULL,
				     NULL, NULL));
	assert_cl(khr.finalize(commands));
	assert_cl(khr.release(commands));
	assert_cl(clReleaseMemObject(import));
	assert_cl(clReleaseMemObject(a));
	assert_cl(clReleaseMemObject(b));
	free_memory(&memory);
}

static void errors_are_the_implementations(void **state)
{
	cl_mem plain = ordinary_buffer();

	(void)state;
	assert_int_equal(khr.copy_buffer(NULL, NULL, plain, plain, 0, 64, 64, 0, NULL, NULL, NULL),
			 CL_INVALID_COMMAND_BUFFER_KHR);
	assert_int_equal(khr.copy_buffer(NULL, NULL, NULL, plain, 0, 64, 64, 0, NULL, NULL, NULL),
			 CL_INVALID_MEM_OBJECT);
	assert_int_equal(khr.ndrange_kernel(NULL, NULL, NULL, NULL, 1, NULL, NULL, NULL, 0, NULL,
					    NULL, NULL),
			 CL_INVALID_KERNEL);
	assert_cl(clReleaseMemObject(plain));
}

static void open_extension(void)
{
	static const struct {
		const char *name;
		void *function;
	} functions[] = {
		{ "clCreateCommandBufferKHR", &khr.create },
		{ "clFinalizeCommandBufferKHR", &khr.finalize },
		{ "clReleaseCommandBufferKHR", &khr.release },
		{ "clEnqueueCommandBufferKHR", &khr.enqueue },
		{ "clCommandCopyBufferKHR", &khr.copy_buffer },
		{ "clCommandCopyBufferRectKHR", &khr.copy_buffer_rect },
		{ "clCommandCopyBufferToImageKHR", &khr.copy_buffer_to_image },
		{ "clCommandCopyImageKHR", &khr.copy_image },
		{ "clCommandCopyImageToBufferKHR", &khr.copy_image_to_buffer },
		{ "clCommandFillBufferKHR", &khr.fill_buffer },
		{ "clCommandFillImageKHR", &khr.fill_image },
		{ "clCommandNDRangeKernelKHR", &khr.ndrange_kernel },
	};

	for (size_t i = 0; i < SHM_TEST_COUNT(functions); i++) {
		void *address =
			clGetExtensionFunctionAddressForPlatform(cl.platform, functions[i].name);

		memcpy(functions[i].function, &address, sizeof(address));
	}
}

/* Not all runtimes have it. */
static int needs_extension(void **state)
{
	(void)state;
	if (!khr.create || !khr.ndrange_kernel || !khr.fill_image)
		shm_test_skip("no cl_khr_command_buffer");
	return 0;
}

#define command_buffer_case(name) cmocka_unit_test_setup(name, needs_extension)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		command_buffer_case(ordinary_commands_are_recorded_and_run),
		command_buffer_case(commands_on_imports_are_refused),
		command_buffer_case(a_kernel_without_imports_again_is_recorded),
		command_buffer_case(errors_are_the_implementations),
	};

	open_bracket_runtime();
	open_extension();
	adder = new_kernel(source, "add");
	painter = new_kernel(source, "paint");
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
