/* SPDX-License-Identifier: BSD-3-Clause */
/* The trees of firmware: in order forwards and backwards, whatever came and went before. */
#include <bsd/sys/tree.h>

#include "shm_test.h"

#define COUNT 40

/* The links are not at the beginning, as in the core's handles. */
struct item {
	int key;
	bool in;
	RB_ENTRY(item) node;
};

RB_HEAD(items, item);

static int compare(const struct item *a, const struct item *b)
{
	return (a->key > b->key) - (a->key < b->key);
}

RB_PROTOTYPE(items, item, node, compare)
RB_GENERATE(items, item, node, compare)

static struct item all[COUNT];
static struct items tree;

static void expect_order(void)
{
	struct item *item, *last = NULL;
	int next = 0;

	RB_FOREACH(item, items, &tree) {
		while (next < COUNT && !all[next].in)
			next++;
		assert_true(next < COUNT);
		assert_ptr_equal(item, &all[next++]);
		if (last)
			assert_ptr_equal(RB_PREV(items, &tree, item), last);
		last = item;
	}
	while (next < COUNT)
		assert_false(all[next++].in);
	if (last)
		assert_null(RB_NEXT(items, &tree, last));
	item = RB_MIN(items, &tree);
	if (item)
		assert_null(RB_PREV(items, &tree, item));
}

static void items_come_and_go_in_any_order(void **state)
{
	uint32_t random = 1;

	(void)state;
	RB_INIT(&tree);
	for (int i = 0; i < COUNT; i++)
		all[i] = (struct item){ .key = i };
	for (int i = 0; i < 5000; i++) {
		struct item *item;

		random = random * 1103515245 + 12345;
		item = &all[(random >> 16) % COUNT];
		if (item->in)
			RB_REMOVE(items, &tree, item);
		else
			RB_INSERT(items, &tree, item);
		item->in = !item->in;
		expect_order();
	}
}

static void root_is_replaced_whatever_is_below_it(void **state)
{
	(void)state;
	RB_INIT(&tree);
	for (int i = 0; i < COUNT; i++) {
		all[i] = (struct item){ .key = i, .in = true };
		RB_INSERT(items, &tree, &all[i]);
	}
	while (RB_ROOT(&tree)) {
		struct item *root = RB_ROOT(&tree);

		root->in = false;
		RB_REMOVE(items, &tree, root);
		expect_order();
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_come_and_go_in_any_order),
		cmocka_unit_test(root_is_replaced_whatever_is_below_it),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
