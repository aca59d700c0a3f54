/* SPDX-License-Identifier: BSD-3-Clause */
/* IOMMU groups: found by sysfs, opened once in the process, each in a container, if it can be the same. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "node.h"
#include "vfio.h"

#define DEVICES   "/sys/bus/pci/devices"
#define GROUPS    "/sys/kernel/iommu_groups"
#define NAME_SIZE 64
#define PATH_SIZE 320
#define NO_IOMMU  "vfio-noiommu" /* VFIO's own groups of devices that have none */

struct shared_container {
	struct shared_container *next;
	struct shm__vfio_container *container;
	unsigned groups;
};

struct shm__vfio_group {
	struct shm__vfio_group *next;
	struct shared_container *in;
	char number[NAME_SIZE];
	unsigned users;
	int fd;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shm__vfio_group *groups;
static struct shared_container *containers;

/* The last part of where a link leads. 0 or -errno. */
static int link_name(const char *folder, const char *link, char name[static NAME_SIZE])
{
	char path[PATH_SIZE], target[PATH_SIZE];
	const char *last;
	ssize_t length;

	snprintf(path, sizeof(path), "%s/%s", folder, link);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = '\0';
	last = strrchr(target, '/');
	snprintf(name, NAME_SIZE, "%.63s", last ? last + 1 : target);
	return 0;
}

static bool is_vfio(const char *driver)
{
	return strstr(driver, "vfio") != NULL;
}

static bool is_no_iommu(const char *number)
{
	char path[PATH_SIZE], name[NAME_SIZE] = "";
	FILE *file;

	snprintf(path, sizeof(path), GROUPS "/%s/name", number);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = '\0';
	fclose(file);
	return !strncmp(name, NO_IOMMU, strlen(NO_IOMMU));
}

/* The number of the device's group, and that VFIO has the device. */
static int look_up(const char *pci, char number[static NAME_SIZE])
{
	char folder[PATH_SIZE], driver[NAME_SIZE];

	snprintf(folder, sizeof(folder), DEVICES "/%s", pci);
	if (access(folder, F_OK))
		return metal_shm_set_error(ENOENT, "no PCI device %s in " DEVICES, pci);
	if (link_name(folder, "iommu_group", number) || is_no_iommu(number))
		return metal_shm_set_error(
			ENOTSUP,
			"%s: no IOMMU stands before it (kernel arguments "
			"intel_iommu=on or amd_iommu=on, if the machine has one)",
			pci);
	if (link_name(folder, "driver", driver))
		return metal_shm_set_error(ENODEV,
					   "%s has no driver: echo vfio-pci > " DEVICES
					   "/%s/driver_override; echo %s > "
					   "/sys/bus/pci/drivers_probe",
					   pci, pci, pci);
	if (!is_vfio(driver))
		return metal_shm_set_error(
			EBUSY,
			"%s is bound to the driver %s, not to vfio-pci: echo %s > " DEVICES
			"/%s/driver/unbind, then to vfio-pci",
			pci, driver, pci, pci);
	return 0;
}

/* Any other driver of the group could reach what is mapped for this device. */
static int not_viable(const char *pci, const char *number)
{
	char folder[PATH_SIZE], device[PATH_SIZE + 256], driver[NAME_SIZE];
	struct dirent *entry;
	DIR *dir;
	int error = 0;

	snprintf(folder, sizeof(folder), GROUPS "/%s/devices", number);
	dir = opendir(folder);
	while (dir && !error && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, pci))
			continue;
		snprintf(device, sizeof(device), "%s/%s", folder, entry->d_name);
		if (link_name(device, "driver", driver) || is_vfio(driver))
			continue;
		error = metal_shm_set_error(
			EBUSY,
			"%s shares the IOMMU group %s with %.20s, which the driver "
			"%s has: unbind that one, too",
			pci, number, entry->d_name, driver);
	}
	if (dir)
		closedir(dir);
	return error ? error
		     : metal_shm_set_error(EBUSY, "%s: the IOMMU group %s is in use by the kernel",
					   pci, number);
}

