/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Proofs of images: a kernel reads one row of pixels that the CPU wrote and writes another. Channels
 * are 0 or 1 only, which every format holds exactly.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define WIDTH  64u
#define OFFSET 8192u /* of the image that is written: pages of its own */

static const char source[] =
	"constant sampler_t nearest = CLK_NORMALIZED_COORDS_FALSE | CLK_ADDRESS_NONE |\n"
	"                             CLK_FILTER_NEAREST;\n"
	"kernel void shm_prove_image(read_only image2d_t in, write_only image2d_t out,\n"
	"                            global uint *seen, uint nonce)\n"
	"{\n"
	"	for (int x = 0; x < 64; x++) {\n"
	"		float4 p = read_imagef(in, nearest, (int2)(x, 1));\n"
	"		uint n = nonce >> (x % 29);\n"
	"		seen[x] = (p.x > 0.5f ? 1 : 0) | (p.y > 0.5f ? 2 : 0) |\n"
	"			  (p.z > 0.5f ? 4 : 0) | (p.w > 0.5f ? 8 : 0);\n"
	"		p = (float4)(n & 1 ? 1.0f : 0.0f, n & 2 ? 1.0f : 0.0f,\n"
	"			     n & 4 ? 1.0f : 0.0f, n & 8 ? 1.0f : 0.0f);\n"
	"		write_imagef(out, (int2)(x, 1), p);\n"
	"	}\n"
	"}\n";

/* Which bits of a pixel's mask a format has, and where in memory each lies: bit n in byte [n]. */
struct channels {
	uint32_t mask;
	unsigned byte[4];
	bool is_565;
};

static struct channels channels_of(const cl_image_format *format)
{
	switch (format->image_channel_order) {
	case CL_R:
		return (struct channels){ .mask = 1 };
	case CL_RG:
		return (struct channels){ .mask = 3, .byte = { 0, 1 } };
	case CL_RGB:
		return (struct channels){ .mask = 7, .is_565 = true };
	case CL_BGRA:
		return (struct channels){ .mask = 15, .byte = { 2, 1, 0, 3 } };
	default:
		return (struct channels){ .mask = 15, .byte = { 0, 1, 2, 3 } };
	}
}

static void store(const struct channels *channels, unsigned char *pixel, uint32_t bits)
{
	uint16_t word = (uint16_t)((bits & 1 ? 0xf800 : 0) | (bits & 2 ? 0x07e0 : 0) |
				   (bits & 4 ? 0x001f : 0));

	if (channels->is_565)
		memcpy(pixel, &word, sizeof(word));
	for (unsigned i = 0; i < 4 && !channels->is_565; i++)
		if (channels->mask & (1u << i))
			pixel[channels->byte[i]] = bits & (1u << i) ? 0xff : 0;
}

static uint32_t bits_at(uint32_t nonce, unsigned x, uint32_t mask)
{
	return nonce >> (x % 29) & mask;
}

static void fill_row(const struct channels *channels, unsigned char *row, size_t bytes,
		     uint32_t nonce)
{
	for (unsigned x = 0; x < WIDTH; x++)
		store(channels, row + x * bytes, bits_at(nonce, x, channels->mask));
}

/* Under proof_lock. Waits for the kernel. */
static int launch(struct shm__cl *cl, cl_command_queue queue, const cl_mem images[2],
		  uint32_t nonce, cl_uint seen[WIDTH])
{
	const size_t one = 1, size = WIDTH * sizeof(seen[0]);
	cl_kernel kernel;
	cl_int code = CL_SUCCESS;
	cl_mem result;
	int error;

	error = shm__cl_proof_kernel(cl, SHM__CL_IMAGE_PROGRAM, source, "shm_prove_image", &kernel);
	if (error)
		return error;
	result = clCreateBuffer(cl->context, CL_MEM_READ_WRITE, size, NULL, &code);
	if (!result) {
		error = shm__cl_error(code, "clCreateBuffer");
		goto release_kernel;
	}
	code = clSetKernelArg(kernel, 0, sizeof(images[0]), &images[0]);
	if (code == CL_SUCCESS)
		code = clSetKernelArg(kernel, 1, sizeof(images[1]), &images[1]);
	if (code == CL_SUCCESS)
		code = clSetKernelArg(kernel, 2, sizeof(result), &result);
	if (code == CL_SUCCESS)
		code = clSetKernelArg(kernel, 3, sizeof(nonce), &nonce);
	if (code == CL_SUCCESS)
		code = clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, NULL, 0, NULL, NULL);
	if (code == CL_SUCCESS)
		code = clEnqueueReadBuffer(queue, result, CL_TRUE, 0, size, seen, 0, NULL, NULL);
	if (code != CL_SUCCESS)
		error = shm__cl_error(code, "an image proof's kernel");
	clReleaseMemObject(result);
release_kernel:
	clReleaseKernel(kernel);
	return error;
}

/* The import that images stand on changes hands as the path wants it. */
static int launch_acquired(struct shm__cl *cl, const struct shm__cl_path *path, cl_mem import,
			   const cl_mem images[2], uint32_t nonce, cl_uint seen[WIDTH])
{
	const struct shm__cl_transfer all = { .mem = import };
	cl_command_queue queue;
	cl_int code = CL_SUCCESS;
	int error = shm__cl_proof_queue(cl, &queue);

	if (error)
		return error;
	if (import && path->acquire)
		code = path->acquire(cl, queue, &all, 0, NULL, NULL);
	if (code != CL_SUCCESS)
		return shm__cl_error(code, "acquiring for a proof");
	error = launch(cl, queue, images, nonce, seen);
	if (import && path->release)
		code = path->release(cl, queue, &all, 0, NULL, NULL);
	clFinish(queue);
	if (error || code == CL_SUCCESS)
		return error;
	return shm__cl_error(code, "releasing after a proof");
}

