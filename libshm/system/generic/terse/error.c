/* SPDX-License-Identifier: BSD-3-Clause */
/* What core/error.c is to a library with words. */
#include "core.h"

const char *metal_shm_version(void)
{
	return SHM__VERSION;
}

const char *metal_shm_last_error(void)
{
	return "";
}

int shm__error_number(int error)
{
	shm__os_set_errno(error);
	return -error;
}

int metal_shm_set_error(int error, const char *format, ...)
{
	(void)format;
	return shm__error_number(error);
}

/* There is never a line for it. */
void metal_shm_set_log(metal_shm_log_fn fn, void *user, enum metal_shm_log_level level)
{
	(void)fn;
	(void)user;
	(void)level;
}

void shm__misuse_number(void)
{
	shm__error_number(EINVAL);
	shm__count(NULL, NULL, SHM__MISUSE, 1);
}

int shm__refuse_fork(void)
{
	return shm__error_number(EPERM);
}
