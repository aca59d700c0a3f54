/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kernels find the imports among their arguments, and which of them they may write.
 *
 * Each kernel copies 0x5a from A, which is full of it on the device's side, to B.
 */
#include "bracket_fixture.h"

#include "private.h"

#define MOVED 0x5a
#define OLD   0x11

enum { NOTE_BEFORE = 1, NOTE_AFTER };

static const char source[] =
	"kernel void copy(global const uchar *from, global uchar *to)"
	"{ size_t i = get_global_id(0); to[i] = from[i]; }\n"
	"kernel void copy_constant(constant uchar *from, global uchar *to)"
	"{ size_t i = get_global_id(0); to[i] = from[i]; }\n"
	"kernel void copy_careless(global uchar *from, global uchar *to)"
	"{ size_t i = get_global_id(0); to[i] = from[i]; }\n"
	"kernel void copy_all(global const uchar *from, global uchar *to)"
	"{ for (size_t i = 0; i < 65536; i++) to[i] = from[i]; }\n"
	"kernel void copy_image(read_only image2d_t from, write_only image2d_t to)"
	"{ int2 at = (int2)(get_global_id(0) % 128, get_global_id(0) / 128);"
	"  if (at.y < 128) write_imageui(to, at, read_imageui(from, at)); }\n";

static cl_program program;
static struct fake_dmabuf *fake_a, *fake_b;
static cl_mem a, b;

static cl_kernel new_kernel(const char *name)
{
	cl_int code;
	cl_kernel kernel = clCreateKernel(program, name, &code);

	assert_cl(code);
	return kernel;
}

static void set_args(cl_kernel kernel, cl_mem from, cl_mem to)
{
	assert_cl(clSetKernelArg(kernel, 0, sizeof(from), &from));
	assert_cl(clSetKernelArg(kernel, 1, sizeof(to), &to));
}

static cl_int enqueue(cl_command_queue queue, cl_kernel kernel)
{
	static const size_t global = BYTES;

	return clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &global, NULL, 0, NULL, NULL);
}

static void reset(void)
{
	fake_fill(fake_a, MOVED);
	fake_fill(fake_b, OLD);
	fake_reset();
}

static void check_bracket(struct fake_dmabuf *fake, unsigned flags)
{
	if (!flags) {
		assert_int_equal(fake_count(fake, FAKE_START), 0);
		assert_int_equal(fake_count(fake, FAKE_END), 0);
		return;
	}
	assert_true(fake_only(fake, FAKE_START, flags) > fake_place(NOTE_BEFORE));
	assert_true(fake_only(fake, FAKE_END, flags) < fake_place(NOTE_AFTER));
}

/* Between two other commands of an in-order queue, by clEnqueueTask or clEnqueueNDRangeKernel. */
static void run(cl_kernel kernel, bool task, unsigned flags_a, unsigned flags_b)
{
	reset();
	enqueue_note(cl.queue, note_after_a_while, NOTE_BEFORE, 0, NULL);
	assert_cl(task ? clEnqueueTask(cl.queue, kernel, 0, NULL, NULL)
		       : enqueue(cl.queue, kernel));
	enqueue_note(cl.queue, note, NOTE_AFTER, 0, NULL);
	assert_cl(clFinish(cl.queue));
	check_bracket(fake_a, flags_a);
	check_bracket(fake_b, flags_b);
	assert_true(fake_holds(fake_b, flags_b ? MOVED : OLD));
}

static void const_argument_is_read_and_another_written(void **state)
{
	cl_kernel kernel = new_kernel("copy");

	(void)state;
	set_args(kernel, a, b);
	run(kernel, false, FAKE_READ, FAKE_WRITE);
	run(kernel, false, FAKE_READ, FAKE_WRITE);
	assert_cl(clReleaseKernel(kernel));
}

static void constant_argument_is_read(void **state)
{
	cl_kernel kernel = new_kernel("copy_constant");

	(void)state;
	set_args(kernel, a, b);
	run(kernel, false, FAKE_READ, FAKE_WRITE);
	assert_cl(clReleaseKernel(kernel));
}

static void argument_without_const_is_written(void **state)
{
	cl_kernel kernel = new_kernel("copy_careless");

	(void)state;
	set_args(kernel, a, b);
	run(kernel, false, FAKE_WRITE, FAKE_WRITE);
	assert_cl(clReleaseKernel(kernel));
}

static void task_has_brackets(void **state)
{
	cl_kernel kernel = new_kernel("copy_all");

	(void)state;
	set_args(kernel, a, b);
	run(kernel, true, FAKE_READ, FAKE_WRITE);
	assert_cl(clReleaseKernel(kernel));
}

