/* SPDX-License-Identifier: BSD-3-Clause */
#include <bsd/sys/tree.h>

static struct shm__links *links_of(void *element, size_t at)
{
	return (struct shm__links *)(void *)((char *)element + at);
}

/* What points to it. */
static void **place_of(void **root, void *element, size_t at)
{
	void *up = links_of(element, at)->up;

	if (!up)
		return root;
	return &links_of(up, at)->side[links_of(up, at)->side[1] == element];
}

static void adopt(void *up, void *element, size_t at)
{
	if (element)
		links_of(element, at)->up = up;
}

void shm__tree_insert(void **root, void *element, size_t at,
		      int (*order)(const void *a, const void *b))
{
	void *up = NULL;

	while (*root) {
		up = *root;
		root = &links_of(up, at)->side[order(element, up) > 0];
	}
	*links_of(element, at) = (struct shm__links){ .up = up };
	*root = element;
}

/* One with two neighbours below is replaced by its follower, which has at most one. */
void shm__tree_remove(void **root, void *element, size_t at)
{
	struct shm__links *links = links_of(element, at);
	void *heir = links->side[0] ? links->side[0] : links->side[1];

	if (links->side[0] && links->side[1]) {
		heir = shm__tree_outermost(links->side[1], at, false);
		shm__tree_remove(root, heir, at);
		*links_of(heir, at) = *links;
		adopt(heir, links->side[0], at);
		adopt(heir, links->side[1], at);
	}
	*place_of(root, element, at) = heir;
	adopt(links->up, heir, at);
}

void *shm__tree_outermost(void *element, size_t at, bool right)
{
	while (element && links_of(element, at)->side[right])
		element = links_of(element, at)->side[right];
	return element;
}

void *shm__tree_step(void *element, size_t at, bool right)
{
	struct shm__links *links = links_of(element, at);
	void *up = links->up;

	if (links->side[right])
		return shm__tree_outermost(links->side[right], at, !right);
	while (up && links_of(up, at)->side[right] == element) {
		element = up;
		up = links_of(up, at)->up;
	}
	return up;
}
