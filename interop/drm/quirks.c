/* SPDX-License-Identifier: BSD-3-Clause */
/* What vkms, the kernel's display without hardware, gets wrong in 6.1, and how not to meet it. */
#include "drm_internal.h"

#include <time.h>

#define CLEAN_UP_NS INT64_C(50000000)

/*
 * It cleans up a little after a writeback's fence, and turns its composer off then, also under the next
 * writeback if that was committed in between: it is never done, and each one after it is told one
 * late, until the next boot.
 */
void shm__drm_before_writeback(struct drm_device *d)
{
	struct timespec pause;
	int64_t left_ns;

	pthread_mutex_lock(&d->lock);
	left_ns = d->written_ns;
	d->written_ns = 0;
	pthread_mutex_unlock(&d->lock);
	if (!left_ns)
		return;
	left_ns += CLEAN_UP_NS - shm__drm_now_ns();
	if (left_ns > 0) {
		pause.tv_sec = left_ns / 1000000000;
		pause.tv_nsec = left_ns % 1000000000;
		nanosleep(&pause, NULL);
	}
}

/*
 * To turn a CRTC off, or set its mode, stops the timer that stands for its refresh, with the lock held
 * that the timer's function waits for: if that runs just then on another processor, both wait for
 * ever. Just after a refresh it does not.
 */
void shm__drm_before_modeset(const struct drm_device *d)
{
	drmVBlank next = { .request = { .sequence = 1 } };

	if (!d->is_vkms)
		return;
	next.request.type = (drmVBlankSeqType)(DRM_VBLANK_RELATIVE |
					       (d->crtc_index << DRM_VBLANK_HIGH_CRTC_SHIFT));
	/* It fails where the CRTC is off, and then there is nothing to stop. */
	drmWaitVBlank(d->fd, &next);
}
