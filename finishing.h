/*
 * finishing.h - the app has ended, or never began: who is left, the post-stop hooks, the last
 * output.
 *
 * For shim.c's table.
 */
#ifndef FINISHING_H
#define FINISHING_H

#include "life.h"

/* On entering a phase: the one that follows at once, or itself. */
enum phase finishing_enter(struct life *life);
enum phase finishing_enter_done(struct life *life);

/* Actions: the phase that follows. */
enum phase finishing_hook_ended(struct life *life, const struct event *event);
enum phase finishing_leave(struct life *life, const struct event *event);
enum phase finishing_count_rest(struct life *life, const struct event *event);
enum phase finishing_linger(struct life *life, const struct event *event);
enum phase finishing_stop_rest(struct life *life, const struct event *event);

#endif
