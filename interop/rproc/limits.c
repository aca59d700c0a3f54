/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a core reaches, as far as somebody tells: the kernel module, the resource table, or the program, behind
 * the core's name. Where nobody does, an attachment is what shows it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "way.h"

#define BITS     "address_bits="
#define SEGMENTS "max_segments="
#define EXAMPLE  "as in remoteproc0," BITS "32," SEGMENTS "1"

static bool take_number(const char *option, const char *name, unsigned least, unsigned most,
			unsigned *ret)
{
	const char *digits = option + strlen(name);
	size_t count;

	if (strncmp(option, name, strlen(name)) != 0)
		return false;
	count = strspn(digits, "0123456789");
	if (!count || count > 5 || (digits[count] && digits[count] != ','))
		return false;
	*ret = (unsigned)strtoul(digits, NULL, 10);
	return *ret >= least && *ret <= most;
}

int shm__rproc_parse(const char *text, char ret_name[static SHM__RPROC_TEXT],
		     struct shm__rproc *rproc)
{
	size_t length = strcspn(text, ",");
	unsigned bits = 0;

	if (!length || length >= SHM__RPROC_TEXT || memchr(text, '/', length))
		return metal_shm_set_error(EINVAL, "'%.64s' is not the name of a remoteproc", text);
	snprintf(ret_name, SHM__RPROC_TEXT, "%.*s", (int)length, text);
	for (const char *option = text + length; *option; option += strcspn(option, ",")) {
		option++;
		if (!take_number(option, BITS, 16, 64, &bits) &&
		    !take_number(option, SEGMENTS, 1, 65535, &rproc->max_segments))
			return metal_shm_set_error(EINVAL,
						   "'%.64s': it takes " BITS
						   "16 to 64 and " SEGMENTS "1 to 65535, " EXAMPLE,
						   option);
	}
	if (bits)
		rproc->said_highest = UINT64_MAX >> (64 - bits);
	return 0;
}

/* The highest address that somebody tells of; 0: nobody does. */
static uint64_t highest(struct shm__rproc *rproc)
{
	bool module = shm__rproc_importer(rproc) >= 0;
	uint64_t told = module ? rproc->highest : shm__rproc_place_highest(rproc);

	if (rproc->said_highest && (!told || rproc->said_highest < told))
		return rproc->said_highest;
	return told;
}

int shm__rproc_constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
			   struct metal_shm_constraints *ret)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);

	(void)frame;
	ret->address_mask = highest(rproc);
	for (unsigned shift = 1; shift < 64; shift *= 2)
		ret->address_mask |= ret->address_mask >> shift;
	ret->max_segments = rproc->max_segments;
	ret->access = rproc->coherent ? METAL_SHM_ACCESS_DMA_COHERENT : METAL_SHM_ACCESS_DMA;
	return 0;
}
