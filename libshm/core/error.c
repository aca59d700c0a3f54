/* SPDX-License-Identifier: BSD-3-Clause */
/* Reasons, log lines, and the two checks that stand before everything else. */
#include <stdarg.h>
#include <stdio.h>

#include "core.h"

static shm__mutex log_lock = SHM__MUTEX_INITIALISER;
static metal_shm_log_fn log_fn;
static void *log_user;
static atomic_int log_level;
static bool at_exit;

const char *metal_shm_version(void)
{
	return SHM__VERSION;
}

const char *metal_shm_last_error(void)
{
	size_t size;

	return shm__os_error_text(&size);
}

static int set_error(int error, const char *format, va_list arguments)
{
	char line[SHM__REASON_SIZE];
	size_t size, i = 0;
	char *text = shm__os_error_text(&size);

	/* an argument may be the last reason itself */
	vsnprintf(line, sizeof(line), format, arguments);
	for (; line[i] && i < size - 1; i++)
		text[i] = line[i] == '\n' ? ' ' : line[i];
	text[i] = '\0';
	shm__os_set_errno(error);
	return -error;
}

int shm__error(int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_error(error, format, arguments);
	va_end(arguments);
	return -error;
}

int metal_shm_set_error(int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_error(error, format, arguments);
	va_end(arguments);
	return -error;
}

void metal_shm_set_log(metal_shm_log_fn fn, void *user, enum metal_shm_log_level level)
{
	if (shm__os_forked())
		return;
	shm__mutex_lock(&log_lock);
	log_fn = fn;
	log_user = user;
	atomic_store(&log_level, fn ? (int)level : 0);
	/* what the hook needs was made before, so that the program ends it after */
	if (SHM__TELLS_HELD && fn && !at_exit)
		at_exit = !shm__os_at_exit(shm__tell_held);
	shm__mutex_unlock(&log_lock);
}

bool shm__logs(enum metal_shm_log_level level)
{
	return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

void shm__log(enum metal_shm_log_level level, const char *format, ...)
{
	char line[512];
	va_list arguments;

	if (!shm__logs(level))
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	shm__mutex_lock(&log_lock);
	if (log_fn)
		log_fn(log_user, level, line);
	shm__mutex_unlock(&log_lock);
}

/* An error, but without waiting: the program may have ended inside the hook. */
void shm__log_at_end(const char *format, ...)
{
	char line[512];
	va_list arguments;

	if (!shm__mutex_trylock(&log_lock))
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (log_fn && shm__logs(METAL_SHM_LOG_ERROR))
		log_fn(log_user, METAL_SHM_LOG_ERROR, line);
	shm__mutex_unlock(&log_lock);
}

/* The void calls can't answer: they say it everywhere else. */
void shm__misuse(const char *call, const char *what)
{
	shm__error(EINVAL, "%s: %s", call, what);
	shm__count(NULL, NULL, SHM__MISUSE, 1);
	shm__log(METAL_SHM_LOG_ERROR, "misuse of %s: %s", call, what);
}

/* Locks and descriptors of a forked child are shared with or torn from its parent's. */
int shm__refuse_fork(void)
{
	return shm__error(EPERM, "a forked child may only free");
}
