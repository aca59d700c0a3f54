/* SPDX-License-Identifier: BSD-3-Clause */
/* Memories: taken from a source, found again by identity or name, given back with the last user. */
#include <string.h>

#include "core.h"

#define ALL_TYPES                                                                           \
	(METAL_SHM_CACHED | METAL_SHM_NOTCACHED | METAL_SHM_CONTIGUOUS | METAL_SHM_ZEROED | \
	 METAL_SHM_SECURE | METAL_SHM_DMABUF)

shm__mutex shm__registry = SHM__MUTEX_INITIALISER;
struct shm__root *shm__roots;
static _Atomic uint32_t last_number;

int shm__type_check(metal_shm_type type)
{
	if (type & ~(metal_shm_type)ALL_TYPES)
		return shm__error(EINVAL, "unknown memory flags 0x%x",
				  (unsigned)(type & ~(metal_shm_type)ALL_TYPES));
	if ((type & METAL_SHM_CACHED) && (type & METAL_SHM_NOTCACHED))
		return shm__error(EINVAL, "METAL_SHM_CACHED contradicts METAL_SHM_NOTCACHED");
	return 0;
}

/* Whoever can look it up may declare it, if the system has a place for that. */
static int refuse_unknown(const char *name, const char *is, const char *needs, const char *flag)
{
	const char *place = shm__os_declared_in(name);

	return shm__error(ENOTSUP, "nothing tells whether %s's memory is %s, and %s %s %s%s%s",
			  name, is, needs ? needs : "the program", needs ? "needs" : "asks for",
			  flag, place ? "; if it is known to be, say so in " : "",
			  place ? place : "");
}

/*
 * A property that nobody vouches for satisfies nothing. needs is the name of the device that has the
 * requirement; NULL: the program has it.
 */
int shm__require(const struct metal_shm_properties *have, metal_shm_type type, const char *name,
		 const char *needs)
{
	const struct {
		metal_shm_type flag;
		enum metal_shm_tri want, have;
	} rules[] = {
		{ METAL_SHM_CACHED, METAL_SHM_YES, have->cached },
		{ METAL_SHM_NOTCACHED, METAL_SHM_NO, have->cached },
		{ METAL_SHM_CONTIGUOUS, METAL_SHM_YES, have->contiguous },
		{ METAL_SHM_ZEROED, METAL_SHM_YES, have->zeroed },
		{ METAL_SHM_SECURE, METAL_SHM_YES, have->secure },
		{ METAL_SHM_DMABUF, METAL_SHM_YES, have->dmabuf },
	};
	/* apart, for firmware that has no words */
	static const struct {
		const char *is, *is_not, *flag;
	} words[] = {
		{ "cached", "is not cached", "METAL_SHM_CACHED" },
		{ "uncached", "is cached", "METAL_SHM_NOTCACHED" },
		{ "contiguous", "is not contiguous", "METAL_SHM_CONTIGUOUS" },
		{ "zeroed", "is not zeroed", "METAL_SHM_ZEROED" },
		{ "secure", "is not secure", "METAL_SHM_SECURE" },
		{ "a DMA-BUF", "is no DMA-BUF", "METAL_SHM_DMABUF" },
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (!(type & rules[i].flag) || rules[i].have == rules[i].want)
			continue;
		if (rules[i].have == METAL_SHM_UNKNOWN)
			return refuse_unknown(name, words[i].is, needs, words[i].flag);
		return shm__error(ENOTSUP, "%s's memory %s, and %s %s %s", name, words[i].is_not,
				  needs ? needs : "the program", needs ? "needs" : "asks for",
				  words[i].flag);
	}
	return 0;
}

int shm__root_create(struct metal_device *src, const struct metal_shm_memory *memory, size_t size,
		     struct metal_generic_shm **ret_shm)
{
	struct metal_shm_properties properties = { .struct_size = sizeof(properties) };
	struct shm__root *root;
	struct metal_generic_shm *shm;
	int error;

