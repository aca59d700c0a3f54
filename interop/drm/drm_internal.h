/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of libshm-drm share.
 *
 * Locks, outermost first; none is held while calling metal_shm_hold() or metal_shm_unhold():
 *   verb  one commit at a time; held while waiting for the screen; dispatch and detach never take it
 *   lock  what is on the screen and who waits for it; never held while blocking
 *   gem_lock  the counts of GEM handles
 */
#ifndef SHM_DRM_INTERNAL_H
#define SHM_DRM_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <shm/device.h>
#include <shm/drm.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

/* How long a verb waits for the flip before it; the kernel gives up on one after the same time. */
#define DRM_PATIENCE_NS INT64_C(10000000000)

/* Properties that are used. Their ids are the card's: equal for all objects that have one. */
enum drm_property {
	PROP_ACTIVE,
	PROP_MODE_ID,
	PROP_OUT_FENCE_PTR,
	PROP_CRTC_ID,
	PROP_WRITEBACK_FB_ID,
	PROP_WRITEBACK_OUT_FENCE_PTR,
	PROP_WRITEBACK_PIXEL_FORMATS,
	PROP_FB_ID,
	PROP_IN_FENCE_FD,
	PROP_SRC_X,
	PROP_SRC_Y,
	PROP_SRC_W,
	PROP_SRC_H,
	PROP_CRTC_X,
	PROP_CRTC_Y,
	PROP_CRTC_W,
	PROP_CRTC_H,
	PROP_IN_FORMATS,
	PROP_TYPE,
	PROP_COUNT,
};

/* A format with the modifiers that go with it. */
struct drm_format {
	uint32_t fourcc;
	uint64_t *modifiers;
	size_t modifier_count;
};

struct drm_formats {
	struct drm_format *format;
	size_t count;
};

struct drm_gem {
	struct drm_gem *next;
	uint32_t handle;
	unsigned int uses;
};

struct drm_fb {
	uint32_t id; /* 0: none */
	uint32_t fourcc;
	uint32_t width;
	uint32_t height;
};

/* What attach makes of a buffer. */
struct drm_view {
	struct metal_generic_shm *shm; /* NULL for those of a trial */
	uint32_t handle;
	struct drm_fb fb;
};

/* How a frame of one size is shown. */
struct drm_picture {
	bool active;
	uint32_t width; /* of the frame */
	uint32_t height;
	int32_t x; /* where it lies on the CRTC */
	int32_t y;
	bool display;   /* the connector is on the CRTC */
	bool writeback; /* the writeback connector is */
	uint32_t blob;  /* of the mode; owned */
	drmModeModeInfo mode;
};

/* The display state of a CRTC, of all its planes and connectors. */
struct drm_object {
	uint32_t id;
	uint32_t type;
	uint64_t value[PROP_COUNT];
};

#define DRM_MAX_OBJECTS 48

struct drm_state {
	unsigned int count; /* 0: nothing saved */
	struct drm_object object[DRM_MAX_OBJECTS];
	bool has_mode;
	drmModeModeInfo mode;
};

/* An atomic request. Objects are added one after another, each with its properties. */
#define DRM_MAX_PROPERTIES 256

struct drm_request {
	unsigned int objects;
	unsigned int properties;
	bool overflow;
	uint32_t object[DRM_MAX_OBJECTS];
	uint32_t count[DRM_MAX_OBJECTS];
	uint32_t property[DRM_MAX_PROPERTIES];
	uint64_t value[DRM_MAX_PROPERTIES];
};

/* Work that ended: given back once the locks are free. */
struct drm_done {
	unsigned int count;
	struct {
		struct metal_generic_shm *shm;
		int error;
	} entry[4];
};

/* One commit of a frame. */
struct drm_shot {
	struct drm_view *view;
	struct drm_view *into;  /* or NULL */
	int in_fence;           /* or -1 */
	int32_t *ret_out_fence; /* or NULL */
};

