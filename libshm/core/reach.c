/* SPDX-License-Identifier: BSD-3-Clause */
/* What a device states of the addresses that it takes: chosen by before, and true of every view it makes. */
#include "core.h"

static bool crosses(uint64_t first, uint64_t last, uint64_t boundary)
{
	return boundary && first / boundary != last / boundary;
}

static int check_segment(const struct metal_shm_segment *segment,
			 const struct metal_shm_constraints *want, const char *src, const char *dev)
{
	uint64_t first = segment->device_address;
	uint64_t last = first + (segment->length ? segment->length - 1 : 0);

	if (last < first)
		return shm__error(ERANGE, "%s names no address: %llu bytes at %#llx", dev,
				  (unsigned long long)segment->length, (unsigned long long)first);
	if (want->address_mask && ((first | last) & ~want->address_mask))
		return shm__error(
			ERANGE,
			"%s reaches addresses up to %#llx alone, and %s's memory is for it "
			"at %#llx to %#llx",
			dev, (unsigned long long)want->address_mask, src, (unsigned long long)first,
			(unsigned long long)last);
	if (want->max_segment_length && segment->length > want->max_segment_length)
		return shm__error(ERANGE,
				  "%s takes pieces of up to %llu bytes, and one of %s's memory has "
				  "%llu",
				  dev, (unsigned long long)want->max_segment_length, src,
				  (unsigned long long)segment->length);
	if (crosses(first, last, want->segment_boundary))
		return shm__error(ERANGE,
				  "%s takes no piece across a multiple of %#llx, and one of %s's "
				  "memory is at %#llx to %#llx",
				  dev, (unsigned long long)want->segment_boundary, src,
				  (unsigned long long)first, (unsigned long long)last);
	return 0;
}

/* Whether what the device made of the memory is as it states. Devices that name no addresses state nothing. */
int shm__check_reach(const struct metal_generic_shm *view, const struct metal_shm_constraints *want)
{
	const char *src = view->root->src->name, *dev = view->dev->name;
	const struct metal_shm_view *is = &view->view;
	int error = 0;

	if (want->max_segments && is->segment_count > want->max_segments)
		return shm__error(ERANGE,
				  "%s takes up to %u pieces, and %s's memory is %zu of them for it",
				  dev, want->max_segments, src, is->segment_count);
	for (size_t i = 0; i < is->segment_count && !error; i++)
		error = check_segment(&is->segments[i], want, src, dev);
	return error;
}

/* Whether buffers of one source may be within these limits or not, so that each has to be looked at. */
bool shm__limits_reach(const struct metal_shm_constraints *want)
{
	return want->max_segments || (want->address_mask && want->address_mask != UINT64_MAX) ||
	       want->max_segment_length || want->segment_boundary;
}

/*
 * Whether every buffer of the source is in so few pieces. What isn't may be all the same: by chance, or
 * because an IOMMU makes one piece of many for the device.
 */
bool shm__promises_pieces(const struct metal_shm_properties *promise,
			  const struct metal_shm_constraints *want, size_t size)
{
	if (!want->max_segments || promise->contiguous == METAL_SHM_YES)
		return true;
	return promise->granularity && size <= (uint64_t)want->max_segments * promise->granularity;
}
