/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames as OpenCL images: the same bytes, or a refusal that says why. */
#include "opencl_fixture.h"

#define FOURCC METAL_SHM_FOURCC

/* A frame of memfd memory whose stride has a gap that no kernel may touch. */
static struct metal_generic_shm *frame_new(uint32_t fourcc, uint32_t width, uint32_t height,
					   uint32_t gap, struct metal_shm_frame *frame)
{
	struct metal_generic_shm *shm;

	*frame = (struct metal_shm_frame){ .fourcc = fourcc, .width = width, .height = height };
	if (gap) {
		struct metal_shm_format format;

		assert_int_equal(metal_shm_format_of(fourcc, &format), 0);
		frame->plane[0].stride = width / format.block_width[0] * format.bytes[0] + gap;
	}
	assert_int_equal(metal_shm_frame_negotiate(frame, &fx.gpu, 1), 0);
	shm = metal_shm_allocate(frame->size, fx.memfd, METAL_SHM_ZEROED);
	assert_non_null(shm);
	assert_int_equal(metal_shm_frame_set(shm, frame), 0);
	assert_non_null(metal_shm_attach(shm, fx.gpu));
	return shm;
}

static void frame_end(struct metal_generic_shm *shm)
{
	metal_shm_detach(metal_shm_view(shm, fx.gpu), fx.gpu);
	metal_shm_free(shm, NULL);
}

static cl_mem image_of(struct metal_generic_shm *shm, unsigned plane)
{
	cl_mem image = NULL;

	if (metal_shm_opencl_image(fx.gpu, shm, plane, &image)) {
		/* rusticl's are copies */
		if (strstr(metal_shm_last_error(), "doesn't see in the image"))
			shm_test_skip("%s", metal_shm_last_error());
		fail_msg("%s", metal_shm_last_error());
	}
	return image;
}

static void paint(struct metal_generic_shm *shm, cl_mem image, size_t width, size_t height, float x,
		  float y, float z, float w)
{
	const cl_float4 colour = { { x, y, z, w } };
	const size_t size[2] = { width, height };
	cl_kernel kernel = kernel_of("paint");

	assert_int_equal(metal_shm_opencl_acquire(fx.gpu, shm, DEV_W), 0);
	assert_int_equal(clSetKernelArg(kernel, 0, sizeof(image), &image), CL_SUCCESS);
	assert_int_equal(clSetKernelArg(kernel, 1, sizeof(colour), &colour), CL_SUCCESS);
	assert_int_equal(
		clEnqueueNDRangeKernel(fx.queue, kernel, 2, NULL, size, NULL, 0, NULL, NULL),
		CL_SUCCESS);
	clReleaseKernel(kernel);
	assert_int_equal(metal_shm_opencl_release(fx.gpu, shm), 0);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
}

static cl_float4 peek(struct metal_generic_shm *shm, cl_mem image, int x, int y)
{
	const size_t one = 1;
	cl_float4 colour = { { 0 } };
	cl_int code;
	cl_mem out = clCreateBuffer(fx.context, CL_MEM_READ_WRITE, sizeof(colour), NULL, &code);
	cl_kernel kernel = kernel_of("peek");

	assert_int_equal(metal_shm_opencl_acquire(fx.gpu, shm, DEV_R), 0);
	assert_int_equal(clSetKernelArg(kernel, 0, sizeof(image), &image), CL_SUCCESS);
	assert_int_equal(clSetKernelArg(kernel, 1, sizeof(x), &x), CL_SUCCESS);
	assert_int_equal(clSetKernelArg(kernel, 2, sizeof(y), &y), CL_SUCCESS);
	assert_int_equal(clSetKernelArg(kernel, 3, sizeof(out), &out), CL_SUCCESS);
	assert_int_equal(
		clEnqueueNDRangeKernel(fx.queue, kernel, 1, NULL, &one, NULL, 0, NULL, NULL),
		CL_SUCCESS);
	assert_int_equal(metal_shm_opencl_release(fx.gpu, shm), 0);
	assert_int_equal(clEnqueueReadBuffer(fx.queue, out, CL_TRUE, 0, sizeof(colour), &colour, 0,
					     NULL, NULL),
			 CL_SUCCESS);
	clReleaseKernel(kernel);
	clReleaseMemObject(out);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	return colour;
}