struct drm_device {
	struct metal_device *dev;
	int fd;
	int poll_fd; /* fd, or an epoll descriptor over fd and the writeback's fence */
	char name[100];
	char driver[32];
	enum metal_shm_access access;
	uint32_t pitch_alignment;
	uint32_t min_width;
	uint32_t min_height;
	uint32_t max_width;
	uint32_t max_height;
	bool is_vkms;
	bool modifiers;
	bool mode_fixed; /* the caller chose: modes has just that */
	/* under the verb lock */
	bool touched; /* the CRTC is not as it was before us, which is saved */
	bool alone;   /* the writeback connector doesn't go beside the display's */

	pthread_mutex_t gem_lock;
	struct drm_gem *gems;

	/* Chosen at open and constant. */
	uint32_t connector;
	uint32_t connector_type;
	uint32_t writeback; /* 0: not asked for */
	uint32_t crtc;
	unsigned int crtc_index;
	uint32_t plane;
	uint32_t property[PROP_COUNT];
	drmModeModeInfo *modes; /* the preferred one first */
	unsigned int mode_count;
	struct drm_formats shown;
	struct drm_formats written;

	pthread_mutex_t verb;
	struct drm_picture picture;
	struct drm_state saved;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool polling;    /* a thread sleeps on the descriptors and will read them */
	bool committing; /* a commit has not returned */
	bool closed;
	struct drm_view *front;   /* on the screen */
	struct drm_view *pending; /* committed, its flip not seen */
	struct drm_view *target;  /* being written */
	int target_fence;
	int64_t written_ns; /* when vkms told that it was; 0 for others */
	uint64_t cookie;    /* of the pending commit's event */
	struct metal_shm_drm_flip flip;
};

/* device.c */
extern const struct metal_shm_device_ops shm__drm_display_ops;
extern const struct metal_shm_device_ops shm__drm_memory_ops;

/* open.c */
void shm__drm_destroy(struct drm_device *d);

/* node.c: descriptors of cards */
int shm__drm_node_open(const char *path, int *ret_fd);
int shm__drm_node_check(int fd, const char *path);
int shm__drm_learn_driver(struct drm_device *d, uint32_t flags);
int shm__drm_become_master(struct drm_device *d);

/* objects.c: connector, CRTC, plane */
int shm__drm_choose(struct drm_device *d, const struct metal_shm_drm_options *options);

/* properties.c */
int shm__drm_learn_properties(struct drm_device *d, uint32_t object, uint32_t type);
int shm__drm_read_properties(struct drm_device *d, uint32_t object, uint32_t type,
			     uint64_t values[PROP_COUNT]);

/* request.c */
void shm__drm_request_object(struct drm_request *r, uint32_t object);
void shm__drm_request_set(struct drm_request *r, const struct drm_device *d,
			  enum drm_property property, uint64_t value);
int shm__drm_request_commit(const struct drm_request *r, const struct drm_device *d, uint32_t flags,
			    uint64_t cookie);

/* formats.c */
int shm__drm_learn_formats(struct drm_device *d);
void shm__drm_forget_formats(struct drm_device *d);
const struct drm_format *shm__drm_format(const struct drm_formats *formats, uint32_t fourcc);
const char *shm__drm_list(const struct drm_formats *formats, char text[], size_t size);
void shm__drm_fourcc(uint32_t fourcc, char text[5]);

/* layout.c */
int shm__drm_constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
			 struct metal_shm_constraints *ret);
int shm__drm_layout(struct metal_device *dev, const struct metal_shm_frame *frame,
		    struct metal_shm_layout *ret);
uint64_t shm__drm_pitch(const struct drm_device *d, uint32_t width, uint32_t bytes);

/* prime.c */
int shm__drm_gem_use(struct drm_device *d, int dmabuf, uint32_t *ret_handle);
int shm__drm_gem_adopt(struct drm_device *d, uint32_t handle);
void shm__drm_gem_drop(struct drm_device *d, uint32_t handle);
int shm__drm_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
		    struct metal_shm_view *ret_view);
void shm__drm_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
		     struct metal_shm_view *view);
