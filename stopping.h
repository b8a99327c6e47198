/*
 * stopping.h - from the stop signal, or a drain before it, to the signal for the app and its end.
 *
 * For shim.c's table.
 */
#ifndef STOPPING_H
#define STOPPING_H

#include "life.h"

/* On entering a phase: the one that follows at once, or itself. */
enum phase stopping_enter_draining(struct life *life);
enum phase stopping_enter_drained(struct life *life);
enum phase stopping_enter(struct life *life);

/* Actions: the phase that follows. */
enum phase stopping_begin(struct life *life, const struct event *event);
enum phase stopping_drain(struct life *life, const struct event *event);
enum phase stopping_stop_draining(struct life *life, const struct event *event);
enum phase stopping_stop_drained(struct life *life, const struct event *event);
enum phase stopping_end_silence(struct life *life, const struct event *event);
enum phase stopping_stop_again(struct life *life, const struct event *event);
enum phase stopping_drain_longer(struct life *life, const struct event *event);
enum phase stopping_finish_draining(struct life *life, const struct event *event);
enum phase stopping_wait_longer(struct life *life, const struct event *event);

#endif