static void sub_buffers_bracket_their_import(void **state)
{
	cl_kernel kernel = new_kernel("copy");
	cl_mem from = whole(a), to = whole(b);

	(void)state;
	set_args(kernel, from, to);
	run(kernel, false, FAKE_READ, FAKE_WRITE);
	assert_cl(clReleaseKernel(kernel));
	assert_cl(clReleaseMemObject(from));
	assert_cl(clReleaseMemObject(to));
}

static void images_bracket_their_import(void **state)
{
	cl_kernel kernel = new_kernel("copy_image");
	cl_mem from = image_of(a), to = image_of(b);

	(void)state;
	set_args(kernel, from, to);
	run(kernel, false, FAKE_READ, FAKE_WRITE);
	assert_cl(clReleaseKernel(kernel));
	assert_cl(clReleaseMemObject(from));
	assert_cl(clReleaseMemObject(to));
}

static void import_that_comes_twice_has_one_bracket_as_a_writer(void **state)
{
	cl_kernel kernel = new_kernel("copy");

	(void)state;
	set_args(kernel, b, b);
	reset();
	enqueue_note(cl.queue, note, NOTE_BEFORE, 0, NULL);
	assert_cl(enqueue(cl.queue, kernel));
	assert_cl(clFinish(cl.queue));
	fake_note(NOTE_AFTER);
	check_bracket(fake_b, FAKE_WRITE);
	assert_cl(clReleaseKernel(kernel));
}

static void clone_has_its_sources_brackets(void **state)
{
	cl_kernel kernel = new_kernel("copy"), clone;
	cl_int code;

	(void)state;
	set_args(kernel, a, b);
	clone = clCloneKernel(kernel, &code);
	assert_cl(code);
	assert_cl(clReleaseKernel(kernel));
	run(clone, false, FAKE_READ, FAKE_WRITE);
	assert_cl(clReleaseKernel(clone));
}

static void svm_pointer_in_an_imports_place_ends_its_brackets(void **state)
{
	cl_kernel kernel = new_kernel("copy");
	void *svm = clSVMAlloc(cl.context, CL_MEM_READ_WRITE, BYTES, 0);

	(void)state;
	if (!svm)
		shm_test_skip("shared virtual memory");
	set_args(kernel, a, b);
	memset(svm, MOVED, BYTES);
	assert_cl(clSetKernelArgSVMPointer(kernel, 0, svm));
	run(kernel, false, 0, FAKE_WRITE);
	assert_cl(clSetKernelArg(kernel, 0, sizeof(a), &a));
	assert_cl(clSetKernelArgSVMPointer(kernel, 1, svm));
	run(kernel, false, FAKE_READ, 0);
	assert_cl(clReleaseKernel(kernel));
	clSVMFree(cl.context, svm);
}

static void ordinary_buffer_in_an_imports_place_ends_its_brackets(void **state)
{
	cl_kernel kernel = new_kernel("copy");
	cl_int code;
	cl_mem mem = clCreateBuffer(cl.context, CL_MEM_READ_WRITE, BYTES, NULL, &code);

	(void)state;
	assert_cl(code);
	set_args(kernel, a, b);
	set_args(kernel, mem, mem);
	run(kernel, false, 0, 0);
	assert_cl(clReleaseKernel(kernel));
	assert_cl(clReleaseMemObject(mem));
}

