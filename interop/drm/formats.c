/* SPDX-License-Identifier: BSD-3-Clause */
/* Which formats the plane shows and the writeback connector writes. */
#include "drm_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A format that negotiation hasn't met has no modifiers but linear. */
static int add_plain(struct drm_formats *formats, const uint32_t fourcc[], size_t count)
{
	formats->format = calloc(count ? count : 1, sizeof(*formats->format));
	if (!formats->format)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		formats->format[formats->count++].fourcc = fourcc[i];
	return 0;
}

static int add_modifier(struct drm_format *format, uint64_t modifier)
{
	uint64_t *grown;

	grown = realloc(format->modifiers, (format->modifier_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	format->modifiers = grown;
	format->modifiers[format->modifier_count++] = modifier;
	return 0;
}

static int parse_in_formats(struct drm_formats *formats, drmModePropertyBlobPtr blob)
{
	drmModeFormatModifierIterator iterator = { 0 };
	struct drm_format *format = NULL;

	/* It goes through the modifiers of one format after another. */
	while (drmModeFormatModifierBlobIterNext(blob, &iterator)) {
		if (!format || format->fourcc != iterator.fmt) {
			struct drm_format *grown;

			grown = realloc(formats->format, (formats->count + 1) * sizeof(*grown));
			if (!grown)
				return -ENOMEM;
			formats->format = grown;
			format = &formats->format[formats->count++];
			*format = (struct drm_format){ .fourcc = iterator.fmt };
		}
		if (add_modifier(format, iterator.mod) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int learn_shown(struct drm_device *d)
{
	uint64_t values[PROP_COUNT];
	drmModePropertyBlobPtr blob;
	drmModePlanePtr plane;
	int ret;

	ret = shm__drm_read_properties(d, d->plane, DRM_MODE_OBJECT_PLANE, values);
	if (ret < 0)
		return ret;
	if (d->modifiers && d->property[PROP_IN_FORMATS] && values[PROP_IN_FORMATS]) {
		blob = drmModeGetPropertyBlob(d->fd, (uint32_t)values[PROP_IN_FORMATS]);
		if (blob) {
			ret = parse_in_formats(&d->shown, blob);
			drmModeFreePropertyBlob(blob);
			if (ret < 0 || d->shown.count)
				return ret;
		}
	}
	plane = drmModeGetPlane(d->fd, d->plane);
	if (!plane)
		return -errno;
	ret = add_plain(&d->shown, plane->formats, plane->count_formats);
	drmModeFreePlane(plane);
	return ret;
}

static int learn_written(struct drm_device *d)
{
	uint64_t values[PROP_COUNT];
	drmModePropertyBlobPtr blob;
	int ret;

	ret = shm__drm_read_properties(d, d->writeback, DRM_MODE_OBJECT_CONNECTOR, values);
	if (ret < 0)
		return ret;
	blob = drmModeGetPropertyBlob(d->fd, (uint32_t)values[PROP_WRITEBACK_PIXEL_FORMATS]);
	if (!blob)
		return -errno;
	ret = add_plain(&d->written, blob->data, blob->length / sizeof(uint32_t));
	drmModeFreePropertyBlob(blob);
	return ret;
}

int shm__drm_learn_formats(struct drm_device *d)
{
	int ret = learn_shown(d);

	if (!ret && d->writeback)
		ret = learn_written(d);
	if (ret < 0)
		return metal_shm_set_error(-ret, "%s: the plane's formats: %s", d->name,
					   strerror(-ret));
	return 0;
}

static void forget(struct drm_formats *formats)
{
	for (size_t i = 0; i < formats->count; i++)
		free(formats->format[i].modifiers);
	free(formats->format);
	*formats = (struct drm_formats){ 0 };
}

void shm__drm_forget_formats(struct drm_device *d)
{
	forget(&d->shown);
	forget(&d->written);
}

const struct drm_format *shm__drm_format(const struct drm_formats *formats, uint32_t fourcc)
{
	for (size_t i = 0; i < formats->count; i++) {
		if (formats->format[i].fourcc == fourcc)
			return &formats->format[i];
	}
	return NULL;
}

void shm__drm_fourcc(uint32_t fourcc, char text[5])
{
	for (int i = 0; i < 4; i++) {
		int c = (int)(fourcc >> 8 * i & 0xff);

		text[i] = (char)(isprint(c) ? c : '?');
	}
	text[4] = '\0';
	for (int i = 3; i > 0 && text[i] == ' '; i--)
		text[i] = '\0';
}

const char *shm__drm_list(const struct drm_formats *formats, char text[], size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < formats->count && used + 8 < size; i++) {
		char name[5];

		shm__drm_fourcc(formats->format[i].fourcc, name);
		used += (size_t)snprintf(text + used, size - used, i ? ", %s" : "%s", name);
	}
	return text;
}
