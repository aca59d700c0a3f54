/* SPDX-License-Identifier: BSD-3-Clause */
/* shm-demo: frames from a camera through an OpenCL kernel or a DSP to a display, and nobody copies them. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shm/device.h>
#include <shm/observe.h>

#include "panels.h"
#include "pipeline.h"
#include "report.h"
#include "scene.h"

enum { EXIT_WRONG = 1, EXIT_USAGE = 2, EXIT_UNABLE = 3 };

/* A commit that is written back can take this machine longer than a camera's frame lasts. */
#define CHECKED_RATE 5
/* The last minutes of a run that doesn't end. */
#define TRACE_RECORDS 65536

static const char help[] =
	"usage: shm-demo [OPTIONS]\n"
	"\n"
	"Sends frames from a camera through an OpenCL kernel to a display, in buffers that libshm\n"
	"allocates once, and leaves a picture of the last one. Or through a DSP, or through both.\n"
	"\n"
	"  -c, --camera software | /dev/videoN     where frames come from (software)\n"
	"  -d, --display picture | /dev/dri/cardN  where they go (picture: the PNG alone)\n"
	"  -D, --dsp NAME       through this remoteproc in place of OpenCL; its firmware is the example\n"
	"                       dsp of interop/rproc/firmware, and it works in the camera's buffers\n"
	"  -f, --firmware FILE  for the DSP, unless it runs already (the one that it has)\n"
	"  -O, --opencl         through OpenCL before the DSP\n"
	"  -m, --memory NAME    memory of all frames: memfd, heap:system... (libshm chooses)\n"
	"  -n, --frames N       how many to show; 0: until it is interrupted (90)\n"
	"  -s, --size WxH       of the frames (640x480)\n"
	"  -r, --rate N         frames a second that the camera makes (software: 30)\n"
	"  -o, --output FILE    the picture: camera, filter, display side by side, and the DSP's\n"
	"                       counters (demo.png)\n"
	"  -j, --json FILE      the figures once more\n"
	"  -t, --trace FILE     a timeline of who has which frame when, for ui.perfetto.dev\n"
	"      --check          compare each displayed frame with a filter in plain C; a card that\n"
	"                       can writes back what it displays\n"
	"      --nonce N        a number that the software camera draws and --check wants to see\n"
	"                       on the display\n"
	"      --fault NAME     for tests, --check must find it: frozen (the camera draws one\n"
	"                       picture for ever), repeat (the display gets the frame before), skip\n"
	"                       (the DSP gets none), unsigned (its signature is wiped)\n"
	"  -h, --help\n"
	"  -V, --version\n"
	"\n"
	"status: 0; 1 the check failed; 2 wrong usage; 3 a device or memory can't be used\n";

static int usage(const char *problem, const char *value)
{
	fprintf(stderr, "shm-demo: %s%s; --help lists the options\n", problem, value);
	return EXIT_USAGE;
}

static bool parse_number(const char *text, unsigned long least, unsigned long most,
			 unsigned long *ret)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value < least || value > most)
		return false;
	*ret = value;
	return true;
}

static bool parse_unsigned(const char *text, unsigned least, unsigned most, unsigned *ret)
{
	unsigned long value;

	if (!parse_number(text, least, most, &value))
		return false;
	*ret = (unsigned)value;
	return true;
}

static bool parse_size(const char *text, struct demo_options *options)
{
	char width[8] = "";
	const char *by = strchr(text, 'x');

	if (!by || (size_t)(by - text) >= sizeof(width))
		return false;
	memcpy(width, text, (size_t)(by - text));
	return parse_unsigned(width, SCENE_LEAST_WIDTH, 65535, &options->width) &&
	       parse_unsigned(by + 1, SCENE_LEAST_HEIGHT, 65535, &options->height) &&
	       options->width % 2 == 0;
}

static bool parse_fault(const char *text, struct demo_options *options)
{
	static const char *const names[] = {
		[DEMO_FAULT_FROZEN] = "frozen",
		[DEMO_FAULT_REPEAT] = "repeat",
		[DEMO_FAULT_SKIP] = "skip",
		[DEMO_FAULT_UNSIGNED] = "unsigned",
	};

	for (unsigned i = DEMO_FAULT_FROZEN; i <= DEMO_FAULT_UNSIGNED; i++)
		if (!strcmp(text, names[i]))
			options->fault = (enum demo_fault)i;
	return options->fault != DEMO_FAULT_NONE;
}

