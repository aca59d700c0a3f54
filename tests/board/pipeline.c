/* SPDX-License-Identifier: BSD-3-Clause */
#include "pipeline.h"

#include <string.h>
#include <sys/ioctl.h>

#include <linux/videodev2.h>

#include "camera_path.h"
#include "card_path.h"

#define FRONT_FRAMES 4
#define BACK_FRAMES  4

/* BT.601, whole numbers, mirrored: a picture that no stage before could have made. */
static const char source[] =
	"uint channel(int value) { return clamp(value, 0, 65535) >> 8; }\n"
	"kernel void convert(global const uchar *in, uint in_stride, global uint *out,\n"
	"                    uint out_stride, global ulong *seen)\n"
	"{\n"
	"	size_t x = get_global_id(0), y = get_global_id(1), last = get_global_size(0) - 1;\n"
	"	global const uchar *pair = in + y * in_stride + x / 2 * 4;\n"
	"	int light = 298 * (pair[x % 2 * 2] - 16) + 128;\n"
	"	int u = pair[1] - 128, v = pair[3] - 128;\n"
	"	out[y * (out_stride / 4) + last - x] = channel(light + 409 * v) << 16 |\n"
	"		channel(light - 100 * u - 208 * v) << 8 | channel(light + 516 * u);\n"
	"	if (x + y == 0) {\n"
	"		seen[0] = (ulong)in;\n"
	"		seen[1] = (ulong)out;\n"
	"	}\n"
	"}\n";

void camera_control(struct metal_device *camera, const char *name, int value)
{
	struct v4l2_queryctrl query = { .id = V4L2_CTRL_FLAG_NEXT_CTRL };
	int fd = metal_shm_v4l2_fd(camera);

	for (; !ioctl(fd, VIDIOC_QUERYCTRL, &query); query.id |= V4L2_CTRL_FLAG_NEXT_CTRL) {
		struct v4l2_control control = { .id = query.id, .value = value };

		if (strcmp((const char *)query.name, name) != 0)
			continue;
		assert_int_equal(ioctl(fd, VIDIOC_S_CTRL, &control), 0);
		return;
	}
	fail_msg("the camera has no control %s", name);
}

static void build(struct pipeline *p)
{
	const char *text = source;
	cl_int status;

	p->program = clCreateProgramWithSource(metal_shm_opencl_context(p->gpu), 1, &text, NULL,
					       &status);
	assert_int_equal(status, CL_SUCCESS);
	assert_int_equal(clBuildProgram(p->program, 0, NULL, "", NULL, NULL), CL_SUCCESS);
	p->convert = clCreateKernel(p->program, "convert", &status);
	assert_int_equal(status, CL_SUCCESS);
	p->seen = clCreateBuffer(metal_shm_opencl_context(p->gpu), CL_MEM_READ_WRITE,
				 2 * sizeof(uint64_t), NULL, &status);
	assert_int_equal(status, CL_SUCCESS);
}

static struct metal_shm_pool *make_pool(const struct pipeline *p, uint32_t fourcc, unsigned count,
					struct metal_device *const devs[], size_t n)
{
	struct metal_shm_frame frame = {
		.fourcc = fourcc,
		.width = p->width,
		.height = p->height,
	};
	struct metal_shm_pool *pool = NULL;

	assert_ok(metal_shm_frame_negotiate(&frame, devs, n));
	assert_ok(metal_shm_pool_create_frames(&frame, devs, n, count, &pool));
	return pool;
}

static struct metal_generic_shm *get(struct metal_shm_pool *pool)
{
	struct metal_generic_shm *shm = metal_shm_pool_get(pool, 10 * SECOND);

	if (!shm)
		fail_msg("no frame: %s", metal_shm_last_error());
	return shm;
}

/* Runs the kernel to its end, and answers the addresses that it had. */
static void convert(struct pipeline *p, struct metal_generic_shm *in, struct metal_generic_shm *out,
		    struct pipeline_frame *frame)
{
	const struct metal_shm_frame *from = metal_shm_frame_of(in), *to = metal_shm_frame_of(out);
	cl_command_queue queue = metal_shm_opencl_queue(p->gpu);
	const size_t items[] = { p->width, p->height };
	uint64_t seen[2] = { 0, 0 };
	cl_mem in_mem, out_mem;

	assert_ok(metal_shm_opencl_acquire(p->gpu, in, METAL_SHM_DIR_DEV_R));
	assert_ok(metal_shm_opencl_acquire(p->gpu, out, METAL_SHM_DIR_DEV_W));
	assert_ok(metal_shm_opencl_mem(p->gpu, in, &in_mem));
	assert_ok(metal_shm_opencl_mem(p->gpu, out, &out_mem));
	clSetKernelArg(p->convert, 0, sizeof(in_mem), &in_mem);
	clSetKernelArg(p->convert, 1, sizeof(cl_uint), &from->plane[0].stride);
	clSetKernelArg(p->convert, 2, sizeof(out_mem), &out_mem);
	clSetKernelArg(p->convert, 3, sizeof(cl_uint), &to->plane[0].stride);
	clSetKernelArg(p->convert, 4, sizeof(p->seen), &p->seen);
	assert_int_equal(
		clEnqueueNDRangeKernel(queue, p->convert, 2, NULL, items, NULL, 0, NULL, NULL),
		CL_SUCCESS);
	assert_ok(metal_shm_opencl_release(p->gpu, in));
	assert_ok(metal_shm_opencl_release(p->gpu, out));
	assert_int_equal(
		clEnqueueReadBuffer(queue, p->seen, CL_TRUE, 0, sizeof(seen), seen, 0, NULL, NULL),
		CL_SUCCESS);
	frame->gpu_in = seen[0];
	frame->gpu_out = seen[1];
}

