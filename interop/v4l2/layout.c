/* SPDX-License-Identifier: BSD-3-Clause */
/* Formats: what a driver offers, asks for and is set to. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define MAX_FORMATS 256

/* A format as the driver answers it. */
struct format {
	uint32_t pixelformat;
	uint32_t width, height;
	uint32_t stride;
	uint32_t size;
	uint32_t field;
	uint32_t planes;
};

/* VIDIOC_TRY_FMT or VIDIOC_S_FMT; a stride of 0 lets the driver choose. */
static int ask_format(const struct shm__v4l2_queue *queue, unsigned long request,
		      uint32_t pixelformat, const struct metal_shm_frame *frame, uint32_t stride,
		      struct format *ret)
{
	struct v4l2_format f = { .type = queue->type };
	struct v4l2_pix_format_mplane *mp = &f.fmt.pix_mp;
	struct v4l2_pix_format *sp = &f.fmt.pix;
	int error;

	if (queue->multiplanar) {
		mp->width = frame->width;
		mp->height = frame->height;
		mp->pixelformat = pixelformat;
		mp->field = V4L2_FIELD_NONE;
		mp->num_planes = 1;
		mp->plane_fmt[0].bytesperline = stride;
	} else {
		sp->width = frame->width;
		sp->height = frame->height;
		sp->pixelformat = pixelformat;
		sp->field = V4L2_FIELD_NONE;
		sp->bytesperline = stride;
	}
	error = shm__v4l2_ioctl(queue->node, request, &f);
	if (error)
		return error;
	if (queue->multiplanar)
		*ret = (struct format){ mp->pixelformat,
					mp->width,
					mp->height,
					mp->plane_fmt[0].bytesperline,
					mp->plane_fmt[0].sizeimage,
					mp->field,
					mp->num_planes };
	else
		*ret = (struct format){ sp->pixelformat, sp->width, sp->height, sp->bytesperline,
					sp->sizeimage,   sp->field, 1 };
	return 0;
}

static bool is_raster(uint32_t field)
{
	return field == V4L2_FIELD_NONE || field == V4L2_FIELD_INTERLACED ||
	       field == V4L2_FIELD_INTERLACED_TB || field == V4L2_FIELD_INTERLACED_BT;
}

/* Refuses a format, with all that the driver has instead. */
static int not_offered(const struct shm__v4l2_queue *queue, uint32_t fourcc)
{
	struct v4l2_fmtdesc desc = { .type = queue->type };
	uint32_t split = shm__v4l2_split_format(fourcc), known;
	char list[160] = "", name[5];
	unsigned others = 0;
	bool only_split = false;
	size_t length = 0;

	for (; desc.index < MAX_FORMATS; desc.index++) {
		if (shm__v4l2_ioctl(queue->node, VIDIOC_ENUM_FMT, &desc))
			break;
		only_split |= split && desc.pixelformat == split;
		if (metal_shm_v4l2_fourcc(desc.pixelformat, &known)) {
			others++;
			continue;
		}
		if (length < sizeof(list))
			length += (size_t)snprintf(list + length, sizeof(list) - length, " %s",
						   shm__v4l2_fourcc_text(known, name));
	}
	if (only_split)
		return metal_shm_set_error(
			ENOTSUP,
			"%s has %s only with a memory for each plane, and a frame "
			"is one memory; it offers%s",
			queue->name, shm__v4l2_fourcc_text(fourcc, name), list);
	return metal_shm_set_error(ENOTSUP,
				   "%s has no %s; it offers%s and %u formats that libshm doesn't "
				   "know",
				   queue->name, shm__v4l2_fourcc_text(fourcc, name),
				   length ? list : " none", others);
}

/* Ask for a frame; what comes back is of its format and size. */
static int frame_format(struct shm__v4l2_queue *queue, unsigned long request,
			const struct metal_shm_frame *frame, uint32_t stride, struct format *ret)
{
	const char *call = request == VIDIOC_S_FMT ? "VIDIOC_S_FMT" : "VIDIOC_TRY_FMT";
	struct format got;
	uint32_t pixelformat;
	char text[5];
	int error;

	error = metal_shm_v4l2_pixelformat(frame->fourcc, &pixelformat);
	if (error)
		return error;
	if (frame->modifier && frame->modifier != METAL_SHM_MODIFIER_ANY)
		return metal_shm_set_error(ENOTSUP, "%s has no modifier 0x%llx: V4L2 is linear",
					   queue->name, (unsigned long long)frame->modifier);
	error = ask_format(queue, request, pixelformat, frame, stride, &got);
	if (error == -EINVAL || (!error && got.pixelformat != pixelformat))
		return not_offered(queue, frame->fourcc);
	if (error)
		return shm__v4l2_failed(queue, error, call);
	shm__v4l2_fourcc_text(frame->fourcc, text);
	if (got.width != frame->width || got.height != frame->height)
		return metal_shm_set_error(ENOTSUP, "%s has no %ux%u in %s; the nearest is %ux%u",
					   queue->name, frame->width, frame->height, text,
					   got.width, got.height);
	if (got.planes != 1)
		return metal_shm_set_error(ENOTSUP, "%s wants %u memories for a frame of %s",
					   queue->name, got.planes, text);
	if (!is_raster(got.field))
		return metal_shm_set_error(ENOTSUP, "%s gives fields (%u) instead of frames",
					   queue->name, got.field);
	*ret = got;
	return 0;
}

