/* SPDX-License-Identifier: BSD-3-Clause */
/* The program's mappings: one for each memory, kept until the memory goes. */
#include <limits.h>

#include "core.h"

#define READ_WRITE (METAL_SHM_READ | METAL_SHM_WRITE)

/*
 * Mapped for writing where that is allowed, so that readers and writers share one address. What the
 * program asked for is counted apart: it is the evidence of what the CPU may have written.
 */
/* Under the memory's lock. */
int shm__map_locked(struct shm__root *root, int prot)
{
	const struct metal_shm_device_ops *ops = root->src->ops;
	const struct metal_shm_range all = { 0, root->memory.size };
	void *address;
	int error, have = root->read_only ? METAL_SHM_READ : READ_WRITE;

	if (root->address && (root->prot & prot) == prot)
		return 0;
	if (root->address || (prot & ~have))
		return shm__error(EACCES, "%s: the memory is read-only", root->src->name);
	if (!ops->map)
		return shm__error(ENOTSUP, "%s can't be mapped by the CPU", root->src->name);
	error = ops->map(root->src, &root->memory, have, &address);
	if (error == -EACCES && have == READ_WRITE && !(prot & METAL_SHM_WRITE)) {
		have = METAL_SHM_READ;
		error = ops->map(root->src, &root->memory, have, &address);
	}
	if (error)
		return error;
	/* an END before any START is refused by udmabuf; this one moves nothing, but waits for fences */
	if (ops->sync_for_cpu && !root->started && !root->device_dirty && !root->kept) {
		error = ops->sync_for_cpu(root->src, &root->memory, &all, METAL_SHM_DIR_DEV_R);
		if (error) {
			ops->unmap(root->src, &root->memory, address, root->memory.size);
			return error;
		}
		root->started = true;
		shm__count(root, root->src, SHM__STARTS, 1);
		shm__trace(root, root->src, SHM__TRACE_START, 0, root->size, METAL_SHM_DIR_DEV_R);
	}
	root->address = address;
	root->prot = have;
	shm__count(root, root->src, SHM__MAPPINGS, 1);
	shm__trace(root, root->src, SHM__TRACE_MAPPED, 0, root->size, 0);
	if (!root->unguarded && shm__os_guard_wanted() && shm__guard_begin(root))
		shm__log(METAL_SHM_LOG_INFO, "guard: %s", metal_shm_last_error());
	return 0;
}

/* What the program may write from now on, or no longer, by one mapping more or less. */
static void count_writable(struct metal_generic_shm *shm, bool more)
{
	struct shm__root *root = shm->root;

	SHM__EACH_RANGE(range, &root->ranges, shm->offset, shm->offset + shm->size) {
		range->mapped += more ? 1u : UINT_MAX;
		if (more && (range->flags & SHM__OWNED))
			shm__cpu_writes(root, range, SHM__WRITTEN);
	}
	shm__ranges_join(&root->ranges, shm->offset, shm->offset + shm->size);
}

static int map_range(struct metal_generic_shm *shm, int prot)
{
	struct shm__root *root = shm->root;
	int error = shm__map_locked(root, prot);

	if (error || !(prot & METAL_SHM_WRITE))
		return error;
	error = shm__ranges_cut(&root->ranges, shm->offset, shm->offset + shm->size);
	if (error)
		return shm__error(-error, "no memory for the record of a range");
	count_writable(shm, true);
	return 0;
}

void *metal_shm_map(struct metal_generic_shm *shm, int prot)
{
	struct shm__root *root;
	void *address = NULL;
	int error = shm__handle_check(shm);

	if (error)
		return NULL;
	if (!prot || prot & ~READ_WRITE) {
		shm__error(EINVAL, "metal_shm_map: prot is METAL_SHM_READ, _WRITE or both");
		return NULL;
	}
	root = shm->root;
	shm__mutex_lock(&root->lock);
	error = map_range(shm, prot);
	if (!error) {
		for (int i = 0; i < 2; i++)
			shm->map_users[i] += (unsigned)prot >> i & 1;
		address = (char *)root->address + shm->offset;
	}
	shm__mutex_unlock(&root->lock);
	if (error)
		shm__os_set_errno(-error);
	return address;
}

