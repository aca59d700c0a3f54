/* SPDX-License-Identifier: BSD-3-Clause */
/* The fake card's commits: checked as the kernel does, then flipped, then written back. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sync_file.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fake_drm_internal.h"

static bool flip_waits, out_waits;
static uint64_t cookie;
static uint32_t sequence;
static int out_fence = -1, written_fence = -1, written_status;
static struct stat written_id;

void fake_drm_commit_reset(void)
{
	flip_waits = out_waits = false;
	sequence = 0;
}

bool fake_drm_flip_waits(void)
{
	return flip_waits;
}

void fake_drm_complete(void)
{
	struct drm_event_vblank event = {
		.base = { DRM_EVENT_FLIP_COMPLETE, sizeof(event) },
		.user_data = cookie,
		.sequence = ++sequence,
		.tv_sec = 1 + sequence,
		.crtc_id = FAKE_DRM_CRTC,
	};

	if (flip_waits)
		fake_drm_send(&event);
	flip_waits = false;
	if (out_waits)
		eventfd_write(out_fence, 1);
	if (out_waits)
		close(out_fence);
	out_waits = false;
}

void fake_drm_write_back(int status)
{
	if (written_fence >= 0) {
		written_status = status;
		eventfd_write(written_fence, 1);
		close(written_fence);
		written_fence = -1;
	}
}

static bool check_plane(const uint64_t *plane, const drmModeModeInfo *mode)
{
	if (!fake_drm_is_fb(plane[FAKE_FB_ID]) || !plane[FAKE_FB_ID] != !plane[FAKE_CRTC_ID])
		return false;
	if (!plane[FAKE_FB_ID])
		return true;
	if (plane[FAKE_SRC_W] != plane[FAKE_CRTC_W] << 16 || plane[FAKE_SRC_H] != plane[FAKE_CRTC_H]
											  << 16)
		return false;
	return mode && plane[FAKE_CRTC_X] + plane[FAKE_CRTC_W] <= mode->hdisplay &&
	       plane[FAKE_CRTC_Y] + plane[FAKE_CRTC_H] <= mode->vdisplay &&
	       (!fake_drm.covers ||
		(plane[FAKE_CRTC_W] == mode->hdisplay && plane[FAKE_CRTC_H] == mode->vdisplay));
}

static int check_state(uint64_t state[64][FAKE_PROPERTIES])
{
	const uint64_t *crtc = state[FAKE_DRM_CRTC];
	const drmModeModeInfo *mode = fake_drm_mode_of(crtc[FAKE_MODE_ID]);
	bool connector = state[FAKE_DRM_CONNECTOR][FAKE_CRTC_ID];
	bool writeback = state[FAKE_DRM_WRITEBACK][FAKE_CRTC_ID];

	if (crtc[FAKE_MODE_ID] && (!mode || !fake_drm_knows_mode(mode)))
		return -EINVAL;
	if (!mode != !(connector || writeback) || (crtc[FAKE_ACTIVE] && !mode))
		return -EINVAL;
	if (connector && writeback && !fake_drm.clones)
		return -EINVAL;
	if (!check_plane(state[FAKE_DRM_PRIMARY], mode) ||
	    !check_plane(state[FAKE_DRM_OVERLAY], mode))
		return -EINVAL;
	if (!fake_drm_is_fb(state[FAKE_DRM_WRITEBACK][FAKE_WRITEBACK_FB_ID]) ||
	    (state[FAKE_DRM_WRITEBACK][FAKE_WRITEBACK_FB_ID] && !writeback))
		return -EINVAL;
	return 0;
}

static int make_fence(uint64_t pointer, int *ret_signal)
{
	int fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fence < 0)
		return -EMFILE;
	*ret_signal = fcntl(fence, F_DUPFD_CLOEXEC, 3);
	*(int32_t *)(uintptr_t)pointer = fence;
	return 0;
}

static int parse(const struct drm_mode_atomic *arg, uint64_t state[64][FAKE_PROPERTIES])
{
	const uint32_t *object = (const uint32_t *)(uintptr_t)arg->objs_ptr;
	const uint32_t *count = (const uint32_t *)(uintptr_t)arg->count_props_ptr;
	const uint32_t *property = (const uint32_t *)(uintptr_t)arg->props_ptr;
	const uint64_t *value = (const uint64_t *)(uintptr_t)arg->prop_values_ptr;

	memcpy(state, fake_drm.value, sizeof(fake_drm.value));
	for (uint32_t i = 0; i < arg->count_objs; i++) {
		for (uint32_t n = 0; n < count[i]; n++, property++, value++) {
			if (object[i] >= 64 || *property >= FAKE_PROPERTIES ||
			    !fake_drm_has(object[i], *property))
				return -ENOENT;
			state[object[i]][*property] = *value;
		}
	}
	return check_state(state);
}

static bool sets_mode(uint64_t state[64][FAKE_PROPERTIES])
{
	return state[FAKE_DRM_CRTC][FAKE_ACTIVE] != fake_drm.value[FAKE_DRM_CRTC][FAKE_ACTIVE] ||
	       state[FAKE_DRM_CRTC][FAKE_MODE_ID] != fake_drm.value[FAKE_DRM_CRTC][FAKE_MODE_ID] ||
	       state[FAKE_DRM_CONNECTOR][FAKE_CRTC_ID] !=
		       fake_drm.value[FAKE_DRM_CONNECTOR][FAKE_CRTC_ID] ||
	       state[FAKE_DRM_WRITEBACK][FAKE_CRTC_ID] !=
		       fake_drm.value[FAKE_DRM_WRITEBACK][FAKE_CRTC_ID];
}

static int make_fences(uint64_t state[64][FAKE_PROPERTIES])
{
	uint64_t out = state[FAKE_DRM_CRTC][FAKE_OUT_FENCE_PTR];
	uint64_t back = state[FAKE_DRM_WRITEBACK][FAKE_WRITEBACK_OUT_FENCE_PTR];
	int ret = 0;

	if (back) {
		ret = make_fence(back, &written_fence);
		if (!ret)
			fstat(written_fence, &written_id);
	}
	if (!ret && out)
		ret = make_fence(out, &out_fence);
	out_waits = !ret && out;
	/* what a commit asks for once is no state */
	state[FAKE_DRM_CRTC][FAKE_OUT_FENCE_PTR] = 0;
	state[FAKE_DRM_WRITEBACK][FAKE_WRITEBACK_OUT_FENCE_PTR] = 0;
	state[FAKE_DRM_WRITEBACK][FAKE_WRITEBACK_FB_ID] = 0;
	state[FAKE_DRM_PRIMARY][FAKE_IN_FENCE_FD] = 0;
	return ret;
}