/*
 * Drivers say no alignment: it shows in what they make of the least stride and one byte more. A driver
 * that answers the same takes nothing else.
 */
int shm__v4l2_layout(struct metal_device *dev, const struct metal_shm_frame *frame,
		     struct metal_shm_layout *ret)
{
	struct shm__v4l2_queue *queue = shm__v4l2_queue_of(dev);
	struct format least = { 0 }, more = { 0 }, got;
	uint32_t proposed = frame->plane[0].stride;
	int error;

	error = frame_format(queue, VIDIOC_TRY_FMT, frame, 0, &least);
	if (error)
		return error;
	got = least;
	error = frame_format(queue, VIDIOC_TRY_FMT, frame, least.stride + 1, &more);
	if (!error && proposed > least.stride)
		error = frame_format(queue, VIDIOC_TRY_FMT, frame, proposed, &got);
	if (error)
		return error;

	ret->flags = METAL_SHM_LAYOUT_PACKED;
	ret->stride_min = least.stride;
	if (more.stride <= least.stride) {
		ret->flags |= METAL_SHM_LAYOUT_STRIDE_FIXED;
	} else {
		uint32_t step = more.stride - least.stride;

		if (least.stride % step == 0)
			ret->stride_alignment = step;
		if (got.stride > proposed)
			ret->stride_min = got.stride;
		else if (got.stride < proposed)
			ret->stride_max = got.stride;
	}
	ret->size_min = got.size;
	return 0;
}

/* The planes follow one another as V4L2's formats have them. */
static int check_packed(const struct shm__v4l2_queue *queue, const struct metal_shm_frame *frame)
{
	struct metal_shm_format format;
	uint64_t offset = 0;
	int error;

	error = metal_shm_format_of(frame->fourcc, &format);
	if (error)
		return error;
	for (uint32_t p = 0; p < format.plane_count; p++) {
		uint64_t stride = (uint64_t)frame->plane[0].stride * format.bytes[p] *
				  format.block_width[0] /
				  ((uint64_t)format.bytes[0] * format.block_width[p]);
		uint64_t lines =
			(frame->height + format.block_height[p] - 1u) / format.block_height[p];

		if (p >= frame->plane_count || frame->plane[p].offset != offset ||
		    frame->plane[p].stride != stride)
			return metal_shm_set_error(
				ENOTSUP,
				"%s wants plane %u at byte %llu with a stride of "
				"%llu",
				queue->name, p, (unsigned long long)offset,
				(unsigned long long)stride);
		offset += stride * lines;
	}
	return 0;
}

int shm__v4l2_set_frame(struct shm__v4l2_queue *queue, const struct metal_shm_frame *frame,
			uint32_t *ret_size)
{
	struct format got = { 0 };
	int error;

	error = check_packed(queue, frame);
	if (error)
		return error;
	error = frame_format(queue, VIDIOC_S_FMT, frame, frame->plane[0].stride, &got);
	if (error)
		return error;
	if (got.stride != frame->plane[0].stride || got.size > frame->size)
		return metal_shm_set_error(
			ENOTSUP,
			"%s wants a stride of %u in %u bytes, the pool has %u in %llu: "
			"negotiate the frame with it",
			queue->name, got.stride, got.size, frame->plane[0].stride,
			(unsigned long long)frame->size);
	*ret_size = got.size;
	return 0;
}

/* From the first byte to the last of the picture, without the padding of the last line. */
uint64_t shm__v4l2_picture_bytes(const struct metal_shm_frame *frame)
{
	struct metal_shm_format format;
	uint64_t most = 0;

	if (metal_shm_format_of(frame->fourcc, &format))
		return 0;
	for (uint32_t p = 0; p < format.plane_count && p < frame->plane_count; p++) {
		uint64_t blocks =
			(frame->width + format.block_width[p] - 1u) / format.block_width[p];
		uint64_t lines =
			(frame->height + format.block_height[p] - 1u) / format.block_height[p];
		uint64_t end = frame->plane[p].offset + frame->plane[p].stride * (lines - 1) +
			       blocks * format.bytes[p];

		if (end > most)
			most = end;
	}
	return most;
}

int shm__v4l2_constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
			  struct metal_shm_constraints *ret)
{
	struct shm__v4l2_queue *queue = shm__v4l2_queue_of(dev);
	struct v4l2_format f = { .type = queue->type };

	ret->required = METAL_SHM_DMABUF;
	ret->flags = METAL_SHM_NEEDS_WHOLE;
	ret->access = queue->node->access;
	if (frame)
		ret->trial_size = frame->size;
	else if (!shm__v4l2_ioctl(queue->node, VIDIOC_G_FMT, &f))
		ret->trial_size = queue->multiplanar ? f.fmt.pix_mp.plane_fmt[0].sizeimage
						     : f.fmt.pix.sizeimage;
	return 0;
}
