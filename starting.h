/*
 * starting.h - waiting, preparing, starting: until the app runs and is ready.
 *
 * Owns the signals that came before there was an app. For shim.c's table.
 */
#ifndef STARTING_H
#define STARTING_H

#include "life.h"

/* On entering a phase: the one that follows at once, or itself. */
enum phase starting_enter_waiting(struct life *life);
enum phase starting_enter_preparing(struct life *life);
enum phase starting_enter(struct life *life);
enum phase starting_enter_running(struct life *life);

/* Actions: the phase that follows. */
enum phase starting_keep(struct life *life, const struct event *event);
enum phase starting_prepare(struct life *life, const struct event *event);
enum phase starting_start(struct life *life, const struct event *event);
enum phase starting_run(struct life *life, const struct event *event);
enum phase starting_stop_waiting(struct life *life, const struct event *event);
enum phase starting_wait_too_long(struct life *life, const struct event *event);
enum phase starting_wait_in_vain(struct life *life, const struct event *event);
enum phase starting_stop_preparing(struct life *life, const struct event *event);
enum phase starting_fail_preparing(struct life *life, const struct event *event);
enum phase starting_fail(struct life *life, const struct event *event);

#endif
