/* SPDX-License-Identifier: BSD-3-Clause */
/* The fake card's objects: connectors, planes, properties, modes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fake_drm_internal.h"

#define ENCODER 40u

static const uint32_t formats[] = { DRM_FORMAT_XRGB8888, DRM_FORMAT_ARGB8888, DRM_FORMAT_RGB565 };
static const uint32_t written[] = { DRM_FORMAT_XRGB8888, DRM_FORMAT_RGB565 };
static const uint16_t sizes[][2] = { { 1920, 1080 }, { 1024, 768 }, { 640, 480 } };

static const char *const names[FAKE_PROPERTIES] = {
	[FAKE_ACTIVE] = "ACTIVE",
	[FAKE_MODE_ID] = "MODE_ID",
	[FAKE_OUT_FENCE_PTR] = "OUT_FENCE_PTR",
	[FAKE_CRTC_ID] = "CRTC_ID",
	[FAKE_WRITEBACK_FB_ID] = "WRITEBACK_FB_ID",
	[FAKE_WRITEBACK_OUT_FENCE_PTR] = "WRITEBACK_OUT_FENCE_PTR",
	[FAKE_WRITEBACK_PIXEL_FORMATS] = "WRITEBACK_PIXEL_FORMATS",
	[FAKE_FB_ID] = "FB_ID",
	[FAKE_IN_FENCE_FD] = "IN_FENCE_FD",
	[FAKE_SRC_X] = "SRC_X",
	[FAKE_SRC_Y] = "SRC_Y",
	[FAKE_SRC_W] = "SRC_W",
	[FAKE_SRC_H] = "SRC_H",
	[FAKE_CRTC_X] = "CRTC_X",
	[FAKE_CRTC_Y] = "CRTC_Y",
	[FAKE_CRTC_W] = "CRTC_W",
	[FAKE_CRTC_H] = "CRTC_H",
	[FAKE_IN_FORMATS] = "IN_FORMATS",
	[FAKE_TYPE] = "type",
};

static bool sees_writeback;

static struct {
	bool used;
	drmModeModeInfo mode;
} blobs[FAKE_MOST];

static void fill_mode(drmModeModeInfo *mode, unsigned i)
{
	*mode = (drmModeModeInfo){
		.clock = 60000,
		.hdisplay = sizes[i][0],
		.htotal = 1250,
		.vdisplay = sizes[i][1],
		.vtotal = 800,
		.vrefresh = 60,
		.type = i == 1 ? DRM_MODE_TYPE_PREFERRED | DRM_MODE_TYPE_DRIVER
			       : DRM_MODE_TYPE_DRIVER,
	};
}

/* Another program's mode is the last blob. */
void fake_drm_objects_reset(void)
{
	memset(blobs, 0, sizeof(blobs));
	blobs[FAKE_MOST - 1].used = true;
	fill_mode(&blobs[FAKE_MOST - 1].mode, 2);
	sees_writeback = false;
	fake_drm.value[FAKE_DRM_OVERLAY][FAKE_TYPE] = DRM_PLANE_TYPE_OVERLAY;
	fake_drm.value[FAKE_DRM_PRIMARY][FAKE_TYPE] = DRM_PLANE_TYPE_PRIMARY;
	fake_drm.value[FAKE_DRM_PRIMARY][FAKE_IN_FORMATS] = FAKE_BLOB_IN;
	fake_drm.value[FAKE_DRM_WRITEBACK][FAKE_WRITEBACK_PIXEL_FORMATS] = FAKE_BLOB_FORMATS;
}

void fake_drm_see_writeback(void)
{
	sees_writeback = true;
}

const drmModeModeInfo *fake_drm_mode_of(uint64_t id)
{
	if (id < FAKE_BLOB_FIRST || id >= FAKE_BLOB_FIRST + FAKE_MOST ||
	    !blobs[id - FAKE_BLOB_FIRST].used)
		return NULL;
	return &blobs[id - FAKE_BLOB_FIRST].mode;
}

bool fake_drm_knows_mode(const drmModeModeInfo *mode)
{
	for (unsigned i = 0; i < 3; i++) {
		if (mode->hdisplay == sizes[i][0] && mode->vdisplay == sizes[i][1])
			return true;
	}
	return fake_drm.virtual_connector;
}