/* Under proof_lock; the images are made, the memory is the proof's. */
static int exchange(struct shm__cl *cl, const struct shm__cl_path *path,
		    const struct shm__cl_scratch *scratch, cl_mem import, const cl_mem images[2],
		    const struct shm__cl_plane *plane)
{
	struct channels channels = channels_of(&plane->format);
	unsigned char *check = scratch->check, expected[WIDTH * 4];
	uint32_t heard = shm__cl_nonce(), told = ~heard;
	cl_uint seen[WIDTH] = { 0 };
	int error, ended;

	error = shm__cl_scratch_begin(cl, scratch);
	if (error)
		return error;
	fill_row(&channels, check + plane->stride, plane->bytes, heard);
	fill_row(&channels, check + OFFSET + plane->stride, plane->bytes, heard);
	error = shm__cl_scratch_end(cl, scratch);
	if (!error)
		error = launch_acquired(cl, path, import, images, told, seen);
	if (!error)
		error = shm__cl_scratch_begin(cl, scratch);
	if (error)
		return error;
	for (unsigned x = 0; x < WIDTH && !error; x++)
		if ((seen[x] & channels.mask) != bits_at(heard, x, channels.mask))
			error = metal_shm_set_error(ENOTSUP, "a kernel doesn't see in the image "
							     "what the CPU writes");
	fill_row(&channels, expected, plane->bytes, told);
	if (!error && memcmp(check + OFFSET + plane->stride, expected, WIDTH * plane->bytes) != 0)
		error = metal_shm_set_error(ENOTSUP, "the CPU doesn't see what a kernel writes to "
						     "the image");
	ended = shm__cl_scratch_end(cl, scratch);
	return error ? error : ended;
}

/* Under proof_lock. Images like the one that is asked for, on memory of the proof's own. */
static int prove(struct shm__cl_view *view, const struct shm__cl_scratch *scratch, bool on_buffer,
		 const cl_image_format *format, size_t bytes)
{
	const struct shm__cl_path *path = view->import->path;
	size_t step = view->cl->pitch_pixels ? view->cl->pitch_pixels * bytes : 1;
	struct shm__cl_plane plane = {
		.format = *format,
		.bytes = bytes,
		.width = WIDTH,
		.height = 2,
		.stride = (WIDTH * bytes + step - 1) / step * step,
	};
	cl_mem import = NULL, buffers[2] = { NULL }, images[2] = { NULL };
	struct shm__cl *cl = view->cl;
	int error = 0;

	if (2 * plane.stride > OFFSET)
		return metal_shm_set_error(ENOTSUP, "a stride of %zu is too much for a proof",
					   plane.stride);
	if (on_buffer)
		error = path->import(cl, &scratch->bytes, &import);
	if (import && path->maps)
		error = shm__cl_mapping_bind(scratch->mapping, import);
	for (int i = 0; i < 2 && !error; i++) {
		plane.offset = i ? OFFSET : 0;
		error = shm__cl_image_make(cl, import, scratch->bytes.address, true, &plane,
					   on_buffer ? &buffers[i] : NULL, &images[i]);
		if (error)
			buffers[i] = NULL;
		else if (!on_buffer)
			error = shm__cl_mapping_bind(scratch->mapping, images[i]);
	}
	if (!error)
		error = exchange(cl, path, scratch, import, images, &plane);
	for (int i = 0; i < 2; i++) {
		if (images[i])
			clReleaseMemObject(images[i]);
		if (buffers[i])
			clReleaseMemObject(buffers[i]);
	}
	if (import)
		clReleaseMemObject(import);
	return error;
}

int shm__cl_prove_image(struct shm__cl_view *view, bool on_buffer,
			const struct shm__cl_plane *plane)
{
	const struct shm__cl_path *path = view->import->path;
	const char *kind = view->kind;
	struct shm__cl_scratch scratch;
	struct shm__cl *cl = view->cl;
	bool found, exact;
	char key[112];
	int error;

	snprintf(key, sizeof(key), "image 0x%x on %s, %s %s", plane->format.image_channel_order,
		 on_buffer ? "buffer" : "address", metal_shm_opencl_path_name((int)path->id), kind);
	pthread_mutex_lock(&cl->proof_lock);
	error = shm__cl_recall(cl, key, &found, &exact);
	pthread_mutex_unlock(&cl->proof_lock);
	if (found)
		return error;
	error = shm__cl_scratch_make(cl, path, view->at, kind, &scratch);
	if (!error && !scratch.whole) {
		shm__cl_scratch_free(&scratch);
		error = -ENOENT;
	}
	/* an address that kernels see is as good as any other: no matter what memory is behind it */
	if (error == -ENOENT && view->import->exact)
		error = shm__cl_scratch_make(cl, path, view->at, "host", &scratch);
	else if (error == -ENOENT)
		error = metal_shm_set_error(ENOTSUP, "images on memory of %s can't be proven here",
					    kind);
	if (error)
		return error;
	pthread_mutex_lock(&cl->proof_lock);
	error = shm__cl_recall(cl, key, &found, &exact);
	if (!found) {
		error = prove(view, &scratch, on_buffer, &plane->format, plane->bytes);
		shm__cl_remember(cl, key, error, false);
	}
	pthread_mutex_unlock(&cl->proof_lock);
	shm__cl_scratch_free(&scratch);
	return error;
}
