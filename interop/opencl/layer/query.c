/* SPDX-License-Identifier: BSD-3-Clause */
/* What the program is told: extensions that the layer adds, and imports that look native. */
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "layer.h"
#include "private.h"

/* Of version 0.9.3, which Debian's headers are older than. */
#define ASSUME_LINEAR_IMAGES_HANDLE_TYPES 0x2052

static const struct extension {
	const char *name;
	bool external; /* of cl_khr_external_memory */
	bool ours;     /* of this layer, whatever the implementation has */
	cl_version version;
} extensions[] = {
	{ "cl_arm_import_memory", false, false, CL_MAKE_VERSION(1, 1, 0) },
	{ "cl_arm_import_memory_dma_buf", false, false, CL_MAKE_VERSION(1, 1, 0) },
	{ "cl_arm_import_memory_host", false, false, CL_MAKE_VERSION(1, 1, 0) },
	{ "cl_khr_external_memory", true, false, CL_MAKE_VERSION(1, 0, 1) },
	{ "cl_khr_external_memory_dma_buf", true, false, CL_MAKE_VERSION(1, 0, 0) },
	{ LIBSHM_CL_LAYER_EXTENSION, false, true, CL_MAKE_VERSION(1, 0, 0) },
};

#define EXTENSIONS (sizeof(extensions) / sizeof(extensions[0]))

/* One bit for each that the layer adds to a device. */
static unsigned added_to(cl_device_id device)
{
	bool arm, khr;
	unsigned added = 0;

	if (!layer_device_shares(device))
		return 0;
	arm = layer_device_has(device, "cl_arm_import_memory");
	khr = layer_device_imports_dmabuf(device);
	for (unsigned i = 0; i < EXTENSIONS; i++) {
		const struct extension *extension = &extensions[i];

		if (extension->external ? khr : arm)
			continue;
		if (!layer_device_has(device, extension->name))
			added |= 1U << i;
	}
	return added;
}

/* A platform has what all of its devices have. */
static unsigned added_to_platform(cl_platform_id platform)
{
	unsigned added = (1U << EXTENSIONS) - 1;
	cl_device_id devices[64];
	cl_uint count = 0;

	if (layer_next.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 64, devices, &count) !=
	    CL_SUCCESS)
		return 0;
	for (cl_uint i = 0; i < count && i < 64; i++)
		added &= added_to(devices[i]);
	return count ? added : 0;
}

/* A query of the implementation: of a device or a platform. */
struct question {
	cl_platform_id platform; /* NULL: of the device */
	cl_device_id device;
	cl_uint name;
};

static cl_int ask(const struct question *question, size_t size, void *value, size_t *ret_size)
{
	if (question->platform)
		return layer_next.clGetPlatformInfo(question->platform, question->name, size, value,
						    ret_size);
	return layer_next.clGetDeviceInfo(question->device, question->name, size, value, ret_size);
}

/* The implementation's answer and room for more behind it, for the caller to free(). */
static cl_int ask_with_room(const struct question *question, size_t room, char **ret_value,
			    size_t *ret_size)
{
	size_t size = 0;
	cl_int code = ask(question, 0, NULL, &size);

	if (code != CL_SUCCESS)
		return code;
	*ret_value = calloc(1, size + room);
	if (!*ret_value)
		return CL_OUT_OF_HOST_MEMORY;
	code = ask(question, size, *ret_value, &size);
	*ret_size = size;
	if (code != CL_SUCCESS)
		free(*ret_value);
	return code;
}

static cl_int answer_names(const struct question *question, unsigned added, size_t size,
			   void *value, size_t *ret_size)
{
	size_t length = 0;
	char *text;
	cl_int code;

	code = ask_with_room(question, EXTENSIONS * CL_NAME_VERSION_MAX_NAME_SIZE, &text, &length);
	if (code != CL_SUCCESS)
		return code;
	length = strlen(text);
	for (unsigned i = 0; i < EXTENSIONS; i++) {
		if (!(added & (1U << i)) || layer_has_word(text, extensions[i].name))
			continue;
		if (length && text[length - 1] != ' ')
			text[length++] = ' ';
		memcpy(text + length, extensions[i].name, strlen(extensions[i].name));
		length += strlen(extensions[i].name);
	}
	code = layer_answer(text, length + 1, size, value, ret_size);
	free(text);
	return code;
}

