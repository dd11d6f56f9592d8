/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_GIZMO_H
#define _LINUX_GIZMO_H

/**
 * struct gizmo - A spinning thing on the toy bus.
 * @name: Shown in sysfs.
 * @turns: Turns since it was started.
 */
struct gizmo {
	const char *name;
	u64 turns;
	struct mutex lock;
};

union gizmo_word {
	u32 value;
	u8 bytes[4];
};

enum gizmo_state {
	GIZMO_OFF,
	GIZMO_SPINNING,
};

int gizmo_spin_up(struct gizmo *gizmo, unsigned int max_turns);

static inline int gizmo_count(struct gizmo *gizmo) { return 0; }

#endif
