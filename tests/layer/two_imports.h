/* SPDX-License-Identifier: BSD-3-Clause */
/* Two imports for each case, mem of fake and other of other_fake. */
#ifndef TWO_IMPORTS_H
#define TWO_IMPORTS_H

#include "bracket_fixture.h"

static struct fake_dmabuf *fake, *other_fake;
static cl_mem mem, other;

static int import_both(void **state)
{
	(void)state;
	fake = fake_new(BYTES);
	other_fake = fake_new(BYTES);
	mem = import_fd(fake_fd(fake), BYTES);
	other = import_fd(fake_fd(other_fake), BYTES);
	fake_reset();
	return 0;
}

static int release_both(void **state)
{
	(void)state;
	assert_cl(clReleaseMemObject(mem));
	assert_cl(clReleaseMemObject(other));
	fake_free(fake);
	fake_free(other_fake);
	fake_reset();
	return 0;
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, import_both, release_both)

#endif
