/* SPDX-License-Identifier: BSD-3-Clause */
/* Handles of buffers and parts: tags, references, the end of them. */
#include "core.h"

static shm__mutex quarantine_lock = SHM__MUTEX_INITIALISER;
static void *quarantine[SHM__QUARANTINE];
static size_t quarantined;

/*
 * Records that ended wait here with a dead tag before their memory is reused, so that a second free is
 * recognised. As long as SHM__QUARANTINE says: 1 record in release builds, more in debug builds.
 */
void shm__quarantine(void *memory)
{
	void *out;

	shm__mutex_lock(&quarantine_lock);
	out = quarantine[quarantined % SHM__QUARANTINE];
	quarantine[quarantined++ % SHM__QUARANTINE] = memory;
	shm__mutex_unlock(&quarantine_lock);
	shm__os_free(out);
}

int shm__not_a_handle(void)
{
	return shm__error(EINVAL, "not a handle of libshm, or freed");
}

int shm__freed_handle(void)
{
	return shm__error(EINVAL, "the handle was freed");
}

int shm__not_alive(const struct metal_generic_shm *shm, const struct metal_device *dev)
{
	int error = shm__handle_alive(shm);

	if (!error)
		error = shm__device_check(dev);
	return error ? error : -EINVAL;
}

struct metal_generic_shm *shm__handle_new(enum shm__kind kind, struct shm__root *root,
					  size_t offset, size_t size)
{
	struct metal_generic_shm *shm = shm__os_alloc(sizeof(*shm));

	if (!shm)
		return NULL;
	shm->kind = kind;
	shm->root = root;
	shm->offset = offset;
	shm->size = size;
	atomic_init(&shm->refs, 1);
	atomic_store(&shm->tag, SHM__HANDLE_TAG);
	return shm;
}

/* The record is in nobody's list any more. Gives up what it kept of its source and memory. */
void shm__handle_bury(struct metal_generic_shm *shm)
{
	struct metal_generic_shm *source = shm->source;
	struct shm__root *root = shm->root;

	atomic_store(&shm->tag, SHM__DEAD_TAG);
	if (source)
		shm__handle_drop_use(source, shm->kind == SHM__PART);
	shm__quarantine(shm);
	shm__root_put(root);
}

/* Under the memory's lock: is this the end of the record? If so nobody finds it again. */
static bool ends(struct metal_generic_shm *shm)
{
	struct shm__root *root = shm->root;

	if (atomic_load(&shm->refs) || shm->uses || (shm->kind == SHM__BUFFER && root->pool))
		return false;
	if (root->buffer == shm)
		root->buffer = NULL;
	return true;
}

void shm__handle_drop_use(struct metal_generic_shm *shm, bool part)
{
	struct shm__root *root = shm->root;
	bool end, idle;

	shm__mutex_lock(&root->lock);
	shm->uses--;
	if (part)
		shm->parts--;
	idle = shm__becomes_idle(root);
	end = ends(shm);
	shm__mutex_unlock(&root->lock);
	if (idle)
		shm__pool_return(root);
	if (end)
		shm__handle_bury(shm);
}

struct metal_generic_shm *metal_shm_sub(struct metal_generic_shm *shm, size_t offset, size_t size,
					uint32_t flags)
{
	struct metal_generic_shm *part;

	if (shm__handle_check(shm))
		return NULL;
	if (flags & ~METAL_SHM_SUB_NO_COPY || !size) {
		shm__error(EINVAL, "a part of 0 bytes, or unknown flags");
		return NULL;
	}
	if (offset > shm->size || size > shm->size - offset) {
		shm__error(ERANGE, "%zu bytes at %zu are outside the %zu bytes there are", size,
			   offset, shm->size);
		return NULL;
	}
	part = shm__handle_new(SHM__PART, shm->root, shm->offset + offset, size);
	if (!part) {
		shm__error(ENOMEM, "no memory for a handle");
		return NULL;
	}
	if (shm->kind == SHM__VIEW)
		shm = shm->source;
	part->flags = flags;
	part->source = shm;
	shm__mutex_lock(&shm__registry);
	shm->root->users++;
	shm__mutex_unlock(&shm__registry);
	shm__mutex_lock(&shm->root->lock);
	shm->uses++;
	shm->parts++;
	shm__mutex_unlock(&shm->root->lock);
	return part;
}