static bool has_version(const char *list, size_t length, const char *name)
{
	cl_name_version entry;

	for (size_t at = 0; at + sizeof(entry) <= length; at += sizeof(entry)) {
		memcpy(&entry, list + at, sizeof(entry));
		if (!strncmp(entry.name, name, sizeof(entry.name)))
			return true;
	}
	return false;
}

static cl_int answer_versions(const struct question *question, unsigned added, size_t size,
			      void *value, size_t *ret_size)
{
	cl_name_version entry;
	size_t length = 0;
	char *list;
	cl_int code;

	code = ask_with_room(question, EXTENSIONS * sizeof(entry), &list, &length);
	if (code != CL_SUCCESS)
		return code;
	for (unsigned i = 0; i < EXTENSIONS; i++) {
		if (!(added & (1U << i)) || has_version(list, length, extensions[i].name))
			continue;
		entry = (cl_name_version){ .version = extensions[i].version };
		memcpy(entry.name, extensions[i].name, strlen(extensions[i].name));
		memcpy(list + length, &entry, sizeof(entry));
		length += sizeof(entry);
	}
	code = layer_answer(list, length, size, value, ret_size);
	free(list);
	return code;
}

/* The implementation may import other kinds, or know nothing of the question. */
static cl_int answer_handle_types(const struct question *question, size_t size, void *value,
				  size_t *ret_size)
{
	const cl_external_memory_handle_type_khr ours = CL_EXTERNAL_MEMORY_HANDLE_DMA_BUF_KHR;
	size_t length = 0;
	char *list;
	cl_int code;

	if (ask_with_room(question, sizeof(ours), &list, &length) != CL_SUCCESS)
		return layer_answer(&ours, sizeof(ours), size, value, ret_size);
	memcpy(list + length, &ours, sizeof(ours));
	code = layer_answer(list, length + sizeof(ours), size, value, ret_size);
	free(list);
	return code;
}

static bool adds_external(unsigned added)
{
	for (unsigned i = 0; i < EXTENSIONS; i++)
		if (extensions[i].external && added & (1U << i))
			return true;
	return false;
}

cl_int CL_API_CALL layer_get_platform_info(cl_platform_id platform, cl_platform_info name,
					   size_t size, void *value, size_t *ret_size)
{
	const struct question question = { .platform = platform, .name = name };
	unsigned added = 0;

	if (platform &&
	    (name == CL_PLATFORM_EXTENSIONS || name == CL_PLATFORM_EXTENSIONS_WITH_VERSION ||
	     name == CL_PLATFORM_EXTERNAL_MEMORY_IMPORT_HANDLE_TYPES_KHR))
		added = added_to_platform(platform);
	if (added && name == CL_PLATFORM_EXTENSIONS)
		return answer_names(&question, added, size, value, ret_size);
	if (added && name == CL_PLATFORM_EXTENSIONS_WITH_VERSION)
		return answer_versions(&question, added, size, value, ret_size);
	if (adds_external(added))
		return answer_handle_types(&question, size, value, ret_size);
	return layer_next.clGetPlatformInfo(platform, name, size, value, ret_size);
}

cl_int CL_API_CALL layer_get_device_info(cl_device_id device, cl_device_info name, size_t size,
					 void *value, size_t *ret_size)
{
	const struct question question = { .device = device, .name = name };
	unsigned added = 0;

	if (device && (name == CL_DEVICE_EXTENSIONS || name == CL_DEVICE_EXTENSIONS_WITH_VERSION ||
		       name == CL_DEVICE_EXTERNAL_MEMORY_IMPORT_HANDLE_TYPES_KHR ||
		       name == ASSUME_LINEAR_IMAGES_HANDLE_TYPES))
		added = added_to(device);
	if (added && name == CL_DEVICE_EXTENSIONS)
		return answer_names(&question, added, size, value, ret_size);
	if (added && name == CL_DEVICE_EXTENSIONS_WITH_VERSION)
		return answer_versions(&question, added, size, value, ret_size);
	if (adds_external(added))
		return answer_handle_types(&question, size, value, ret_size);
	return layer_next.clGetDeviceInfo(device, name, size, value, ret_size);
}