	root = shm__os_alloc(sizeof(*root));
	if (!root)
		return shm__error(ENOMEM, "no memory for a buffer's record");
	shm__mutex_init(&root->attach_lock);
	shm__mutex_init(&root->lock);
	root->number = atomic_fetch_add(&last_number, 1) + 1;
	root->src = src;
	root->memory = *memory;
	root->size = size;
	RB_INIT(&root->views);
	RB_INIT(&root->windows);
	shm__ranges_init(&root->ranges, size, SHM__OWNED);
	error = src->ops->properties(src, memory, &properties);
	if (error)
		goto free_root;
	root->properties = properties;
	root->properties.size = memory->size;
	root->granule = shm__granule_of(src, &properties);
	if (memory->os_handle >= 0)
		shm__os_identity(memory->os_handle, &root->identity);
	shm = shm__handle_new(SHM__BUFFER, root, 0, size);
	if (!shm) {
		error = shm__error(ENOMEM, "no memory for a handle");
		goto free_root;
	}
	root->buffer = shm;
	root->users = 1;
	shm__device_ref(src);
	shm__count(root, src, SHM__BUFFERS_LIVE, 1);
	shm__count(root, src, SHM__BYTES_LIVE, memory->size);
	shm__sum_root(root);
	shm__trace(root, src, SHM__TRACE_BORN, 0, size, 0);
	shm__mutex_lock(&shm__registry);
	root->next = shm__roots;
	root->at = &shm__roots;
	if (shm__roots)
		shm__roots->at = &root->next;
	shm__roots = root;
	shm__mutex_unlock(&shm__registry);
	*ret_shm = shm;
	return 0;
free_root:
	shm__mutex_destroy(&root->lock);
	shm__mutex_destroy(&root->attach_lock);
	shm__os_free(root);
	return error;
}

static bool matches(const struct shm__root *root, const struct shm__identity *identity,
		    const char *name)
{
	if (name)
		return !strcmp(root->name, name);
	return root->identity.inode == identity->inode && root->identity.device == identity->device;
}

/*
 * One more reference to the buffer of a memory that is known by its identity or else its name. A
 * memory that only views still use gets a new handle.
 */
struct metal_generic_shm *shm__root_find(const struct shm__identity *identity, const char *name)
{
	struct metal_generic_shm *shm = NULL;
	struct shm__root *root;

	shm__mutex_lock(&shm__registry);
	for (root = shm__roots; root && !matches(root, identity, name); root = root->next)
		;
	if (root) {
		shm__mutex_lock(&root->lock);
		shm = root->buffer;
		if (!shm) {
			shm = shm__handle_new(SHM__BUFFER, root, 0, root->size);
			if (shm)
				root->users++;
			root->buffer = shm;
		} else {
			atomic_fetch_add(&shm->refs, 1);
		}
		if (shm && root->freed) {
			root->freed = false;
			shm__count_back(SHM__DEFERRED, 1);
		}
		shm__mutex_unlock(&root->lock);
		if (!shm)
			shm__error(ENOMEM, "no memory for a handle");
	} else {
		shm__os_set_errno(ENOENT);
	}
	shm__mutex_unlock(&shm__registry);
	return shm;
}

/* Under their locks, but for those that somebody has locked. */
void shm__try_roots(void (*each)(struct shm__root *root))
{
	if (!shm__mutex_trylock(&shm__registry))
		return;
	for (struct shm__root *root = shm__roots; root; root = root->next) {
		if (!shm__mutex_trylock(&root->lock))
			continue;
		each(root);
		shm__mutex_unlock(&root->lock);
	}
	shm__mutex_unlock(&shm__registry);
}

static void destroy(struct shm__root *root)
{
	const struct metal_shm_device_ops *ops = root->src->ops;

	shm__orphans_free(shm__orphans_take(root, true));
	shm__spares_end(root);
	shm__guard_end(root);
	if (root->address)
		ops->unmap(root->src, &root->memory, root->address, root->memory.size);
	shm__count_back(SHM__BUFFERS_LIVE, 1);
	shm__count_back(SHM__BYTES_LIVE, root->memory.size);
	if (root->freed)
		shm__count_back(SHM__DEFERRED, 1);
	shm__fences_drop(root);
	ops->release(root->src, &root->memory);
	shm__trace(root, root->src, SHM__TRACE_FREED, 0, root->size, 0);
	if (!shm__os_forked())
		shm__device_unref(root->src);
	shm__ranges_end(&root->ranges);
	shm__os_free(root->origin);
	shm__mutex_destroy(&root->lock);
	shm__mutex_destroy(&root->attach_lock);
	shm__os_free(root);
}

void shm__root_put(struct shm__root *root)
{
	shm__mutex_lock(&shm__registry);
	if (--root->users) {
		shm__mutex_unlock(&shm__registry);
		return;
	}
	*root->at = root->next;
	if (root->next)
		root->next->at = root->at;
	shm__mutex_unlock(&shm__registry);
	shm__retire_root(root);
	destroy(root);
}