static void import_that_its_owner_syncs_has_no_bracket(void **state)
{
	static const cl_import_properties_arm properties[] = {
		CL_IMPORT_TYPE_ARM, CL_IMPORT_TYPE_DMA_BUF_ARM, LIBSHM_CL_IMPORT_SYNCED, 1, 0,
	};
	cl_kernel kernel = new_kernel("copy");
	int fd = fake_fd(fake_a);
	cl_int code;
	cl_mem mem = cl.import(cl.context, CL_MEM_READ_WRITE, properties, &fd, BYTES, &code);

	(void)state;
	assert_cl(code);
	set_args(kernel, mem, mem);
	run(kernel, false, 0, 0);
	assert_cl(fill(cl.queue, mem, 1, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	check_bracket(fake_a, 0);
	assert_cl(clReleaseKernel(kernel));
	assert_cl(clReleaseMemObject(mem));
}

static void kernel_that_is_retained_keeps_its_brackets(void **state)
{
	cl_kernel kernel = new_kernel("copy");

	(void)state;
	set_args(kernel, a, b);
	assert_cl(clRetainKernel(kernel));
	assert_cl(clReleaseKernel(kernel));
	run(kernel, false, FAKE_READ, FAKE_WRITE);
	assert_cl(clReleaseKernel(kernel));
}

/* Released while the last command of it runs, and its place taken by the next. */
static void new_kernel_has_nothing_of_one_that_is_gone(void **state)
{
	cl_int code;
	cl_mem plain = clCreateBuffer(cl.context, CL_MEM_READ_WRITE, BYTES, NULL, &code);

	(void)state;
	assert_cl(code);
	for (int i = 0; i < 20; i++) {
		cl_kernel kernel = new_kernel("copy");

		set_args(kernel, i % 2 ? plain : a, i % 2 ? plain : b);
		reset();
		assert_cl(enqueue(cl.queue, kernel));
		assert_cl(clReleaseKernel(kernel));
		assert_cl(clFinish(cl.queue));
		assert_int_equal(fake_count(fake_a, FAKE_START), i % 2 ? 0 : 1);
		assert_int_equal(fake_count(fake_b, FAKE_START), i % 2 ? 0 : 1);
	}
	assert_cl(clReleaseMemObject(plain));
}

/* Only the call that was refused, so that what the next one does is right again. */
static void call_that_the_runtime_refuses_leaves_nothing_behind(void **state)
{
	static const size_t global[3] = { BYTES, 1, 1 };
	cl_kernel kernel = new_kernel("copy");
	cl_event event = NULL;

	(void)state;
	set_args(kernel, a, b);
	reset();
	assert_int_equal(
		clEnqueueNDRangeKernel(cl.queue, kernel, 77, NULL, global, NULL, 0, NULL, &event),
		CL_INVALID_WORK_DIMENSION);
	assert_int_equal(
		clEnqueueNDRangeKernel(cl.queue, kernel, 1, NULL, global, NULL, 1, NULL, &event),
		CL_INVALID_EVENT_WAIT_LIST);
	assert_int_equal(
		clEnqueueNDRangeKernel(NULL, kernel, 1, NULL, global, NULL, 0, NULL, &event),
		CL_INVALID_COMMAND_QUEUE);
	assert_null(event);
	assert_cl(clFinish(cl.queue));
	assert_int_equal(fake_count(fake_a, FAKE_START), 0);
	run(kernel, false, FAKE_READ, FAKE_WRITE);
	assert_cl(clReleaseKernel(kernel));
}

static int import_both(void **state)
{
	(void)state;
	fake_a = fake_new(BYTES);
	fake_b = fake_new(BYTES);
	a = import_fd(fake_fd(fake_a), BYTES);
	b = import_fd(fake_fd(fake_b), BYTES);
	return 0;
}

static int release_both(void **state)
{
	(void)state;
	assert_cl(clReleaseMemObject(a));
	assert_cl(clReleaseMemObject(b));
	fake_free(fake_a);
	fake_free(fake_b);
	fake_reset();
	return 0;
}

/* Runtimes compile a kernel when it is first used, and keep what that opens. */
static void open_kernels(void)
{
	static const char *const names[] = { "copy", "copy_constant", "copy_careless",
					     "copy_image" };
	const char *text = source;
	cl_mem from, to;
	cl_int code;

	program = clCreateProgramWithSource(cl.context, 1, &text, NULL, &code);
	assert_cl(code);
	assert_cl(clBuildProgram(program, 1, &cl.device, "-cl-kernel-arg-info", NULL, NULL));
	import_both(NULL);
	for (size_t i = 0; i < SHM_TEST_COUNT(names); i++) {
		bool image = !strcmp(names[i], "copy_image");
		cl_kernel kernel = new_kernel(names[i]);

		from = image ? image_of(a) : whole(a);
		to = image ? image_of(b) : whole(b);
		set_args(kernel, from, to);
		assert_cl(enqueue(cl.queue, kernel));
		assert_cl(clFinish(cl.queue));
		assert_cl(clReleaseKernel(kernel));
		assert_cl(clReleaseMemObject(from));
		assert_cl(clReleaseMemObject(to));
	}
	release_both(NULL);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, import_both, release_both)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(const_argument_is_read_and_another_written),
		CASE(constant_argument_is_read),
		CASE(argument_without_const_is_written),
		CASE(task_has_brackets),
		CASE(sub_buffers_bracket_their_import),
		CASE(images_bracket_their_import),
		CASE(import_that_comes_twice_has_one_bracket_as_a_writer),
		CASE(clone_has_its_sources_brackets),
		CASE(svm_pointer_in_an_imports_place_ends_its_brackets),
		CASE(ordinary_buffer_in_an_imports_place_ends_its_brackets),
		CASE(import_that_its_owner_syncs_has_no_bracket),
		CASE(kernel_that_is_retained_keeps_its_brackets),
		CASE(new_kernel_has_nothing_of_one_that_is_gone),
		CASE(call_that_the_runtime_refuses_leaves_nothing_behind),
	};

	open_bracket_runtime();
	open_kernels();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
