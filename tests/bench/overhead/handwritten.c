/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Camera to display by hand, as a yardstick: each frame costs poll, DQBUF, atomic commit, the read of
 * its flip event and QBUF, and nothing else.
 *
 * usage: handwritten CAMERA CARD WIDTH HEIGHT FRAMES
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <drm_fourcc.h>
#include <linux/dma-heap.h>
#include <linux/videodev2.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#define BUFFERS    4
#define PATIENCE   10000 /* ms */
#define NO_BUFFER  UINT32_MAX
#define HEAP       "/dev/dma_heap/system"
#define PIXEL_SIZE 4

struct bench {
	int camera, card;
	uint32_t width, height;
	int dmabuf[BUFFERS];
	uint32_t length; /* bytes of a buffer */
	uint32_t fb[BUFFERS];
	uint32_t crtc, connector, plane;
	uint32_t fb_id; /* the property of the plane */
	uint32_t on_screen;
};

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "handwritten: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void allocate(struct bench *b)
{
	int heap = open(HEAP, O_RDWR | O_CLOEXEC);

	must(heap >= 0, HEAP);
	for (int i = 0; i < BUFFERS; i++) {
		struct dma_heap_allocation_data data = {
			.len = b->length,
			.fd_flags = O_RDWR | O_CLOEXEC,
		};

		must(!ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data), "DMA_HEAP_IOCTL_ALLOC");
		b->dmabuf[i] = (int)data.fd;
	}
	close(heap);
}

static int queue(const struct bench *b, uint32_t index)
{
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
		.index = index,
		.m.fd = b->dmabuf[index],
		.length = b->length,
	};

	return ioctl(b->camera, VIDIOC_QBUF, &buffer);
}

static void start_camera(struct bench *b)
{
	struct v4l2_format format = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.fmt.pix = {
			.width = b->width,
			.height = b->height,
			.pixelformat = V4L2_PIX_FMT_XBGR32,
			.field = V4L2_FIELD_NONE,
		},
	};
	struct v4l2_requestbuffers request = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
		.count = BUFFERS,
	};
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

	must(!ioctl(b->camera, VIDIOC_S_FMT, &format), "VIDIOC_S_FMT");
	errno = EINVAL;
	must(format.fmt.pix.width == b->width && format.fmt.pix.height == b->height &&
		     format.fmt.pix.bytesperline == b->width * PIXEL_SIZE,
	     "the camera's picture");
	b->length = format.fmt.pix.sizeimage;
	allocate(b);
	must(!ioctl(b->camera, VIDIOC_REQBUFS, &request), "VIDIOC_REQBUFS");
	for (uint32_t i = 0; i < BUFFERS; i++)
		must(!queue(b, i), "VIDIOC_QBUF");
	must(!ioctl(b->camera, VIDIOC_STREAMON, &type), "VIDIOC_STREAMON");
}

static uint32_t property(const struct bench *b, uint32_t object, uint32_t type, const char *name)
{
	drmModeObjectPropertiesPtr list = drmModeObjectGetProperties(b->card, object, type);
	uint32_t id = 0;

	must(list != NULL, name);
	for (uint32_t i = 0; i < list->count_props && !id; i++) {
		drmModePropertyPtr p = drmModeGetProperty(b->card, list->props[i]);

		if (p && !strcmp(p->name, name))
			id = p->prop_id;
		drmModeFreeProperty(p);
	}
	drmModeFreeObjectProperties(list);
	errno = ENOENT;
	must(id != 0, name);
	return id;
}

static drmModeModeInfo choose_objects(struct bench *b)
{
	drmModePlaneResPtr planes;
	drmModeModeInfo mode = { 0 };
	drmModeResPtr resources;

	must(!drmSetClientCap(b->card, DRM_CLIENT_CAP_ATOMIC, 1), "DRM_CLIENT_CAP_ATOMIC");
	resources = drmModeGetResources(b->card);
	planes = drmModeGetPlaneResources(b->card);
	must(resources && planes, "the card's objects");
	b->crtc = resources->crtcs[0];
	b->plane = planes->planes[0];
	for (int i = 0; i < resources->count_connectors && !mode.clock; i++) {
		drmModeConnectorPtr c = drmModeGetConnector(b->card, resources->connectors[i]);

		must(c != NULL, "a connector");
		b->connector = c->connector_id;
		for (int m = 0; m < c->count_modes && !mode.clock; m++)
			if (c->modes[m].hdisplay == b->width && c->modes[m].vdisplay == b->height)
				mode = c->modes[m];
		drmModeFreeConnector(c);
	}
	drmModeFreePlaneResources(planes);
	drmModeFreeResources(resources);
	errno = EINVAL;
	must(mode.clock != 0, "a mode of this size");
	return mode;
}

static void make_framebuffers(struct bench *b)
{
	for (int i = 0; i < BUFFERS; i++) {
		uint32_t handle[4] = { 0 }, pitch[4] = { b->width * PIXEL_SIZE }, offset[4] = { 0 };

		must(!drmPrimeFDToHandle(b->card, b->dmabuf[i], &handle[0]), "PRIME import");
		must(!drmModeAddFB2(b->card, b->width, b->height, DRM_FORMAT_XRGB8888, handle,
				    pitch, offset, &b->fb[i], 0),
		     "ADDFB2");
	}
}