static cl_channel_order order_of(cl_mem image)
{
	cl_image_format format = { 0 };

	clGetImageInfo(image, CL_IMAGE_FORMAT, sizeof(format), &format, NULL);
	return format.image_channel_order;
}

static void an_xr24_image_writes_blue_green_red_in_place(void **state)
{
	struct metal_shm_frame frame;
	struct metal_generic_shm *shm = frame_new(FOURCC('X', 'R', '2', '4'), 33, 5, 60, &frame);
	unsigned char *apart = map_apart(shm, frame.size);
	cl_mem image = image_of(shm, 0);
	unsigned red = order_of(image) == CL_BGRA ? 2 : 0;

	(void)state;
	assert_int_equal(frame.plane[0].stride, 33 * 4 + 60);
	memset(apart, 0xee, frame.size);
	paint(shm, image, 33, 5, 1.0f, 0.0f, 0.2f, 1.0f);
	for (unsigned y = 0; y < 5; y++) {
		const unsigned char *row = apart + y * frame.plane[0].stride;

		for (unsigned x = 0; x < 33; x++) {
			assert_int_equal(row[4 * x + red], 255);
			assert_int_equal(row[4 * x + 1], 0);
			assert_int_equal(row[4 * x + 2 - red], 51);
			assert_int_equal(row[4 * x + 3], 255);
		}
		if (y < 4)
			assert_true(all_are(row + 33 * 4, 60, 0xee));
	}
	munmap(apart, frame.size);
	frame_end(shm);
}

static void an_xr24_image_reads_what_the_cpu_writes_after_it_was_made(void **state)
{
	struct metal_shm_frame frame;
	struct metal_generic_shm *shm = frame_new(FOURCC('X', 'R', '2', '4'), 33, 5, 60, &frame);
	unsigned char *bytes = metal_shm_map(shm, READ_WRITE);
	cl_mem image = image_of(shm, 0);
	bool bgra = order_of(image) == CL_BGRA;

	(void)state;
	for (int round = 0; round < 2; round++) {
		const unsigned char pixel[4] = { 0, (unsigned char)(round ? 255 : 0), 255, 51 };
		cl_float4 seen;

		memcpy(bytes + 3 * frame.plane[0].stride + 7 * 4, pixel, 4);
		seen = peek(shm, image, 7, 3);
		assert_true(seen.s[bgra ? 0 : 2] == 1.0f);
		assert_true(seen.s[1] == (float)round);
		assert_true(seen.s[bgra ? 2 : 0] == 0.0f);
		assert_true(seen.s[3] > 0.199f && seen.s[3] < 0.201f);
	}
	frame_end(shm);
}

static void an_r8_image_is_one_channel(void **state)
{
	struct metal_shm_frame frame;
	struct metal_generic_shm *shm = frame_new(FOURCC('R', '8', ' ', ' '), 100, 4, 28, &frame);
	unsigned char *bytes = metal_shm_map(shm, READ_WRITE);
	cl_mem image = image_of(shm, 0);

	(void)state;
	assert_int_equal(order_of(image), CL_R);
	paint(shm, image, 100, 4, 0.2f, 1.0f, 1.0f, 1.0f);
	assert_true(all_are(bytes + 3 * 128, 100, 51));
	assert_true(all_are(bytes + 2 * 128 + 100, 28, 0));
	frame_end(shm);
}