struct metal_generic_shm *metal_shm_ref(struct metal_generic_shm *shm)
{
	if (shm__handle_alive(shm))
		return NULL;
	if (shm->kind == SHM__VIEW)
		shm = shm->source;
	atomic_fetch_add(&shm->refs, 1);
	return shm;
}

/* In a forked child: undo what this process maps and holds, and touch no device. */
static void free_in_child(struct metal_generic_shm *shm)
{
	struct shm__root *root = shm->root;

	if (atomic_load(&shm->tag) != SHM__HANDLE_TAG || shm->kind == SHM__VIEW ||
	    !atomic_load(&shm->refs) || atomic_fetch_sub(&shm->refs, 1) != 1)
		return;
	if (shm->kind == SHM__BUFFER) {
		shm__guard_end(root);
		if (root->address)
			root->src->ops->unmap(root->src, &root->memory, root->address,
					      root->memory.size);
		root->address = NULL;
		shm__fences_drop(root);
		root->src->ops->release(root->src, &root->memory);
		root->buffer = NULL;
	}
	atomic_store(&shm->tag, SHM__DEAD_TAG);
	shm__quarantine(shm);
}

static void drop_mappings(struct metal_generic_shm *shm)
{
	struct shm__root *root = shm->root;

	/* cut where it must be, it was when they were made; without memory a range stays too wide */
	if (shm->map_users[1] &&
	    !shm__ranges_cut(&root->ranges, shm->offset, shm->offset + shm->size)) {
		SHM__EACH_RANGE(range, &root->ranges, shm->offset, shm->offset + shm->size)
			range->mapped -= shm->map_users[1];
		shm__ranges_join(&root->ranges, shm->offset, shm->offset + shm->size);
	}
	shm->map_users[0] = shm->map_users[1] = 0;
}

void metal_shm_free(struct metal_generic_shm *src_shm, struct metal_device *src_dev)
{
	struct shm__root *root;
	bool end = false, idle = false;

	if (!src_shm)
		return;
	if (shm__os_forked()) {
		free_in_child(src_shm);
		return;
	}
	if (shm__handle_check(src_shm)) {
		shm__misuse("metal_shm_free", "not a handle of libshm, or freed before");
		return;
	}
	if (src_shm->kind == SHM__VIEW) {
		shm__misuse("metal_shm_free", "a view is ended by metal_shm_detach()");
		return;
	}
	root = src_shm->root;
	if (src_dev && src_dev != root->src) {
		shm__misuse("metal_shm_free", "the buffer came from another device");
		return;
	}
	shm__mutex_lock(&root->lock);
	if (!atomic_load(&src_shm->refs)) {
		shm__mutex_unlock(&root->lock);
		shm__misuse("metal_shm_free", "freed before");
		return;
	}
	if (atomic_fetch_sub(&src_shm->refs, 1) == 1) {
		drop_mappings(src_shm);
		idle = shm__becomes_idle(root);
		end = ends(src_shm);
		if (!end && !root->pool && src_shm->kind == SHM__BUFFER) {
			root->freed = true;
			root->freed_ms = shm__os_now_ms();
			shm__count(root, root->src, SHM__DEFERRED, 1);
		}
	}
	shm__mutex_unlock(&root->lock);
	if (idle)
		shm__pool_return(root);
	if (end)
		shm__handle_bury(src_shm);
}

size_t metal_shm_size(const struct metal_generic_shm *shm)
{
	return shm__handle_check(shm) ? 0 : shm->size;
}