static void read_event(const struct bench *b)
{
	char events[256];

	must(read(b->card, events, sizeof(events)) > 0, "the flip event");
}

/* The first frame sets the mode. */
static void start_display(struct bench *b, uint32_t index)
{
	drmModeAtomicReqPtr request = drmModeAtomicAlloc();
	drmModeModeInfo mode = choose_objects(b);
	const struct {
		uint32_t object, type;
		const char *name;
		uint64_t value;
	} settings[] = {
		{ b->connector, DRM_MODE_OBJECT_CONNECTOR, "CRTC_ID", b->crtc },
		{ b->crtc, DRM_MODE_OBJECT_CRTC, "ACTIVE", 1 },
		{ b->plane, DRM_MODE_OBJECT_PLANE, "CRTC_ID", b->crtc },
		{ b->plane, DRM_MODE_OBJECT_PLANE, "SRC_X", 0 },
		{ b->plane, DRM_MODE_OBJECT_PLANE, "SRC_Y", 0 },
		{ b->plane, DRM_MODE_OBJECT_PLANE, "SRC_W", (uint64_t)b->width << 16 },
		{ b->plane, DRM_MODE_OBJECT_PLANE, "SRC_H", (uint64_t)b->height << 16 },
		{ b->plane, DRM_MODE_OBJECT_PLANE, "CRTC_X", 0 },
		{ b->plane, DRM_MODE_OBJECT_PLANE, "CRTC_Y", 0 },
		{ b->plane, DRM_MODE_OBJECT_PLANE, "CRTC_W", b->width },
		{ b->plane, DRM_MODE_OBJECT_PLANE, "CRTC_H", b->height },
	};
	uint32_t blob;

	must(request && !drmModeCreatePropertyBlob(b->card, &mode, sizeof(mode), &blob), "a mode");
	make_framebuffers(b);
	b->fb_id = property(b, b->plane, DRM_MODE_OBJECT_PLANE, "FB_ID");
	drmModeAtomicAddProperty(request, b->crtc,
				 property(b, b->crtc, DRM_MODE_OBJECT_CRTC, "MODE_ID"), blob);
	drmModeAtomicAddProperty(request, b->plane, b->fb_id, b->fb[index]);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		drmModeAtomicAddProperty(
			request, settings[i].object,
			property(b, settings[i].object, settings[i].type, settings[i].name),
			settings[i].value);
	must(!drmModeAtomicCommit(b->card, request,
				  DRM_MODE_ATOMIC_ALLOW_MODESET | DRM_MODE_PAGE_FLIP_EVENT, NULL),
	     "the first commit");
	drmModeAtomicFree(request);
	read_event(b);
}

static int commit(const struct bench *b, uint32_t index)
{
	uint32_t object = b->plane, count = 1, property_id = b->fb_id;
	uint64_t value = b->fb[index];
	struct drm_mode_atomic arg = {
		.flags = DRM_MODE_PAGE_FLIP_EVENT | DRM_MODE_ATOMIC_NONBLOCK,
		.count_objs = 1,
		.objs_ptr = (uintptr_t)&object,
		.count_props_ptr = (uintptr_t)&count,
		.props_ptr = (uintptr_t)&property_id,
		.prop_values_ptr = (uintptr_t)&value,
	};

	return ioctl(b->card, DRM_IOCTL_MODE_ATOMIC, &arg);
}

static uint32_t fetch(const struct bench *b)
{
	struct pollfd ready = { .fd = b->camera, .events = POLLIN };
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};

	must(poll(&ready, 1, PATIENCE) == 1, "poll");
	must(!ioctl(b->camera, VIDIOC_DQBUF, &buffer), "VIDIOC_DQBUF");
	return buffer.index;
}

static void show_next(struct bench *b)
{
	uint32_t index = fetch(b);

	if (b->on_screen == NO_BUFFER) {
		start_display(b, index);
	} else {
		must(!commit(b, index), "DRM_IOCTL_MODE_ATOMIC");
		read_event(b);
		must(!queue(b, b->on_screen), "VIDIOC_QBUF");
	}
	b->on_screen = index;
}

int main(int argc, char **argv)
{
	struct bench b = { .on_screen = NO_BUFFER };
	long frames;

	if (argc != 6) {
		fprintf(stderr, "usage: handwritten CAMERA CARD WIDTH HEIGHT FRAMES\n");
		return 2;
	}
	b.camera = open(argv[1], O_RDWR | O_NONBLOCK | O_CLOEXEC);
	must(b.camera >= 0, argv[1]);
	b.card = open(argv[2], O_RDWR | O_CLOEXEC);
	must(b.card >= 0, argv[2]);
	b.width = (uint32_t)strtoul(argv[3], NULL, 10);
	b.height = (uint32_t)strtoul(argv[4], NULL, 10);
	frames = strtol(argv[5], NULL, 10);
	start_camera(&b);
	while (frames-- > 0)
		show_next(&b);
	return 0;
}
