/* SPDX-License-Identifier: BSD-3-Clause */
/* A core's life: its state, firmware, start and stop. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/remoteproc_cdev.h>

#include "internal.h"

static const struct {
	const char *name;
	enum metal_shm_rproc_state state;
} states[] = {
	{ "offline", METAL_SHM_RPROC_OFFLINE },   { "suspended", METAL_SHM_RPROC_SUSPENDED },
	{ "running", METAL_SHM_RPROC_RUNNING },   { "crashed", METAL_SHM_RPROC_CRASHED },
	{ "attached", METAL_SHM_RPROC_ATTACHED }, { "detached", METAL_SHM_RPROC_DETACHED },
};

void shm__rproc_path(const struct shm__rproc *rproc, const char *file,
		     char ret_path[static SHM__RPROC_PATH])
{
	snprintf(ret_path, SHM__RPROC_PATH, "/sys/class/remoteproc/%s/%s", rproc->id, file);
}

const char *shm__rproc_state_name(int state)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if ((int)states[i].state == state)
			return states[i].name;
	return "in an unknown state";
}

static bool look_at(const char *path, struct stat *ret)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	bool seen = fd >= 0 && !fstat(fd, ret);

	if (fd >= 0)
		close(fd);
	return seen;
}

/* What a file of the remoteproc's answered. */
static int file_error(const struct shm__rproc *rproc, const char *path, int error)
{
	struct stat st;

	if (error == ENOENT || error == ENODEV)
		return metal_shm_set_error(ENODEV, "%s is gone (%s)", rproc->id, path);
	if (error == EPERM)
		error = EACCES;
	if (error == EACCES && look_at(path, &st))
		return metal_shm_set_error(EACCES,
					   "%s: not permitted: it is of user %u and group %u with "
					   "mode %04o; root may, or a udev rule helps",
					   path, st.st_uid, st.st_gid, st.st_mode & 07777u);
	return metal_shm_set_error(error, "%s: %s", path, strerror(error));
}

/* The file stays open: it is looked at often. */
int shm__rproc_state_open(struct shm__rproc *rproc)
{
	char path[SHM__RPROC_PATH];

	shm__rproc_path(rproc, "state", path);
	rproc->state_fd = open(path, O_RDONLY | O_CLOEXEC);
	return rproc->state_fd < 0 ? file_error(rproc, path, errno) : 0;
}

int shm__rproc_state(const struct shm__rproc *rproc)
{
	char path[SHM__RPROC_PATH], text[SHM__RPROC_TEXT];
	ssize_t size = pread(rproc->state_fd, text, sizeof(text) - 1, 0);

	if (size < 0) {
		shm__rproc_path(rproc, "state", path);
		return file_error(rproc, path, errno);
	}
	text[size] = '\0';
	text[strcspn(text, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (!strcmp(states[i].name, text))
			return (int)states[i].state;
	return METAL_SHM_RPROC_UNKNOWN;
}

int metal_shm_rproc_state(struct metal_device *dev)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);

	return rproc ? shm__rproc_state(rproc) : -errno;
}

int metal_shm_rproc_firmware(struct metal_device *dev, char *ret_name, size_t size)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);
	char path[SHM__RPROC_PATH], text[SHM__RPROC_TEXT];
	int error;

	if (!rproc)
		return -errno;
	if (!ret_name)
		return metal_shm_set_error(EINVAL, "metal_shm_rproc_firmware: NULL");
	shm__rproc_path(rproc, "firmware", path);
	error = shm__rproc_read(path, text);
	if (error)
		return file_error(rproc, path, -error);
	if (strlen(text) >= size)
		return metal_shm_set_error(ENAMETOOLONG, "%s's firmware has a name of %zu bytes",
					   rproc->id, strlen(text));
	memcpy(ret_name, text, strlen(text) + 1);
	return 0;
}

static int set_firmware(const struct shm__rproc *rproc, const char *name)
{
	char path[SHM__RPROC_PATH];
	int error;

	if (!name[0] || strchr(name, '\n') || strlen(name) >= SHM__RPROC_TEXT)
		return metal_shm_set_error(EINVAL, "'%.64s' is not the name of a firmware", name);
	shm__rproc_path(rproc, "firmware", path);
	error = shm__rproc_write(path, name);
	if (error == -EBUSY)
		return metal_shm_set_error(EBUSY, "%s is %s: its firmware changes when it is off",
					   rproc->id,
					   shm__rproc_state_name(shm__rproc_state(rproc)));
	return error ? file_error(rproc, path, -error) : 0;
}

int metal_shm_rproc_set_firmware(struct metal_device *dev, const char *name)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);

	if (!rproc)
		return -errno;
	if (!name)
		return metal_shm_set_error(EINVAL, "metal_shm_rproc_set_firmware: NULL");
	return set_firmware(rproc, name);
}