static void a_yuyv_image_has_a_pixel_for_two(void **state)
{
	struct metal_shm_frame frame;
	static const unsigned char macropixel[4] = { 0x00, 0x33, 0xff, 0x66 };
	struct metal_generic_shm *shm = frame_new(FOURCC('Y', 'U', 'Y', 'V'), 64, 4, 0, &frame);
	unsigned char *bytes = metal_shm_map(shm, READ_WRITE);
	cl_mem image = image_of(shm, 0);
	size_t width = 0;
	cl_float4 seen;

	(void)state;
	clGetImageInfo(image, CL_IMAGE_WIDTH, sizeof(width), &width, NULL);
	assert_int_equal(width, 32);
	memcpy(bytes + 2 * frame.plane[0].stride + 5 * 4, macropixel, sizeof(macropixel));
	seen = peek(shm, image, 5, 2);
	assert_true(seen.s[0] == 0.0f && seen.s[2] == 1.0f);
	assert_true(seen.s[1] > 0.199f && seen.s[1] < 0.201f);
	assert_true(seen.s[3] > 0.399f && seen.s[3] < 0.401f);
	frame_end(shm);
}

static void each_plane_of_yu12_is_an_image_at_its_offset(void **state)
{
	struct metal_shm_frame frame;
	struct metal_generic_shm *shm = frame_new(FOURCC('Y', 'U', '1', '2'), 64, 16, 0, &frame);
	unsigned char *bytes = metal_shm_map(shm, READ_WRITE);

	(void)state;
	paint(shm, image_of(shm, 0), 64, 16, 1.0f, 0.0f, 0.0f, 0.0f);
	paint(shm, image_of(shm, 1), 32, 8, 0.2f, 0.0f, 0.0f, 0.0f);
	paint(shm, image_of(shm, 2), 32, 8, 0.4f, 0.0f, 0.0f, 0.0f);
	assert_true(all_are(bytes, 64 * 16, 255));
	assert_true(all_are(bytes + frame.plane[1].offset, 32 * 8, 51));
	assert_true(all_are(bytes + frame.plane[2].offset, 32 * 8, 102));
	frame_end(shm);
}

static void nv12_luma_is_an_image_and_chroma_one_or_a_reason(void **state)
{
	struct metal_shm_frame frame;
	struct metal_generic_shm *shm = frame_new(FOURCC('N', 'V', '1', '2'), 64, 16, 0, &frame);
	unsigned char *bytes = metal_shm_map(shm, READ_WRITE);
	cl_mem chroma = NULL;
	int error;

	(void)state;
	paint(shm, image_of(shm, 0), 64, 16, 1.0f, 0.0f, 0.0f, 0.0f);
	assert_true(all_are(bytes, 64 * 16, 255));
	assert_true(all_are(bytes + frame.plane[1].offset, 64 * 8, 0));
	error = metal_shm_opencl_image(fx.gpu, shm, 1, &chroma);
	if (error) {
		assert_int_equal(error, -ENOTSUP);
		assert_null(chroma);
		assert_reason_has("channel order 0x10b2");
		assert_reason_has("NV12");
	} else {
		paint(shm, chroma, 32, 8, 0.2f, 1.0f, 0.0f, 0.0f);
		assert_int_equal(bytes[frame.plane[1].offset], 51);
		assert_int_equal(bytes[frame.plane[1].offset + 1], 255);
	}
	frame_end(shm);
}

static void formats_without_an_image_are_refused_by_name(void **state)
{
	struct metal_shm_frame frame;
	struct metal_generic_shm *shm = frame_new(FOURCC('R', 'G', '2', '4'), 64, 4, 0, &frame);
	cl_mem image = NULL;

	(void)state;
	assert_int_equal(metal_shm_opencl_image(fx.gpu, shm, 0, &image), -ENOTSUP);
	assert_reason_has("RG24");
	/* its buffer works all the same */
	run_on(fx.gpu, shm, "fill", 1);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	frame_end(shm);
}