static void warm_up(struct pipeline *p)
{
	struct metal_generic_shm *in = get(p->front), *out = get(p->back);
	struct pipeline_frame frame;

	convert(p, in, out, &frame);
	assert_ok(metal_shm_sync_for_cpu(out, METAL_SHM_DIR_DEV_RW));
	metal_shm_free(in, NULL);
	metal_shm_free(out, NULL);
}

void pipeline_open(struct pipeline *p, uint32_t width, uint32_t height)
{
	const struct metal_shm_drm_options options = {
		.struct_size = sizeof(options),
		.flags = METAL_SHM_DRM_WRITEBACK,
	};

	memset(p, 0, sizeof(*p));
	p->width = width;
	p->height = height;
	assert_ok(metal_shm_v4l2_open(video_path("vivid-*-vid-cap"), &p->camera));
	assert_ok(metal_shm_v4l2_set_interval(p->camera, 1, 25));
	assert_ok(metal_shm_opencl_open(NULL, NULL, &p->gpu));
	assert_ok(metal_shm_drm_open_options(card_path("vkms"), &options, &p->display));

	struct metal_device *const front[] = { p->camera, p->gpu };
	struct metal_device *const back[] = { p->gpu, p->display };

	p->front = make_pool(p, YUYV, FRONT_FRAMES, front, 2);
	p->secret = make_pool(p, YUYV, 1, &p->gpu, 1);
	p->back = make_pool(p, XR24, BACK_FRAMES, back, 2);
	p->written = make_pool(p, XR24, 2, &p->display, 1);
	build(p);
	warm_up(p);
	assert_ok(metal_shm_v4l2_start(p->camera, p->front));
}

/* Another buffer of the pool with the same bytes. */
static struct metal_generic_shm *copied(struct metal_shm_pool *pool, struct metal_generic_shm *from)
{
	struct metal_generic_shm *to = get(pool);
	const void *bytes = metal_shm_map(from, METAL_SHM_READ);
	void *place = metal_shm_map(to, METAL_SHM_WRITE);

	assert_true(bytes && place);
	assert_ok(metal_shm_sync_for_cpu(from, METAL_SHM_DIR_DEV_W));
	assert_ok(metal_shm_sync_for_cpu(to, METAL_SHM_DIR_DEV_RW));
	memcpy(place, bytes, metal_shm_size(from));
	metal_shm_unmap(from, METAL_SHM_READ);
	metal_shm_unmap(to, METAL_SHM_WRITE);
	return to;
}

void pipeline_next(struct pipeline *p, struct pipeline_frame *ret_frame)
{
	struct metal_generic_shm *in, *out = get(p->back);

	memset(ret_frame, 0, sizeof(*ret_frame));
	ret_frame->info.struct_size = sizeof(ret_frame->info);
	assert_ok(metal_shm_v4l2_wait(p->camera, 10 * SECOND, &ret_frame->info,
				      &ret_frame->captured));
	in = p->copy == COPY_BEFORE_GPU ? copied(p->secret, ret_frame->captured)
					: metal_shm_ref(ret_frame->captured);
	convert(p, in, out, ret_frame);
	metal_shm_free(in, NULL);
	if (p->copy == COPY_BEFORE_DISPLAY) {
		struct metal_generic_shm *other = copied(p->back, out);

		metal_shm_free(out, NULL);
		out = other;
	}
	if (p->repeats && p->last) {
		metal_shm_free(out, NULL);
		out = metal_shm_ref(p->last);
	}
	ret_frame->shown = out;
	ret_frame->written = get(p->written);
	assert_ok(metal_shm_drm_present_writeback(p->display, out, ret_frame->written));
	assert_ok(metal_shm_sync_for_cpu_timeout(ret_frame->written, METAL_SHM_DIR_DEV_W,
						 10 * SECOND));
	assert_ok(metal_shm_drm_wait(p->display, 10 * SECOND));
	metal_shm_free(p->last, NULL);
	p->last = p->repeats ? metal_shm_ref(out) : NULL;
}

void pipeline_drop(struct pipeline_frame *frame)
{
	metal_shm_free(frame->captured, NULL);
	metal_shm_free(frame->shown, NULL);
	metal_shm_free(frame->written, NULL);
	memset(frame, 0, sizeof(*frame));
}

void pipeline_skip(struct pipeline *p, unsigned frames)
{
	while (frames--) {
		struct metal_generic_shm *shm = NULL;

		assert_ok(metal_shm_v4l2_wait(p->camera, 10 * SECOND, NULL, &shm));
		metal_shm_free(shm, NULL);
	}
}

void pipeline_close(struct pipeline *p)
{
	assert_ok(metal_shm_v4l2_stop(p->camera));
	assert_ok(metal_shm_drm_off(p->display));
	metal_shm_free(p->last, NULL);
	clFinish(metal_shm_opencl_queue(p->gpu));
	clReleaseMemObject(p->seen);
	clReleaseKernel(p->convert);
	clReleaseProgram(p->program);
	metal_shm_pool_destroy(p->written);
	metal_shm_pool_destroy(p->back);
	metal_shm_pool_destroy(p->secret);
	metal_shm_pool_destroy(p->front);
	metal_shm_device_close(p->display);
	metal_shm_device_close(p->gpu);
	metal_shm_device_close(p->camera);
}

void pipeline_warm_up(void)
{
	struct pipeline p;
	struct pipeline_frame frame;

	pipeline_open(&p, 320, 180);
	pipeline_next(&p, &frame);
	pipeline_drop(&frame);
	pipeline_close(&p);
}
