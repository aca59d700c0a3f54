/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shm/device.h>
#include <shm/linux.h>

#include "node.h"

static const char *group_name(gid_t gid, char *text, size_t size)
{
	struct group group, *found = NULL;
	char buffer[4096];

	if (getgrgid_r(gid, &group, buffer, sizeof(buffer), &found) == 0 && found)
		snprintf(text, size, "%s", found->gr_name);
	else
		snprintf(text, size, "%u", gid);
	return text;
}

/* Only a group that may both read and write helps, and root's is no group to join. */
int metal_shm_not_permitted(const char *path, const char *subsystem)
{
	const mode_t group_may = S_IRGRP | S_IWGRP;
	const char *last;
	char group[64];
	struct stat st;

	if (!path || !subsystem)
		return metal_shm_set_error(EINVAL, "metal_shm_not_permitted: NULL");
	if (stat(path, &st) < 0)
		return metal_shm_set_error(EACCES, "%s: not permitted, its directory neither",
					   path);
	group_name(st.st_gid, group, sizeof(group));
	if ((st.st_mode & group_may) == group_may && st.st_gid != 0)
		return metal_shm_set_error(EACCES,
					   "%s belongs to group %s, mode %04o: join the group %s",
					   path, group, st.st_mode & 07777, group);
	last = strrchr(path, '/');
	return metal_shm_set_error(EACCES,
				   "%s belongs to group %s, mode %04o: a udev rule would help: "
				   "SUBSYSTEM==\"%s\", KERNEL==\"%s\", GROUP=\"video\", "
				   "MODE=\"0660\"",
				   path, group, st.st_mode & 07777, subsystem,
				   last ? last + 1 : path);
}

int shm__node_open(const char *path, const char *subsystem)
{
	struct stat st;
	int error, fd;

	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		error = errno;
		if (error == ENOENT)
			return -ENOENT;
		if (error == EACCES)
			return metal_shm_not_permitted(path, subsystem);
		/* Containers refuse devices so, whatever the node's mode. */
		if (error == EPERM)
			return metal_shm_set_error(
				EACCES, "%s: the container's device rules forbid it", path);
		return metal_shm_set_error(error, "%s: %s", path, strerror(error));
	}
	if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode))
		return fd;
	close(fd);
	return metal_shm_set_error(EINVAL, "%s is not a device", path);
}