int shm__drm_fb_make(struct drm_device *d, uint32_t handle, const struct metal_shm_frame *frame,
		     struct drm_fb *ret_fb);

/* picture.c: modes */
const drmModeModeInfo *shm__drm_mode_of(const struct drm_device *d, uint32_t width, uint32_t height,
					drmModeModeInfo *made);
bool shm__drm_picture_fits(const struct drm_picture *picture, const struct drm_fb *fb);
int shm__drm_take_over(struct drm_device *d, const struct drm_fb *fb, struct drm_picture *ret);
void shm__drm_taken_over(struct drm_device *d, struct drm_picture *picture, int error);
void shm__drm_picture_drop(struct drm_device *d, struct drm_picture *picture);

/* state.c: what the CRTC, its planes and connectors are set to */
int shm__drm_state_read(struct drm_device *d, struct drm_state *ret);
int shm__drm_request_picture(struct drm_request *r, struct drm_device *d,
			     const struct drm_picture *picture, uint32_t fb);
int shm__drm_off(struct drm_device *d);
int shm__drm_restore(struct drm_device *d);

/* events.c */
void shm__drm_done_add(struct drm_done *done, const struct drm_view *view, int error);
void shm__drm_done_give_back(struct drm_device *d, struct drm_done *done);
int shm__drm_wait_shown(struct drm_device *d, bool written, int64_t timeout_ns,
			struct drm_done *done);
int shm__drm_dispatch(struct metal_device *dev);
int shm__drm_poll_handle(struct metal_device *dev);
int64_t shm__drm_now_ns(void);
int64_t shm__drm_deadline_ns(int64_t timeout_ns);

/* commit.c */
int shm__drm_commit(struct drm_device *d, const struct drm_shot *shot,
		    const struct drm_picture *picture);
int shm__drm_show(struct drm_device *d, const struct drm_shot *shot);
int shm__drm_commit_error(const struct drm_device *d, int error, const struct drm_fb *fb);
void shm__drm_picture_lost(struct drm_device *d, int error, struct drm_done *done);
void shm__drm_release_all(struct drm_device *d, struct drm_done *done);

/* writeback.c */
int shm__drm_writeback_check(const struct drm_device *d, const struct drm_view *into);
void shm__drm_writeback_begin(struct drm_device *d, struct drm_view *into, int fence);
void shm__drm_writeback_collect(struct drm_device *d, struct drm_done *done);
void shm__drm_writeback_end(struct drm_device *d, struct drm_done *done, int error);

/* quirks.c */
void shm__drm_before_writeback(struct drm_device *d);
void shm__drm_before_modeset(const struct drm_device *d);

/* trial.c */
int shm__drm_trial(struct metal_device *dev, struct metal_generic_shm *shm);

/* dumb.c: dumb buffers as a source */
struct drm_dumb {
	uint32_t handle;
	uint32_t pitch;
	uint64_t size;
};

int shm__drm_dumb_make(struct drm_device *d, uint32_t width, uint32_t height, struct drm_dumb *ret);
void shm__drm_dumb_end(struct drm_device *d, uint32_t handle);
int shm__drm_dumb_allocate(struct drm_device *d, size_t size, metal_shm_type type,
			   struct metal_shm_memory *ret_memory);
void shm__drm_dumb_release(struct drm_device *d, struct metal_shm_memory *memory);
int shm__drm_dumb_properties(struct drm_device *d, const struct metal_shm_memory *memory,
			     struct metal_shm_properties *ret);
int shm__drm_dumb_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		      void **ret_address);
void shm__drm_dumb_unmap(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
			 size_t length);
int shm__drm_dumb_sync_for_cpu(struct metal_device *dev, struct metal_shm_memory *memory,
			       const struct metal_shm_range *range, enum metal_shm_dir dir);
int shm__drm_dumb_sync_for_device(struct metal_device *dev, struct metal_shm_memory *memory,
				  const struct metal_shm_range *range, enum metal_shm_dir dir);

#endif
