/* SPDX-License-Identifier: BSD-3-Clause */
/* What a program may ask of imports: the answers are those of native ones. */
#include "layer_memory.h"

#define WIDTH  ((size_t)20)
#define HEIGHT ((size_t)16)
#define PITCH  ((size_t)256)

static const cl_image_format rgba = { CL_RGBA, CL_UNSIGNED_INT8 };

static cl_mem import_with(cl_mem_flags flags, const struct memory *memory)
{
	cl_int code, fd = memory->fd;
	cl_mem mem = cl.import(cl.context, flags, as_dmabuf, &fd, memory->size, &code);

	assert_cl(code);
	return mem;
}

static cl_mem part_of(cl_mem buffer, cl_mem_flags flags, size_t offset, size_t size)
{
	const cl_buffer_region region = { offset, size };
	cl_int code;
	cl_mem mem;

	mem = clCreateSubBuffer(buffer, flags, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
	assert_cl(code);
	return mem;
}

static cl_image_desc desc_over(cl_mem buffer)
{
	const cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D,
		.image_width = WIDTH,
		.image_height = HEIGHT,
		.image_row_pitch = PITCH,
		.mem_object = buffer,
	};

	return desc;
}

static cl_mem image_over(cl_mem buffer, cl_mem_flags flags)
{
	const cl_image_desc desc = desc_over(buffer);
	cl_int code;
	cl_mem mem;

	mem = clCreateImage(cl.context, flags, &rgba, &desc, NULL, &code);
	assert_cl(code);
	return mem;
}

/* All that isn't a handle answers byte for byte alike. */
static void assert_alike(cl_mem mem, cl_mem native)
{
	static const cl_mem_info names[] = {
		CL_MEM_TYPE,       CL_MEM_FLAGS,     CL_MEM_SIZE,
		CL_MEM_HOST_PTR,   CL_MEM_MAP_COUNT, CL_MEM_REFERENCE_COUNT,
		CL_MEM_CONTEXT,    CL_MEM_OFFSET,    CL_MEM_USES_SVM_POINTER,
		CL_MEM_PROPERTIES,
	};

	for (size_t i = 0; i < SHM_TEST_COUNT(names); i++) {
		unsigned char a[64] = { 0 }, b[64] = { 0 };
		size_t size_a = 99, size_b = 99, asked = 99;

		assert_int_equal(clGetMemObjectInfo(mem, names[i], sizeof(a), a, &size_a),
				 clGetMemObjectInfo(native, names[i], sizeof(b), b, &size_b));
		if (size_a != size_b || memcmp(a, b, sizeof(a)) != 0)
			fail_msg("query 0x%x answers otherwise", names[i]);
		assert_cl(clGetMemObjectInfo(mem, names[i], 0, NULL, &asked));
		assert_int_equal(asked, size_b);
		if (size_b)
			assert_int_equal(clGetMemObjectInfo(mem, names[i], size_b - 1, a, NULL),
					 CL_INVALID_VALUE);
	}
	assert_int_equal(clGetMemObjectInfo(mem, 0x1, 0, NULL, NULL), CL_INVALID_VALUE);
}

static cl_mem ordinary(cl_mem_flags flags)
{
	cl_int code;
	cl_mem mem = clCreateBuffer(cl.context, flags, BYTES, NULL, &code);

	assert_cl(code);
	return mem;
}

static void an_import_answers_as_an_ordinary_buffer(void **state)
{
	static const cl_mem_flags flags[] = {
		0,
		CL_MEM_READ_WRITE,
		CL_MEM_READ_ONLY,
		CL_MEM_WRITE_ONLY,
		CL_MEM_READ_WRITE | CL_MEM_HOST_READ_ONLY,
		CL_MEM_READ_ONLY | CL_MEM_HOST_WRITE_ONLY,
		CL_MEM_READ_WRITE | CL_MEM_HOST_NO_ACCESS,
	};
	struct memory memory = new_memory(BYTES);

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(flags); i++) {
		cl_mem mem = import_with(flags[i], &memory), native = ordinary(flags[i]);

		assert_alike(mem, native);
		assert_cl(clReleaseMemObject(mem));
		assert_cl(clReleaseMemObject(native));
	}
	free_memory(&memory);
}

