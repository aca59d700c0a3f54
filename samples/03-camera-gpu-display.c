/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shows: camera (YUYV) to OpenCL to display (XR24) under an event loop, without a copy.
 *
 *	03-camera-gpu-display [CAMERA [CARD [FRAMES]]]
 *
 * Two pools: one of frames that camera and GPU share, one of frames that GPU and display share. The
 * loop sleeps in poll(2) alone. Nothing waits for the kernel: the display's turn comes when libshm
 * says that the frame can be handed on.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <shm/drm.h>
#include <shm/frame.h>
#include <shm/linux.h>
#include <shm/opencl.h>
#include <shm/v4l2.h>

#define YUYV METAL_SHM_FOURCC('Y', 'U', 'Y', 'V')
#define XR24 METAL_SHM_FOURCC('X', 'R', '2', '4')

/* Each work-item makes two pixels of one group of four bytes. */
static const char source[] =
	"uint rgb(int y, int u, int v)\n"
	"{\n"
	"	int c = 298 * (y - 16) + 128;\n"
	"	uint r = clamp(c + 409 * v, 0, 65535) >> 8;\n"
	"	uint g = clamp(c - 100 * u - 208 * v, 0, 65535) >> 8;\n"
	"	uint b = clamp(c + 516 * u, 0, 65535) >> 8;\n"
	"	return 0xff000000 | r << 16 | g << 8 | b;\n"
	"}\n"
	"kernel void convert(global const uchar4 *in, uint in_stride, global uint2 *out,\n"
	"		     uint out_stride)\n"
	"{\n"
	"	size_t x = get_global_id(0), y = get_global_id(1);\n"
	"	uchar4 p = in[y * (in_stride / 4) + x];\n"
	"	int u = p.y - 128, v = p.w - 128;\n"
	"	out[y * (out_stride / 8) + x] = (uint2)(rgb(p.x, u, v), rgb(p.z, u, v));\n"
	"}\n";

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, metal_shm_last_error());
	exit(1);
}

static void cl_must(cl_int status, const char *what)
{
	if (!status)
		return;
	fprintf(stderr, "%s: OpenCL error %d\n", what, status);
	exit(1);
}

static cl_kernel build(struct metal_device *gpu)
{
	const char *text = source;
	cl_int status;
	cl_program program =
		clCreateProgramWithSource(metal_shm_opencl_context(gpu), 1, &text, NULL, &status);
	cl_kernel kernel;

	cl_must(status, "clCreateProgramWithSource");
	cl_must(clBuildProgram(program, 0, NULL, "", NULL, NULL), "clBuildProgram");
	kernel = clCreateKernel(program, "convert", &status);
	cl_must(status, "clCreateKernel");
	clReleaseProgram(program);
	return kernel;
}

/* Queues the kernel between acquire and release, and returns. */
static void convert(struct metal_device *gpu, cl_kernel kernel, struct metal_generic_shm *in,
		    struct metal_generic_shm *out)
{
	const struct metal_shm_frame *from = metal_shm_frame_of(in), *to = metal_shm_frame_of(out);
	const size_t items[] = { to->width / 2, to->height };
	cl_mem in_mem, out_mem;

	must(!metal_shm_opencl_mem(gpu, in, &in_mem), "mem");
	must(!metal_shm_opencl_mem(gpu, out, &out_mem), "mem");
	clSetKernelArg(kernel, 0, sizeof(in_mem), &in_mem);
	clSetKernelArg(kernel, 1, sizeof(cl_uint), &from->plane[0].stride);
	clSetKernelArg(kernel, 2, sizeof(out_mem), &out_mem);
	clSetKernelArg(kernel, 3, sizeof(cl_uint), &to->plane[0].stride);

	must(!metal_shm_opencl_acquire(gpu, in, METAL_SHM_DIR_DEV_R), "acquire");
	must(!metal_shm_opencl_acquire(gpu, out, METAL_SHM_DIR_DEV_W), "acquire");
	cl_must(clEnqueueNDRangeKernel(metal_shm_opencl_queue(gpu), kernel, 2, NULL, items, NULL, 0,
				       NULL, NULL),
		"clEnqueueNDRangeKernel");
	must(!metal_shm_opencl_release(gpu, out), "release");
	must(!metal_shm_opencl_release(gpu, in), "release");
}

