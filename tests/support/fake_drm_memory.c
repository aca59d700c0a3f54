/* SPDX-License-Identifier: BSD-3-Clause */
/* The fake card's memory: handles, counted as little as the kernel counts them, and framebuffers. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_drm_internal.h"

static struct {
	ino_t inode; /* 0: free */
	int memory;  /* a dumb buffer's own memfd, or -1 */
} handles[FAKE_MOST];

static bool framebuffers[FAKE_MOST];

/* Another program's framebuffer is the last. */
void fake_drm_memory_reset(void)
{
	for (uint32_t i = 0; i < FAKE_MOST; i++) {
		if (handles[i].inode && handles[i].memory >= 0)
			close(handles[i].memory);
	}
	memset(handles, 0, sizeof(handles));
	memset(framebuffers, 0, sizeof(framebuffers));
	framebuffers[FAKE_MOST - 1] = true;
}

void fake_drm_remove_other(void)
{
	framebuffers[FAKE_MOST - 1] = false;
}

static int new_handle(ino_t inode, int memory, uint32_t *ret)
{
	for (uint32_t i = 0; i < FAKE_MOST; i++) {
		if (handles[i].inode)
			continue;
		handles[i].inode = inode;
		handles[i].memory = memory;
		*ret = i + 1;
		fake_drm.handles++;
		return 0;
	}
	return -ENOSPC;
}

static bool is_handle(uint32_t handle)
{
	return handle && handle <= FAKE_MOST && handles[handle - 1].inode;
}

static int create_dumb(struct drm_mode_create_dumb *arg)
{
	uint32_t alignment = fake_drm.alignment;
	struct stat st;
	int memory;

	if (!fake_drm.dumb)
		return -ENOSYS;
	arg->pitch = (arg->width * arg->bpp / 8 + alignment - 1) / alignment * alignment;
	arg->size = ((uint64_t)arg->pitch * arg->height + 4095) / 4096 * 4096;
	memory = memfd_create("dumb", MFD_CLOEXEC);
	if (memory < 0 || ftruncate(memory, (off_t)arg->size) < 0 || fstat(memory, &st) < 0)
		return -ENOMEM;
	return new_handle(st.st_ino, memory, &arg->handle);
}

static int close_handle(uint32_t handle)
{
	if (!is_handle(handle))
		return -EINVAL;
	if (handles[handle - 1].memory >= 0)
		close(handles[handle - 1].memory);
	handles[handle - 1].inode = 0;
	fake_drm.handles--;
	return 0;
}

static int import(struct drm_prime_handle *arg)
{
	struct stat st;

	if (fstat(arg->fd, &st) < 0)
		return -EBADF;
	for (uint32_t i = 0; i < FAKE_MOST; i++) {
		if (handles[i].inode != st.st_ino)
			continue;
		arg->handle = i + 1;
		return 0;
	}
	return new_handle(st.st_ino, -1, &arg->handle);
}

static int export(struct drm_prime_handle *arg)
{
	if (!is_handle(arg->handle))
		return -ENOENT;
	arg->fd = fcntl(handles[arg->handle - 1].memory, F_DUPFD_CLOEXEC, 3);
	return arg->fd < 0 ? -EMFILE : 0;
}

static int add_fb(struct drm_mode_fb_cmd2 *arg)
{
	if (!is_handle(arg->handles[0]))
		return -ENOENT;
	if (arg->pitches[0] % fake_drm.alignment)
		return -EINVAL;
	for (uint32_t i = 0; i < FAKE_MOST; i++) {
		if (framebuffers[i])
			continue;
		framebuffers[i] = true;
		arg->fb_id = FAKE_FB_FIRST + i;
		fake_drm.framebuffers++;
		return 0;
	}
	return -ENOSPC;
}

/* The kernel takes what is removed off the screen; no caller of ours should make it. */
static int remove_fb(uint32_t id)
{
	if (id < FAKE_FB_FIRST || id >= FAKE_FB_FIRST + FAKE_MOST ||
	    !framebuffers[id - FAKE_FB_FIRST])
		return -ENOENT;
	for (unsigned object = 0; object < 64; object++)
		fake_drm.removed_shown += fake_drm.value[object][FAKE_FB_ID] == id;
	framebuffers[id - FAKE_FB_FIRST] = false;
	fake_drm.framebuffers--;
	return 0;
}

bool fake_drm_is_fb(uint64_t id)
{
	return !id || (id >= FAKE_FB_FIRST && id < FAKE_FB_FIRST + FAKE_MOST &&
		       framebuffers[id - FAKE_FB_FIRST]);
}

int fake_drm_memory(unsigned long request, void *arg)
{
	struct drm_gem_close *gem = arg;
	uint32_t *fb = arg;

	switch (request) {
	case DRM_IOCTL_MODE_CREATE_DUMB:
		return create_dumb(arg);
	case DRM_IOCTL_GEM_CLOSE:
		return close_handle(gem->handle);
	case DRM_IOCTL_PRIME_FD_TO_HANDLE:
		return import(arg);
	case DRM_IOCTL_PRIME_HANDLE_TO_FD:
		return export(arg);
	case DRM_IOCTL_MODE_ADDFB2:
		return add_fb(arg);
	case DRM_IOCTL_MODE_RMFB:
		return remove_fb(*fb);
	default:
		return -ENOTTY;
	}
}
