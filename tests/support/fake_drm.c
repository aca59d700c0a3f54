/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fake_drm_internal.h"
#include "shm_test.h"

struct fake_drm fake_drm;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int card[2] = { -1, -1 }; /* where events are read and written */

struct fake_drm *fake_drm_new(void)
{
	pthread_mutex_lock(&lock);
	fake_drm = (struct fake_drm){
		.driver = "fake",
		.display = true,
		.atomic = true,
		.import = true,
		.dumb = true,
		.connected = true,
		.writeback = true,
		.clones = true,
		.fences = true,
		.master = true,
		.flips = true,
		.alignment = 64,
	};
	fake_drm_objects_reset();
	fake_drm_memory_reset();
	fake_drm_commit_reset();
	pthread_mutex_unlock(&lock);
	return &fake_drm;
}

int fake_drm_fd(void)
{
	if (card[1] >= 0)
		close(card[1]);
	assert_int_equal(pipe2(card, O_CLOEXEC), 0);
	return card[0];
}

int fake_drm_open(struct metal_device **ret_dev)
{
	return metal_shm_drm_open_fd(fake_drm_fd(), 0, 0, 0, ret_dev);
}

int fake_drm_open_options(const struct metal_shm_drm_options *options,
			  struct metal_device **ret_dev)
{
	return metal_shm_drm_open_fd_options(fake_drm_fd(), options, ret_dev);
}

void fake_drm_end(void)
{
	assert_int_equal(fake_drm.handles, 0);
	assert_int_equal(fake_drm.framebuffers, 0);
	assert_int_equal(fake_drm.blobs, 0);
	assert_int_equal(fake_drm.removed_shown, 0);
	assert_false(fake_drm_flip_waits());
	fake_drm_forget();
}

void fake_drm_forget(void)
{
	fake_drm_memory_reset();
	if (card[1] >= 0)
		close(card[1]);
	card[0] = card[1] = -1;
}

/* The program's calls come from libdrm and libshm-drm; the node is no device that sysfs knows. */
int drmGetNodeTypeFromFd(int fd)
{
	struct stat st;

	if (card[0] >= 0 && fd == card[0])
		return DRM_NODE_PRIMARY;
	errno = fstat(fd, &st) < 0 ? errno : EINVAL;
	return -1;
}

void fake_drm_send(const struct drm_event_vblank *event)
{
	assert_int_equal(write(card[1], event, sizeof(*event)), sizeof(*event));
}

void fake_drm_send_foreign(void)
{
	const struct drm_event_vblank event = {
		.base = { DRM_EVENT_FLIP_COMPLETE, sizeof(event) },
		.user_data = UINT64_MAX,
	};

	fake_drm_send(&event);
}

void fake_drm_take_off(void)
{
	fake_drm.value[FAKE_DRM_PRIMARY][FAKE_FB_ID] = 0;
	fake_drm.value[FAKE_DRM_PRIMARY][FAKE_CRTC_ID] = 0;
}

bool fake_drm_flip(void)
{
	bool waited;

	pthread_mutex_lock(&lock);
	waited = fake_drm_flip_waits();
	fake_drm_complete();
	pthread_mutex_unlock(&lock);
	return waited;
}

void fake_drm_written(int status)
{
	pthread_mutex_lock(&lock);
	fake_drm_write_back(status);
	pthread_mutex_unlock(&lock);
}

void fake_drm_show_other(void)
{
	pthread_mutex_lock(&lock);
	fake_drm.value[FAKE_DRM_CRTC][FAKE_ACTIVE] = 1;
	fake_drm.value[FAKE_DRM_CRTC][FAKE_MODE_ID] = FAKE_BLOB_FIRST + FAKE_MOST - 1;
	fake_drm.value[FAKE_DRM_CONNECTOR][FAKE_CRTC_ID] = FAKE_DRM_CRTC;
	for (uint32_t plane = FAKE_DRM_PRIMARY; plane <= FAKE_DRM_OVERLAY; plane++) {
		fake_drm.value[plane][FAKE_FB_ID] = FAKE_FB_FIRST + FAKE_MOST - 1;
		fake_drm.value[plane][FAKE_CRTC_ID] = FAKE_DRM_CRTC;
		fake_drm.value[plane][FAKE_CRTC_W] = 640;
		fake_drm.value[plane][FAKE_CRTC_H] = 480;
		fake_drm.value[plane][FAKE_SRC_W] = 640u << 16;
		fake_drm.value[plane][FAKE_SRC_H] = 480u << 16;
	}
	pthread_mutex_unlock(&lock);
}

