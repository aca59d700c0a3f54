/* SPDX-License-Identifier: BSD-3-Clause */
/* Which connector, CRTC and plane a device stands for, and the modes it may show. */
#include "drm_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static drmModeConnectorPtr read_connector(struct drm_device *d, uint32_t id)
{
	drmModeConnectorPtr connector = drmModeGetConnectorCurrent(d->fd, id);

	/* Nobody has asked the monitor yet: ask, which takes long on real ones. */
	if (connector && connector->connection != DRM_MODE_DISCONNECTED &&
	    !connector->count_modes) {
		drmModeFreeConnector(connector);
		connector = drmModeGetConnector(d->fd, id);
	}
	return connector;
}

static bool usable(const drmModeConnector *connector, uint32_t wanted)
{
	if (wanted)
		return connector->connector_id == wanted;
	return connector->connector_type != DRM_MODE_CONNECTOR_WRITEBACK &&
	       connector->connection == DRM_MODE_CONNECTED && connector->count_modes;
}

static int find_connector(struct drm_device *d, const drmModeRes *resources, uint32_t wanted,
			  drmModeConnectorPtr *ret)
{
	for (int i = 0; i < resources->count_connectors; i++) {
		drmModeConnectorPtr connector = read_connector(d, resources->connectors[i]);

		if (connector && usable(connector, wanted)) {
			*ret = connector;
			return 0;
		}
		drmModeFreeConnector(connector);
	}
	if (wanted)
		return metal_shm_set_error(ENOENT, "%s has no connector %u", d->name, wanted);
	return metal_shm_set_error(ENXIO, "%s: nothing is connected to any of its %d connectors",
				   d->name, resources->count_connectors);
}

/* The CRTCs that a connector can be put on, as bits of their indices. */
static uint32_t possible_crtcs(struct drm_device *d, const drmModeConnector *connector)
{
	uint32_t mask = 0;

	for (int i = 0; i < connector->count_encoders; i++) {
		drmModeEncoderPtr encoder = drmModeGetEncoder(d->fd, connector->encoders[i]);

		if (encoder)
			mask |= encoder->possible_crtcs;
		drmModeFreeEncoder(encoder);
	}
	return mask;
}

static int find_crtc(struct drm_device *d, const drmModeRes *resources,
		     const drmModeConnector *connector, uint32_t wanted)
{
	uint32_t mask = possible_crtcs(d, connector);
	uint64_t values[PROP_COUNT];
	int free_one = -1, ret;

	ret = shm__drm_learn_properties(d, connector->connector_id, DRM_MODE_OBJECT_CONNECTOR);
	if (ret < 0)
		return ret;
	ret = shm__drm_read_properties(d, connector->connector_id, DRM_MODE_OBJECT_CONNECTOR,
				       values);
	if (ret < 0)
		return ret;
	for (int i = 0; i < resources->count_crtcs; i++) {
		uint32_t id = resources->crtcs[i];
		uint64_t state[PROP_COUNT];

		if (!(mask & 1u << i))
			continue;
		ret = shm__drm_learn_properties(d, id, DRM_MODE_OBJECT_CRTC);
		if (ret < 0)
			return ret;
		/* To take it from the CRTC that drives it would leave that one without any. */
		if (id == wanted || (!wanted && id == values[PROP_CRTC_ID])) {
			d->crtc = id;
			d->crtc_index = (unsigned int)i;
			return 0;
		}
		if (!wanted && !shm__drm_read_properties(d, id, DRM_MODE_OBJECT_CRTC, state) &&
		    (free_one < 0 || !state[PROP_ACTIVE]))
			free_one = i;
	}
	if (free_one < 0)
		return metal_shm_set_error(ENOENT, "%s: connector %u goes on no CRTC%s", d->name,
					   connector->connector_id, wanted ? " of that id" : "");
	d->crtc = resources->crtcs[free_one];
	d->crtc_index = (unsigned int)free_one;
	return 0;
}

