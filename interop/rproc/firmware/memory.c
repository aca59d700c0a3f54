/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's memory as a source: what is shared, where it lies, its caches; and asking for more. */
#include "host.h"

static bool reaches(const struct host *host, uint64_t address, uint64_t length)
{
	for (uint32_t i = 0; i < host->setup.reach_count; i++) {
		const struct metal_shm_segment *window = &host->setup.reach[i];

		if (address >= window->device_address && length <= window->length &&
		    address - window->device_address <= window->length - length)
			return true;
	}
	return false;
}

/* Lines that it shared with other bytes of the host's would be written back over them. */
static bool is_usable(const struct host *host, const struct shm__wire_segment *segment)
{
	uint64_t line = metal_shm_platform()->cache_line;

	return reaches(host, segment->address, segment->length) &&
	       (!line || !((segment->address | segment->length) & (line - 1)));
}

/* The first gap that has room; SHM_HOST_SEGMENTS: there is none. */
static uint32_t find_room(const struct host *host, uint32_t count)
{
	uint32_t at = 0;

	for (int i = 0; i < SHM_HOST_SHARES; i++) {
		const struct host_share *share = &host->shares[i];

		if (share->state == SHARE_NONE || share->first + share->count <= at ||
		    (at + count <= share->first))
			continue;
		at = share->first + share->count;
		i = -1;
	}
	return count <= SHM_HOST_SEGMENTS && at <= SHM_HOST_SEGMENTS - count ? at
									     : SHM_HOST_SEGMENTS;
}

/* One of those in the record, or in the table, which is read once: its owner may change it meanwhile. */
static enum shm__code read_segment(const struct shm__wire_share *what, uint32_t i,
				   struct shm__wire_segment *ret)
{
	uint8_t entry[SHM__SEGMENT_SIZE];

	if (!(what->flags & SHM__SHARE_TABLE)) {
		*ret = what->segment[i];
		return SHM__CODE_OK;
	}
	memcpy(entry, (const uint8_t *)(uintptr_t)what->segment[0].address + i * sizeof(entry),
	       sizeof(entry));
	return shm__segment_decode(entry, ret);
}

static enum shm__code read_segments(struct host *host, const struct shm__wire_share *what,
				    uint32_t first)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < what->segments; i++) {
		struct shm__wire_segment segment;
		enum shm__code code = read_segment(what, i, &segment);

		if (code)
			return code;
		if (!is_usable(host, &segment) || segment.length > what->size - sum)
			return SHM__CODE_MEMORY;
		sum += segment.length;
		host->segments[first + i] =
			(struct metal_shm_segment){ segment.address, segment.length };
	}
	return sum == what->size ? SHM__CODE_OK : SHM__CODE_MEMORY;
}

static struct host_share *free_share(struct host *host)
{
	for (int i = 0; i < SHM_HOST_SHARES; i++)
		if (host->shares[i].state == SHARE_NONE)
			return &host->shares[i];
	return NULL;
}

/* Note what is shared, if it can be used. It counts as void until somebody has a handle of it. */
enum shm__code shm__share_take(struct host *host, const struct shm__wire_share *what,
			       struct host_share **ret_share)
{
	struct host_share *share = free_share(host);
	uint32_t first = find_room(host, what->segments);
	enum shm__code code;

	if (!share || first == SHM_HOST_SEGMENTS)
		return SHM__CODE_FULL;
	if (!what->segments || what->size > SIZE_MAX || (what->flags & SHM__SHARE_DESCRIPTOR))
		return SHM__CODE_MEMORY;
	if (what->flags & SHM__SHARE_TABLE) {
		if (!reaches(host, what->segment[0].address, what->segment[0].length))
			return SHM__CODE_MEMORY;
		metal_shm_cache_for_cpu((const void *)(uintptr_t)what->segment[0].address,
					(size_t)what->segment[0].length, METAL_SHM_DIR_DEV_W);
	}
	code = read_segments(host, what, first);
	if (code)
		return code;
	*share = (struct host_share){
		.state = SHARE_VOID,
		.id = what->id,
		.tag = what->tag,
		.size = what->size,
		.first = first,
		.count = what->segments,
		.dir = what->dir,
	};
	*ret_share = share;
	return SHM__CODE_OK;
}

typedef void (*cache_operation)(const void *address, size_t length, enum metal_shm_dir dir);

static void each_run(const struct host *host, const struct host_share *share, uint64_t offset,
		     uint64_t length, enum metal_shm_dir dir, cache_operation operation)
{
	for (uint32_t i = 0; i < share->count && length; i++) {
		const struct metal_shm_segment *segment = &host->segments[share->first + i];
		uint64_t run;

		if (offset >= segment->length) {
			offset -= segment->length;
			continue;
		}
		run = segment->length - offset < length ? segment->length - offset : length;
		operation((const void *)(uintptr_t)(segment->device_address + offset), (size_t)run,
			  dir);
		length -= run;
		offset = 0;
	}
}

void shm__share_for_cpu(const struct host *host, const struct host_share *share, uint64_t offset,
			uint64_t length, enum metal_shm_dir dir)
{
	each_run(host, share, offset, length, dir, metal_shm_cache_for_cpu);
}

