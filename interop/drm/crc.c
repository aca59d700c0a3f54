/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums of the displayed picture, from debugfs. */
#include "drm_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

/* A driver that was about to stop its checksums (vkms after a writeback) is asked again. */
#define PATIENCE_NS INT64_C(500000000)

static int refused(const struct drm_device *d, int error, const char *path)
{
	if (error == ENOENT || error == EINVAL || error == ENODEV)
		return metal_shm_set_error(ENOTSUP, "%s (%s): no checksums at %s", d->name,
					   d->driver, path);
	if (error == EACCES || error == EPERM)
		return metal_shm_set_error(EACCES, "%s: not permitted; debugfs is root's", path);
	if (error == EIO)
		return metal_shm_set_error(ENODATA, "%s: the CRTC is off", d->name);
	return metal_shm_set_error(error, "%s: %s", path, strerror(error));
}

static int open_file(const struct drm_device *d, const char *name, int flags)
{
	char path[96];
	struct stat st;
	int fd;

	if (fstat(d->fd, &st) < 0)
		return metal_shm_set_error(errno, "%s: %s", d->name, strerror(errno));
	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%u/crtc-%u/crc/%s", minor(st.st_rdev),
		 d->crtc_index, name);
	fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? refused(d, errno, path) : fd;
}

/*
 * A mode-setting commit can report its flip before the CRTC's frame counter runs (vkms), and checksums
 * that begin then count it wrong.
 */
static int wait_scanning(const struct drm_device *d, int64_t until_ns)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t sequence, ns;

	while (drmCrtcGetSequence(d->fd, d->crtc, &sequence, &ns) < 0) {
		if (errno != EINVAL && errno != EBUSY)
			return 0;
		if (shm__drm_now_ns() >= until_ns)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int choose_source(const struct drm_device *d)
{
	int fd = open_file(d, "control", O_WRONLY), ret = 0;

	if (fd < 0)
		return fd;
	if (write(fd, "auto", 4) != 4)
		ret = refused(d, errno, "its control file");
	close(fd);
	return ret;
}

/* "0xFRAME 0xVALUE 0xVALUE...\n"; XXXXXXXXXX for a frame without a number */
static void parse(char *line, struct metal_shm_drm_crc *crc)
{
	char *save, *word = strtok_r(line, " \n", &save);

	crc->n = 0;
	crc->frame = word ? (uint32_t)strtoul(word, NULL, 16) : 0;
	while (crc->n < METAL_SHM_DRM_CRC_VALUES && (word = strtok_r(NULL, " \n", &save)))
		crc->value[crc->n++] = (uint32_t)strtoul(word, NULL, 16);
}

/* The first that is of the frame on the screen, not of one before it. */
static int read_one(const struct drm_device *d, int64_t until_ns, uint32_t sequence,
		    struct metal_shm_drm_crc *crc)
{
	int fd = open_file(d, "data", O_RDONLY), ret;

	if (fd < 0)
		return fd;
	do {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		int64_t left = until_ns - shm__drm_now_ns();
		char line[256];
		ssize_t length;

		ret = poll(&ready, 1, left > 0 ? (int)(left / 1000000 + 1) : 0);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret != 1) {
			ret = -ETIMEDOUT;
			break;
		}
		length = read(fd, line, sizeof(line) - 1);
		if (length <= 0) {
			ret = length < 0 && errno == EAGAIN ? -ETIMEDOUT : -EIO;
			break;
		}
		line[length] = '\0';
		parse(line, crc);
		ret = 0;
	} while (ret || !crc->n || (crc->frame && (int32_t)(crc->frame - sequence) < 0));
	close(fd);
	return ret;
}

static int read_displayed(struct drm_device *d, int64_t timeout_ns, struct metal_shm_drm_crc *crc)
{
	struct drm_done done = { .count = 0 };
	int64_t deadline_ns = shm__drm_deadline_ns(timeout_ns), until_ns;
	uint32_t sequence;
	bool shown;
	int ret;

	ret = shm__drm_wait_shown(d, true, timeout_ns, &done);
	shm__drm_done_give_back(d, &done);
	if (ret < 0)
		return ret;
	pthread_mutex_lock(&d->lock);
	shown = d->front;
	sequence = d->flip.sequence;
	pthread_mutex_unlock(&d->lock);
	if (!shown)
		return metal_shm_set_error(ENODATA, "%s shows nothing of this program's", d->name);
	ret = choose_source(d);
	if (ret < 0)
		return ret;
	do {
		until_ns = shm__drm_now_ns() + PATIENCE_NS;
		if (deadline_ns >= 0 && until_ns > deadline_ns)
			until_ns = deadline_ns;
		ret = wait_scanning(d, until_ns);
		if (!ret)
			ret = read_one(d, until_ns, sequence, crc);
	} while (ret == -ETIMEDOUT && (deadline_ns < 0 || shm__drm_now_ns() < deadline_ns));
	if (ret == -ETIMEDOUT || ret == -EIO)
		metal_shm_set_error(-ret, "%s: no checksum came", d->name);
	return ret;
}

int metal_shm_drm_crc(struct metal_device *dev, int64_t timeout_ns, struct metal_shm_drm_crc *ret)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	struct metal_shm_drm_crc crc = { .n = 0 };
	int error;

	if (!d)
		return -errno;
	if (!ret || ret->struct_size < offsetof(struct metal_shm_drm_crc, frame))
		return metal_shm_set_error(EINVAL, "struct_size is not set");
	error = read_displayed(d, timeout_ns, &crc);
	if (error < 0)
		return error;
	crc.struct_size = ret->struct_size;
	memcpy(ret, &crc, crc.struct_size < sizeof(crc) ? crc.struct_size : sizeof(crc));
	return 0;
}
