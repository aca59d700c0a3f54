/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ordered trees with the names of <bsd/sys/tree.h>, as far as the core uses them. They aren't balanced: a firmware's
 * tables are so small that code costs more than steps. What moves links is once there for all types, tree.c.
 */
#ifndef SHM_BSD_SYS_TREE_H
#define SHM_BSD_SYS_TREE_H

#include <stdbool.h>
#include <stddef.h>

struct shm__links {
	void *side[2], *up;
};

void shm__tree_insert(void **root, void *element, size_t at,
		      int (*order)(const void *a, const void *b));
void shm__tree_remove(void **root, void *element, size_t at);
/* The outermost below an element, or its neighbour; NULL: there is none. */
void *shm__tree_outermost(void *element, size_t at, bool right);
void *shm__tree_step(void *element, size_t at, bool right);

#define RB_ENTRY(type) struct shm__links

#define RB_HEAD(name, type)               \
	struct name {                     \
		union {                   \
			void *root;       \
			struct type *all; \
		};                        \
	}

#define RB_INIT(head)        ((head)->root = NULL)
#define RB_ROOT(head)        ((head)->all)
#define RB_LEFT(elm, field)  ((elm)->field.side[0])
#define RB_RIGHT(elm, field) ((elm)->field.side[1])

#define RB_PROTOTYPE(name, type, field, order)            \
	void name##_insert(struct name *, struct type *); \
	void name##_remove(struct name *, struct type *); \
	struct type *name##_min(struct name *);           \
	struct type *name##_step(struct type *, bool right);

#define RB_GENERATE(name, type, field, order)                                                \
	static int name##_order(const void *a, const void *b)                                \
	{                                                                                    \
		return order(a, b);                                                          \
	}                                                                                    \
	void name##_insert(struct name *head, struct type *element)                          \
	{                                                                                    \
		shm__tree_insert(&head->root, element, offsetof(struct type, field),         \
				 name##_order);                                              \
	}                                                                                    \
	void name##_remove(struct name *head, struct type *element)                          \
	{                                                                                    \
		shm__tree_remove(&head->root, element, offsetof(struct type, field));        \
	}                                                                                    \
	struct type *name##_min(struct name *head)                                           \
	{                                                                                    \
		return shm__tree_outermost(head->root, offsetof(struct type, field), false); \
	}                                                                                    \
	struct type *name##_step(struct type *element, bool right)                           \
	{                                                                                    \
		return shm__tree_step(element, offsetof(struct type, field), right);         \
	}

#define RB_INSERT(name, head, elm) name##_insert(head, elm)
#define RB_REMOVE(name, head, elm) name##_remove(head, elm)
#define RB_MIN(name, head)         name##_min(head)
#define RB_NEXT(name, head, elm)   name##_step(elm, true)
#define RB_PREV(name, head, elm)   name##_step(elm, false)

#define RB_FOREACH(x, name, head) \
	for ((x) = RB_MIN(name, head); (x) != NULL; (x) = RB_NEXT(name, head, x))

#endif
