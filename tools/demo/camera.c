/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <shm/v4l2.h>

#include "camera.h"
#include "softcam.h"

#define SOFTWARE_RATE 30

struct camera_ops {
	int (*open)(const struct demo_options *options, struct metal_device **ret_dev);
	int (*start)(struct metal_device *dev, struct metal_shm_pool *pool);
	int (*fetch)(struct camera *camera, struct demo_frame_info *ret_info,
		     struct metal_generic_shm **ret_shm);
	int (*stop)(struct metal_device *dev);
};

static int software_open(const struct demo_options *options, struct metal_device **ret_dev)
{
	const struct softcam_options software = {
		.rate = options->rate ? options->rate : SOFTWARE_RATE,
		.nonce = options->nonce,
		.frozen = options->fault == DEMO_FAULT_FROZEN,
	};

	return softcam_open(&software, ret_dev);
}

static int software_fetch(struct camera *camera, struct demo_frame_info *ret_info,
			  struct metal_generic_shm **ret_shm)
{
	struct softcam_info info;
	int error = softcam_wait(camera->dev, 0, &info, ret_shm);

	if (!error)
		*ret_info = (struct demo_frame_info){ info.sequence, info.timestamp_ns };
	return error;
}

static const struct camera_ops software_ops = {
	.open = software_open,
	.start = softcam_start,
	.fetch = software_fetch,
	.stop = softcam_stop,
};

static int v4l2_open(const struct demo_options *options, struct metal_device **ret_dev)
{
	struct metal_device *dev;
	int error = metal_shm_v4l2_open(options->camera, &dev);

	if (error)
		return error;
	if (options->rate) {
		error = metal_shm_v4l2_set_interval(dev, 1, options->rate);
		if (error) {
			metal_shm_device_close(dev);
			return error;
		}
	}
	*ret_dev = dev;
	return 0;
}

static int v4l2_fetch(struct camera *camera, struct demo_frame_info *ret_info,
		      struct metal_generic_shm **ret_shm)
{
	struct metal_shm_v4l2_info info = { .struct_size = sizeof(info) };
	int error;

	do {
		info.error = METAL_SHM_V4L2_GOOD;
		error = metal_shm_v4l2_wait(camera->dev, 0, &info, ret_shm);
		if (error != -EIO || info.error == METAL_SHM_V4L2_BROKEN ||
		    info.error == METAL_SHM_V4L2_GOOD)
			break;
		camera->damaged++; /* the camera has it again */
	} while (true);
	if (!error)
		*ret_info = (struct demo_frame_info){ info.sequence, info.timestamp_ns };
	return error;
}

static const struct camera_ops v4l2_ops = {
	.open = v4l2_open,
	.start = metal_shm_v4l2_start,
	.fetch = v4l2_fetch,
	.stop = metal_shm_v4l2_stop,
};

int camera_open(const struct demo_options *options, struct camera *ret_camera)
{
	struct camera camera = { .name = options->camera };
	int error;

	camera.ops = strcmp(options->camera, "software") != 0 ? &v4l2_ops : &software_ops;
	error = camera.ops->open(options, &camera.dev);
	if (!error)
		*ret_camera = camera;
	return error;
}

int camera_start(struct camera *camera, struct metal_shm_pool *pool)
{
	return camera->ops->start(camera->dev, pool);
}

int camera_fetch(struct camera *camera, struct demo_frame_info *ret_info,
		 struct metal_generic_shm **ret_shm)
{
	return camera->ops->fetch(camera, ret_info, ret_shm);
}

void camera_stop(struct camera *camera)
{
	if (camera->dev)
		camera->ops->stop(camera->dev);
}

void camera_close(struct camera *camera)
{
	metal_shm_device_close(camera->dev);
	camera->dev = NULL;
}