static uint64_t to_user(const void *list, uint32_t size, uint32_t count, uint64_t user,
			uint32_t *room)
{
	if (user && *room >= count)
		memcpy((void *)(uintptr_t)user, list, (size_t)size * count);
	*room = count;
	return 0;
}

static int get_resources(struct drm_mode_card_res *arg)
{
	const uint32_t crtc = FAKE_DRM_CRTC, encoder = ENCODER;
	const uint32_t connectors[] = { FAKE_DRM_WRITEBACK, FAKE_DRM_CONNECTOR };
	bool both = fake_drm.writeback && sees_writeback;

	if (!fake_drm.display)
		return -EOPNOTSUPP;
	to_user(&crtc, 4, 1, arg->crtc_id_ptr, &arg->count_crtcs);
	to_user(&encoder, 4, 1, arg->encoder_id_ptr, &arg->count_encoders);
	to_user(connectors + !both, 4, both ? 2 : 1, arg->connector_id_ptr, &arg->count_connectors);
	arg->count_fbs = 0;
	arg->min_width = arg->min_height = 16;
	arg->max_width = arg->max_height = 4096;
	return 0;
}

static int get_connector(struct drm_mode_get_connector *arg)
{
	struct drm_mode_modeinfo modes[3];
	const uint32_t encoder = ENCODER;
	bool monitor = arg->connector_id == FAKE_DRM_CONNECTOR && fake_drm.connected;

	if (arg->connector_id != FAKE_DRM_CONNECTOR && arg->connector_id != FAKE_DRM_WRITEBACK)
		return -ENOENT;
	for (unsigned i = 0; i < 3; i++)
		fill_mode((drmModeModeInfo *)&modes[i], i);
	to_user(&encoder, 4, 1, arg->encoders_ptr, &arg->count_encoders);
	to_user(modes, sizeof(modes[0]), monitor ? 3 : 0, arg->modes_ptr, &arg->count_modes);
	arg->count_props = 0;
	arg->connection = monitor ? DRM_MODE_CONNECTED : DRM_MODE_DISCONNECTED;
	arg->connector_type = DRM_MODE_CONNECTOR_HDMIA;
	if (fake_drm.virtual_connector)
		arg->connector_type = DRM_MODE_CONNECTOR_VIRTUAL;
	if (arg->connector_id == FAKE_DRM_WRITEBACK)
		arg->connector_type = DRM_MODE_CONNECTOR_WRITEBACK;
	return 0;
}

static int get_planes(struct drm_mode_get_plane_res *arg)
{
	const uint32_t planes[] = { FAKE_DRM_OVERLAY, FAKE_DRM_PRIMARY };

	to_user(planes, 4, 2, arg->plane_id_ptr, &arg->count_planes);
	return 0;
}

static int get_plane(struct drm_mode_get_plane *arg)
{
	arg->possible_crtcs = 1;
	to_user(formats, 4, 3, arg->format_type_ptr, &arg->count_format_types);
	return 0;
}

bool fake_drm_has(uint32_t object, unsigned property)
{
	if (object == FAKE_DRM_CRTC)
		return property <= (fake_drm.fences ? FAKE_OUT_FENCE_PTR : FAKE_MODE_ID);
	if (property == FAKE_CRTC_ID)
		return true;
	if (object == FAKE_DRM_WRITEBACK)
		return property >= FAKE_WRITEBACK_FB_ID && property <= FAKE_WRITEBACK_PIXEL_FORMATS;
	if (object == FAKE_DRM_CONNECTOR || property < FAKE_FB_ID)
		return false;
	return (property != FAKE_IN_FENCE_FD || fake_drm.fences) &&
	       (property != FAKE_IN_FORMATS || fake_drm.modifiers);
}

