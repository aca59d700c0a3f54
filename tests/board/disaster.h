/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes wrong by hand and right through libshm; each is a case of test_disasters.c. */
#ifndef DISASTER_H
#define DISASTER_H

/* What is read in the end, as text: the two digits of a byte, or what is told of a picture. */
struct disaster {
	const char *fact, *what, *wrong, *right;
	void (*by_hand)(const char *heap, char ret[16]);
	void (*by_libshm)(const char *heap, char ret[16]);
};

/* disaster_camera.c */
void camera_for_device_by_hand(const char *heap, char ret[16]);
void camera_for_device_by_libshm(const char *heap, char ret[16]);
void camera_for_cpu_by_hand(const char *heap, char ret[16]);
void camera_for_cpu_by_libshm(const char *heap, char ret[16]);

#endif