/* false: the value is wrong. */
static bool take(int option, const char *value, struct demo_options *options)
{
	switch (option) {
	case 'c':
		options->camera = value;
		return true;
	case 'd':
		options->display = value;
		return true;
	case 'D':
		options->dsp = value;
		return true;
	case 'f':
		options->firmware = value;
		return true;
	case 'O':
		options->opencl = true;
		return true;
	case 'm':
		options->memory = value;
		return true;
	case 'o':
		options->output = value;
		return true;
	case 'j':
		options->json = value;
		return true;
	case 't':
		options->trace = value;
		return true;
	case 'n':
		return parse_unsigned(value, 0, INT_MAX, &options->frames);
	case 'r':
		return parse_unsigned(value, 1, 1000, &options->rate);
	case 's':
		return parse_size(value, options);
	case 'C':
		options->check = true;
		return true;
	case 'N':
		options->has_nonce = true;
		return parse_unsigned(value, 0, UINT_MAX, &options->nonce);
	default:
		return parse_fault(value, options);
	}
}

static bool is(const char *option, const char *value)
{
	return option && !strcmp(option, value);
}

/* What the options mean together. 0, or the exit status plus one. */
static int settle(struct demo_options *options)
{
	if (options->has_nonce && (options->dsp || !is(options->camera, "software")))
		return 1 + usage("--nonce is for the software camera, and no DSP", "");
	if (options->firmware && !options->dsp)
		return 1 + usage("--firmware is for --dsp", "");
	if (options->fault >= DEMO_FAULT_SKIP && !options->dsp)
		return 1 + usage("this fault is for --dsp", "");
	options->opencl |= !options->dsp;
	if (options->check && !options->rate && !is(options->display, "picture"))
		options->rate = CHECKED_RATE;
	return 0;
}

/* 0: go on; otherwise the exit status, plus one. */
static int parse(int argc, char **argv, struct demo_options *options)
{
	static const struct option names[] = {
		{ "camera", required_argument, NULL, 'c' },
		{ "display", required_argument, NULL, 'd' },
		{ "dsp", required_argument, NULL, 'D' },
		{ "firmware", required_argument, NULL, 'f' },
		{ "opencl", no_argument, NULL, 'O' },
		{ "memory", required_argument, NULL, 'm' },
		{ "frames", required_argument, NULL, 'n' },
		{ "size", required_argument, NULL, 's' },
		{ "rate", required_argument, NULL, 'r' },
		{ "output", required_argument, NULL, 'o' },
		{ "json", required_argument, NULL, 'j' },
		{ "trace", required_argument, NULL, 't' },
		{ "check", no_argument, NULL, 'C' },
		{ "nonce", required_argument, NULL, 'N' },
		{ "fault", required_argument, NULL, 'F' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:d:D:f:Om:n:s:r:o:j:t:hV", names, NULL)) != -1) {
		if (option == 'h' || option == 'V') {
			printf(option == 'h' ? "%s" : "shm-demo %s\n",
			       option == 'h' ? help : metal_shm_version());
			return 1;
		}
		if (option == '?')
			return 1 + EXIT_USAGE;
		if (!take(option, optarg, options))
			return 1 + usage("not a value for this option: ", optarg);
	}
	if (optind < argc)
		return 1 + usage("what is this: ", argv[optind]);
	return settle(options);
}

static int complain(void)
{
	fprintf(stderr, "shm-demo: %s\n", metal_shm_last_error());
	return EXIT_UNABLE;
}

/* LIBSHM_TRACE may have begun it before. */
static int begin_trace(void)
{
	int error = metal_shm_trace_start(TRACE_RECORDS);

	return error == -EALREADY ? 0 : error;
}

static int write_trace(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int error;

	if (fd < 0)
		return metal_shm_set_error(errno, "%s: %s", path, strerror(errno));
	error = metal_shm_trace_write(fd);
	if (close(fd) && !error)
		error = metal_shm_set_error(errno, "%s", strerror(errno));
	if (error)
		return metal_shm_set_error(-error, "%s: %s", path, metal_shm_last_error());
	printf("%-8s %s, for ui.perfetto.dev\n", "trace", path);
	return 0;
}

static int run(struct pipeline *p, const struct demo_options *options)
{
	int status = 0, error;

	if (options->trace && begin_trace())
		return complain();
	fprintf(stderr, "shm-demo: opening devices%s%s\n", options->dsp ? ", starting the DSP" : "",
		options->opencl ? ", building the OpenCL kernel" : "");
	if (pipeline_open(p, options))
		return complain();
	error = pipeline_run(p);
	if (error)
		status = complain();
	if (error == -EBADMSG)
		status = EXIT_WRONG;
	report_print(p);
	if (options->json && report_json(p, options->json))
		status = complain();
	if (!status && panels_write(p, options->output))
		status = complain();
	if (!status)
		printf("%-8s %s\n", "picture", options->output);
	pipeline_close(p);
	if (options->trace && write_trace(options->trace))
		status = status ? status : complain();
	return status;
}

int main(int argc, char **argv)
{
	struct demo_options options = {
		.camera = "software",
		.display = "picture",
		.output = "demo.png",
		.frames = 90,
		.width = 640,
		.height = 480,
	};
	struct pipeline pipeline;
	int status = parse(argc, argv, &options);

	return status ? status - 1 : run(&pipeline, &options);
}
