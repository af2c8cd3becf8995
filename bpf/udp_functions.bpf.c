// SPDX-License-Identifier: GPL-2.0
/* UDP on kernels whose tracepoints do not tell the lengths of its calls (before 6.3): the same, at the end of functions. */
#define SKYFALL_UDP_FUNCTIONS
#include "udp.bpf.c"
