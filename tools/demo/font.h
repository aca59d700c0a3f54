/* SPDX-License-Identifier: BSD-3-Clause */
/* Letters of 5x7 dots, for captions and the counter in the picture. */
#ifndef FONT_H
#define FONT_H

#include <stdbool.h>
#include <stdint.h>

#define FONT_WIDTH   5
#define FONT_HEIGHT  7
#define FONT_ADVANCE 6 /* dots from one letter to the next */

/* Is the dot at x, y of a letter set? Letters without a shape are blank. */
bool font_dot(char letter, unsigned x, unsigned y);

#endif