static int open_node(const struct shm__rproc *rproc, char path[static SHM__RPROC_PATH])
{
	int fd;

	snprintf(path, SHM__RPROC_PATH, "/dev/%s", rproc->id);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int write_command(int fd, const char *command)
{
	return write(fd, command, strlen(command)) < 0 ? -errno : 0;
}

/* Who may not write sysfs may be in the group that may open the node. */
static int command(const struct shm__rproc *rproc, const char *word)
{
	char path[SHM__RPROC_PATH], node[SHM__RPROC_PATH];
	int error, fd;

	shm__rproc_path(rproc, "state", path);
	error = shm__rproc_write(path, word);
	if (error != -EACCES && error != -EPERM)
		return error;
	fd = open_node(rproc, node);
	if (fd == -ENOENT)
		return file_error(rproc, path, -error);
	if (fd < 0)
		return file_error(rproc, node, -fd);
	error = write_command(fd, word);
	close(fd);
	return error;
}

/* The core stops when the last copy of the descriptor is closed, by whom or what ever. */
static int start_owned(struct shm__rproc *rproc)
{
	char node[SHM__RPROC_PATH];
	int error = 0, fd = open_node(rproc, node);
	int32_t stop = 1;

	if (fd == -ENOENT || fd == -ENXIO)
		return metal_shm_set_error(ENOTSUP,
					   "%s is not there: METAL_SHM_RPROC_STOP_WITH_US needs a "
					   "kernel with CONFIG_REMOTEPROC_CDEV",
					   node);
	if (fd < 0)
		return file_error(rproc, node, -fd);
	if (ioctl(fd, RPROC_SET_SHUTDOWN_ON_RELEASE, &stop))
		error = file_error(rproc, node, errno);
	if (!error) {
		error = write_command(fd, "start");
		if (error)
			error = shm__rproc_firmware_error(rproc, -error);
	}
	if (error) {
		/* nobody else's core is to stop because this one didn't start */
		stop = 0;
		ioctl(fd, RPROC_SET_SHUTDOWN_ON_RELEASE, &stop);
		close(fd);
		return error;
	}
	rproc->owner_fd = fd;
	return 0;
}

static int start(struct shm__rproc *rproc, const char *firmware, uint32_t flags)
{
	int error = 0, state = shm__rproc_state(rproc);

	if (state < 0)
		return state;
	/* the kernel counts starts: a second one would have to be stopped too */
	if (state != METAL_SHM_RPROC_OFFLINE && state != METAL_SHM_RPROC_DETACHED)
		return metal_shm_set_error(EALREADY, "%s is %s", rproc->id,
					   shm__rproc_state_name(state));
	if (firmware)
		error = set_firmware(rproc, firmware);
	if (error)
		return error;
	if (state == METAL_SHM_RPROC_OFFLINE)
		shm__rproc_rings_begin(rproc);
	if (flags & METAL_SHM_RPROC_STOP_WITH_US)
		return start_owned(rproc);
	error = command(rproc, "start");
	if (error == -EACCES || error == -EPERM)
		return error;
	return error ? shm__rproc_firmware_error(rproc, -error) : 0;
}

int metal_shm_rproc_start(struct metal_device *dev, const char *firmware, uint32_t flags)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);
	int error;

	if (!rproc)
		return -errno;
	if (flags & ~METAL_SHM_RPROC_STOP_WITH_US)
		return metal_shm_set_error(EINVAL, "metal_shm_rproc_start: unknown flags %#x",
					   flags & ~METAL_SHM_RPROC_STOP_WITH_US);
	pthread_mutex_lock(&rproc->lock);
	error = start(rproc, firmware, flags);
	if (!error)
		rproc->off = false;
	pthread_mutex_unlock(&rproc->lock);
	return error;
}

static bool is_off(int state)
{
	return state == METAL_SHM_RPROC_OFFLINE || state == METAL_SHM_RPROC_SUSPENDED ||
	       state == METAL_SHM_RPROC_DETACHED;
}

/* Linux up to 6.1.176 at least stops no core that has crashed, 6.1.192 does: it has to run again before. */
static int stop_crashed(const struct shm__rproc *rproc)
{
	char path[SHM__RPROC_PATH];
	int error;

	shm__rproc_path(rproc, "recovery", path);
	error = shm__rproc_write(path, "recover");
	if (error)
		return file_error(rproc, path, -error);
	return is_off(shm__rproc_state(rproc)) ? 0 : command(rproc, "stop");
}

static int stop(struct shm__rproc *rproc)
{
	int error, state = shm__rproc_state(rproc);

	if (state < 0)
		return state;
	if (!is_off(state)) {
		error = command(rproc, "stop");
		if (error == -EINVAL && shm__rproc_state(rproc) == METAL_SHM_RPROC_CRASHED)
			error = stop_crashed(rproc);
		if (error == -EACCES || error == -EPERM)
			return error;
		if (error)
			return metal_shm_set_error(-error, "%s doesn't stop: %s", rproc->id,
						   strerror(-error));
		state = shm__rproc_state(rproc);
		if (state >= 0 && !is_off(state))
			return metal_shm_set_error(EBUSY,
						   "%s is still %s: another program started it too",
						   rproc->id, shm__rproc_state_name(state));
	}
	if (rproc->owner_fd >= 0)
		close(rproc->owner_fd);
	rproc->owner_fd = -1;
	rproc->off = true;
	shm__rproc_tick(rproc);
	return 0;
}

int metal_shm_rproc_stop(struct metal_device *dev)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);
	int error;

	if (!rproc)
		return -errno;
	pthread_mutex_lock(&rproc->lock);
	error = stop(rproc);
	pthread_mutex_unlock(&rproc->lock);
	return error;
}
