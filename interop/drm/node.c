/* SPDX-License-Identifier: BSD-3-Clause */
#include "drm_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shm/linux.h>

/* Their planes are read, and dumb buffers filled, by the CPU through vmap (shadow planes). */
static const char *const cpu_drivers[] = {
	"ast",     "cirrus",    "gm12u320", "gud",       "hyperv_drm", "mgag200", "ofdrm",
	"ssd130x", "simpledrm", "udl",      "vboxvideo", "vgem",       "vkms",
};

int shm__drm_node_open(const char *path, int *ret_fd)
{
	int fd, ret;

	/* Nonblocking from the start: a FIFO's open would wait for a writer. */
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == EACCES)
		return metal_shm_not_permitted(path, "drm");
	if (fd < 0 && (errno == EISDIR || errno == ENXIO || errno == ENOTDIR || errno == ETXTBSY))
		return metal_shm_set_error(EINVAL, "%s is not a DRM node", path);
	if (fd < 0)
		return metal_shm_set_error(errno, "%s: %s", path, strerror(errno));
	ret = shm__drm_node_check(fd, path);
	if (ret < 0)
		goto close_fd;
	*ret_fd = fd;
	return 0;

close_fd:
	close(fd);
	return ret;
}

int shm__drm_node_check(int fd, const char *path)
{
	struct stat st;
	int type;

	if (fstat(fd, &st) < 0)
		return metal_shm_set_error(errno, "%s: %s", path, strerror(errno));
	/* It asks sysfs, so no other driver gets an ioctl that it might take for one of its own. */
	type = drmGetNodeTypeFromFd(fd);
	if (type < 0)
		return metal_shm_set_error(EINVAL, "%s is not a DRM node", path);
	if (type != DRM_NODE_PRIMARY)
		return metal_shm_set_error(ENOTSUP,
					   "%s is a render node: it has neither a display nor dumb "
					   "buffers, its card node may",
					   path);
	return 0;
}

int shm__drm_learn_driver(struct drm_device *d, uint32_t flags)
{
	drmVersionPtr version = drmGetVersion(d->fd);
	uint64_t prime = 0, modifiers = 0;
	struct drm_dumb probe;
	size_t i;
	int ret;

	if (!version)
		return metal_shm_set_error(EINVAL, "%s is not a DRM node", d->name);
	strncpy(d->driver, version->name, sizeof(d->driver) - 1);
	drmFreeVersion(version);

	d->is_vkms = !strcmp(d->driver, "vkms");
	d->access = METAL_SHM_ACCESS_DMA;
	for (i = 0; i < sizeof(cpu_drivers) / sizeof(cpu_drivers[0]); i++) {
		if (!strcmp(d->driver, cpu_drivers[i]))
			d->access = METAL_SHM_ACCESS_CPU_KERNEL;
	}

	drmGetCap(d->fd, DRM_CAP_PRIME, &prime);
	if (!(prime & (flags & METAL_SHM_DRM_MEMORY ? DRM_PRIME_CAP_EXPORT : DRM_PRIME_CAP_IMPORT)))
		return metal_shm_set_error(ENOTSUP, "%s: driver %s shares no memory", d->name,
					   d->driver);
	drmGetCap(d->fd, DRM_CAP_ADDFB2_MODIFIERS, &modifiers);
	d->modifiers = modifiers;

	/* The narrowest picture's pitch is what the driver aligns pitches to. */
	d->pitch_alignment = 4;
	ret = shm__drm_dumb_make(d, 1, 1, &probe);
	if (ret < 0)
		return flags & METAL_SHM_DRM_MEMORY ? ret : 0;
	if (probe.pitch > 4 && !(probe.pitch & (probe.pitch - 1)))
		d->pitch_alignment = probe.pitch;
	shm__drm_dumb_end(d, probe.handle);
	return 0;
}

int shm__drm_become_master(struct drm_device *d)
{
	/* Whoever opens a card without a master is it; a lease is its own. */
	if (drmIsMaster(d->fd) || !drmSetMaster(d->fd))
		return 0;
	return metal_shm_set_error(EBUSY,
				   "%s: another program is the card's master (%s); end it, or open "
				   "a lease of it with metal_shm_drm_open_fd()",
				   d->name, strerror(errno));
}