static struct metal_shm_pool *make_pool(uint32_t fourcc, struct metal_device *from,
					struct metal_device *to, unsigned count)
{
	struct metal_device *both[] = { from, to };
	struct metal_shm_frame frame = { .fourcc = fourcc, .width = 640, .height = 480 };
	struct metal_shm_pool *pool;

	must(!metal_shm_frame_negotiate(&frame, both, 2), "negotiate");
	must(!metal_shm_pool_create_frames(&frame, both, 2, count, &pool), "pool");
	return pool;
}

/* The first run of a kernel may compile it, for seconds in which a camera would lose frames. */
static void warm_up(struct metal_device *gpu, cl_kernel kernel, struct metal_shm_pool *front,
		    struct metal_shm_pool *back)
{
	struct metal_generic_shm *in = metal_shm_pool_get(front, 0);
	struct metal_generic_shm *out = metal_shm_pool_get(back, 0);

	must(in && out, "frames");
	convert(gpu, kernel, in, out);
	must(!metal_shm_sync_for_cpu(out, METAL_SHM_DIR_DEV_RW), "first run");
	metal_shm_free(out, NULL);
	metal_shm_free(in, NULL);
}

static void loop(struct metal_device *devs[3], cl_kernel kernel, struct metal_shm_pool *back,
		 int frames)
{
	struct metal_device *camera = devs[0], *gpu = devs[1], *display = devs[2];
	struct metal_shm_v4l2_info info = { .struct_size = sizeof(info) };
	struct metal_generic_shm *in, *out = NULL; /* out: the GPU or the display has it next */
	struct pollfd fds[3];
	int shown = 0, error;

	for (int i = 0; i < 3; i++)
		fds[i] = (struct pollfd){ metal_shm_device_poll_fd(devs[i]), POLLIN, 0 };
	while (shown < frames) {
		poll(fds, 3, -1);
		for (int i = 0; i < 3; i++)
			must(!fds[i].revents || !metal_shm_device_dispatch(devs[i]), "dispatch");

		/* a frame that comes while one is under way is let go */
		while ((error = metal_shm_v4l2_wait(camera, 0, &info, &in)) != -ETIMEDOUT) {
			if (error == -EIO && info.error != METAL_SHM_V4L2_BROKEN)
				continue; /* damaged, and the camera's again */
			must(!error, "wait for a frame");
			if (!out) {
				out = metal_shm_pool_get(back, 0);
				must(out, "frame for the display");
				convert(gpu, kernel, in, out);
			}
			metal_shm_free(in, NULL);
		}

		if (!out || metal_shm_drm_wait(display, 0) == -ETIMEDOUT)
			continue; /* nothing under way, or the frame before isn't on the screen */
		error = metal_shm_sync_for_device_timeout(out, display, METAL_SHM_DIR_DEV_R, 0);
		if (error == -ETIMEDOUT)
			continue; /* the kernel still runs */
		must(!error, "hand over");
		must(!metal_shm_drm_present(display, out), "present");
		metal_shm_free(out, NULL);
		out = NULL;
		shown++;
	}
}

int main(int argc, char **argv)
{
	struct metal_device *devs[3];
	struct metal_shm_pool *front, *back;
	cl_kernel kernel;
	int frames = argc > 3 ? atoi(argv[3]) : 100;

	must(!metal_shm_v4l2_open(argc > 1 ? argv[1] : "/dev/video0", &devs[0]), "camera");
	must(!metal_shm_opencl_open(NULL, NULL, &devs[1]), "gpu");
	must(!metal_shm_drm_open(argc > 2 ? argv[2] : "/dev/dri/card0", &devs[2]), "display");
	kernel = build(devs[1]);
	front = make_pool(YUYV, devs[0], devs[1], 4);
	back = make_pool(XR24, devs[1], devs[2], 4);
	warm_up(devs[1], kernel, front, back);

	must(!metal_shm_v4l2_start(devs[0], front), "start");
	loop(devs, kernel, back, frames);
	metal_shm_v4l2_stop(devs[0]);
	clFinish(metal_shm_opencl_queue(devs[1]));
	metal_shm_drm_off(devs[2]);
	printf("%d frames shown\n", frames);

	clReleaseKernel(kernel);
	metal_shm_pool_destroy(back);
	metal_shm_pool_destroy(front);
	for (int i = 2; i >= 0; i--)
		metal_shm_device_close(devs[i]);
	return 0;
}
