/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding the board's camera, whose number changes from boot to boot. */
#ifndef CAMERA_PATH_H
#define CAMERA_PATH_H

#include <dirent.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "shm_test.h"

/* The node of the first video device whose name matches, e.g. "vivid-*-vid-cap". */
static inline const char *video_path(const char *pattern)
{
	static char path[300];
	char name[64] = "", place[300];
	DIR *nodes = opendir("/sys/class/video4linux");
	struct dirent *node;
	bool found = false;

	while (nodes && !found && (node = readdir(nodes)) != NULL) {
		FILE *file;

		snprintf(place, sizeof(place), "/sys/class/video4linux/%s/name", node->d_name);
		file = strncmp(node->d_name, "video", 5) ? NULL : fopen(place, "re");
		if (!file)
			continue;
		found = fscanf(file, "%63[^\n]", name) == 1 && !fnmatch(pattern, name, 0);
		fclose(file);
		snprintf(path, sizeof(path), "/dev/%s", node->d_name);
	}
	if (nodes)
		closedir(nodes);
	if (!found)
		shm_test_skip("no video device is called %s", pattern);
	return path;
}

#endif