int metal_shm_unmap(struct metal_generic_shm *shm, int prot)
{
	struct shm__root *root;
	int error = shm__handle_check(shm);

	if (error)
		return error;
	root = shm->root;
	shm__mutex_lock(&root->lock);
	if (!prot || prot & ~READ_WRITE || ((prot & METAL_SHM_READ) && !shm->map_users[0]) ||
	    ((prot & METAL_SHM_WRITE) && !shm->map_users[1]))
		error = shm__error(EINVAL, "metal_shm_unmap: it was not mapped so");
	/* the range's ends lie where mapping it has put them, as long as its count differs */
	if (!error && (prot & METAL_SHM_WRITE)) {
		error = shm__ranges_cut(&root->ranges, shm->offset, shm->offset + shm->size);
		if (error)
			error = shm__error(-error, "no memory for the record of a range");
		else
			count_writable(shm, false);
	}
	for (int i = 0; !error && i < 2; i++)
		shm->map_users[i] -= (unsigned)prot >> i & 1;
	shm__mutex_unlock(&root->lock);
	return error;
}

/* The memory that the view stands for, or has some pages of. */
static struct shm__root *backing(const struct metal_shm_attachment *at)
{
	return at->shm->shadow ? at->shm->shadow->root : at->shm->root;
}

static struct metal_shm_memory *memory_of(const struct metal_shm_attachment *at)
{
	return at->shm->window ? &at->shm->window->memory : &backing(at)->memory;
}

int metal_shm_importer_map(const struct metal_shm_attachment *at, int prot, void **ret_address)
{
	struct shm__root *root;
	void *address;
	int error;

	if (!at || !ret_address || !prot || prot & ~READ_WRITE)
		return shm__error(EINVAL, "metal_shm_importer_map: NULL or a wrong prot");
	error = shm__handle_alive(at->shm);
	if (error)
		return error;
	root = backing(at);
	if (!root->src->ops->map)
		return shm__error(ENOTSUP, "%s can't be mapped by the CPU", root->src->name);
	if (root->read_only && (prot & METAL_SHM_WRITE))
		return shm__error(EACCES, "%s: the memory is read-only", root->src->name);
	error = root->src->ops->map(root->src, memory_of(at), prot, &address);
	if (error)
		return error;
	shm__count(at->shm->root, root->src, SHM__MAPPINGS, 1);
	*ret_address = (char *)address + at->range.offset;
	return 0;
}

void metal_shm_importer_unmap(const struct metal_shm_attachment *at, void *address)
{
	struct shm__root *root;

	if (!at || !address || shm__handle_alive(at->shm)) {
		shm__misuse("metal_shm_importer_unmap", "not an attachment");
		return;
	}
	root = backing(at);
	root->src->ops->unmap(root->src, memory_of(at), (char *)address - at->range.offset,
			      memory_of(at)->size);
}

static int check_owned(struct shm__root *root, size_t start, size_t end)
{
	if (start == end)
		return 0;
	SHM__EACH_RANGE(range, &root->ranges, start, end)
		if (!(range->flags & SHM__OWNED))
			return shm__error_held(root, range, EBUSY, "not the program's to write: ");
	return 0;
}

/* From the first report of a period on only what is reported counts: see shm__note_writes(). */
static void report(struct metal_generic_shm *shm, size_t start, size_t end)
{
	SHM__EACH_RANGE(range, &shm->root->ranges, shm->offset, shm->offset + shm->size) {
		if (!(range->flags & SHM__OWNED))
			continue;
		if (!(range->flags & SHM__REPORTED))
			range->flags &= ~SHM__WRITTEN;
		range->flags |= SHM__REPORTED;
		if (range->start >= start && range->end <= end)
			shm__cpu_writes(shm->root, range, SHM__WRITTEN);
	}
}

int metal_shm_wrote(struct metal_generic_shm *shm, size_t offset, size_t length)
{
	struct shm__root *root;
	size_t start, end;
	int error = shm__handle_check(shm);

	if (error)
		return error;
	if (offset > shm->size || length > shm->size - offset)
		return shm__error(ERANGE, "%zu bytes at %zu are outside the %zu bytes there are",
				  length, offset, shm->size);
	root = shm->root;
	start = shm->offset + offset;
	end = start + length;
	shm__mutex_lock(&root->lock);
	error = check_owned(root, start, end);
	if (!error && (shm__ranges_cut(&root->ranges, shm->offset, shm->offset + shm->size) ||
		       shm__ranges_cut(&root->ranges, start, end)))
		error = shm__error(ENOMEM, "no memory for the record of a range");
	if (!error)
		report(shm, start, end);
	shm__ranges_join(&root->ranges, shm->offset, shm->offset + shm->size);
	shm__mutex_unlock(&root->lock);
	return error;
}
