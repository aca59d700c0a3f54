/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding a card of the board, whose number changes from boot to boot. */
#ifndef CARD_PATH_H
#define CARD_PATH_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <xf86drm.h>

#include "shm_test.h"

/* The node of the card that a driver has. */
static inline const char *card_path(const char *driver)
{
	static char path[32];

	for (int i = 0; i < 16; i++) {
		drmVersionPtr version;
		bool found;
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		version = drmGetVersion(fd);
		found = version && !strcmp(version->name, driver);
		drmFreeVersion(version);
		close(fd);
		if (found)
			return path;
	}
	shm_test_skip("no card of %s", driver);
}

#endif