void fake_drm_warm_up(void)
{
	struct metal_shm_pool *pool = NULL;
	struct metal_generic_shm *shm;

	if (metal_shm_pool_create(1, 1, NULL, 0, 0, &pool))
		return;
	shm = metal_shm_pool_get(pool, 0);
	metal_shm_pool_get(pool, 0);
	metal_shm_free(shm, NULL);
	metal_shm_pool_destroy(pool);
}

uint32_t fake_drm_mode_width(void)
{
	const drmModeModeInfo *mode = fake_drm_mode_of(fake_drm.value[FAKE_DRM_CRTC][FAKE_MODE_ID]);

	return mode ? mode->hdisplay : 0;
}

static int get_cap(struct drm_get_cap *arg)
{
	switch (arg->capability) {
	case DRM_CAP_PRIME:
		arg->value = (fake_drm.import ? DRM_PRIME_CAP_IMPORT : 0) | DRM_PRIME_CAP_EXPORT;
		return 0;
	case DRM_CAP_ADDFB2_MODIFIERS:
		arg->value = fake_drm.modifiers;
		return 0;
	default:
		return -EINVAL;
	}
}

static int set_client_cap(const struct drm_set_client_cap *arg)
{
	if (arg->capability == DRM_CLIENT_CAP_ATOMIC)
		return fake_drm.atomic ? 0 : -EOPNOTSUPP;
	fake_drm_see_writeback();
	return 0;
}

static int become_master(void)
{
	if (!fake_drm.may_be_master)
		return -EBUSY;
	fake_drm.master = true;
	return 0;
}

static int answer(unsigned long request, void *arg)
{
	struct drm_version *version = arg;
	int ret;

	switch (request) {
	case DRM_IOCTL_VERSION:
		if (version->name && version->name_len)
			strncpy(version->name, fake_drm.driver, version->name_len);
		/* libdrm copies all three, empty or not */
		version->name_len = strlen(fake_drm.driver);
		version->date_len = version->desc_len = 1;
		return 0;
	case DRM_IOCTL_GET_CAP:
		return get_cap(arg);
	case DRM_IOCTL_SET_CLIENT_CAP:
		return set_client_cap(arg);
	case DRM_IOCTL_AUTH_MAGIC:
		return fake_drm.master ? -EINVAL : -EACCES;
	case DRM_IOCTL_SET_MASTER:
		return become_master();
	case DRM_IOCTL_DROP_MASTER:
		fake_drm.master = false;
		return 0;
	case DRM_IOCTL_MODE_ATOMIC:
		return fake_drm_commit(arg);
	default:
		ret = fake_drm_object(request, arg);
		return ret == -ENOTTY ? fake_drm_memory(request, arg) : ret;
	}
}

static bool to_fail(unsigned long request)
{
	if (fake_drm.fail && fake_drm.fail == request) {
		fake_drm.fail = 0;
		return true;
	}
	return fake_drm.fail_nth > 0 && !--fake_drm.fail_nth;
}

/* Releases are never failed: the kernel fails none, and nobody could do anything about it. */
static bool releases(unsigned long request)
{
	return request == DRM_IOCTL_GEM_CLOSE || request == DRM_IOCTL_MODE_RMFB ||
	       request == DRM_IOCTL_MODE_DESTROYPROPBLOB || request == DRM_IOCTL_DROP_MASTER;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;
	int ret;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (request == DMA_BUF_IOCTL_SYNC)
		return 0;
	pthread_mutex_lock(&lock);
	if (request == SYNC_IOC_FILE_INFO) {
		ret = fake_drm_fence_status(fd, arg);
	} else if (card[0] < 0 || fd != card[0]) {
		ret = (int)syscall(SYS_ioctl, fd, request, arg);
		if (ret < 0)
			ret = -errno;
	} else {
		fake_drm.calls++;
		if (fake_drm.gone)
			ret = -ENODEV;
		else if (!releases(request) && to_fail(request))
			ret = -fake_drm.error;
		else
			ret = answer(request, arg);
	}
	pthread_mutex_unlock(&lock);
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}