/* Of what may be there another time. */
bool shm__is_shortage(int error)
{
	return error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

/* Also of a source that the program has closed, as long as a memory of it is left. */
struct metal_generic_shm *shm__allocate_more(size_t size, struct metal_device *src,
					     metal_shm_type type)
{
	struct metal_shm_properties promise = { .struct_size = sizeof(promise) };
	struct metal_shm_memory memory = { .os_handle = -1 };
	struct metal_generic_shm *shm;
	int error;

	if (!size) {
		shm__error(EINVAL, "a buffer of 0 bytes");
		return NULL;
	}
	if (shm__type_check(type))
		return NULL;
	if (!shm__gives(src)) {
		shm__error(ENOTSUP, "%s gives no memory", src->name);
		return NULL;
	}
	error = src->ops->properties(src, NULL, &promise);
	if (!error)
		error = shm__require(&promise, type, src->name, NULL);
	if (!error)
		error = src->ops->allocate(src, size, type, &memory);
	if (shm__is_shortage(error) && shm__spares_drop(NULL))
		error = src->ops->allocate(src, size, type, &memory);
	if (error) {
		shm__os_set_errno(-error);
		return NULL;
	}
	error = shm__root_create(src, &memory, size, &shm);
	if (error) {
		src->ops->release(src, &memory);
		shm__os_set_errno(-error);
		return NULL;
	}
	shm__count(shm->root, src, SHM__ALLOCATIONS, 1);
	return shm;
}

struct metal_generic_shm *shm__allocate(size_t size, struct metal_device *src, metal_shm_type type)
{
	if (!atomic_load(&src->closed))
		return shm__allocate_more(size, src, type);
	shm__error(ENODEV, "%s is closed", src->name);
	return NULL;
}

struct metal_generic_shm *metal_shm_allocate(size_t size, struct metal_device *src_dev,
					     metal_shm_type shm_type)
{
	if (shm__device_check(src_dev))
		return NULL;
	return shm__allocate(size, src_dev, shm_type);
}

int metal_shm_properties(const struct metal_generic_shm *shm, struct metal_shm_properties *ret)
{
	struct metal_shm_properties is;
	const struct shm__root *root;
	uint32_t size;
	int error = shm__handle_check(shm);

	if (error)
		return error;
	if (!ret || ret->struct_size < sizeof(ret->struct_size))
		return shm__error(EINVAL, "metal_shm_properties: struct_size is not set");
	size = ret->struct_size;
	root = shm->shadow ? shm->shadow->root : shm->root;
	is = root->properties;
	if (shm->window)
		is.size = shm->window->memory.size;
	memcpy(ret, &is, size < sizeof(*ret) ? size : sizeof(*ret));
	ret->struct_size = size;
	return 0;
}

int metal_shm_open(const char *name, size_t size, metal_shm_type shm_type,
		   struct metal_generic_shm **ret_shm)
{
	struct metal_generic_shm *shm, *fresh = NULL;
	size_t length = name ? strlen(name) : 0;
	int error = shm__enter();

	if (error)
		return error;
	if (!ret_shm || !length || length > 63 || strchr(name, '/'))
		return shm__error(EINVAL, "metal_shm_open: a name has 1 to 63 bytes and no '/'");
	error = shm__type_check(shm_type);
	if (error)
		return error;
	shm = shm__root_find(NULL, name);
	if (!shm && !size)
		return shm__error(ENOENT, "no buffer is named '%s'", name);
	if (!shm) {
		fresh = metal_shm_allocate_for(size, NULL, 0, shm_type);
		if (!fresh)
			return -errno;
		/* another thread may have been faster; then its buffer is the one */
		shm__mutex_lock(&shm__registry);
		for (struct shm__root *root = shm__roots; root && !shm; root = root->next)
			if (!strcmp(root->name, name))
				shm = fresh;
		if (!shm)
			shm__set_name(fresh->root->name, sizeof(fresh->root->name), name);
		shm__mutex_unlock(&shm__registry);
		if (!shm) {
			*ret_shm = fresh;
			return 0;
		}
		metal_shm_free(fresh, NULL);
		return metal_shm_open(name, size, shm_type, ret_shm);
	}
	if (size && size != shm->root->size)
		error = shm__error(EINVAL, "'%s' has %zu bytes, not %zu", name, shm->root->size,
				   size);
	else
		error = shm__require(&shm->root->properties, shm_type, name, NULL);
	if (error) {
		metal_shm_free(shm, NULL);
		return error;
	}
	*ret_shm = shm;
	return 0;
}