static void a_part_answers_as_an_ordinary_one(void **state)
{
	static const cl_mem_flags flags[] = { 0, CL_MEM_READ_ONLY, CL_MEM_HOST_READ_ONLY };
	struct memory memory = new_memory(BYTES);
	cl_mem mem = import_with(CL_MEM_READ_WRITE, &memory), native = ordinary(CL_MEM_READ_WRITE);
	cl_mem part, native_part, parent = NULL;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(flags); i++) {
		part = part_of(mem, flags[i], 1024, 4096);
		native_part = part_of(native, flags[i], 1024, 4096);
		assert_alike(part, native_part);
		assert_cl(clGetMemObjectInfo(part, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof(parent),
					     &parent, NULL));
		assert_ptr_equal(parent, mem);
		assert_cl(clReleaseMemObject(part));
		assert_cl(clReleaseMemObject(native_part));
	}
	assert_cl(clReleaseMemObject(mem));
	assert_cl(clReleaseMemObject(native));
	free_memory(&memory);
}

static void a_part_is_refused_as_an_ordinary_one(void **state)
{
	static const struct {
		cl_mem_flags of, flags;
		cl_buffer_region region;
	} cases[] = {
		{ CL_MEM_READ_WRITE, 0, { 64, 128 } },
		{ CL_MEM_READ_WRITE, 0, { 0, 0 } },
		{ CL_MEM_READ_WRITE, 0, { BYTES - 128, 256 } },
		{ CL_MEM_READ_ONLY, CL_MEM_READ_WRITE, { 0, 128 } },
		{ CL_MEM_WRITE_ONLY, CL_MEM_READ_ONLY, { 0, 128 } },
		{ CL_MEM_HOST_READ_ONLY, CL_MEM_HOST_WRITE_ONLY, { 0, 128 } },
		{ CL_MEM_READ_WRITE, CL_MEM_COPY_HOST_PTR, { 0, 128 } },
	};
	struct memory memory = new_memory(BYTES);

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(cases); i++) {
		cl_mem mem = import_with(cases[i].of, &memory), native = ordinary(cases[i].of);
		cl_int code, expected;

		assert_null(clCreateSubBuffer(mem, cases[i].flags, CL_BUFFER_CREATE_TYPE_REGION,
					      &cases[i].region, &code));
		assert_null(clCreateSubBuffer(native, cases[i].flags, CL_BUFFER_CREATE_TYPE_REGION,
					      &cases[i].region, &expected));
		assert_int_not_equal(expected, CL_SUCCESS);
		assert_int_equal(code, expected);
		assert_cl(clReleaseMemObject(mem));
		assert_cl(clReleaseMemObject(native));
	}
	free_memory(&memory);
}

