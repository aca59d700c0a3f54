/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames: what a picture's bytes must satisfy, and the layout that several devices share. */
#include <stdio.h>
#include <string.h>

#include "core.h"

#define MAX_SIDE   65535u
#define MAX_ROUNDS 16

struct wishes {
	uint64_t alignment;        /* of every plane's stride */
	uint64_t offset_alignment; /* of every plane's start */
	uint64_t stride_min, stride_max, size_min;
	bool packed, fixed_differ;
	int refused; /* -errno of the first device that has nothing to offer */
	size_t length;
	char text[768]; /* each device's wish, for the reason */
};

static uint64_t blocks(uint32_t pixels, uint8_t per_block)
{
	return ((uint64_t)pixels + per_block - 1) / per_block;
}

int shm__frame_check(const struct metal_shm_frame *frame, uint64_t size)
{
	struct metal_shm_format format;
	int error = metal_shm_format_of(frame->fourcc, &format);

	if (error)
		return error;
	if (!frame->width || !frame->height || frame->width > MAX_SIDE || frame->height > MAX_SIDE)
		return shm__error(EINVAL, "a frame of %ux%u", frame->width, frame->height);
	if (frame->plane_count != format.plane_count)
		return shm__error(EINVAL, "%u planes where the format has %u: negotiate the frame",
				  frame->plane_count, format.plane_count);
	for (unsigned i = 0; i < frame->plane_count; i++) {
		const struct metal_shm_plane *plane = &frame->plane[i];
		uint64_t line = blocks(frame->width, format.block_width[i]) * format.bytes[i];
		uint64_t rows = blocks(frame->height, format.block_height[i]);
		uint64_t length = (rows - 1) * plane->stride + line;

		if (!frame->modifier && plane->stride < line)
			return shm__error(EINVAL, "plane %u: a stride of %u for lines of %llu", i,
					  plane->stride, (unsigned long long)line);
		if (plane->offset > size || length > size - plane->offset)
			return shm__error(ERANGE, "plane %u ends outside the %llu bytes", i,
					  (unsigned long long)size);
	}
	return 0;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* Both below 2^32, so the product fits. */
static uint64_t lcm(uint64_t a, uint64_t b)
{
	return b > 1 ? a / gcd(a, b) * b : a;
}

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static void say(struct wishes *all, const char *name, const char *verb, const char *wish)
{
	int n = snprintf(all->text + all->length, sizeof(all->text) - all->length, "%s%s %s%s",
			 all->length ? "; " : "", name, verb, wish);

	if (n > 0)
		all->length += (size_t)n;
	if (all->length >= sizeof(all->text))
		all->length = sizeof(all->text) - 1;
}

static bool takes_modifier(const struct metal_shm_layout *layout, uint64_t modifier)
{
	if (!layout->modifiers)
		return !modifier;
	for (size_t i = 0; i < layout->modifier_count; i++)
		if (layout->modifiers[i] == modifier)
			return true;
	return false;
}

static void add_wish(struct wishes *all, const struct metal_device *dev,
		     const struct metal_shm_layout *layout, const struct metal_shm_frame *frame)
{
	char wish[160];

	snprintf(wish, sizeof(wish), "wants stride %s%u%s%u, multiple of %u, at least %llu bytes%s",
		 layout->flags & METAL_SHM_LAYOUT_STRIDE_FIXED ? "=" : ">=", layout->stride_min,
		 layout->stride_max ? " <=" : " <=any ", layout->stride_max,
		 layout->stride_alignment ? layout->stride_alignment : 1,
		 (unsigned long long)layout->size_min,
		 layout->flags & METAL_SHM_LAYOUT_PACKED ? ", planes packed" : "");
	if (!takes_modifier(layout, frame->modifier)) {
		snprintf(wish, sizeof(wish), "doesn't take modifier 0x%llx",
			 (unsigned long long)frame->modifier);
		all->refused = all->refused ? all->refused : -ENOTSUP;
	}
	say(all, dev->name, "", wish);
	if (layout->stride_alignment > 1)
		all->alignment = lcm(all->alignment, layout->stride_alignment);
	if (layout->offset_alignment > 1)
		all->offset_alignment = lcm(all->offset_alignment, layout->offset_alignment);
	if (layout->stride_min > all->stride_min)
		all->stride_min = layout->stride_min;
	if (layout->stride_max && layout->stride_max < all->stride_max)
		all->stride_max = layout->stride_max;
	if (layout->size_min > all->size_min)
		all->size_min = layout->size_min;
	if (layout->flags & METAL_SHM_LAYOUT_PACKED)
		all->packed = true;
	if ((layout->flags & METAL_SHM_LAYOUT_STRIDE_FIXED) &&
	    layout->stride_min != frame->plane[0].stride)
		all->fixed_differ = true;
}

/* Ask every device about the proposal; a refusal doesn't keep the others from being heard. */
static void ask_all(const struct metal_shm_frame *frame, struct metal_device *const devs[],
		    size_t n, struct wishes *all)
{
	*all = (struct wishes){ .alignment = 1, .offset_alignment = 1, .stride_max = UINT32_MAX };
	for (size_t i = 0; i < n; i++) {
		struct metal_shm_layout layout = { .struct_size = sizeof(layout) };
		int error;

		if (!devs[i]->ops->layout)
			continue;
		error = devs[i]->ops->layout(devs[i], frame, &layout);
		if (!error) {
			add_wish(all, devs[i], &layout, frame);
			continue;
		}
		say(all, devs[i]->name, "refuses: ", metal_shm_last_error());
		if (!all->refused)
			all->refused = error;
	}
}

/* The planes for a stride of plane 0; false where they don't come out even or grow too large. */
static bool lay_out(struct metal_shm_frame *frame, const struct metal_shm_format *format,
		    uint64_t stride, const struct wishes *all)
{
	uint64_t offset = 0;

	for (unsigned i = 0; i < format->plane_count; i++) {
		uint64_t over = stride * format->bytes[i] * format->block_width[0];
		uint64_t under = (uint64_t)format->block_width[i] * format->bytes[0];
		uint64_t length;

		if (over % under || over / under % all->alignment || over / under > UINT32_MAX)
			return false;
		frame->plane[i].stride = (uint32_t)(over / under);
		if (!all->packed)
			offset = round_up(offset, all->offset_alignment);
		else if (offset % all->offset_alignment)
			return false;
		frame->plane[i].offset = offset;
		length = blocks(frame->height, format->block_height[i]) * frame->plane[i].stride;
		offset += length;
	}
	frame->plane_count = format->plane_count;
	frame->size = offset > all->size_min ? offset : all->size_min;
	return true;
}

/* The first modifier that all take, in the first device's order of preference; linear if none names any. */
static int choose_modifier(struct metal_shm_frame *frame, struct metal_device *const devs[],
			   size_t n)
{
	static const uint64_t linear[] = { 0 };
	const uint64_t *list = linear;
	size_t count = 1;

	for (size_t turn = 0; turn < 2; turn++) {
		for (size_t m = 0; m < count || !turn; m++) {
			size_t i = 0;

			for (; i < n; i++) {
				struct metal_shm_layout layout = { .struct_size = sizeof(layout) };

				if (!devs[i]->ops->layout)
					continue;
				frame->modifier = turn ? list[m] : METAL_SHM_MODIFIER_ANY;
				if (devs[i]->ops->layout(devs[i], frame, &layout))
					return 0; /* the asking proper says why */
				if (!turn && layout.modifiers) {
					list = layout.modifiers;
					count = layout.modifier_count;
					break;
				}
				if (turn && !takes_modifier(&layout, list[m]))
					break;
			}
			if (!turn)
				break;
			if (i == n) {
				frame->modifier = list[m];
				return 0;
			}
		}
	}
	return shm__error(ENOTSUP, "the devices share no modifier");
}

static int settle_layout(struct metal_shm_frame *frame, const struct metal_shm_format *format,
			 struct metal_device *const devs[], size_t n)
{
	char name[12];
	uint64_t line = blocks(frame->width, format->block_width[0]) * format->bytes[0];
	uint64_t stride = frame->plane[0].stride > line ? frame->plane[0].stride : line;
	uint64_t step = 1;
	struct wishes all;

	for (unsigned i = 1; i < format->plane_count; i++)
		step = lcm(step, (uint64_t)format->block_width[i] * format->bytes[0]);
	for (int round = 0; round < MAX_ROUNDS; round++) {
		uint64_t next, limit;

		frame->plane[0].stride = (uint32_t)stride;
		ask_all(frame, devs, n, &all);
		if (all.refused)
			break;
		next = all.stride_min > stride ? all.stride_min : stride;
		next = round_up(next, all.alignment);
		/* a stride that is a multiple of all these lays out evenly, if none before does */
		limit = next + lcm(all.alignment, all.offset_alignment) * step;
		while (next <= all.stride_max && next < limit &&
		       !lay_out(frame, format, next, &all))
			next += all.alignment;
		if (next > all.stride_max || !lay_out(frame, format, next, &all))
			break;
		if (next == stride && !all.fixed_differ)
			return 0;
		if (next == stride)
			break;
		stride = next;
	}
	return shm__error(all.refused ? -all.refused : ENOTSUP, "no layout of %s %ux%u for all: %s",
			  shm__fourcc(frame->fourcc, name), frame->width, frame->height, all.text);
}

int metal_shm_frame_negotiate(struct metal_shm_frame *frame, struct metal_device *const devs[],
			      size_t n)
{
	struct metal_shm_frame result;
	struct metal_shm_format format;
	int error = shm__enter();

	if (error)
		return error;
	if (!frame || (n && !devs) || n > SHM__MAX_DEVICES)
		return shm__error(EINVAL,
				  "metal_shm_frame_negotiate: NULL, or more than %d devices",
				  SHM__MAX_DEVICES);
	for (size_t i = 0; i < n; i++) {
		error = shm__device_check(devs[i]);
		if (error)
			return error;
	}
	if (!frame->width || !frame->height || frame->width > MAX_SIDE || frame->height > MAX_SIDE)
		return shm__error(EINVAL, "a frame of %ux%u", frame->width, frame->height);
	error = metal_shm_format_of(frame->fourcc, &format);
	if (error)
		return error;
	result = *frame;
	memset(result.plane + 1, 0, sizeof(result.plane) - sizeof(result.plane[0]));
	if (result.modifier == METAL_SHM_MODIFIER_ANY)
		error = choose_modifier(&result, devs, n);
	if (!error)
		error = settle_layout(&result, &format, devs, n);
	if (!error)
		*frame = result;
	return error;
}

const struct metal_shm_frame *metal_shm_frame_of(const struct metal_generic_shm *shm)
{
	if (shm__handle_alive(shm))
		return NULL;
	if (!shm->root->has_frame) {
		shm__error(ENODATA, "nobody said what picture the buffer is");
		return NULL;
	}
	return &shm->root->frame;
}

/* Who has an opinion on frames has looked for one when the view was made. Under the memory's lock. */
static int refuse_attached(struct shm__root *root)
{
	struct metal_generic_shm *view;

	RB_FOREACH(view, shm__view_tree, &root->views)
		if (view->dev->ops->layout)
			return shm__error(EBUSY, "the buffer is attached to %s already",
					  view->dev->name);
	return 0;
}

int metal_shm_frame_set(struct metal_generic_shm *shm, const struct metal_shm_frame *frame)
{
	struct shm__root *root;
	int error = shm__handle_check(shm);

	if (error)
		return error;
	/* a memory's first bytes may be all of it that another process shared */
	if (!frame || shm->kind == SHM__VIEW || shm->offset)
		return shm__error(EINVAL,
				  "metal_shm_frame_set: NULL, or not from a buffer's start");
	error = shm__frame_check(frame, shm->size);
	if (error)
		return error;
	root = shm->root;
	shm__mutex_lock(&root->lock);
	error = refuse_attached(root);
	if (!error && root->has_frame && memcmp(&root->frame, frame, sizeof(*frame)) != 0)
		error = shm__error(EBUSY, "the buffer is another frame already");
	if (!error) {
		root->frame = *frame;
		root->has_frame = true;
	}
	shm__mutex_unlock(&root->lock);
	return error;
}
