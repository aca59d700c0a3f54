/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a core didn't take its firmware: the kernel answers with an errno and leaves the rest to its log. The
 * folders are those of the kernel's Documentation/driver-api/firmware/fw_search_path.rst, the file's format
 * is System V's ELF.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "internal.h"

#define FOLDER  320 /* bytes of a folder's name */
#define FOLDERS 5

static size_t folders(char ret[FOLDERS][FOLDER])
{
	char own[SHM__RPROC_TEXT];
	struct utsname kernel;
	size_t n = 0;

	if (!shm__rproc_read("/sys/module/firmware_class/parameters/path", own) && own[0])
		snprintf(ret[n++], FOLDER, "%s", own);
	if (!uname(&kernel)) {
		snprintf(ret[n++], FOLDER, "/lib/firmware/updates/%s", kernel.release);
		snprintf(ret[n++], FOLDER, "/lib/firmware/updates");
		snprintf(ret[n++], FOLDER, "/lib/firmware/%s", kernel.release);
	}
	snprintf(ret[n++], FOLDER, "/lib/firmware");
	return n;
}

/* Where the kernel finds it, or would look; -1. */
static int open_firmware(const char *name, char *looked, size_t size)
{
	char folder[FOLDERS][FOLDER], path[FOLDER + SHM__RPROC_TEXT];
	size_t n = folders(folder), length = 0;

	for (size_t i = 0; i < n; i++) {
		int fd;

		if (snprintf(path, sizeof(path), "%s/%s", folder[i], name) >= (int)sizeof(path))
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (length + FOLDER < size)
			length += (size_t)snprintf(looked + length, size - length, "%s%s",
						   i ? ", " : "", folder[i]);
	}
	return -1;
}

static const char *machine_name(unsigned machine)
{
	switch (machine) {
	case EM_386:
		return "x86";
	case EM_X86_64:
		return "x86-64";
	case EM_ARM:
		return "Arm";
	case EM_AARCH64:
		return "AArch64";
	case EM_RISCV:
		return "RISC-V";
	case EM_XTENSA:
		return "Xtensa";
	case EM_TI_C6000:
		return "TI C6000";
	case EM_TI_PRU:
		return "TI PRU";
	case EM_MICROBLAZE:
		return "MicroBlaze";
	case EM_QDSP6:
		return "Hexagon";
	default:
		return NULL;
	}
}

/* The fields that are alike in 32 and 64 bits. */
static void describe(int fd, char *ret, size_t size)
{
	unsigned char head[20];
	unsigned machine;
	const char *name;
	bool little;

	if (pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    memcmp(head, ELFMAG, SELFMAG) != 0) {
		snprintf(ret, size, "is not an ELF file");
		return;
	}
	little = head[EI_DATA] == ELFDATA2LSB;
	machine = little ? head[18] | (unsigned)head[19] << 8 : head[19] | (unsigned)head[18] << 8;
	name = machine_name(machine);
	if (name)
		snprintf(ret, size, "is for %s, %u bits, %s-endian", name,
			 head[EI_CLASS] == ELFCLASS64 ? 64 : 32, little ? "little" : "big");
	else
		snprintf(ret, size, "is for machine %u of ELF's numbers", machine);
}

int shm__rproc_firmware_error(const struct shm__rproc *rproc, int error)
{
	char path[SHM__RPROC_PATH], name[SHM__RPROC_TEXT], looked[FOLDERS * FOLDER] = "", what[64];
	int fd;

	shm__rproc_path(rproc, "firmware", path);
	if (shm__rproc_read(path, name))
		return metal_shm_set_error(error, "%s doesn't start: %s", rproc->id,
					   strerror(error));
	fd = open_firmware(name, looked, sizeof(looked));
	if (fd < 0 && error == ENOENT)
		return metal_shm_set_error(ENOENT, "%s: there is no firmware '%s' in %s", rproc->id,
					   name, looked);
	if (fd < 0)
		return metal_shm_set_error(error, "%s doesn't start with '%s': %s", rproc->id, name,
					   strerror(error));
	describe(fd, what, sizeof(what));
	close(fd);
	if (error == EINVAL || error == ENOEXEC)
		return metal_shm_set_error(
			ENOEXEC,
			"%s doesn't take the firmware '%s', which %s; the kernel's log says more",
			rproc->id, name, what);
	return metal_shm_set_error(error, "%s doesn't start with '%s', which %s: %s", rproc->id,
				   name, what, strerror(error));
}