static void an_image_is_made_once_and_goes_with_the_view(void **state)
{
	struct metal_shm_frame frame;
	struct metal_generic_shm *shm = frame_new(FOURCC('A', 'R', '2', '4'), 16, 4, 0, &frame);
	cl_mem image = image_of(shm, 0);

	(void)state;
	assert_ptr_equal(image_of(shm, 0), image);
	metal_shm_detach(metal_shm_view(shm, fx.gpu), fx.gpu);
	assert_int_equal(metal_shm_opencl_image(fx.gpu, shm, 0, &image), -ENOTCONN);
	metal_shm_free(shm, NULL);
}

static void images_need_a_frame_a_plane_and_the_whole_buffer(void **state)
{
	struct metal_shm_frame frame;
	struct metal_generic_shm *shm = frame_new(FOURCC('A', 'R', '2', '4'), 16, 4, 0, &frame);
	struct metal_generic_shm *part = metal_shm_sub(shm, 128, 128, 0);
	struct metal_generic_shm *part_view = metal_shm_attach(part, fx.gpu);
	struct metal_generic_shm *bare = metal_shm_allocate(4096, fx.memfd, 0);
	struct metal_generic_shm *bare_view = metal_shm_attach(bare, fx.gpu);
	cl_mem image = NULL;

	(void)state;
	assert_int_equal(metal_shm_opencl_image(fx.gpu, bare, 0, &image), -ENODATA);
	assert_int_equal(metal_shm_opencl_image(fx.gpu, shm, 1, &image), -EINVAL);
	assert_int_equal(metal_shm_opencl_image(fx.gpu, shm, 4, &image), -EINVAL);
	assert_int_equal(metal_shm_opencl_image(fx.gpu, shm, UINT32_MAX, &image), -EINVAL);
	assert_int_equal(metal_shm_opencl_image(fx.gpu, part, 0, &image), -EINVAL);
	assert_int_equal(metal_shm_opencl_image(fx.gpu, shm, 0, NULL), -EINVAL);
	assert_null(image);
	metal_shm_detach(part_view, fx.gpu);
	metal_shm_detach(bare_view, fx.gpu);
	metal_shm_free(part, NULL);
	metal_shm_free(bare, NULL);
	frame_end(shm);
}

static void images_of_wrapped_memory_share_it(void **state)
{
	const struct metal_shm_frame frame = {
		.fourcc = FOURCC('R', '8', ' ', ' '),
		.width = 64,
		.height = 2,
		.plane_count = 1,
		.size = 128,
		.plane = { { .stride = 64 } },
	};
	unsigned char *memory = aligned_alloc(128, 128);
	struct metal_generic_shm *shm = metal_shm_wrap(memory, 128, NULL, NULL);

	(void)state;
	memset(memory, 0, 128);
	assert_int_equal(metal_shm_frame_set(shm, &frame), 0);
	assert_non_null(metal_shm_attach(shm, fx.gpu));
	paint(shm, image_of(shm, 0), 64, 2, 1.0f, 0.0f, 0.0f, 0.0f);
	assert_true(all_are(memory, 128, 255));
	frame_end(shm);
	free(memory);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		opencl_case(an_xr24_image_writes_blue_green_red_in_place),
		opencl_case(an_xr24_image_reads_what_the_cpu_writes_after_it_was_made),
		opencl_case(an_r8_image_is_one_channel),
		opencl_case(a_yuyv_image_has_a_pixel_for_two),
		opencl_case(each_plane_of_yu12_is_an_image_at_its_offset),
		opencl_case(nv12_luma_is_an_image_and_chroma_one_or_a_reason),
		opencl_case(formats_without_an_image_are_refused_by_name),
		opencl_case(an_image_is_made_once_and_goes_with_the_view),
		opencl_case(images_need_a_frame_a_plane_and_the_whole_buffer),
		opencl_case(images_of_wrapped_memory_share_it),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