int fake_drm_commit(const struct drm_mode_atomic *arg)
{
	static uint64_t state[64][FAKE_PROPERTIES];
	bool nonblock = arg->flags & DRM_MODE_ATOMIC_NONBLOCK;
	int ret = parse(arg, state);

	if (!fake_drm.master)
		return -EACCES;
	if (arg->flags & DRM_MODE_ATOMIC_TEST_ONLY)
		fake_drm.tests++;
	if (ret < 0 || arg->flags & DRM_MODE_ATOMIC_TEST_ONLY)
		return ret;
	if (sets_mode(state) && !(arg->flags & DRM_MODE_ATOMIC_ALLOW_MODESET))
		return -EINVAL;
	if (fake_drm.refuses_commits)
		return -EINVAL;
	if (nonblock && (flip_waits || (fake_drm.busy_modeset && sets_mode(state))))
		return -EBUSY;
	fake_drm_complete();
	ret = make_fences(state);
	if (ret < 0)
		return ret;
	memcpy(fake_drm.value, state, sizeof(fake_drm.value));
	fake_drm.commits++;
	flip_waits = arg->flags & DRM_MODE_PAGE_FLIP_EVENT;
	cookie = arg->user_data;
	if (fake_drm.flips || !nonblock)
		fake_drm_complete();
	if (fake_drm.written)
		fake_drm_write_back(0);
	return 0;
}

int fake_drm_fence_status(int fd, struct sync_file_info *info)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -EBADF;
	if (st.st_ino != written_id.st_ino && (st.st_mode & S_IFMT))
		return -ENOTTY;
	info->status = written_status < 0 ? written_status : 1;
	return 0;
}
