/* SPDX-License-Identifier: BSD-3-Clause */
/* LIBSHM_TRACE: the trace is on from the first use of the library, and its file written at the end. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core.h"
#include "trace_file.h"

/* Some minutes of a camera's frames through three devices, 3 MiB. */
#define RECORDS 65536

/* Absolute: the program may change its folder meanwhile. "" : not asked for. */
static char file[PATH_MAX];

/* "%p" in the name is the process's number, since programs that the program starts are traced too. */
static int name_file(const char *name)
{
	const char *number = strstr(name, "%p");
	char folder[PATH_MAX] = "", middle[16] = "";
	int n;

	if (name[0] != '/' && !getcwd(folder, sizeof(folder)))
		return errno;
	if (number)
		snprintf(middle, sizeof(middle), "%d", (int)getpid());
	n = snprintf(file, sizeof(file), "%s%s%.*s%s%s", folder, folder[0] ? "/" : "",
		     number ? (int)(number - name) : (int)strlen(name), name, middle,
		     number ? number + 2 : "");
	return n < (int)sizeof(file) ? 0 : ENAMETOOLONG;
}

void shm__trace_file_begin(void)
{
	const char *name = secure_getenv("LIBSHM_TRACE");
	int error;

	if (!name || !name[0])
		return;
	error = name_file(name);
	if (error) {
		file[0] = '\0';
		shm__log(METAL_SHM_LOG_ERROR, "LIBSHM_TRACE=%s: %s", name, strerror(error));
	} else if (metal_shm_trace_start(RECORDS)) {
		file[0] = '\0';
		shm__log(METAL_SHM_LOG_ERROR, "LIBSHM_TRACE=%s: %s", name, metal_shm_last_error());
	}
}

/* After the program's own last words, and those of the adapters. */
__attribute__((destructor)) static void write_file(void)
{
	int fd, error;

	if (!file[0] || shm__os_forked())
		return;
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0) {
		shm__log(METAL_SHM_LOG_ERROR, "%s: %s", file, strerror(errno));
		return;
	}
	error = metal_shm_trace_write(fd);
	if (close(fd) && !error)
		error = shm__error(errno, "%s", strerror(errno));
	if (error)
		shm__log(METAL_SHM_LOG_ERROR, "%s: %s", file, metal_shm_last_error());
}
