/* SPDX-License-Identifier: BSD-3-Clause */
#include "evidence.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/videodev2.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "card_path.h"

static ino_t inode_of(int fd)
{
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) ? st.st_ino : 0;
}

static ino_t inode_at_index(struct metal_device *camera, uint32_t index)
{
	struct v4l2_plane plane = { .m.fd = -1 };
	struct v4l2_buffer b = { .index = index, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
	int fd = metal_shm_v4l2_fd(camera);

	if (!ioctl(fd, VIDIOC_QUERYBUF, &b))
		return inode_of(b.m.fd);
	b.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
	b.m.planes = &plane;
	b.length = 1;
	return ioctl(fd, VIDIOC_QUERYBUF, &b) ? 0 : inode_of(plane.m.fd);
}

/* Of the file whose first byte is mapped at an address. */
static ino_t inode_mapped_at(uint64_t address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	uint64_t start, offset, inode;
	char line[4352];
	ino_t found = 0;

	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%*x %*s %" SCNx64 " %*s %" SCNu64, &start, &offset,
			   &inode) == 3 &&
		    start == address && !offset)
			found = (ino_t)inode;
	}
	if (maps)
		fclose(maps);
	return found;
}

static ino_t inode_of_framebuffer(int card, uint32_t id)
{
	struct drm_gem_close close_handle = { 0 };
	drmModeFB2Ptr fb = drmModeGetFB2(card, id);
	ino_t found = 0;
	int fd = -1;

	if (!fb)
		return 0;
	if (!drmPrimeHandleToFD(card, fb->handles[0], DRM_CLOEXEC, &fd)) {
		found = inode_of(fd);
		close(fd);
	}
	/* the handle is this descriptor's own */
	close_handle.handle = fb->handles[0];
	drmIoctl(card, DRM_IOCTL_GEM_CLOSE, &close_handle);
	drmModeFreeFB2(fb);
	return found;
}

/* Root may ask on a descriptor of its own, beside the display's. */
static ino_t inode_on_the_crtc(void)
{
	int card = open(card_path("vkms"), O_RDWR | O_CLOEXEC);
	drmModeResPtr resources = drmModeGetResources(card);
	drmModeCrtcPtr crtc = resources ? drmModeGetCrtc(card, resources->crtcs[0]) : NULL;
	ino_t found = crtc ? inode_of_framebuffer(card, crtc->buffer_id) : 0;

	drmModeFreeCrtc(crtc);
	drmModeFreeResources(resources);
	close(card);
	return found;
}

struct evidence evidence_of(const struct pipeline *p, const struct pipeline_frame *frame)
{
	return (struct evidence){
		.camera = inode_at_index(p->camera, frame->info.index),
		.gpu_in = inode_mapped_at(frame->gpu_in),
		.gpu_out = inode_mapped_at(frame->gpu_out),
		.crtc = inode_on_the_crtc(),
	};
}

const char *evidence_of_a_copy(const struct evidence *e)
{
	if (!e->camera || !e->gpu_in || !e->gpu_out || !e->crtc)
		return "a stage does not say where its bytes are";
	if (e->camera != e->gpu_in)
		return "the GPU reads another memory than the camera wrote";
	if (e->gpu_out != e->crtc)
		return "the display shows another memory than the GPU wrote";
	return NULL;
}

bool evidence_attached(ino_t inode, const char *device)
{
	FILE *info = fopen("/sys/kernel/debug/dma_buf/bufinfo", "re");
	bool ours = false, found = false;
	unsigned long number;
	char line[512];

	while (info && fgets(line, sizeof(line), info)) {
		const char *name = line + strspn(line, " \t");

		/* size flags mode count exporter inode name */
		if (sscanf(line, "%*x %*x %*x %*x %*s %lu", &number) == 1)
			ours = number == inode;
		else if (ours && !strncmp(name, device, strlen(device)))
			found = true;
	}
	if (info)
		fclose(info);
	return found;
}