static int find_plane(struct drm_device *d, uint32_t wanted)
{
	drmModePlaneResPtr planes = drmModeGetPlaneResources(d->fd);
	int ret = 0;

	if (!planes)
		return metal_shm_set_error(errno, "%s: its planes: %s", d->name, strerror(errno));
	for (uint32_t i = 0; i < planes->count_planes && !d->plane && !ret; i++) {
		uint32_t id = planes->planes[i];
		drmModePlanePtr plane = drmModeGetPlane(d->fd, id);
		bool fits = plane && plane->possible_crtcs & 1u << d->crtc_index;
		uint64_t values[PROP_COUNT];

		drmModeFreePlane(plane);
		if (!fits || (wanted && id != wanted))
			continue;
		ret = shm__drm_learn_properties(d, id, DRM_MODE_OBJECT_PLANE);
		if (!ret)
			ret = shm__drm_read_properties(d, id, DRM_MODE_OBJECT_PLANE, values);
		if (!ret && (wanted || values[PROP_TYPE] == DRM_PLANE_TYPE_PRIMARY))
			d->plane = id;
	}
	drmModeFreePlaneResources(planes);
	if (!ret && !d->plane)
		ret = metal_shm_set_error(ENOENT, "%s: CRTC %u has no %s", d->name, d->crtc,
					  wanted ? "plane of that id" : "primary plane");
	return ret;
}

static int find_writeback(struct drm_device *d, const drmModeRes *resources)
{
	for (int i = 0; i < resources->count_connectors; i++) {
		uint32_t id = resources->connectors[i];
		drmModeConnectorPtr connector = drmModeGetConnectorCurrent(d->fd, id);

		if (connector && connector->connector_type == DRM_MODE_CONNECTOR_WRITEBACK &&
		    possible_crtcs(d, connector) & 1u << d->crtc_index)
			d->writeback = id;
		drmModeFreeConnector(connector);
		if (d->writeback)
			return shm__drm_learn_properties(d, id, DRM_MODE_OBJECT_CONNECTOR);
	}
	return metal_shm_set_error(ENXIO, "%s (%s): CRTC %u has no writeback connector", d->name,
				   d->driver, d->crtc);
}

static int keep_modes(struct drm_device *d, const drmModeConnector *connector,
		      const struct metal_shm_drm_options *options)
{
	size_t count = (size_t)connector->count_modes;
	drmModeModeInfo fixed;

	d->modes = calloc(count ? count : 1, sizeof(*d->modes));
	if (!d->modes)
		return metal_shm_set_error(ENOMEM, "%s: no memory", d->name);
	for (size_t i = 0; i < count; i++) {
		d->modes[d->mode_count++] = connector->modes[i];
		/* The preferred one first; the kernel sorts the others, larger ones first. */
		if (connector->modes[i].type & DRM_MODE_TYPE_PREFERRED &&
		    !(d->modes[0].type & DRM_MODE_TYPE_PREFERRED)) {
			memmove(&d->modes[1], &d->modes[0], i * sizeof(*d->modes));
			d->modes[0] = connector->modes[i];
		}
	}
	if (options->width) {
		const drmModeModeInfo *mode =
			shm__drm_mode_of(d, options->width, options->height, &fixed);

		if (!mode)
			return metal_shm_set_error(ENOENT, "%s: connector %u has no mode %ux%u",
						   d->name, d->connector, options->width,
						   options->height);
		d->modes[0] = *mode;
		d->mode_count = 1;
		d->mode_fixed = true;
	}
	if (!d->mode_count)
		return metal_shm_set_error(ENXIO, "%s: nothing is connected to connector %u",
					   d->name, d->connector);
	return 0;
}

int shm__drm_choose(struct drm_device *d, const struct metal_shm_drm_options *options)
{
	drmModeResPtr resources = drmModeGetResources(d->fd);
	drmModeConnectorPtr connector = NULL;
	int ret;

	if (!resources)
		return metal_shm_set_error(errno, "%s: its objects: %s", d->name, strerror(errno));
	d->min_width = resources->min_width;
	d->min_height = resources->min_height;
	d->max_width = resources->max_width;
	d->max_height = resources->max_height;
	ret = find_connector(d, resources, options->connector, &connector);
	if (ret < 0)
		goto free_resources;
	d->connector = connector->connector_id;
	d->connector_type = connector->connector_type;
	ret = keep_modes(d, connector, options);
	if (!ret)
		ret = find_crtc(d, resources, connector, options->crtc);
	if (!ret)
		ret = find_plane(d, options->plane);
	if (!ret && options->flags & METAL_SHM_DRM_WRITEBACK)
		ret = find_writeback(d, resources);
	drmModeFreeConnector(connector);
free_resources:
	drmModeFreeResources(resources);
	return ret;
}
