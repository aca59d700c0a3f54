/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading the CRTC's picture back: one job at a time, done when its fence says so. */
#include "drm_internal.h"

#include <errno.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

int shm__drm_writeback_check(const struct drm_device *d, const struct drm_view *into)
{
	char name[5], list[256];

	if (!d->writeback)
		return metal_shm_set_error(ENOTSUP, "%s was opened without METAL_SHM_DRM_WRITEBACK",
					   d->name);
	if (!into->fb.id)
		return metal_shm_set_error(EINVAL, "%s: what the picture goes into has no frame",
					   d->name);
	if (!shm__drm_format(&d->written, into->fb.fourcc)) {
		shm__drm_fourcc(into->fb.fourcc, name);
		return metal_shm_set_error(ENOTSUP, "%s writes back %s, not %s", d->name,
					   shm__drm_list(&d->written, list, sizeof(list)), name);
	}
	return 0;
}

/* With the lock held, before anybody can learn of the commit. */
void shm__drm_writeback_begin(struct drm_device *d, struct drm_view *into, int fence)
{
	struct epoll_event event = { .events = EPOLLIN };

	d->target = into;
	d->target_fence = fence;
	/* If it fails the end is still found by whatever dispatches next. */
	epoll_ctl(d->poll_fd, EPOLL_CTL_ADD, fence, &event);
}

/* With the lock held. */
void shm__drm_writeback_end(struct drm_device *d, struct drm_done *done, int error)
{
	if (!d->target)
		return;
	shm__drm_done_add(done, d->target, error);
	/* Closing would not do it while a forked child has the descriptor too. */
	epoll_ctl(d->poll_fd, EPOLL_CTL_DEL, d->target_fence, NULL);
	close(d->target_fence);
	d->target = NULL;
	d->target_fence = -1;
}

/* With the lock held. */
void shm__drm_writeback_collect(struct drm_device *d, struct drm_done *done)
{
	struct pollfd fence = { .fd = d->target_fence, .events = POLLIN };
	struct sync_file_info info = { .status = 0 };

	if (poll(&fence, 1, 0) != 1)
		return;
	drmIoctl(d->target_fence, SYNC_IOC_FILE_INFO, &info);
	if (d->is_vkms)
		d->written_ns = shm__drm_now_ns();
	shm__drm_writeback_end(d, done, info.status < 0 ? -EIO : 0);
}
