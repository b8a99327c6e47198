/*
 * voices.h - what tini, dumb-init and catatonit say, moment by moment. Data only; called by
 * compat.c.
 */
#ifndef VOICES_H
#define VOICES_H

#include "log.h"

/* That peer's words; NULL for AS_SHIM, whose own are in log.c. */
const struct voice *voice_of(enum personality personality);

#endif