/* ISO C has no conversion from a function's pointer to an object's. */
#define ADDRESS(function)                                                                    \
	(memcpy(&address, &(void (*)(void)){ (void (*)(void))(function) }, sizeof(address)), \
	 address)

static void *own_function(const char *name)
{
	void *address;

	if (!strcmp(name, "clImportMemoryARM"))
		return ADDRESS(layer_import_memory_arm);
	if (!strcmp(name, "clEnqueueAcquireExternalMemObjectsKHR"))
		return ADDRESS(layer_enqueue_acquire_external);
	if (!strcmp(name, "clEnqueueReleaseExternalMemObjectsKHR"))
		return ADDRESS(layer_enqueue_release_external);
	return NULL;
}

/* Which platform's it is isn't said: the first's that has it. */
static void *command_function(const char *name)
{
	cl_platform_id platforms[32];
	cl_uint count = 0;

	if (strncmp(name, "clCommand", strlen("clCommand")) != 0 ||
	    layer_next.clGetPlatformIDs(32, platforms, &count) != CL_SUCCESS)
		return NULL;
	for (cl_uint i = 0; i < count && i < 32; i++)
		if (layer_next.clGetExtensionFunctionAddressForPlatform(platforms[i], name))
			return layer_command_buffer_function(platforms[i], name);
	return NULL;
}

/* A function of the implementation's own comes first. */
void *CL_API_CALL layer_get_extension_function_address(const char *name)
{
	void *address = layer_next.clGetExtensionFunctionAddress(name), *ours = NULL;

	if (name)
		ours = address ? command_function(name) : own_function(name);
	return ours ? ours : address;
}

void *CL_API_CALL layer_get_extension_function_address_for_platform(cl_platform_id platform,
								    const char *name)
{
	void *address = layer_next.clGetExtensionFunctionAddressForPlatform(platform, name);
	void *ours = NULL;

	if (name)
		ours = address ? layer_command_buffer_function(platform, name) : own_function(name);
	return ours ? ours : address;
}

/* The record of a cl_mem that is ours, with the properties copied out; false for any other. */
static bool find(cl_mem mem, struct layer_mem *ret_record)
{
	struct layer_mem *record;

	if (layer_idle())
		return false;
	pthread_mutex_lock(&layer_objects_lock);
	record = layer_mem_find(mem);
	if (record)
		*ret_record = *record;
	pthread_mutex_unlock(&layer_objects_lock);
	return record;
}

cl_int CL_API_CALL layer_get_mem_object_info(cl_mem mem, cl_mem_info name, size_t size, void *value,
					     size_t *ret_size)
{
	struct layer_mem record;
	void *nothing = NULL;

	if (find(mem, &record)) {
		switch (name) {
		case CL_MEM_FLAGS:
			return layer_answer(&record.flags, sizeof(record.flags), size, value,
					    ret_size);
		case CL_MEM_HOST_PTR:
			return layer_answer(&nothing, sizeof(nothing), size, value, ret_size);
		case CL_MEM_ASSOCIATED_MEMOBJECT:
			if (!record.parent)
				break;
			return layer_answer(&record.parent, sizeof(record.parent), size, value,
					    ret_size);
		case CL_MEM_PROPERTIES:
			if (!record.properties)
				break;
			return layer_answer(record.properties,
					    record.property_count * sizeof(cl_mem_properties), size,
					    value, ret_size);
		default:
			break;
		}
	}
	return layer_next.clGetMemObjectInfo(mem, name, size, value, ret_size);
}

cl_int CL_API_CALL layer_get_image_info(cl_mem image, cl_image_info name, size_t size, void *value,
					size_t *ret_size)
{
	struct layer_mem record;

	if (name == CL_IMAGE_BUFFER && find(image, &record) && record.parent)
		return layer_answer(&record.parent, sizeof(record.parent), size, value, ret_size);
	return layer_next.clGetImageInfo(image, name, size, value, ret_size);
}