static struct host *host_of(struct metal_device *dev)
{
	return metal_shm_device_data(dev, &shm__host_ops);
}

int shm__host_for_cpu(struct metal_device *dev, struct metal_shm_memory *memory,
		      const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	each_run(host_of(dev), memory->data, range->offset, range->length, dir,
		 metal_shm_cache_for_cpu);
	return 0;
}

int shm__host_for_device(struct metal_device *dev, struct metal_shm_memory *memory,
			 const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	each_run(host_of(dev), memory->data, range->offset, range->length, dir,
		 metal_shm_cache_for_device);
	return 0;
}

static bool is_answered(struct host *host)
{
	return host->refusal ||
	       (host->answer && shm__host_is_given(host, host->answer, 0, host->answer->size));
}

/* What came too late, or is not what was asked for, goes back. */
static int refuse_answer(struct host *host, const char *why, int error)
{
	if (host->answer)
		host->answer->state = SHARE_LEAVING;
	host->answer = NULL;
	return shm__refuse(error, "%s", why);
}

static int await(struct host *host, size_t size, metal_shm_type type)
{
	const struct metal_shm_platform *platform = metal_shm_platform();
	int64_t end = platform->now_ns() + host->setup.request_timeout_ns;

	while (!is_answered(host)) {
		if (platform->now_ns() >= end)
			return refuse_answer(host, "the host didn't give memory in time",
					     ETIMEDOUT);
		shm__host_pump(host);
		if (!is_answered(host) && platform->relax)
			platform->relax();
	}
	if (host->refusal)
		return shm__host_error(host->refusal, "the host refused memory");
	if (host->answer->size < size ||
	    ((type & METAL_SHM_CONTIGUOUS) && host->answer->count != 1))
		return refuse_answer(host, "the host gave other memory than was asked for", EPROTO);
	return 0;
}

static int request(struct host *host, size_t size, metal_shm_type type)
{
	struct shm__out out;
	enum shm__code code = SHM__CODE_AGAIN;
	int error;

	if (host->dispatching)
		return shm__refuse(EDEADLK, "memory can't be waited for in a host's event");
	if (shm__host_flush(host))
		code = shm__session_request(&host->session, size, type, &host->tag, &out);
	if (code)
		return shm__host_error(code, "the host can't be asked for memory");
	shm__host_push(host, &out);
	host->answer = NULL;
	host->refusal = SHM__CODE_OK;
	error = await(host, size, type);
	host->tag = 0;
	return error;
}

static void fill(const struct host_share *share, struct metal_shm_memory *ret_memory)
{
	*ret_memory = (struct metal_shm_memory){
		.data = (void *)(uintptr_t)share,
		.size = (size_t)share->size,
		.os_handle = -1,
	};
}

/* Of the share that came by itself, or of one that the host is asked for. */
int shm__host_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
		       struct metal_shm_memory *ret_memory)
{
	struct host *host = host_of(dev);
	struct host_share *share = host->adopted;
	int error;

	if (share) {
		fill(share, ret_memory);
		return 0;
	}
	error = request(host, size, type);
	if (error)
		return error;
	share = host->answer;
	share->asked = size;
	host->answer = NULL;
	fill(share, ret_memory);
	/* the core takes fresh memory for the program's, with nothing of it in a cache */
	shm__share_for_cpu(host, share, 0, share->size, METAL_SHM_DIR_DEV_W);
	return 0;
}

void shm__host_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	struct host_share *share = memory->data;

	share->buffer = NULL;
	share->state = share->state == SHARE_LIVE ? SHARE_LEAVING : SHARE_NONE;
	shm__host_flush(host_of(dev));
}

/* What a REQUEST asks for is the host's to keep; whether it is contiguous is looked at. */
int shm__host_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			 struct metal_shm_properties *ret)
{
	const struct host_share *share = memory ? memory->data : NULL;
	uint32_t line = metal_shm_platform()->cache_line;

	(void)dev;
	ret->cached = line ? METAL_SHM_YES : METAL_SHM_UNKNOWN;
	ret->coherent = line ? METAL_SHM_NO : METAL_SHM_YES;
	ret->contiguous = share && share->count != 1 ? METAL_SHM_NO : METAL_SHM_YES;
	ret->zeroed = share && !share->tag ? METAL_SHM_UNKNOWN : METAL_SHM_YES;
	ret->dmabuf = METAL_SHM_NO;
	ret->secure = METAL_SHM_NO;
	ret->sync_granule = line;
	return 0;
}

int shm__host_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		  void **ret_address)
{
	const struct host_share *share = memory->data;

	if (share->count != 1)
		return shm__refuse(ENOTSUP,
				   "the memory lies in %u places: see metal_shm_segments()",
				   (unsigned)share->count);
	if ((prot & METAL_SHM_WRITE) && !(share->dir & SHM__WIRE_WRITES))
		return shm__refuse(EACCES, "the host shares the memory for reading");
	*ret_address = (void *)(uintptr_t)host_of(dev)->segments[share->first].device_address;
	return 0;
}

void shm__host_unmap(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
		     size_t length)
{
	(void)dev;
	(void)memory;
	(void)address;
	(void)length;
}