static int get_properties(struct drm_mode_obj_get_properties *arg)
{
	uint32_t ids[FAKE_PROPERTIES], n = 0, room = arg->count_props;
	uint64_t values[FAKE_PROPERTIES];

	if (arg->obj_id >= 64)
		return -ENOENT;
	for (unsigned p = 1; p < FAKE_PROPERTIES; p++) {
		if (!fake_drm_has(arg->obj_id, p))
			continue;
		ids[n] = p;
		values[n++] = fake_drm.value[arg->obj_id][p];
	}
	to_user(ids, 4, n, arg->props_ptr, &room);
	to_user(values, 8, n, arg->prop_values_ptr, &arg->count_props);
	return 0;
}

static int get_blob(struct drm_mode_get_blob *arg)
{
	struct {
		struct drm_format_modifier_blob head;
		uint32_t formats[3];
		uint32_t padding;
		struct drm_format_modifier modifiers[2];
	} in = {
		.head = { FORMAT_BLOB_CURRENT, 0, 3, 24, 2, 40 },
		.formats = { formats[0], formats[1], formats[2] },
		.modifiers = { { .formats = 1, .modifier = DRM_FORMAT_MOD_SAMSUNG_64_32_TILE },
			       { .formats = 7, .modifier = DRM_FORMAT_MOD_LINEAR } },
	};
	const drmModeModeInfo *mode = fake_drm_mode_of(arg->blob_id);

	_Static_assert(sizeof(in) == 88, "the blob's offsets");
	if (arg->blob_id == FAKE_BLOB_FORMATS)
		to_user(written, 1, sizeof(written), arg->data, &arg->length);
	else if (arg->blob_id == FAKE_BLOB_IN)
		to_user(&in, 1, sizeof(in), arg->data, &arg->length);
	else if (mode)
		to_user(mode, 1, sizeof(*mode), arg->data, &arg->length);
	else
		return -ENOENT;
	return 0;
}

static int create_blob(struct drm_mode_create_blob *arg)
{
	for (uint32_t i = 0; i < FAKE_MOST; i++) {
		if (blobs[i].used)
			continue;
		blobs[i].used = true;
		memcpy(&blobs[i].mode, (void *)(uintptr_t)arg->data, sizeof(blobs[i].mode));
		arg->blob_id = FAKE_BLOB_FIRST + i;
		fake_drm.blobs++;
		return 0;
	}
	return -ENOSPC;
}

static int destroy_blob(uint32_t id)
{
	if (!fake_drm_mode_of(id))
		return -ENOENT;
	/* the CRTC keeps its mode */
	if (fake_drm.value[FAKE_DRM_CRTC][FAKE_MODE_ID] != id)
		blobs[id - FAKE_BLOB_FIRST].used = false;
	fake_drm.blobs--;
	return 0;
}

static int get_property(struct drm_mode_get_property *arg)
{
	if (!arg->prop_id || arg->prop_id >= FAKE_PROPERTIES)
		return -ENOENT;
	arg->count_values = arg->count_enum_blobs = 0;
	snprintf(arg->name, sizeof(arg->name), "%s", names[arg->prop_id]);
	return 0;
}

int fake_drm_object(unsigned long request, void *arg)
{
	struct drm_mode_get_encoder *encoder = arg;
	struct drm_mode_destroy_blob *blob = arg;

	switch (request) {
	case DRM_IOCTL_MODE_GETRESOURCES:
		return get_resources(arg);
	case DRM_IOCTL_MODE_GETCONNECTOR:
		return get_connector(arg);
	case DRM_IOCTL_MODE_GETENCODER:
		encoder->possible_crtcs = 1;
		return 0;
	case DRM_IOCTL_MODE_GETPLANERESOURCES:
		return get_planes(arg);
	case DRM_IOCTL_MODE_GETPLANE:
		return get_plane(arg);
	case DRM_IOCTL_MODE_OBJ_GETPROPERTIES:
		return get_properties(arg);
	case DRM_IOCTL_MODE_GETPROPERTY:
		return get_property(arg);
	case DRM_IOCTL_MODE_GETPROPBLOB:
		return get_blob(arg);
	case DRM_IOCTL_MODE_CREATEPROPBLOB:
		return create_blob(arg);
	case DRM_IOCTL_MODE_DESTROYPROPBLOB:
		return destroy_blob(blob->blob_id);
	default:
		return -ENOTTY;
	}
}