static void maps_are_counted(void **state)
{
	struct memory memory = new_memory(BYTES);
	cl_mem mem = import_fd(memory.fd, BYTES);
	cl_uint count = 9;
	cl_int code;
	void *address;

	(void)state;
	address = clEnqueueMapBuffer(cl.queue, mem, CL_TRUE, CL_MAP_WRITE, 0, BYTES, 0, NULL, NULL,
				     &code);
	assert_cl(code);
	assert_cl(clGetMemObjectInfo(mem, CL_MEM_MAP_COUNT, sizeof(count), &count, NULL));
	assert_int_equal(count, 1);
	memset(address, 0x12, BYTES);
	assert_all(memory.bytes, 0x12, BYTES);
	assert_cl(clEnqueueUnmapMemObject(cl.queue, mem, address, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	assert_unmapped(mem);
	assert_cl(clReleaseMemObject(mem));
	free_memory(&memory);
}

static size_t image_fact(cl_mem image, cl_image_info name)
{
	size_t value = 0;

	assert_cl(clGetImageInfo(image, name, sizeof(value), &value, NULL));
	return value;
}

static void an_image_over_an_import_says_where_it_is(void **state)
{
	struct memory memory = new_memory(BYTES);
	cl_mem mem = import_with(CL_MEM_READ_ONLY | CL_MEM_HOST_READ_ONLY, &memory);
	cl_mem image = image_over(mem, 0), buffer = NULL;
	cl_mem_object_type type = 0;
	cl_image_format format;
	cl_mem_flags flags = 0;
	void *host = &type;
	size_t offset = 9;

	(void)state;
	assert_cl(clGetImageInfo(image, CL_IMAGE_FORMAT, sizeof(format), &format, NULL));
	assert_memory_equal(&format, &rgba, sizeof(format));
	assert_int_equal(image_fact(image, CL_IMAGE_WIDTH), WIDTH);
	assert_int_equal(image_fact(image, CL_IMAGE_HEIGHT), HEIGHT);
	assert_int_equal(image_fact(image, CL_IMAGE_ROW_PITCH), PITCH);
	assert_int_equal(image_fact(image, CL_IMAGE_ELEMENT_SIZE), 4);
	assert_cl(clGetImageInfo(image, CL_IMAGE_BUFFER, sizeof(cl_mem), &buffer, NULL));
	assert_ptr_equal(buffer, mem);
	buffer = NULL;
	assert_cl(clGetMemObjectInfo(image, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof(cl_mem), &buffer,
				     NULL));
	assert_ptr_equal(buffer, mem);
	assert_cl(clGetMemObjectInfo(image, CL_MEM_TYPE, sizeof(type), &type, NULL));
	assert_int_equal(type, CL_MEM_OBJECT_IMAGE2D);
	assert_cl(clGetMemObjectInfo(image, CL_MEM_FLAGS, sizeof(flags), &flags, NULL));
	assert_int_equal(flags, CL_MEM_READ_ONLY | CL_MEM_HOST_READ_ONLY);
	assert_cl(clGetMemObjectInfo(image, CL_MEM_HOST_PTR, sizeof(host), &host, NULL));
	assert_null(host);
	assert_cl(clGetMemObjectInfo(image, CL_MEM_OFFSET, sizeof(offset), &offset, NULL));
	assert_int_equal(offset, 0);
	assert_cl(clReleaseMemObject(image));
	assert_cl(clReleaseMemObject(mem));
	free_memory(&memory);
}

static void fill_image(cl_mem image, cl_uint value)
{
	static const size_t origin[3] = { 0 }, region[3] = { WIDTH, HEIGHT, 1 };
	const cl_uint color[4] = { value, value, value, value };

	assert_cl(clEnqueueFillImage(cl.queue, image, color, origin, region, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
}

/* The image's pixels are value, and all else of the memory is 0. */
static void assert_picture(const struct memory *memory, size_t offset, unsigned char value)
{
	for (size_t i = 0; i < memory->size; i++) {
		size_t at = i - offset;
		bool inside = i >= offset && at / PITCH < HEIGHT && at % PITCH < WIDTH * 4;

		if (memory->bytes[i] != (inside ? value : 0))
			fail_msg("byte %zu is 0x%02x", i, memory->bytes[i]);
	}
}

static void an_image_over_a_part_is_at_its_place(void **state)
{
	struct memory memory = new_memory(BYTES);
	cl_mem mem = import_fd(memory.fd, BYTES), part = part_of(mem, 0, 1024, 16384);
	cl_mem image = image_over(part, 0), buffer = NULL;

	(void)state;
	fill_image(image, 0x5c);
	assert_picture(&memory, 1024, 0x5c);
	assert_cl(clGetImageInfo(image, CL_IMAGE_BUFFER, sizeof(cl_mem), &buffer, NULL));
	assert_ptr_equal(buffer, part);
	assert_cl(clReleaseMemObject(image));
	assert_cl(clReleaseMemObject(part));
	assert_cl(clReleaseMemObject(mem));
	free_memory(&memory);
}

static void an_image_keeps_its_buffer(void **state)
{
	struct memory memory = new_memory(BYTES);
	cl_mem mem = import_fd(memory.fd, BYTES), image = image_over(mem, 0), buffer = NULL;
	cl_uint count = 0;

	(void)state;
	assert_cl(clReleaseMemObject(mem));
	assert_cl(clGetImageInfo(image, CL_IMAGE_BUFFER, sizeof(cl_mem), &buffer, NULL));
	assert_ptr_equal(buffer, mem);
	assert_cl(clGetMemObjectInfo(buffer, CL_MEM_REFERENCE_COUNT, sizeof(count), &count, NULL));
	assert_int_equal(count, 1);
	fill_image(image, 0x41);
	assert_picture(&memory, 0, 0x41);
	assert_cl(clReleaseMemObject(image));
	free_memory(&memory);
}

static cl_int image_answer(cl_mem_flags flags, const cl_image_format *format, cl_image_desc desc,
			   void *host)
{
	cl_int code = 1;
	cl_mem mem = clCreateImage(cl.context, flags, format, &desc, host, &code);

	assert_int_equal(code == CL_SUCCESS, mem != NULL);
	if (mem)
		assert_cl(clReleaseMemObject(mem));
	return code;
}

static void images_that_cannot_be_are_refused(void **state)
{
	struct memory memory = new_memory(BYTES);
	cl_mem mem = import_with(CL_MEM_READ_ONLY | CL_MEM_HOST_READ_ONLY, &memory);
	cl_mem image = image_over(mem, 0);
	const cl_image_format nonsense = { CL_RGBA, 0x1 }, packed = { CL_RGBA, CL_UNORM_SHORT_565 };
	cl_image_desc desc = desc_over(mem);
	char host[64];

	(void)state;
	assert_cl(image_answer(0, &rgba, desc, NULL));
	assert_int_equal(image_answer(CL_MEM_READ_WRITE, &rgba, desc, NULL), CL_INVALID_VALUE);
	assert_int_equal(image_answer(CL_MEM_HOST_WRITE_ONLY, &rgba, desc, NULL), CL_INVALID_VALUE);
	assert_int_equal(image_answer(CL_MEM_USE_HOST_PTR, &rgba, desc, NULL), CL_INVALID_VALUE);
	assert_int_equal(image_answer(CL_MEM_COPY_HOST_PTR, &rgba, desc, NULL), CL_INVALID_VALUE);
	assert_int_not_equal(image_answer(0, &rgba, desc, host), CL_SUCCESS);
	assert_int_not_equal(image_answer(0, NULL, desc, NULL), CL_SUCCESS);
	assert_int_not_equal(image_answer(0, &nonsense, desc, NULL), CL_SUCCESS);
	assert_int_not_equal(image_answer(0, &packed, desc, NULL), CL_SUCCESS);
	desc.image_row_pitch = WIDTH * 4 - 4;
	assert_int_equal(image_answer(0, &rgba, desc, NULL), CL_INVALID_IMAGE_DESCRIPTOR);
	desc.image_row_pitch = WIDTH * 4 + 1;
	assert_int_equal(image_answer(0, &rgba, desc, NULL), CL_INVALID_IMAGE_DESCRIPTOR);
	desc.image_row_pitch = BYTES / HEIGHT + 512;
	assert_int_equal(image_answer(0, &rgba, desc, NULL), CL_INVALID_IMAGE_DESCRIPTOR);
	desc.image_row_pitch = SIZE_MAX / 4 * 4;
	assert_int_equal(image_answer(0, &rgba, desc, NULL), CL_INVALID_IMAGE_DESCRIPTOR);
	desc = desc_over(mem);
	desc.image_height = 0;
	assert_int_not_equal(image_answer(0, &rgba, desc, NULL), CL_SUCCESS);
	/* its bytes may be anywhere in the import */
	desc = desc_over(image);
	assert_int_not_equal(image_answer(0, &rgba, desc, NULL), CL_SUCCESS);
	assert_cl(clReleaseMemObject(image));
	assert_cl(clReleaseMemObject(mem));
	free_memory(&memory);
}

/* The last row may end before its pitch does. */
static void an_image_may_end_with_its_memory(void **state)
{
	struct memory memory = new_memory(PITCH * (HEIGHT - 1) + WIDTH * 4);
	cl_mem mem = import_fd(memory.fd, memory.size), image = image_over(mem, 0);

	(void)state;
	fill_image(image, 0x1e);
	assert_picture(&memory, 0, 0x1e);
	assert_cl(clReleaseMemObject(image));
	assert_cl(clReleaseMemObject(mem));
	free_memory(&memory);
	memory = new_memory(PITCH * (HEIGHT - 1) + WIDTH * 4 - 1);
	mem = import_fd(memory.fd, memory.size);
	assert_int_equal(image_answer(0, &rgba, desc_over(mem), NULL), CL_INVALID_IMAGE_DESCRIPTOR);
	assert_cl(clReleaseMemObject(mem));
	free_memory(&memory);
}

static void formats_said_to_be_supported_are(void **state)
{
	struct memory memory = new_memory(BYTES);
	cl_mem mem = import_fd(memory.fd, BYTES);
	cl_image_desc desc = desc_over(mem);
	cl_image_format formats[256];
	cl_uint count = 0;

	(void)state;
	desc.image_row_pitch = 0;
	assert_cl(clGetSupportedImageFormats(cl.context, CL_MEM_READ_WRITE, CL_MEM_OBJECT_IMAGE2D,
					     256, formats, &count));
	assert_in_range(count, 1, 256);
	for (cl_uint i = 0; i < count; i++)
		if (image_answer(CL_MEM_READ_WRITE, &formats[i], desc, NULL) != CL_SUCCESS)
			fail_msg("no image of order 0x%x, type 0x%x",
				 formats[i].image_channel_order,
				 formats[i].image_channel_data_type);
	assert_cl(clReleaseMemObject(mem));
	free_memory(&memory);
}

static void ordinary_images_are_left_alone(void **state)
{
	const cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D,
		.image_width = WIDTH,
		.image_height = HEIGHT,
	};
	struct memory memory = new_memory(BYTES);
	cl_mem import = import_fd(memory.fd, BYTES), image, buffer = ordinary(0);
	cl_mem_flags flags = 0;
	void *host = NULL;
	cl_int code;
	char *bytes = calloc(1, BYTES);

	(void)state;
	image = clCreateImage2D(cl.context, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR, &rgba, WIDTH,
				HEIGHT, PITCH, bytes, &code);
	assert_cl(code);
	assert_cl(clGetMemObjectInfo(image, CL_MEM_HOST_PTR, sizeof(host), &host, NULL));
	assert_ptr_equal(host, bytes);
	assert_cl(clGetMemObjectInfo(image, CL_MEM_FLAGS, sizeof(flags), &flags, NULL));
	assert_int_equal(flags, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR);
	assert_cl(clReleaseMemObject(image));
	assert_cl(image_answer(0, &rgba, desc, NULL));
	/* what this runtime can't do it isn't made to do */
	assert_int_equal(image_answer(0, &rgba, desc_over(buffer), NULL), CL_INVALID_OPERATION);
	assert_cl(clReleaseMemObject(buffer));
	assert_cl(clReleaseMemObject(import));
	free(bytes);
	free_memory(&memory);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_import_answers_as_an_ordinary_buffer),
		cmocka_unit_test(a_part_answers_as_an_ordinary_one),
		cmocka_unit_test(a_part_is_refused_as_an_ordinary_one),
		cmocka_unit_test(maps_are_counted),
		cmocka_unit_test(an_image_over_an_import_says_where_it_is),
		cmocka_unit_test(an_image_over_a_part_is_at_its_place),
		cmocka_unit_test(an_image_keeps_its_buffer),
		cmocka_unit_test(images_that_cannot_be_are_refused),
		cmocka_unit_test(an_image_may_end_with_its_memory),
		cmocka_unit_test(formats_said_to_be_supported_are),
		cmocka_unit_test(ordinary_images_are_left_alone),
	};

	open_runtime();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
