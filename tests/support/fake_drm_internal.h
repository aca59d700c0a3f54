/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the driver in the program share; all with its lock held. */
#ifndef FAKE_DRM_INTERNAL_H
#define FAKE_DRM_INTERNAL_H

#include <sys/stat.h>

#include <drm_fourcc.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "fake_drm.h"

#define FAKE_BLOB_FORMATS 50u /* of the writeback connector */
#define FAKE_BLOB_IN      51u /* IN_FORMATS */
#define FAKE_BLOB_FIRST   60u
#define FAKE_FB_FIRST     100u
#define FAKE_MOST         64u

struct sync_file_info;

extern struct fake_drm fake_drm;

/* fake_drm.c */
void fake_drm_send(const struct drm_event_vblank *event);

/* fake_drm_objects.c */
void fake_drm_objects_reset(void);
const drmModeModeInfo *fake_drm_mode_of(uint64_t blob);
bool fake_drm_knows_mode(const drmModeModeInfo *mode);
bool fake_drm_has(uint32_t object, unsigned property);
void fake_drm_see_writeback(void);
int fake_drm_object(unsigned long request, void *arg);

/* fake_drm_memory.c */
void fake_drm_memory_reset(void);
bool fake_drm_is_fb(uint64_t id);
int fake_drm_memory(unsigned long request, void *arg);

/* fake_drm_commit.c */
void fake_drm_commit_reset(void);
bool fake_drm_flip_waits(void);
void fake_drm_complete(void);
void fake_drm_write_back(int status);
int fake_drm_commit(const struct drm_mode_atomic *arg);
int fake_drm_fence_status(int fd, struct sync_file_info *info);

#endif
