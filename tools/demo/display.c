/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <shm/drm.h>

#include "display.h"
#include "picture.h"
#include "pixels.h"

/* One is being written while the one before is read. */
#define BACK_FRAMES 2

struct display_ops {
	int (*ready)(struct display *display);
	int (*present)(struct display *display, struct metal_generic_shm *shm);
	int (*seen)(struct display *display, int64_t timeout_ns, struct demo_pixels *ret_pixels);
	int (*off)(struct metal_device *dev);
};

static int picture_ready(struct display *display)
{
	(void)display;
	return 0;
}

static int picture_show(struct display *display, struct metal_generic_shm *shm)
{
	return picture_present(display->dev, shm);
}

static int picture_seen(struct display *display, int64_t timeout_ns, struct demo_pixels *ret_pixels)
{
	(void)timeout_ns; /* what was presented is shown */
	return picture_shown(display->dev, ret_pixels);
}

static const struct display_ops picture_ops = {
	.ready = picture_ready,
	.present = picture_show,
	.seen = picture_seen,
	.off = picture_off,
};

static int drm_ready(struct display *display)
{
	return metal_shm_drm_wait(display->dev, 0);
}

static int drm_present(struct display *display, struct metal_generic_shm *shm)
{
	struct metal_generic_shm *into;
	int error;

	if (!display->back)
		return metal_shm_drm_present(display->dev, shm);
	into = metal_shm_pool_get(display->back, METAL_SHM_FOREVER);
	if (!into)
		return -errno;
	error = metal_shm_drm_present_writeback(display->dev, shm, into);
	if (error) {
		metal_shm_free(into, NULL);
		return error;
	}
	metal_shm_free(display->written, NULL);
	display->written = into;
	return 0;
}

static int drm_seen(struct display *display, int64_t timeout_ns, struct demo_pixels *ret_pixels)
{
	int error = metal_shm_drm_wait(display->dev, timeout_ns);

	if (error)
		return error;
	return pixels_read(display->back ? display->written : display->shown, timeout_ns,
			   ret_pixels);
}

static const struct display_ops drm_ops = {
	.ready = drm_ready,
	.present = drm_present,
	.seen = drm_seen,
	.off = metal_shm_drm_off,
};

/* To be checked the picture is written back, if the card can do that. */
static int drm_open(const struct demo_options *options, struct display *display)
{
	struct metal_shm_drm_options drm = {
		.struct_size = sizeof(drm),
		.flags = METAL_SHM_DRM_WRITEBACK,
	};
	int error = -ENXIO;

	if (options->check)
		error = metal_shm_drm_open_options(options->display, &drm, &display->dev);
	if (error != -ENXIO) {
		display->writes_back = !error;
		return error;
	}
	return metal_shm_drm_open(options->display, &display->dev);
}

int display_open(const struct demo_options *options, struct display *ret_display)
{
	struct display display = { .name = options->display };
	int error;

	if (strcmp(options->display, "picture") != 0) {
		display.ops = &drm_ops;
		error = drm_open(options, &display);
	} else {
		display.ops = &picture_ops;
		error = picture_open(&display.dev);
	}
	if (!error)
		*ret_display = display;
	return error;
}

int display_prepare(struct display *display, const struct metal_shm_frame *frame,
		    struct metal_device *memory)
{
	struct metal_device *devs[] = { display->dev, memory };
	struct metal_shm_frame back = { .fourcc = frame->fourcc,
					.width = frame->width,
					.height = frame->height };
	int error;

	if (display->ops != &drm_ops || !display->writes_back)
		return 0;
	error = metal_shm_frame_negotiate(&back, devs, memory ? 2 : 1);
	if (error)
		return error;
	return metal_shm_pool_create_frames(&back, devs, memory ? 2 : 1, BACK_FRAMES,
					    &display->back);
}

int display_ready(struct display *display)
{
	return display->ops->ready(display);
}

int display_present(struct display *display, struct metal_generic_shm *shm)
{
	int error = display->ops->present(display, shm);

	if (error)
		return error;
	metal_shm_free(display->shown, NULL);
	display->shown = metal_shm_ref(shm);
	return 0;
}

int display_seen(struct display *display, int64_t timeout_ns, struct demo_pixels *ret_pixels)
{
	return display->ops->seen(display, timeout_ns, ret_pixels);
}

const char *display_evidence(const struct display *display)
{
	if (display->back)
		return "writeback";
	return display->ops == &drm_ops ? "framebuffer" : "picture";
}

void display_off(struct display *display)
{
	if (!display->dev)
		return;
	display->ops->off(display->dev);
	metal_shm_free(display->written, NULL);
	metal_shm_free(display->shown, NULL);
	display->written = NULL;
	display->shown = NULL;
}

void display_close(struct display *display)
{
	metal_shm_pool_destroy(display->back);
	display->back = NULL;
	metal_shm_device_close(display->dev);
	display->dev = NULL;
}