static int open_group(const char *pci, const char *number)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[PATH_SIZE];
	int error, fd;

	snprintf(path, sizeof(path), "/dev/vfio/%s", number);
	fd = shm__node_open(path, "vfio");
	if (fd == -ENOENT)
		return metal_shm_set_error(ENOENT, "no %s, though VFIO has %s", path, pci);
	if (fd == -EBUSY)
		return metal_shm_set_error(EBUSY, "%s is open elsewhere: a group has one user",
					   path);
	if (fd < 0)
		return fd;
	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status))
		error = metal_shm_set_error(errno, "%s: VFIO_GROUP_GET_STATUS: %s", path,
					    strerror(errno));
	else if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		error = not_viable(pci, number);
	else
		return fd;
	close(fd);
	return error;
}

static int enter_container(struct shm__vfio_group *group, const char *pci)
{
	struct shared_container *in;
	int error;

	for (in = containers; in; in = in->next)
		if (shm__vfio_container_join(in->container, group->fd))
			goto enter;
	in = calloc(1, sizeof(*in));
	if (!in)
		return metal_shm_set_error(ENOMEM, "%s: no memory", pci);
	error = shm__vfio_container_new(group->fd, pci, &in->container);
	if (error) {
		free(in);
		return error;
	}
	in->next = containers;
	containers = in;
enter:
	in->groups++;
	group->in = in;
	return 0;
}

static int add_group(const char *pci, const char *number, struct shm__vfio_group **ret_group)
{
	struct shm__vfio_group *group = calloc(1, sizeof(*group));
	int error;

	if (!group)
		return metal_shm_set_error(ENOMEM, "%s: no memory", pci);
	group->fd = open_group(pci, number);
	if (group->fd < 0) {
		error = group->fd;
		goto free_group;
	}
	error = enter_container(group, pci);
	if (error)
		goto close_group;
	snprintf(group->number, sizeof(group->number), "%s", number);
	group->next = groups;
	groups = group;
	*ret_group = group;
	return 0;
close_group:
	close(group->fd);
free_group:
	free(group);
	return error;
}

int shm__vfio_group_get(const char *pci, struct shm__vfio_group **ret_group)
{
	struct shm__vfio_group *group;
	char number[NAME_SIZE];
	int error = look_up(pci, number);

	if (error)
		return error;
	pthread_mutex_lock(&lock);
	for (group = groups; group && strcmp(group->number, number) != 0; group = group->next)
		;
	if (!group)
		error = add_group(pci, number, &group);
	if (!error) {
		group->users++;
		*ret_group = group;
	}
	pthread_mutex_unlock(&lock);
	return error;
}

static void leave_container(struct shared_container *in)
{
	struct shared_container **at = &containers;

	if (--in->groups)
		return;
	while (*at != in)
		at = &(*at)->next;
	*at = in->next;
	shm__vfio_container_free(in->container);
	free(in);
}

void shm__vfio_group_put(struct shm__vfio_group *group)
{
	struct shm__vfio_group **at = &groups;

	pthread_mutex_lock(&lock);
	if (!--group->users) {
		while (*at != group)
			at = &(*at)->next;
		*at = group->next;
		/* which takes it out of its container */
		close(group->fd);
		leave_container(group->in);
		free(group);
	}
	pthread_mutex_unlock(&lock);
}

int shm__vfio_group_device(const struct shm__vfio_group *group, const char *pci)
{
	int fd = ioctl(group->fd, VFIO_GROUP_GET_DEVICE_FD, pci);

	if (fd < 0)
		return metal_shm_set_error(errno, "%s: VFIO_GROUP_GET_DEVICE_FD: %s", pci,
					   strerror(errno));
	return fd;
}

struct shm__vfio_container *shm__vfio_container_of(const struct shm__vfio_group *group)
{
	return group->in->container;
}
